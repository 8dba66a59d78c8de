"""The paths of tasks in a run: ``build[2].compile`` is ``build.compile`` in the third iteration of ``build``."""

from __future__ import annotations

import re

_INDEX = re.compile(r"\[\d+\]")


def spec_path(path: str) -> str:
    """Return the path in the file of a task of a run.

    >>> spec_path("build[2].compile")
    'build.compile'
    """
    return _INDEX.sub("", path)


def container_of(path: str) -> str:
    """Return the path that contains a path: the loop of an iteration, the task of a subtask; "" at the top level."""
    if path.endswith("]"):
        return path[: path.rindex("[")]
    return path.rpartition(".")[0]


def is_iteration(path: str) -> bool:
    """Return whether a path is that of an iteration itself, not of a task within one."""
    return path.endswith("]")


def around(path: str) -> list[str]:
    """Return a path in the file, and those of the tasks around it, the outermost first.

    >>> around("a.b")
    ['a', 'a.b']
    """
    names = path.split(".")
    return [".".join(names[:count]) for count in range(1, len(names) + 1)]


def within(path: str, begins: str) -> tuple[str, str]:
    """Return the bounds of all paths that continue `path` with the character `begins`."""
    return path + begins, path + chr(ord(begins) + 1)
