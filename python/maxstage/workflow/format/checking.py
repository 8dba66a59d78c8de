"""What no single field of a workflow file can tell: names that must exist, cycles, programs that must be there."""

from __future__ import annotations

import heapq
import os
import shutil
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, NamedTuple

from maxstage.output.limits import Limits
from maxstage.workflow.format import references
from maxstage.workflow.format.agents import command_of
from maxstage.workflow.format.scripts import filling as scripts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from collections.abc import Set as AbstractSet
    from typing import Any

    from maxstage.workflow.format import schema
    from maxstage.workflow.format.agents import Provider
    from maxstage.workflow.format.loading import Checked
    from maxstage.workflow.format.yaml_source import Path

LANGUAGES = {"bash": "bash", "python": "python3", "javascript": "node", "ruby": "ruby", "perl": "perl"}
"""The program that runs a script of each language."""


class Names(NamedTuple):
    """What can be referred to at some place.

    Attributes:
        inputs: The inputs.
        tasks: The tasks, each with its path like ``build.compile``.
        local: What the loops around give.
    """

    inputs: AbstractSet[str]
    tasks: Mapping[str, str]
    local: AbstractSet[str] = frozenset()


class Checker:
    """Checks a file whose every field is good by itself."""

    def __init__(
        self, checked: Checked, spec: schema.WorkflowSpec, providers: Mapping[str, Provider]
    ) -> None:
        self._checked = checked
        self._spec = spec
        self._providers = providers

    def check(self) -> None:
        """Note all problems, and what waits for what."""
        spec = self._spec
        for name, agent in spec.agents.items():
            self._check_agent(("agents", name), agent)
        self._check_limits(("limits",), spec.limits)
        names = Names(set(spec.inputs), {path: path for path, _ in walk(spec.tasks)})
        self._check_level(spec.tasks, "", ("tasks",), names)
        self._check_files(spec.tasks)
        for name, text in spec.outputs.items():
            self._check_text(("outputs", name), text, names)
        before = Names(names.inputs, {})
        for name, text in spec.env.items():
            self._check_text(("env", name), text, before)
        for kind in ("pre_workflow", "post_workflow", "post_task", "on_error"):
            for number, text in enumerate(getattr(spec.hooks, kind)):
                self._check_script(("hooks", kind, number), "bash", text, before)

    def _hint(self, name: str, known: Mapping[str, object] | AbstractSet[str]) -> str:
        near = self._checked.nearest(name, known)
        return "" if near is None else f"; did you mean {near!r}?"

    def _check_agent(self, path: Path, agent: schema.Agent) -> None:
        if agent.provider is not None and agent.provider not in self._providers:
            hint = self._hint(agent.provider, self._providers) or f"; known are {', '.join(self._providers)}"
            self._checked.add((*path, "provider"), f"unknown provider {agent.provider!r}{hint}")
            return
        install = "" if agent.provider is None else self._providers[agent.provider].install
        field = "command" if agent.provider is None else "provider"
        self._check_program((*path, field), command_of(agent, self._providers)[0], install)

    def _check_program(self, path: Path, program: str, install: str = "") -> None:
        if "{{" in program or "${" in program or "/" in program or shutil.which(program) is not None:
            return
        hint = f"; install it with: {install}" if install else ""
        self._checked.add(path, f"{program!r} is not installed, or not on the PATH{hint}")

    def _check_limits(self, path: Path, limits: Mapping[str, Any]) -> None:
        for text in Limits.parse(limits).warnings():
            self._checked.warn_of_limit((*path, text.split(" ", 1)[0]), text)

    def _check_level(self, tasks: Mapping[str, schema.Task], prefix: str, path: Path, names: Names) -> None:
        """Check tasks that are siblings."""
        names = names._replace(tasks={**names.tasks, **{name: f"{prefix}{name}" for name in tasks}})
        graph = {}
        for name, task in tasks.items():
            here = (*path, name)
            if task.output is not None:
                self._checked.wanted_whole.add(f"{prefix}{name}")
            if task.agent is not None:
                self._checked.agents[f"{prefix}{name}"] = task.agent
            if task.loop is not None and task.loop.for_each is not None and task.loop.for_each.parallel:
                self._checked.parallel_loops.add(f"{prefix}{name}")
            inner = names._replace(
                inputs=names.inputs | set(task.inputs), local=names.local | loop_names(task)
            )
            self._check_task(here, task, inner, names)
            for field in ("depends_on", "parallel_with"):
                for number, other in enumerate(getattr(task, field)):
                    self._check_sibling((*here, field, number), other, name, tasks, prefix)
            # What is referred to must be there first, whether or not depends_on says so.
            used = [*task.depends_on, *_tasks_used(task)]
            firsts = (names.tasks.get(other, "").removeprefix(prefix).split(".")[0] for other in used)
            own = [other for other in firsts if other in tasks and other != name]
            graph[name] = list(dict.fromkeys(own))
            if task.subtasks is not None:
                self._check_level(task.subtasks, f"{prefix}{name}.", (*here, "subtasks"), inner)
        self._check_order(graph, tasks, prefix, path)

    def _check_files(self, tasks: Mapping[str, schema.Task]) -> None:
        """Check that no two tasks write one file, as far as that can be told before the run."""
        first: dict[str, str] = {}
        for one in _written(tasks, "", ("tasks",), repeats=False):
            where = (*one.where, "output")
            if one.repeats:
                self._checked.add(
                    where, f"output: each iteration writes {one.file}; name {{{{ iteration }}}} in it"
                )
            elif first.setdefault(one.file, one.task) != one.task:
                self._checked.add(where, f"output: {first[one.file]} writes {one.file} already")

    def _check_order(
        self, graph: dict[str, list[str]], tasks: Mapping[str, schema.Task], prefix: str, path: Path
    ) -> None:
        for name, others in _start_together(graph, tasks).items():
            self._checked.dependencies[f"{prefix}{name}"] = others
        for wanted, hint in (
            (graph, ""),
            (_start_together(graph, tasks), " (those of parallel_with start together)"),
        ):
            try:
                TopologicalSorter(wanted).prepare()
            except CycleError as error:
                cycle = list(reversed(error.args[1]))
                text = f"tasks wait for each other: {' -> '.join(cycle)}{hint}"
                self._checked.add((*path, cycle[0]), text)
                return

    def _check_sibling(
        self, path: Path, other: str, name: str, tasks: Mapping[str, schema.Task], prefix: str
    ) -> None:
        if other == name:
            self._checked.add(path, f"{name!r} names itself")
        elif other not in tasks:
            where = f" among the subtasks of {prefix.rstrip('.')!r}" if prefix else ""
            self._checked.add(path, f"there is no task {other!r}{where}{self._hint(other, tasks)}")

    def _check_task(self, path: Path, task: schema.Task, inner: Names, names: Names) -> None:
        self._check_limits((*path, "limits"), task.limits)
        if task.agent is not None and task.agent not in self._spec.agents:
            hint = self._hint(task.agent, self._spec.agents)
            self._checked.add((*path, "agent"), f"there is no agent {task.agent!r}{hint}")
        if task.script is not None:
            self._check_program((*path, "script", "language"), LANGUAGES[task.script.language])
            if task.script.content is not None:
                where = (*path, "script", "content")
                self._check_script(where, task.script.language, task.script.content, inner)
        if task.command is not None:
            self._check_program((*path, "command", "executable"), task.command.executable)
        if task.stdin_from is not None and task.agent is not None:
            self._checked.add(
                (*path, "stdin_from"), "an agent reads its prompt on stdin; put the token into it"
            )
        if task.stdin_from is not None and task.subtasks is not None:
            self._checked.add(
                (*path, "stdin_from"), "subtasks read nothing; give it to the one that reads it"
            )
        self._check_tasks_named(path, task, inner, names)
        for inside, text in texts(task):
            self._check_text((*path, *inside), text, inner)
        for inside, text in _given(task):
            self._check_text((*path, *inside), text, names)

    def _check_tasks_named(self, path: Path, task: schema.Task, names: Names, before: Names) -> None:
        """Check the tasks and keys that a task names; `before` is what is known before its loop begins."""
        tests = [found for where, test in _conditions(task) for found in _parts(where, test)]
        named = [((*where, "task"), test.task) for where, test in tests if test.task is not None]
        named += [(("stdin_from",), task.stdin_from)] if task.stdin_from is not None else []
        for field in ("include_tasks", "exclude_tasks"):
            named += [
                (("context", field, number), name) for number, name in enumerate(getattr(task.context, field))
            ]
        for where, name in named:
            if name not in names.tasks:
                self._checked.add(
                    (*path, *where), f"there is no task {name!r}{self._hint(name, names.tasks)}"
                )
        if task.stdin_from is not None and task.stdin_from in names.tasks:
            self._checked.wanted_whole.add(names.tasks[task.stdin_from])

        each = None if task.loop is None else task.loop.for_each
        if each is not None and each.collection.key is not None:
            self._check_key((*path, "loop", "for_each", "collection", "key"), each.collection.key, before)
        for where, test in tests:
            if test.key is not None:
                # Whether it runs at all is asked once, and not for each item.
                known = before if where[0] == "condition" else names
                self._check_key((*path, *where, "key"), test.key, known)

    def _check_key(self, path: Path, key: str, names: Names) -> None:
        reference = references.parse(key)
        if reference is None:
            text = f"unknown key {key!r}; known are an input, a variable of the loop, and tasks.NAME.output"
            self._checked.add(path, text)
        elif reference.kind != "local" or reference.name not in names.inputs:
            problem = self._problem_of(reference, names)
            if problem is not None:
                self._checked.add(path, problem)
            else:
                self._note_wanted(reference, names)

    def _check_script(self, path: Path, language: str, text: str, names: Names) -> None:
        self._check_text(path, text, names)
        for problem in scripts.problems(language, text):
            self._checked.add(path, problem)

    def _check_text(self, path: Path, text: str, names: Names) -> None:
        try:
            found = references.find(text)
        except ValueError as error:
            self._checked.add(path, str(error))
            return
        for reference in found:
            problem = self._problem_of(reference, names)
            if problem is not None:
                self._checked.add(path, problem)
            else:
                self._note_wanted(reference, names)
                if reference.kind == "tasks" and reference.field == "token":
                    self._checked.tokens_wanted.add(names.tasks[reference.name])

    def _note_wanted(self, reference: references.Reference, names: Names) -> None:
        """Note that all that a task prints is asked for, so that it is kept where it is cut."""
        if reference.kind == "tasks" and reference.field in {"output", "token"}:
            self._checked.wanted_whole.add(names.tasks[reference.name])

    def _problem_of(self, reference: references.Reference, names: Names) -> str | None:
        what, known = {
            "inputs": ("input", names.inputs),
            "tasks": ("task", names.tasks.keys()),
            "local": ("variable", names.local),
            "env": ("environment variable", {*os.environ, *self._spec.env, *self._spec.secrets}),
        }[reference.kind]
        if reference.name in known:
            return None
        return f"there is no {what} {reference.name!r}{self._hint(reference.name, known)}"


