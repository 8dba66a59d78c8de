"""One task, or one iteration of it, in a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.output.limits import Limits
    from maxstage.output.strategies import Keep
    from maxstage.workflow.format.graph import TaskGraph
    from maxstage.workflow.run.clock import Clock
    from maxstage.workflow.run.scheduler import Key


class TaskInstance(NamedTuple):
    """One task, or one iteration of it, in a run.

    Attributes:
        path: Its path in the run: ``build[2].compile``.
        spec_path: Its path in the file: ``build.compile``.
        name: Its name.
        key: Its turn: priority and place in the file, level by level.
        limits: Its limits.
        clock: How long the loops around it may take.
        wanted: Whether it still is to be started.
        iteration: Which iteration of its loop it is; None where it is no iteration.
    """

    path: str
    spec_path: str
    name: str
    key: Key
    limits: Limits
    clock: Clock
    wanted: Callable[[], bool]
    iteration: int | None = None

    def keep(self, graph: TaskGraph) -> Keep:
        """Return when the full output is kept: always where its token is referred to."""
        wanted = self.spec_path in graph.tokens_wanted
        return "always" if wanted and self.iteration is None else "truncated"
