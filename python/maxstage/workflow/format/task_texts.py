"""The texts and conditions of a task, each with its path in the file, and the tasks that they refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maxstage.workflow.format import references

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from maxstage.workflow.format import loop_schema, schema
    from maxstage.workflow.format.yaml_source import Path


def conditions(task: schema.Task) -> Iterator[tuple[Path, loop_schema.Condition]]:
    """Yield the conditions of a task, each with its path."""
    control, loop = task.loop_control, task.loop
    found: list[tuple[Path, loop_schema.Condition | None]] = [
        (("condition",), task.condition),
        (("loop_control", "break_condition"), control.break_condition),
        (("loop_control", "continue_condition"), control.continue_condition),
    ]
    if loop is not None:
        turns = (("while", loop.while_), ("repeat_until", loop.repeat_until))
        found += [(("loop", name, "condition"), one.condition) for name, one in turns if one is not None]
    yield from ((where, condition) for where, condition in found if condition)


def condition_parts(
    path: Path, condition: loop_schema.Condition
) -> Iterator[tuple[Path, loop_schema.Condition]]:
    """Yield a condition and its parts, each with its path."""
    yield path, condition
    for name, parts in (("and", condition.and_), ("or", condition.or_)):
        for number, part in enumerate(parts or ()):
            yield from condition_parts((*path, name, number), part)
    if condition.not_ is not None:
        yield from condition_parts((*path, "not"), condition.not_)


def condition_texts(condition: loop_schema.Condition) -> Iterator[tuple[str, str]]:
    """Yield the texts of a condition alone that may have references, each with its field."""
    fields = {"compare": ("left", "right"), "matches": ("value",)}.get(condition.type or "", ())
    for field in fields:
        text = getattr(condition, field)
        if isinstance(text, str):
            yield field, text


def _texts_of_conditions(task: schema.Task) -> Iterator[str]:
    for where, condition in conditions(task):
        for _, part in condition_parts(where, condition):
            yield from (text for _, text in condition_texts(part))


def _texts_of_intent(intent: schema.Intent) -> Iterator[tuple[Path, str]]:
    for field in ("records", "root"):
        text = getattr(intent, field)
        if text is not None:
            yield ("intent", field), text


def _texts_of_cache(cache: schema.Cache) -> Iterator[tuple[Path, str]]:
    yield from ((("cache", "inputs", number), text) for number, text in enumerate(cache.inputs))
    if cache.key is not None:
        yield ("cache", "key"), cache.key


def _texts_of_question(question: schema.Await) -> Iterator[tuple[Path, str]]:
    for field in ("prompt", "timeout_secs", "default"):
        text = getattr(question, field)
        if isinstance(text, str):
            yield ("await", field), text


def _texts_of_parts(task: schema.Task) -> Iterator[tuple[Path, str]]:
    if task.cache is not None:
        yield from _texts_of_cache(task.cache)
    if task.intent is not None:
        yield from _texts_of_intent(task.intent)
    if task.await_ is not None:
        yield from _texts_of_question(task.await_)


def texts(task: schema.Task) -> Iterator[tuple[Path, str]]:
    """Yield the texts of a task that may have references, except scripts, each with its path."""
    for field in ("description",) * (task.agent is not None) + ("output", "timeout_secs"):
        text = getattr(task, field)
        if isinstance(text, str):
            yield (field,), text
    yield from ((("upload", number), text) for number, text in enumerate(task.upload))
    yield from _texts_of_parts(task)
    part = task.script or task.command
    if part is not None:
        kind = "script" if task.script else "command"
        if task.command is not None:
            yield (kind, "executable"), task.command.executable
            yield from (((kind, "args", number), text) for number, text in enumerate(task.command.args))
        yield from (((kind, "env", name), text) for name, text in part.env.items())
        if part.working_dir is not None:
            yield (kind, "working_dir"), part.working_dir
        if isinstance(part.timeout_secs, str):
            yield (kind, "timeout_secs"), part.timeout_secs
    if task.script is not None and task.script.file is not None:
        yield ("script", "file"), task.script.file


def texts_before_loop(task: schema.Task) -> Iterator[tuple[Path, str]]:
    """Yield the texts that are rendered before its loop begins."""
    yield from ((("inputs", name), text) for name, text in task.inputs.items() if isinstance(text, str))
    if isinstance(task.loop_control.timeout_secs, str):
        yield ("loop_control", "timeout_secs"), task.loop_control.timeout_secs
    if task.loop is not None and task.loop.repeat is not None and isinstance(task.loop.repeat.count, str):
        yield ("loop", "repeat", "count"), task.loop.repeat.count
    if task.loop is not None and task.loop.for_each is not None:
        collection = task.loop.for_each.collection
        for field in ("path", "token", "start", "end", "step"):
            text = getattr(collection, field)
            if isinstance(text, str):
                yield ("loop", "for_each", "collection", field), text


def system_prompt(task: schema.Task, agents: Mapping[str, schema.Agent]) -> str | None:
    """Return the system prompt of a task's agent; None if it has none."""
    agent = agents.get(task.agent or "")
    return None if agent is None else agent.system_prompt