def _start_together(graph: dict[str, list[str]], tasks: Mapping[str, schema.Task]) -> dict[str, list[str]]:
    """Let those of ``parallel_with`` wait for the same tasks, so that they start together."""
    group = {name: {name} for name in tasks}
    for name, task in tasks.items():
        for other in task.parallel_with:
            if other in group and group[other] is not group[name]:
                joined = group[name] | group[other]
                group.update(dict.fromkeys(joined, joined))
    number = {name: place for place, name in enumerate(tasks)}
    found = {}
    for name, members in group.items():
        in_order = [name] if len(members) == 1 else sorted(members, key=number.__getitem__)
        found[name] = list(dict.fromkeys(other for member in in_order for other in graph[member]))
    return found


def walk(tasks: Mapping[str, schema.Task], prefix: str = "") -> Iterator[tuple[str, schema.Task]]:
    """Give every task with its path, like ``build.compile``."""
    for name, task in tasks.items():
        yield f"{prefix}{name}", task
        if task.subtasks is not None:
            yield from walk(task.subtasks, f"{prefix}{name}.")


class _Written(NamedTuple):
    """A file that a task writes in any case, and whether it does more than once."""

    task: str
    where: Path
    file: str
    repeats: bool


def _written(
    tasks: Mapping[str, schema.Task], prefix: str, path: Path, *, repeats: bool
) -> Iterator[_Written]:
    """Give the files that are written for certain: one that a condition or a failure may leave out is seen later."""
    for name, task in tasks.items():
        if task.condition is not None or task.on_error.continue_:
            continue
        where = (*path, name)
        if task.output is not None and references.PATTERN.search(task.output) is None:
            # A task's own loop writes one file for all its iterations.
            yield _Written(f"{prefix}{name}", where, os.path.normpath(task.output), repeats)
        inner = repeats or _goes_round(task)
        yield from _written(task.subtasks or {}, f"{prefix}{name}.", (*where, "subtasks"), repeats=inner)


