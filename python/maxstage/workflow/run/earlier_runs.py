"""Earlier runs of a file: which of their results may be taken, instead of doing a task again."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from typing import TYPE_CHECKING, NamedTuple

from maxstage import exact
from maxstage.errors import Error, WorkflowError
from maxstage.humanize import printable
from maxstage.workflow.run.folder import find_runs
from maxstage.workflow.run.paths import container_of
from maxstage.workflow.run.results import COMPLETED, TaskResult
from maxstage.workflow.run.state import RunState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_RUNS = 20
"""How many earlier runs of a file are looked into, the newest first."""
DIGITS = 32
"""Of a digest: nobody makes up content that has the same one."""
_NAMED = 3
"""How many changed parts are named."""
_SHOWN = 60
"""Characters of a part's name that are shown."""

Parts = dict[str, str]
"""The digests of what a task depends on, by name."""


def digest(text: str) -> str:
    """Return the digest of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]


class Found(NamedTuple):
    """Whether a task was found in the cache.

    Attributes:
        result: Its result in an earlier run; None if it has to be done.
        why: From where it is, or why it was not taken, in words.
    """

    result: TaskResult | None
    why: str


class Cache:
    """Finds tasks in earlier runs of a file.

    Args:
        folder: The folder of the project's runs.
        file: The file; None if nothing is to be found.
        run_id: The run that looks.
        use: Whether anything may be taken.
        named: The paths of tasks that are to be done, whatever was done before.
    """

    def __init__(
        self, folder: str, file: str | None, run_id: str, *, use: bool = True, named: Collection[str] = ()
    ) -> None:
        self._folder = folder
        self._file = file
        self._run_id = run_id
        self._use = use
        self._named = named
        self._lock = threading.Lock()
        self._states: list[RunState] | None = None

    def find(self, path: str, parts: Parts) -> Found:
        """Look for a task that did the same.

        Args:
            path: Its path in the run.
            parts: What it depends on.
        """
        if not self._use:
            return Found(None, "--no-cache")
        if self._is_named(path):
            return Found(None, "it was to be done again")
        before: Parts | None = None
        key = key_of(parts)
        for state in self._runs():
            with contextlib.suppress(WorkflowError):  # a run that can't be read is none to take anything from
                for other in state.cached_under(key):
                    result = state.find(other)
                    if result is not None and result.status == COMPLETED and not result.pruned:
                        return Found(result, f"from run {state.run_id}")
                before = before or state.cache_parts(path)
        return Found(None, "no earlier run has done it" if before is None else _difference(before, parts))

    def _is_named(self, path: str) -> bool:
        while path and path not in self._named:
            path = container_of(path)
        return bool(path)

    def _runs(self) -> list[RunState]:
        with self._lock:
            if self._states is None:
                self._states = list(self._opened())
            return self._states

    def _opened(self) -> Iterator[RunState]:
        left = _RUNS
        for run_id, facts in find_runs(self._folder):
            if left and facts.get("file") == self._file and run_id != self._run_id:
                left -= 1
                with contextlib.suppress(Error, OSError):
                    yield RunState(self._folder, run_id)

    def close(self) -> None:
        """Close the runs."""
        for state in self._states or ():
            state.close()


def key_of(parts: Parts) -> str:
    """Return one digest for all parts."""
    return digest(exact.dumps(sorted(parts.items())))


def _difference(before: Parts, now: Parts) -> str:
    names = [name for name in {**now, **before} if before.get(name) != now.get(name)]
    if not names:
        return "the run that did the same no longer has its output"
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"changed: {', '.join(printable(name, _SHOWN) for name in names[:_NAMED])}{more}"
