"""Checks what the texts, conditions and keys of a file refer to, and records which full outputs are needed."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from maxstage.workflow.format import references
from maxstage.workflow.format.languages import SHELL
from maxstage.workflow.format.matrix import chosen
from maxstage.workflow.format.scripts import filling
from maxstage.workflow.format.task_texts import condition_parts, condition_texts, conditions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from maxstage.workflow.format import schema
    from maxstage.workflow.format.graph import TaskGraph
    from maxstage.workflow.format.problems import Problems
    from maxstage.workflow.format.yaml_source import Path


class Names(NamedTuple):
    """What can be referred to from one task.

    Attributes:
        inputs: The inputs.
        tasks: The tasks, each with its path like ``build.compile``.
        local: The variables of the enclosing loops.
        numbers: Those of the inputs and variables that are known to be numbers, as they are referred to.
    """

    inputs: AbstractSet[str]
    tasks: Mapping[str, str]
    local: AbstractSet[str] = frozenset()
    numbers: AbstractSet[str] = frozenset()


_KEYS = "a key is an input, a variable of the loop, or tasks.NAME.output"


class ReferenceChecker:
    """Checks references, and records in the graph whose full output is needed.

    Args:
        spec: The file.
        problems: Collects the problems.
        graph: Collects which outputs are needed.
    """

    def __init__(self, spec: schema.WorkflowSpec, problems: Problems, graph: TaskGraph) -> None:
        self._inputs = spec.inputs
        self._environment = {*os.environ, *spec.env, *spec.secrets}
        self._secrets = frozenset(spec.secrets)
        self._problems = problems
        self._graph = graph

    def check_tasks_named(self, path: Path, task: schema.Task, names: Names, before: Names) -> None:
        """Check the tasks and keys that a task names.

        Args:
            path: Where the task is.
            task: The task.
            names: What can be referred to in it.
            before: What can be referred to before its loop begins.
        """
        tests = [found for where, test in conditions(task) for found in condition_parts(where, test)]
        named = [((*where, "task"), test.task) for where, test in tests if test.task is not None]
        named += [(("stdin_from",), task.stdin_from)] if task.stdin_from is not None else []
        for field in ("include_tasks", "exclude_tasks"):
            named += [
                (("context", field, number), name) for number, name in enumerate(getattr(task.context, field))
            ]
        for where, name in named:
            if name not in names.tasks:
                self._problems.add(
                    (*path, *where), f"there is no task {name!r}{self.hint(name, names.tasks)}"
                )
        if task.stdin_from is not None and task.stdin_from in names.tasks:
            self._graph.wanted_whole.add(names.tasks[task.stdin_from])

        each = None if task.loop is None else task.loop.for_each
        if each is not None and each.collection.key is not None:
            self._check_key((*path, "loop", "for_each", "collection", "key"), each.collection.key, before)
        for where, test in tests:
            # Its own condition is evaluated once, not for each item.
            known = before if where[0] == "condition" else names
            for field, text in condition_texts(test):
                self.check_text((*path, *where, field), text, known)
            if test.key is not None:
                self._check_key((*path, *where, "key"), test.key, known)

    def _check_key(self, path: Path, key: str, names: Names) -> None:
        reference = references.parse(key)
        if reference is None:
            text = f"unknown key {key!r}; {_KEYS}"
            self._problems.add(path, text)
        elif reference.kind != "local" or reference.name not in names.inputs:
            problem = self._problem_of(reference, names)
            if problem is not None:
                hint = "" if "; " in problem else f"; {_KEYS}"
                self._problems.add(path, f"{problem}{hint}")
            else:
                self._note_wanted(reference, names)

    def check_script(self, path: Path, language: str, text: str, names: Names) -> None:
        """Check a script: its references, and that values can be inserted in their places.

        Args:
            path: Where it is.
            language: Its language, one of `LANGUAGES`.
            text: The script.
            names: What can be referred to in it.
        """
        self.check_text(path, text, names)
        for reference, number, why in filling.refused(language, text):
            self._problems.add_in(path, reference, number, why)
        if language == SHELL:
            self._warn_of_sums(path, text, names)

    def _warn_of_sums(self, path: Path, text: str, names: Names) -> None:
        """Warn of values that bash would read as arithmetic once they are in a variable."""
        for reference, number, name, use in filling.computed_later(text):
            try:
                known = references.resolve(reference)
            except ValueError:
                continue  # `check_text` has told
            if references.written(known) in names.numbers or known.field == "exit_code":
                continue
            is_input = known.kind == "inputs" and known.name in self._inputs
            typed = f", or give the input {known.name} type: integer" if is_input else ""
            self._problems.warn_in(
                path,
                reference,
                number,
                f"{reference}: bash computes with {name} in '{use}', and would run a command in its value, "
                f'like a[$(date)]; compare with [ "${name}" -gt 3 ], check {name} before{typed}',
            )

    def check_text(self, path: Path, text: str, names: Names) -> None:
        """Check the references of a text.

        Args:
            path: Where it is.
            text: The text.
            names: What can be referred to in it.
        """
        seen: Counter[str] = Counter()
        for match in references.PATTERN.finditer(text):
            problem = self._check_reference(path, match[0], names)
            if problem is not None:
                self._problems.add_in(path, match[0], seen[match[0]], problem)
            seen[match[0]] += 1

    def _check_reference(self, path: Path, text: str, names: Names) -> str | None:
        """Return what is wrong with a reference; record what a valid one needs."""
        try:
            reference = references.resolve(text)
        except ValueError as error:
            return str(error)
        problem = self._problem_of(reference, names) or self._misplaced(path, reference)
        if problem is None:
            self._note_wanted(reference, names)
            if reference.kind == "tasks" and reference.field == "token":
                self._graph.tokens_wanted.add(names.tasks[reference.name])
        return problem

    def _misplaced(self, path: Path, reference: references.Reference) -> str | None:
        """Return what is wrong with a secret used where it would be visible: in an argument or a file name."""
        if reference.kind != "env" or reference.name not in self._secrets:
            return None
        is_hidden = path[-1] in {"content", "description", "system_prompt"} or path[-2] == "env"
        if is_hidden or path[0] in {"hooks", "outputs"}:
            return None
        return f"the secret {reference.name} would be seen here; programs find it in their environment"

    def _note_wanted(self, reference: references.Reference, names: Names) -> None:
        """Record that the full output of a task is needed, so that it is kept if it is cut."""
        if reference.kind == "tasks" and reference.field in {"output", "outputs", "token"}:
            self._graph.wanted_whole.add(names.tasks[reference.name])

    def _problem_of(self, reference: references.Reference, names: Names) -> str | None:
        what, known = {
            "inputs": ("input", names.inputs),
            "tasks": ("task", names.tasks.keys()),
            "local": ("variable", names.local),
            "env": ("environment variable", self._environment),
        }[reference.kind]
        if reference.name in known:
            return self._problem_of_part(reference, names) if reference.kind == "tasks" else None
        return f"there is no {what} {reference.name!r}{self.hint(reference.name, known)}"

    def _problem_of_part(self, reference: references.Reference, names: Names) -> str | None:
        """Return what is wrong with the combination of a matrix that a reference names."""
        path = names.tasks[reference.name]
        if not reference.part:
            return None
        if path not in self._graph.matrices:
            return f"{reference.name} has no matrix, of which [{reference.part}] would be a combination"
        count = len(chosen(self._graph.matrices[path], reference.part))
        if count != 1:
            which = "is no combination" if not count else f"are {count} combinations; name one"
            return f"[{reference.part}] {which} of the matrix of {reference.name}"
        self._graph.parts_wanted.add(path)
        return None

    def hint(self, name: str, known: Mapping[str, object] | AbstractSet[str]) -> str:
        """Return the end of a message, which suggests the known name that may have been meant."""
        near = self._problems.nearest(name, known)
        return "" if near is None else f"; did you mean {near!r}?"