def _goes_round(task: schema.Task) -> bool:
    """Whether the loop of a task is known to have more than one iteration."""
    control, loop = task.loop_control, task.loop
    if loop is None or control.break_condition is not None or control.continue_condition is not None:
        return False
    if loop.repeat is not None:
        return loop.repeat.count > 1
    if loop.for_each is None:
        return False
    collection = loop.for_each.collection
    if collection.type == "inline":
        return len(collection.items or []) > 1
    numbers = range(collection.start, collection.end or 0, collection.step)
    return collection.type == "range" and len(numbers) > 1


def in_order(
    tasks: Mapping[str, schema.Task], dependencies: Mapping[str, list[str]], prefix: str = ""
) -> list[str]:
    """Return sibling tasks in the order in which they would run one by one: by priority, then as in the file.

    Args:
        tasks: The tasks; they wait for each other in no cycle.
        dependencies: What each waits for among its siblings, by path.
        prefix: What the paths begin with, like ``build.``.
    """
    number = {name: (task.priority, place) for place, (name, task) in enumerate(tasks.items())}
    waiting = {name: set(dependencies[f"{prefix}{name}"]) for name in tasks}
    dependents: dict[str, list[str]] = {name: [] for name in tasks}
    for name, others in waiting.items():
        for other in others:
            dependents[other].append(name)
    ready = [(number[name], name) for name, others in waiting.items() if not others]
    heapq.heapify(ready)
    found = []
    while ready:
        _, name = heapq.heappop(ready)
        found.append(name)
        for other in dependents[name]:
            waiting[other].discard(name)
            if not waiting[other]:
                heapq.heappush(ready, (number[other], other))
    return found


