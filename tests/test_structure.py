"""How the files depend on each other, and what no docstring says."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "python" / "maxstage"

LAYERS = ["cli", "agents", "integrations", "mcp", "workflow", "context", "intent", "query", "output", "store"]
"""The packages from top to bottom; each may import those below it, and the modules that all share."""

ROOMS = ["report", "run", "execution", "format"]
"""The rooms of `maxstage.workflow`, from top to bottom."""

SHARED = {
    "_backend",
    "_core",
    "_pure",
    "codecs",
    "config_file",
    "durations",
    "errors",
    "files",
    "html_page",
    "humanize",
    "interrupts",
    "exact",
    "light_json",
    "record",
    "redaction",
    "redaction_rules",
    "replacement",
    "settings",
    "sizes",
    "store_urls",
    "trust",
    "user_settings",
}
"""What all packages share, and imports none of them."""

ALLOWED = {
    (
        "_backend",
        "",
    ): "the version is a line of the package itself: a file of its own costs each command 0.1 ms",
    ("_pure", ""): "as for `_backend`",
    ("workflow.execution.temporal.connection", ""): "as for `_backend`: workers tell their version",
    ("settings", "output.limits"): "every command checks all of config.toml, and limits have one validator",
}
"""Imports that go the wrong way or round, from a file to another, each with its reason."""

MOST_LINES = 600

TOO_LONG: dict[str, str] = {}
"""Files that are longer, each with its reason."""


def name_of(path):
    """Return the name of a module in the package: ``store.layout``; of the package itself, nothing."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


FILES = {name_of(path): path for path in sorted(ROOT.rglob("*.py*")) if path.suffix in {".py", ".pyi"}}


def imported_by(name):
    """Return the modules that a file imports, whether at once, in a function or for types alone."""
    found = set()
    for node in ast.walk(ast.parse(FILES[name].read_text())):
        if isinstance(node, ast.Import):
            found.update(known(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} imports relatively"
            found.update(known(f"{node.module}.{alias.name}") for alias in node.names)
    return found - {None, name}


def known(dotted):
    """Return the module of ours that `dotted` is, or is in."""
    first, _, rest = dotted.partition(".")
    if first != "maxstage":
        return None
    while rest not in FILES:
        rest = rest.rpartition(".")[0]
    return rest


IMPORTS = {name: imported_by(name) for name in FILES}


def circles():
    """Return the groups of files of which each reaches all others by imports (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(name):
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in IMPORTS[name]:
            if (name, other) in ALLOWED:
                continue
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in IMPORTS:
        if name not in index:
            visit(name)
    return found


def layer_of(name):
    """Return how high a module stands: what may import it stands at least as high."""
    first = name.partition(".")[0]
    if first in LAYERS:
        return len(LAYERS) - LAYERS.index(first)
    return 0 if first in SHARED else len(LAYERS) + 1  # the public names and __main__


def test_no_files_import_each_other():
    assert circles() == []


def test_packages_import_one_way():
    wrong = [
        (name, other)
        for name, others in IMPORTS.items()
        for other in others
        if layer_of(other) > layer_of(name) and (name, other) not in ALLOWED
    ]
    # The version, and the doctests, of the package are everybody's.
    assert sorted(pair for pair in wrong if pair[1] or pair[0].startswith("_pure")) == []


def test_rooms_of_workflows_import_one_way():
    """Of workflows: the report, a run, the execution of one program, and the format, each knows those after it."""

    def room_of(name):
        parts = name.split(".")
        return ROOMS.index(parts[1]) if parts[0] == "workflow" and parts[1:] and parts[1] in ROOMS else None

    pairs = [(name, other) for name, others in IMPORTS.items() for other in others]
    rooms = [(name, other, room_of(name), room_of(other)) for name, other in pairs]
    wrong = [
        (name, other) for name, other, here, there in rooms if None not in {here, there} and there < here
    ]
    assert wrong == []
    # Each room is there, and is imported: a name that is misspelt here would check nothing.
    assert {there for _, _, _, there in rooms} == {None, *range(len(ROOMS))}


def test_every_exception_is_still_needed():
    assert [pair for pair in ALLOWED if pair[1] not in IMPORTS.get(pair[0], ())] == []


@pytest.mark.parametrize("name", FILES)
def test_no_file_is_too_long(name):
    too_long = FILES[name].read_text().count("\n") > MOST_LINES
    assert not too_long or name in TOO_LONG


def test_docstrings_say_what_they_mean():
    pointing = re.compile(r"\bsee (above|below|there)\b", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in FILES.values()
        for number, line in enumerate(path.read_text().split("\n"), 1)
        if pointing.search(line)
    ]
    assert found == []