def tasks_used(task: schema.Task, agents: Mapping[str, schema.Agent]) -> list[str]:
    """Return the tasks that a task refers to in its texts and conditions, including its subtasks'."""
    used = [name for _, condition in conditions(task) for name in condition.tasks()]
    used += [task.stdin_from] if task.stdin_from is not None else []
    used += [*task.context.include_tasks] if task.inject_context else []
    found = [text for _, text in (*texts(task), *texts_before_loop(task))]
    found += _texts_of_conditions(task)
    if task.script is not None and task.script.content is not None:
        found.append(task.script.content)
    found.append(system_prompt(task, agents) or "")
    for text in found:
        used += _tasks_in(text)
    if task.loop is not None and task.loop.for_each is not None:
        key = references.parse(task.loop.for_each.collection.key or "")
        used += [key.name] if key is not None and key.kind == "tasks" else []
    for _, condition in conditions(task):
        keys = (references.parse(key) for key in condition.state_keys())
        used += [key.name for key in keys if key is not None and key.kind == "tasks"]
    for inner in (task.subtasks or {}).values():
        used += tasks_used(inner, agents)
    return used


def inputs_used(task: schema.Task, agents: Mapping[str, schema.Agent]) -> set[str]:
    """Return the inputs that a task refers to, without its subtasks."""
    found = [text for _, text in (*texts(task), *texts_before_loop(task))]
    found += _texts_of_conditions(task)
    if task.script is not None and task.script.content is not None:
        found.append(task.script.content)
    found.append(system_prompt(task, agents) or "")
    keys = [key for _, condition in conditions(task) for key in condition.state_keys()]
    if task.loop is not None and task.loop.for_each is not None:
        keys.append(task.loop.for_each.collection.key or "")
    named = (references.parse(key) for key in keys)
    # In a key, "x" may be an input, too.
    return inputs_in(found) | {
        key.name for key in named if key is not None and key.kind in {"inputs", "local"}
    }


def references_of(task: schema.Task, agents: Mapping[str, schema.Agent]) -> list[references.Reference]:
    """Return what the program of a task is given, each reference once."""
    found = [text for _, text in texts(task)]
    if task.script is not None and task.script.content is not None:
        found.append(task.script.content)
    found.append(system_prompt(task, agents) or "")
    return list(dict.fromkeys(one for text in found for one in references.find(text)))


def inputs_in(found: Iterable[str]) -> set[str]:
    """Return the inputs that texts refer to."""
    return {
        reference.name for text in found for reference in references.find(text) if reference.kind == "inputs"
    }


def _tasks_in(text: str) -> list[str]:
    try:
        return [reference.name for reference in references.find(text) if reference.kind == "tasks"]
    except ValueError:
        return []  # the check of the text reports it
