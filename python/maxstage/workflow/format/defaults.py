"""The ``defaults`` of a file, which its tasks have where they say nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maxstage.workflow.format.schema import Defaults, Task, WorkflowSpec


def with_defaults(spec: WorkflowSpec) -> WorkflowSpec:
    """Return a file whose tasks, subtasks included, have the defaults."""
    if spec.defaults is None:
        return spec
    return spec.replace(tasks=_all_with(spec.tasks, spec.defaults))


def _all_with(tasks: dict[str, Task], defaults: Defaults) -> dict[str, Task]:
    return {name: _with(task, defaults) for name, task in tasks.items()}


def _with(task: Task, defaults: Defaults) -> Task:
    given, told = task.given, defaults.given
    new: dict[str, Any] = {name: getattr(defaults, name) for name in {"priority"} & told - given}
    if "on_error" in told:
        rule = defaults.on_error
        missing = rule.given - task.on_error.given
        new["on_error"] = task.on_error.replace(**{name: getattr(rule, name) for name in missing})
    # The rest is for what runs a program.
    if task.await_ is not None:
        return task.replace(**new)
    if task.subtasks is not None:
        return task.replace(**new, subtasks=_all_with(task.subtasks, defaults))
    new.update((name, getattr(defaults, name)) for name in {"timeout_secs"} & told - given)
    if task.intent is None:
        new.update((name, getattr(defaults, name)) for name in {"runs_on", "upload"} & told - given)
    if task.agent is not None:
        new.update((name, getattr(defaults, name)) for name in {"inject_context"} & told - given)
    if task.script is not None and task.script.language == "bash" and task.script.strict is None:
        new["script"] = task.script.replace(strict=defaults.strict)
    return task.replace(**new)
