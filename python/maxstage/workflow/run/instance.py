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
        key: Its position in the queue: priority and place in the file, level by level.
        limits: Its limits.
        clock: The time limit of the loops around it.
        wanted: Whether it should still be started.
        iteration: The number of the iteration; None if it isn't one.
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
        """Return when the full output is kept: always, if its token is referred to."""
        wanted = self.spec_path in graph.tokens_wanted
        is_named = self.iteration is None or self.spec_path in graph.parts_wanted
        return "always" if wanted and is_named else "truncated"
