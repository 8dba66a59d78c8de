"""Workflows: YAML files whose tasks are run, with state that survives anything."""

from importlib.util import find_spec

for _name in ("pydantic", "yaml"):
    if find_spec(_name) is None:
        raise ImportError(f'Workflows need the package {_name}: pip install "maxstage[workflow]"')
