"""Workflows: YAML files whose tasks are run, with state that survives anything."""

from importlib.util import find_spec

if find_spec("yaml") is None:
    raise ImportError('Workflows need the package yaml: pip install "maxstage[workflow]"')
