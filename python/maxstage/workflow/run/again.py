"""Which results of a run are set aside, so that their tasks are done again: those that are named, and what follows."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

from maxstage.errors import WorkflowError
from maxstage.humanize import printable
from maxstage.workflow.format.graph import in_order
from maxstage.workflow.format.task_texts import inputs_in, inputs_used
from maxstage.workflow.run.paths import container_of, is_iteration, spec_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from maxstage.workflow.format.valid import ValidWorkflow
    from maxstage.workflow.run.results import Ended

_LONGEST = 120
"""The most characters of a name that an error quotes."""


class Start(NamedTuple):
    """How a run is started.

    Attributes:
        run_id: The run to go on with; None for the newest of the file.
        resume: Whether to go on with one that has not completed.
        or_new: Whether to start a new one if there is none to go on with.
        rerun: Tasks to do again, with all that depends on them.
        since: A task to do again, with all that comes after it; None for none.
    """

    run_id: str | None = None
    resume: bool = False
    or_new: bool = False
    rerun: tuple[str, ...] = ()
    since: str | None = None

    @property
    def again(self) -> bool:
        """Whether tasks that have ended are to be done again."""
        return bool(self.rerun) or self.since is not None


class Again:
    """What a run does again.

    Args:
        workflow: The file.
        known: All tasks and iterations that have ended.
        start: What to do again.

    Attributes:
        named: The paths of the tasks that are named, which are really done.

    Raises:
        WorkflowError: A task that is named doesn't exist.
    """

    def __init__(self, workflow: ValidWorkflow, known: Mapping[str, Ended], start: Start) -> None:
        self._workflow = workflow
        self._known = known
        # What is done again with everything within it, and what has to be put together again from its parts.
        self._whole: set[str] = set()
        self._around: set[str] = set()
        for name in start.rerun:
            for path in self._named(name):
                self._add(path)
        if start.since is not None:
            for path in self._named(start.since):
                self._add(path)
                self._add_after(path)
        # What follows from these may be taken from an earlier run; they themselves may not.
        self.named = frozenset(
            path for name in (*start.rerun, *filter(None, [start.since])) for path in self._named(name)
        )
        for path, one in known.items():
            if one.is_final and self._ran_anyway(path):
                self._add(path)

    def paths(self) -> list[str]:
        """Return the paths of the results to set aside, in the order in which their tasks ended."""
        return [path for path in self._known if path in self._around or self._is_within(path)]

    def _ran_anyway(self, path: str) -> bool:
        """Whether a task ran only because it always does, and what it waits for has yet to be done."""
        task = self._workflow.tasks.get(spec_path(path))
        if task is None or not task.always or is_iteration(path):
            return False
        around = f"{container_of(path)}." if container_of(path) else ""
        needed = (
            self._known.get(f"{around}{name}") for name in self._workflow.graph.dependencies[spec_path(path)]
        )
        return any(one is None or not one.is_final for one in needed)

    def _is_within(self, path: str) -> bool:
        while path:
            if path in self._whole:
                return True
            path = container_of(path)
        return False

    def _named(self, name: str) -> list[str]:
        """Return the paths in the run that a name stands for: a task within a loop, in each of its iterations."""
        tasks = self._workflow.tasks
        if spec_path(name) not in tasks:
            near = difflib.get_close_matches(spec_path(name), tasks, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise WorkflowError(
                f"there is no task {printable(name, _LONGEST)!r} in {self._workflow.file}{hint}"
            )
        if "[" in name:
            if not any(path == name or path.startswith((f"{name}.", f"{name}[")) for path in self._known):
                raise WorkflowError(f"nothing of {printable(name, _LONGEST)!r} was done in this run")
            return [name]
        return [path for path in self._known if not is_iteration(path) and spec_path(path) == name] or [name]

    def _add(self, path: str) -> None:
        todo = [path]
        while todo:
            inside = todo.pop()
            if inside in self._whole:
                continue
            self._whole.add(inside)
            for at in _outwards(inside):
                todo += self._dependents(at)
                self._around.add(container_of(at))

    def _dependents(self, path: str) -> Iterator[str]:
        """Yield what depends on a task among its siblings, or on an iteration among those of its loop."""
        around = container_of(path)
        if is_iteration(path):
            # Those of a loop that is not parallel may refer to the one before.
            if around and spec_path(around) not in self._workflow.graph.parallel_loops:
                yield from self._later(path)
            return
        for other in self._workflow.graph.dependents.get(spec_path(path), ()):
            name = other.rpartition(".")[2]
            yield f"{around}.{name}" if around else name

    def _later(self, path: str) -> Iterator[str]:
        loop, number = container_of(path), _number(path)
        for other in {_iteration_in(loop, known) for known in self._known if known.startswith(f"{loop}[")}:
            if _number(other) > number:
                yield other

    def _add_after(self, path: str) -> None:
        """Add what comes after a task in the order of the plan, level by level."""
        for at in _outwards(path):
            around = container_of(at)
            if is_iteration(at):
                names = self._later(at)
            else:
                names = (f"{around}.{name}" if around else name for name in self._names_after(at))
            for name in list(names):
                self._add(name)

    def _names_after(self, path: str) -> list[str]:
        where = spec_path(path)
        prefix = where.rpartition(".")[0]
        siblings = self._workflow.tasks[prefix].subtasks or {} if prefix else self._workflow.spec.tasks
        order = in_order(siblings, self._workflow.graph.dependencies, f"{prefix}." if prefix else "")
        return order[order.index(where.rpartition(".")[2]) + 1 :]

    def left_with(self, changed: AbstractSet[str]) -> list[str]:
        """Return the tasks of the file that have ended with inputs that have changed, and are not done again."""
        spec = self._workflow.spec
        everywhere = inputs_in(spec.env.values()) & changed
        users = {
            path
            for path, task in self._workflow.tasks.items()
            if everywhere or inputs_used(task, spec.agents) & changed
        }
        again = set(self.paths())
        left = {
            spec_path(path)
            for path, one in self._known.items()
            if one.is_final and spec_path(path) in users and path not in again
        }
        return [path for path in self._workflow.tasks if path in left]


def _outwards(path: str) -> Iterator[str]:
    """Yield a path and those around it, up to the top level."""
    while path:
        yield path
        path = container_of(path)


def _number(path: str) -> int:
    return int(path[path.rindex("[") + 1 : -1])


def _iteration_in(loop: str, path: str) -> str:
    """Return the iteration of a loop that a path is, or is in."""
    return path[: path.index("]", len(loop)) + 1]
