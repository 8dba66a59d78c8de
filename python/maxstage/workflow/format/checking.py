"""Checks across the fields of a workflow file: names that must exist, cycles, programs that must be installed."""

from __future__ import annotations

import os
import stat
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from maxstage.output.limits import Limits
from maxstage.workflow.format.agents import command_of, refused_options
from maxstage.workflow.format.checking_files import check_files
from maxstage.workflow.format.checking_references import Names, ReferenceChecker
from maxstage.workflow.format.graph import TaskGraph, loop_names, numbers_of, start_together, walk
from maxstage.workflow.format.input_types import NUMBERS, type_of
from maxstage.workflow.format.languages import LANGUAGES, SHELL
from maxstage.workflow.format.matrix import combinations
from maxstage.workflow.format.task_texts import system_prompt, tasks_used, texts, texts_before_loop

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from maxstage.workflow.format import schema
    from maxstage.workflow.format.agents import Provider
    from maxstage.workflow.format.problems import Problems
    from maxstage.workflow.format.reading import Hidden
    from maxstage.workflow.format.yaml_source import Path


def check_workflow(
    spec: schema.WorkflowSpec,
    providers: Mapping[str, Provider],
    problems: Problems,
    hidden: Iterable[Hidden] = (),
    *,
    lenient: bool = False,
) -> TaskGraph:
    """Check a file whose fields are each valid on their own; return the graph of its tasks.

    Args:
        spec: The file.
        providers: The providers by name.
        problems: Collects the problems.
        hidden: Texts in invalid parts, which are left out of `spec`.
        lenient: Whether programs and options that are not there get a warning only.
    """
    checker = _Checker(spec, providers, problems, lenient=lenient)
    checker.check()
    checker.check_hidden(hidden)
    return checker.graph


_MOST_OF_A_RING = 8
"""The most tasks of a cycle that are named; the others are counted."""


def _ring(cycle: Sequence[str]) -> str:
    """Return text that names the tasks of a cycle, the first one at both ends."""
    if len(cycle) <= _MOST_OF_A_RING + 1:
        return " -> ".join(cycle)
    left_out = len(cycle) - 1 - _MOST_OF_A_RING
    return " -> ".join([*cycle[:_MOST_OF_A_RING], f"… {left_out:,} more … -> {cycle[-1]}"])


def _is_installed(program: str) -> bool:
    """Return whether a program is on the PATH, as `shutil.which`, whose import takes 3 ms, finds it."""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder or os.curdir, program)
        try:
            is_file = not stat.S_ISDIR(os.stat(path).st_mode)
        except (OSError, ValueError):  # there is none, or it can't be a name of a file
            continue
        if is_file and os.access(path, os.X_OK):
            return True
    return False