def loop_names(task: schema.Task) -> set[str]:
    """Return the variables that the loop of a task gives."""
    if task.loop is None:
        return set()
    return {"iteration", *({task.loop.for_each.iterator, "item"} if task.loop.for_each else ())}


def _conditions(task: schema.Task) -> Iterator[tuple[Path, schema.Condition]]:
    control, loop = task.loop_control, task.loop
    found: list[tuple[Path, schema.Condition | None]] = [
        (("condition",), task.condition),
        (("loop_control", "break_condition"), control.break_condition),
        (("loop_control", "continue_condition"), control.continue_condition),
    ]
    if loop is not None:
        turns = (("while", loop.while_), ("repeat_until", loop.repeat_until))
        found += [(("loop", name, "condition"), one.condition) for name, one in turns if one is not None]
    yield from ((where, condition) for where, condition in found if condition)


def _parts(path: Path, condition: schema.Condition) -> Iterator[tuple[Path, schema.Condition]]:
    """Give a condition and those that it is made of, each with its path."""
    yield path, condition
    for name, parts in (("and", condition.and_), ("or", condition.or_)):
        for number, part in enumerate(parts or ()):
            yield from _parts((*path, name, number), part)
    if condition.not_ is not None:
        yield from _parts((*path, "not"), condition.not_)


def texts(task: schema.Task) -> Iterator[tuple[Path, str]]:
    """Give the texts of a task that may have references, scripts excepted, each with its path."""
    if task.description is not None and task.agent is not None:
        yield ("description",), task.description
    if task.output is not None:
        yield ("output",), task.output
    part = task.script or task.command
    if part is not None:
        kind = "script" if task.script else "command"
        if task.command is not None:
            yield (kind, "executable"), task.command.executable
            yield from (((kind, "args", number), text) for number, text in enumerate(task.command.args))
        yield from (((kind, "env", name), text) for name, text in part.env.items())
        if part.working_dir is not None:
            yield (kind, "working_dir"), part.working_dir
    if task.script is not None and task.script.file is not None:
        yield ("script", "file"), task.script.file


def _given(task: schema.Task) -> Iterator[tuple[Path, str]]:
    """Give the texts that are filled in before its loop begins."""
    yield from ((("inputs", name), text) for name, text in task.inputs.items() if isinstance(text, str))
    if task.loop is not None and task.loop.for_each is not None:
        collection = task.loop.for_each.collection
        for field in ("path", "token"):
            text = getattr(collection, field)
            if text is not None:
                yield ("loop", "for_each", "collection", field), text


def _tasks_used(task: schema.Task) -> list[str]:
    """Return the tasks that a task refers to, in its texts and conditions, its subtasks included."""
    used = [name for _, condition in _conditions(task) for name in condition.tasks()]
    used += [task.stdin_from] if task.stdin_from is not None else []
    used += [*task.context.include_tasks] if task.inject_context else []
    found = [text for _, text in (*texts(task), *_given(task))]
    if task.script is not None and task.script.content is not None:
        found.append(task.script.content)
    for text in found:
        used += _tasks_in(text)
    if task.loop is not None and task.loop.for_each is not None:
        key = references.parse(task.loop.for_each.collection.key or "")
        used += [key.name] if key is not None and key.kind == "tasks" else []
    for _, condition in _conditions(task):
        keys = (references.parse(key) for key in condition.state_keys())
        used += [key.name for key in keys if key is not None and key.kind == "tasks"]
    for inner in (task.subtasks or {}).values():
        used += _tasks_used(inner)
    return used


def _tasks_in(text: str) -> list[str]:
    try:
        return [reference.name for reference in references.find(text) if reference.kind == "tasks"]
    except ValueError:
        return []  # told by the check of the text
