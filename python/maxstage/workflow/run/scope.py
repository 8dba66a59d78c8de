"""What a task can refer to: inputs, the environment, tasks that have ended, the variables of loops around it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from maxstage import exact
from maxstage.errors import WorkflowError
from maxstage.workflow.execution.outputs import gone
from maxstage.workflow.format import references
from maxstage.workflow.format.matrix import chosen
from maxstage.workflow.run.comparing import compare, matches
from maxstage.workflow.run.outputs import MOST, PRUNED, open_output, read_output
from maxstage.workflow.run.paths import spec_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from maxstage.store.store import Store
    from maxstage.workflow.format.loop_schema import Condition
    from maxstage.workflow.run.results import TaskResult


class Scope:
    """The names at one level of tasks, including those of the levels around it.

    Outputs are not held here but looked up on demand, so that a thousand of them take no memory.

    Attributes:
        inputs: The inputs of the run, and of the tasks around.
        env: The environment of the tasks.
        ended: The tasks of this level that have ended, each with the path of its result.
        variables: The variables of the loops around it.
    """

    def __init__(
        self,
        inputs: Mapping[str, Any],
        env: Mapping[str, str],
        load: Callable[[str], TaskResult | None],
        store: Store,
        matrices: Mapping[str, list[dict[str, Any]]] | None = None,
    ) -> None:
        self._matrices = matrices or {}
        self.inputs = inputs
        self.env = env
        self.ended: dict[str, str] = {}
        self.variables: dict[str, Any] = {}
        self._load = load
        self._store = store
        self._of_tasks: frozenset[str] = frozenset()
        self._name = ""
        self._outer: Scope | None = None

    def inner(
        self,
        *,
        name: str = "",
        variables: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> Scope:
        """Return a level inside this one; `name` is the task with these subtasks, if there is one."""
        scope = Scope({**self.inputs, **inputs} if inputs else self.inputs, self.env, self._load, self._store)
        scope._matrices = self._matrices
        scope.variables = {**self.variables, **variables} if variables else self.variables
        scope._of_tasks = self._of_tasks.union(inputs or ())
        scope._name = name
        scope._outer = self
        return scope

    def path_of(self, name: str) -> str | None:
        """Return the path of a task's result; None if it has not ended."""
        first, _, rest = name.partition(".")
        if first in self.ended:
            return f"{self.ended[first]}.{rest}" if rest else self.ended[first]
        if self._outer is None:
            return None
        if first == self._name and rest:
            return self.path_of(rest)
        return self._outer.path_of(name)

    def task(self, name: str) -> TaskResult | None:
        """Return the result of a task; None if it has not ended."""
        path = self.path_of(name)
        return None if path is None else self._load(path)

    def named(self, reference: references.Reference) -> tuple[str | None, TaskResult | None]:
        """Return the path and the result of the task that a reference names, or of a combination of its matrix."""
        path = self.path_of(reference.name)
        if path is not None and reference.part:
            (number,) = chosen(self._matrices[spec_path(path)], reference.part)
            path = f"{path}[{number}]"
        return path, None if path is None else self._load(path)

    def outputs(self, path: str, name: str) -> list[str]:
        """Return the outputs of a loop's iterations, or of a matrix' combinations, in their order.

        Raises:
            WorkflowError: One no longer exists, or they are too long for a reference.
        """
        found: list[str] = []
        size = 0
        while (result := self._load(inside := f"{path}[{len(found)}]")) is not None:
            size += 0 if result.output is None else result.output.original_size
            if size > MOST:
                raise WorkflowError(
                    f"the outputs of task {name!r} have more than {MOST:,} bytes, the most of a reference"
                )
            found.append(references.of_bytes(read_output(self._store, name, result, inside)))
        return found

    def render(self, text: str) -> str:
        """Replace the references in `text`."""
        return references.render(text, self.value)

    def is_given(self, reference: references.Reference) -> bool:
        """Return whether a value comes from whoever runs the workflow, not from data of tasks or loops."""
        return reference.kind == "env" or (
            reference.kind == "inputs" and reference.name not in self._of_tasks
        )

    def value(self, reference: references.Reference) -> Any:
        """Return the value of a reference.

        Raises:
            WorkflowError: It names a task that has no output, one whose full output is gone or too long, or a field
                that an item doesn't have.
        """
        if reference.kind == "inputs":
            return self.inputs.get(reference.name)
        if reference.kind == "env":
            return self.env.get(reference.name, os.environ.get(reference.name))
        if reference.kind == "tasks":
            value = self._of_task(reference)
            if value is None and reference.field == "token":
                self._check_kept(reference)
            return value
        value = self.variables.get(reference.name)
        for part in reference.field.split(".") if reference.field else ():
            if not isinstance(value, dict) or part not in value:
                raise WorkflowError(f"{reference.name} has no field {part!r}")
            value = value[part]
        return value

    def _of_task(self, reference: references.Reference) -> Any:
        path, result = self.named(reference)
        if result is None or path is None:
            raise WorkflowError(
                f"task {reference.name!r} has not ended, so its {reference.field} is not known"
            )
        if reference.field == "outputs":
            return self.outputs(path, reference.name)
        if reference.field == "status":
            return result.status
        output = result.output
        if output is None:
            return None
        if reference.field == "exit_code":
            return output.exit_code
        if reference.field == "output":
            return references.of_bytes(read_output(self._store, reference.name, result, path))
        if result.pruned:
            raise gone(reference.name, PRUNED, path)
        return output.token if reference.field == "token" else references.of_bytes(output.content)

    def _check_kept(self, reference: references.Reference) -> None:
        """Raise an error that says why a task that has ended has no token, if there is a reason."""
        path, result = self.named(reference)
        if result is not None and result.output is not None:
            why = "; ".join(result.output.warnings) or "it was not kept, and has no token"
            raise gone(reference.name, why, path)

    def open_output(self, key: str) -> BinaryIO | None:
        """Open the full output of a task, if `key` names that and the task has an output.

        Raises:
            WorkflowError: It no longer exists.
        """
        reference = references.parse(key)
        if reference is None or (reference.kind, reference.field) != ("tasks", "output"):
            return None
        path, result = self.named(reference)
        if result is None or result.output is None:
            return None
        return open_output(self._store, reference.name, result, path)

    def state(self, key: str) -> Any:
        """Return the value of an input, a variable, or ``tasks.NAME.FIELD``; None if there is none."""
        reference = references.parse(key)
        if reference is None:
            return None
        if reference.kind == "tasks" and self.task(reference.name) is None:
            return None
        if reference.kind == "tasks":
            return self._of_task(reference)
        if reference.kind == "local" and reference.name not in self.variables:
            return self.inputs.get(reference.name)
        return self.value(reference)

    def _exists(self, key: str) -> bool:
        """Return whether a key has a value, without reading outputs of tasks."""
        reference = references.parse(key)
        if reference is not None and reference.kind == "tasks" and reference.field in {"output", "excerpt"}:
            result = self.task(reference.name)
            return result is not None and result.output is not None
        return self.state(key) is not None

    def holds(self, condition: Condition) -> bool:
        """Return whether a condition is met."""
        if condition.and_ is not None:
            return all(self.holds(part) for part in condition.and_)
        if condition.or_ is not None:
            return any(self.holds(part) for part in condition.or_)
        if condition.not_ is not None:
            return not self.holds(condition.not_)
        return self._holds_alone(condition)

    def _holds_alone(self, condition: Condition) -> bool:
        if condition.type in {"always", "never"}:
            return condition.type == "always"
        if condition.type == "task_status":
            result = self.task(condition.task or "")
            return result is not None and result.status == condition.status
        if condition.type == "state_exists":
            return self._exists(condition.key or "")
        if condition.type == "compare":
            return compare(condition.left, condition.op or "", condition.right, self.render)
        if condition.type == "matches":
            return matches(condition.value, condition.regex or "", self.render)
        value = self.state(condition.key or "")
        # The output of a task is text, so "3" must equal the number 3.
        return exact.equal(value, condition.value) or references.as_text(value) == references.as_text(
            condition.value
        )
