"""What a workflow would do."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from maxstage import exact
from maxstage.humanize import counted
from maxstage.workflow.format.agents import command_of
from maxstage.workflow.format.graph import in_order
from maxstage.workflow.format.languages import LANGUAGES
from maxstage.workflow.format.references import as_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from maxstage.workflow.format.agents import Provider
    from maxstage.workflow.format.loop_schema import Condition, Loop
    from maxstage.workflow.format.schema import Script, Task, WorkflowSpec
    from maxstage.workflow.format.valid import ValidWorkflow

_SHOWN = 60
"""The most characters of a script that a plan shows."""


def plan(workflow: ValidWorkflow, providers: Mapping[str, Provider]) -> list[dict[str, Any]]:
    """Return the tasks in the order in which they would run, each after its dependencies.

    Returns:
        For each task ``task``, ``kind``, ``does``, ``after`` (paths), and if given ``when``, ``loop``, ``always`` and
        ``retries``.
    """
    entries = []
    for path, task in _in_order(workflow, workflow.spec.tasks, ""):
        prefix = path.rpartition(".")[0]
        after = [f"{prefix}.{name}" if prefix else name for name in workflow.graph.dependencies[path]]
        kind, does = _what(task, workflow.spec, providers)
        entry: dict[str, Any] = {"task": path, "kind": kind, "does": does, "after": after}
        if task.condition is not None:
            entry["when"] = describe_condition(task.condition)
        if task.loop is not None:
            entry["loop"] = _describe_loop(task.loop)
        if task.always:
            entry["always"] = True
        if task.on_error.retry:
            entry["retries"] = task.on_error.retry
        entries.append(entry)
    return entries


def _in_order(workflow: ValidWorkflow, tasks: Mapping[str, Task], prefix: str) -> Iterator[tuple[str, Task]]:
    for name in in_order(tasks, workflow.graph.dependencies, prefix):
        yield f"{prefix}{name}", tasks[name]
        yield from _in_order(workflow, tasks[name].subtasks or {}, f"{prefix}{name}.")


def _what(task: Task, spec: WorkflowSpec, providers: Mapping[str, Provider]) -> tuple[str, str]:
    if task.await_ is not None:
        return "await", (task.await_.prompt.strip().splitlines() or [""])[0][:_SHOWN]
    if task.agent is not None:
        return "agent", shlex.join(command_of(spec.agents[task.agent], providers))
    if task.command is not None:
        return "command", shlex.join([task.command.executable, *task.command.args])
    if task.script is not None:
        return "script", _script(task.script)
    if task.intent is not None:
        intent = task.intent
        words = [text for text in (intent.from_, intent.to) if text] or intent.argv or []
        return "intent", f"{intent.operation} {shlex.join(words)}, {intent.execute.replace('_', ' ')}"
    return "subtasks", counted(len(task.subtasks or {}), "task")


def _script(script: Script) -> str:
    program = LANGUAGES[script.language].interpreter
    if script.file is not None:
        return f"{program} {script.file}"
    lines = (script.content or "").strip().splitlines() or [""]
    more = " …" if len(lines) > 1 or len(lines[0]) > _SHOWN else ""
    return f"{program}: {lines[0][:_SHOWN]}{more}"


def describe_condition(condition: Condition) -> str:
    """Return a condition in words."""
    for word, parts in (("and", condition.and_), ("or", condition.or_)):
        if parts is not None:
            return "(" + f" {word} ".join(describe_condition(part) for part in parts) + ")"
    if condition.not_ is not None:
        return f"not {describe_condition(condition.not_)}"
    words = {
        "task_status": f"{condition.task} is {condition.status}",
        "state_equals": f"{condition.key} == {exact.dumps(condition.value)}",
        "state_exists": f"{condition.key} exists",
        "compare": f"{as_text(condition.left)} {condition.op} {as_text(condition.right)}",
        "matches": f"{as_text(condition.value)} matches {condition.regex}",
    }
    return words.get(condition.type or "", str(condition.type))


def _describe_loop(loop: Loop) -> str:
    most = None if loop.side_by_side is None else loop.side_by_side.max_parallel
    side = "" if loop.side_by_side is None else ", side by side" + (f" ({most} at most)" if most else "")
    if loop.repeat is not None:
        return f"{loop.repeat.count} times{side}"
    if loop.while_ is not None:
        return f"while {describe_condition(loop.while_.condition)}"
    if loop.repeat_until is not None:
        return f"until {describe_condition(loop.repeat_until.condition)}"
    assert loop.for_each is not None  # noqa: S101 - a loop is one of four
    collection = loop.for_each.collection
    what = collection.path or collection.key or collection.token or collection.type
    if collection.type == "range":
        what = f"range {collection.start} to {collection.end}"
    return f"for each of {what}{side}"