class _Checker:
    def __init__(
        self,
        spec: schema.WorkflowSpec,
        providers: Mapping[str, Provider],
        problems: Problems,
        *,
        lenient: bool,
    ) -> None:
        self._lenient = lenient
        self.graph = TaskGraph()
        self._problems = problems
        self._references = ReferenceChecker(spec, problems, self.graph)
        self._spec = spec
        self._providers = providers

    def check(self) -> None:
        """Find all problems, and build the graph."""
        spec = self._spec
        for name, agent in spec.agents.items():
            self._check_agent(("agents", name), agent)
        self._check_limits(("limits",), spec.limits)
        numbers = {f"inputs.{name}" for name, one in spec.inputs.items() if type_of(one) in NUMBERS}
        names = Names(
            set(spec.inputs), {path: path for path, _ in walk(spec.tasks)}, numbers=frozenset(numbers)
        )
        for path, task in walk(spec.tasks):
            if task.matrix is not None:
                self.graph.matrices[path] = combinations(task.matrix)
        self._check_level(spec.tasks, "", ("tasks",), names)
        check_files(spec.tasks, self._problems)
        used = {task.agent for _, task in walk(spec.tasks)}
        for name, agent in spec.agents.items():
            if name not in used and agent.system_prompt is not None:
                self._references.check_text(("agents", name, "system_prompt"), agent.system_prompt, names)
        for name, text in spec.outputs.items():
            self._references.check_text(("outputs", name), text, names)
        before = Names(names.inputs, {}, numbers=names.numbers)
        for name, text in spec.env.items():
            self._references.check_text(("env", name), text, before)
        for kind in ("pre_workflow", "post_workflow", "post_task", "on_error"):
            for number, text in enumerate(getattr(spec.hooks, kind)):
                self._references.check_script(("hooks", kind, number), SHELL, text, before)

    def check_hidden(self, hidden: Iterable[Hidden]) -> None:
        """Check the references in parts that are left out."""
        paths = [path for path, _ in walk(self._spec.tasks)]
        for one in hidden:
            tasks = {path: path for path in paths}
            end = len(one.tasks)
            while end > 0:
                prefix = one.tasks[:end]
                tasks |= {path.removeprefix(prefix): path for path in paths if path.startswith(prefix)}
                end = one.tasks.rfind(".", 0, end - 1) + 1
            names = Names({*self._spec.inputs, *one.names}, tasks, one.names)
            self._references.check_text(one.path, one.text, names)

    def _check_agent(self, path: Path, agent: schema.Agent) -> None:
        if agent.provider is not None and agent.provider not in self._providers:
            hint = (
                self._references.hint(agent.provider, self._providers)
                or f"; use one of: {', '.join(self._providers)}"
            )
            self._problems.add((*path, "provider"), f"unknown provider {agent.provider!r}{hint}")
            return
        for where, text in refused_options(agent, self._providers):
            self._doubt((*path, *where), text)
        install = "" if agent.provider is None else self._providers[agent.provider].install
        field = "command" if agent.provider is None else "provider"
        self._check_program((*path, field), command_of(agent, self._providers)[0], install)

    def _check_program(self, path: Path, program: str, install: str = "") -> None:
        if "{{" in program or "${" in program or "/" in program or _is_installed(program):
            return
        hint = f"; install it with: {install}" if install else ""
        self._doubt(path, f"{program!r} is not installed, or not on the PATH{hint}")

    def _doubt(self, path: Path, text: str) -> None:
        """Add an error, or a warning if the check is lenient."""
        (self._problems.warn if self._lenient else self._problems.add)(path, text)

    def _check_limits(self, path: Path, limits: Mapping[str, Any]) -> None:
        for text in Limits.parse(limits).warnings():
            self._problems.warn_of_limit((*path, text.split(" ", 1)[0]), text)

    def _check_level(self, tasks: Mapping[str, schema.Task], prefix: str, path: Path, names: Names) -> None:
        """Check sibling tasks."""
        names = names._replace(tasks={**names.tasks, **{name: f"{prefix}{name}" for name in tasks}})
        graph = {}
        for name, task in tasks.items():
            here = (*path, name)
            if task.output is not None:
                self.graph.wanted_whole.add(f"{prefix}{name}")
            if task.agent is not None:
                self.graph.agents[f"{prefix}{name}"] = task.agent
            if task.loop is not None and task.loop.side_by_side is not None:
                self.graph.parallel_loops.add(f"{prefix}{name}")
            if task.cache is not None:
                self._check_cache((*here, "cache"), task.cache)
            inner = names._replace(
                inputs=names.inputs | set(task.inputs),
                local=names.local | loop_names(task),
                numbers=names.numbers - {f"inputs.{name}" for name in task.inputs} - loop_names(task)
                | numbers_of(task),
            )
            self._check_task(here, task, inner, names)
            for field in ("depends_on", "parallel_with"):
                for number, other in enumerate(getattr(task, field)):
                    self._check_sibling((*here, field, number), other, name, tasks, prefix)
            # A task waits for those that it refers to, whether or not depends_on lists them.
            used = [*task.depends_on, *tasks_used(task, self._spec.agents)]
            firsts = (names.tasks.get(other, "").removeprefix(prefix).split(".")[0] for other in used)
            own = [other for other in firsts if other in tasks and other != name]
            graph[name] = list(dict.fromkeys(own))
            if task.subtasks is not None:
                self._check_level(task.subtasks, f"{prefix}{name}.", (*here, "subtasks"), inner)
        self._check_order(graph, tasks, prefix, path)

    def _check_order(
        self, graph: dict[str, list[str]], tasks: Mapping[str, schema.Task], prefix: str, path: Path
    ) -> None:
        for name, others in start_together(graph, tasks).items():
            self.graph.dependencies[f"{prefix}{name}"] = others
        for wanted, hint in (
            (graph, ""),
            (start_together(graph, tasks), " (those of parallel_with start together)"),
        ):
            try:
                TopologicalSorter(wanted).prepare()
            except CycleError as error:
                cycle = list(reversed(error.args[1]))
                text = f"tasks wait for each other: {_ring(cycle)}{hint}"
                self._problems.add((*path, cycle[0]), text)
                return

    def _check_sibling(
        self, path: Path, other: str, name: str, tasks: Mapping[str, schema.Task], prefix: str
    ) -> None:
        if other == name:
            self._problems.add(path, f"{name!r} names itself")
        elif other not in tasks:
            where = f" among the subtasks of {prefix.rstrip('.')!r}" if prefix else ""
            self._problems.add(
                path, f"there is no task {other!r}{where}{self._references.hint(other, tasks)}"
            )

    def _check_cache(self, path: Path, cache: schema.Cache) -> None:
        for number, name in enumerate(cache.env):
            if name in self._spec.secrets:
                text = f"the secret {name} would be kept as a digest; leave it out, or change the key when it changes"
                self._problems.add((*path, "env", number), text)

    def _check_task(self, path: Path, task: schema.Task, inner: Names, names: Names) -> None:
        self._check_limits((*path, "limits"), task.limits)
        if task.agent is not None and task.agent not in self._spec.agents:
            hint = self._references.hint(task.agent, self._spec.agents)
            self._problems.add((*path, "agent"), f"there is no agent {task.agent!r}{hint}")
        if task.script is not None:
            self._check_program((*path, "script", "language"), LANGUAGES[task.script.language].interpreter)
            if task.script.content is not None:
                where = (*path, "script", "content")
                self._references.check_script(where, task.script.language, task.script.content, inner)
        if task.command is not None:
            self._check_program((*path, "command", "executable"), task.command.executable)
        if task.stdin_from is not None and task.agent is not None:
            self._problems.add(
                (*path, "stdin_from"), "an agent reads its prompt on stdin; put the token into it"
            )
        if task.stdin_from is not None and task.subtasks is not None:
            self._problems.add(
                (*path, "stdin_from"), "subtasks read nothing; give it to the one that reads it"
            )
        self._references.check_tasks_named(path, task, inner, names)
        prompt = system_prompt(task, self._spec.agents)
        if prompt is not None:
            self._references.check_text(("agents", task.agent or "", "system_prompt"), prompt, inner)
        for inside, text in texts(task):
            self._references.check_text((*path, *inside), text, inner)
        for inside, text in texts_before_loop(task):
            self._references.check_text((*path, *inside), text, names)
