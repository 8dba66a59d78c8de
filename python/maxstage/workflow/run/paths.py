"""The paths of tasks in a run: ``build[2].compile`` is ``build.compile`` in the third iteration of ``build``."""

from __future__ import annotations

import re

_INDEX = re.compile(r"\[\d+\]")


def spec_path(path: str) -> str:
    """Return where a task of a run stands in the file.

    >>> spec_path("build[2].compile")
    'build.compile'
    """
    return _INDEX.sub("", path)


def container_of(path: str) -> str:
    """Return what a path belongs to: the loop of an iteration, the task of a subtask; "" on the first level."""
    if path.endswith("]"):
        return path[: path.rindex("[")]
    return path.rpartition(".")[0]


def is_iteration(path: str) -> bool:
    """Whether a path is that of an iteration itself, and not of a task within one."""
    return path.endswith("]")


def around(path: str) -> list[str]:
    """Return a path in the file, and those of the tasks around it, the outermost first.

    >>> around("a.b")
    ['a', 'a.b']
    """
    names = path.split(".")
    return [".".join(names[:count]) for count in range(1, len(names) + 1)]
