"""The format of a workflow file: the names of its fields, and their values.

Names are those of the upstream DSL. `maxstage.workflow.format.loading` reads files into these types; the JSON Schema
that ``max validate --schema`` prints is made from them.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, ClassVar

from maxstage.workflow.format.answers import check_schema, problem_with_answer
from maxstage.workflow.format.input_types import INPUT_TYPES, problem_with
from maxstage.workflow.format.languages import LANGUAGES, SHELL
from maxstage.workflow.format.loop_schema import CONDITION, Condition, Loop, LoopControl, LoopKind
from maxstage.workflow.format.model import (
    ANY,
    AsWritten,
    Fault,
    Integer,
    ListOf,
    MapOf,
    Model,
    Number,
    OneOf,
    Part,
    Text,
    field,
)
from maxstage.workflow.format.references import PATTERN
from maxstage.workflow.format.values import (
    COUNTED,
    FLAG,
    LIMITS,
    LONGEST,
    MODES,
    OF_QUEUES,
    OUTPUT,
    PRIORITY,
    QUEUE_NAME,
    SECONDS,
    SECRETS,
    SIZE,
    TEXT,
    TEXTS,
    TIMEOUT,
    VARIABLE,
    VARIABLES,
    VERSION,
    Named,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.workflow.format.model import Definitions, Reader
    from maxstage.workflow.format.yaml_source import Path

_MOST_COMBINATIONS = 10_000
"""Of a matrix: more than anybody means."""


class Script(Model):
    """A script, in the workflow file or in its own file."""

    language: str = field(OneOf(*LANGUAGES), default=SHELL)
    content: str | None = field(TEXT, default=None)
    file: str | None = field(TEXT, default=None)
    working_dir: str | None = field(TEXT, default=None)
    env: dict[str, str] = field(VARIABLES, default={})
    timeout_secs: float | str | None = field(TIMEOUT, default=None)
    strict: bool | None = field(FLAG, default=None)

    def faults(self, broken: frozenset[str]) -> Iterator[Fault]:
        """See `Model.faults`."""
        if self.strict is not None and self.language != SHELL:
            yield Fault(f"strict is for {SHELL}, and this is {self.language}", "strict")
        sources = self.those_of(broken, "content", "file")
        if len(sources) != 1:
            yield Fault("a script has either content or file", sources[1] if sources else None)


class Command(Model):
    """A program with its arguments, run without a shell."""

    executable: str = field(TEXT)
    args: list[str] = field(TEXTS, default=[])
    working_dir: str | None = field(TEXT, default=None)
    env: dict[str, str] = field(VARIABLES, default={})
    timeout_secs: float | str | None = field(TIMEOUT, default=None)


class Intent(Model):
    """Many writes, an operation for each record: planned, and executed at once or when a person has approved."""

    operation: str = field(OneOf("copy", "move", "delete", "write", "run"))
    records: str | None = field(TEXT, default=None)
    filter: str | None = field(TEXT, default=None)
    from_: str | None = field(TEXT, default=None, name="from")
    to: str | None = field(TEXT, default=None)
    content: str | None = field(TEXT, default=None)
    argv: list[str] | None = field(TEXTS, default=None)
    root: str | None = field(TEXT, default=None)
    execute: str = field(OneOf("after_approval", "at_once"), default="after_approval")
    on_conflict: str = field(OneOf("fail", "skip", "overwrite", "rename"), default="fail")
    keep_going: bool = field(FLAG, default=False)
    jobs: int = field(Integer(least=1, most=1000), default=1)
    rate: float | None = field(Number(above=0, most=LONGEST), default=None)

    def faults(self, broken: frozenset[str]) -> Iterator[Fault]:
        """See `Model.faults`."""
        given = {"from": self.from_, "to": self.to, "content": self.content, "argv": self.argv}
        for name, value in given.items():
            texts = [value] if isinstance(value, str) else value or []
            if any("{{" in text or "${" in text for text in texts):
                yield Fault(
                    "the templates of an intent are filled by records; references go into records and root",
                    name,
                )
                return
        if broken:
            return
        from maxstage.errors import InvalidQuery
        from maxstage.intent.plan import parse_templates

        try:
            parse_templates(self.operation, {name: text for name, text in given.items() if text is not None})
        except InvalidQuery as error:
            yield Fault(str(error))


class Await(Model):
    """A question, whose answer comes from outside."""

    prompt: str = field(TEXT)
    schema_: dict[str, Any] | None = field(MapOf(ANY), default=None, name="schema")
    choices: list[Any] | None = field(ListOf(ANY, least=1), default=None)
    timeout_secs: float | str | None = field(TIMEOUT, default=None)
    default: Any = field(ANY, default=None)

    def faults(self, _broken: frozenset[str]) -> Iterator[Fault]:
        """See `Model.faults`."""
        if self.schema_ is not None:
            try:
                check_schema(self.schema_)
            except ValueError as error:
                yield Fault(str(error), "schema")
                return
        is_known = not isinstance(self.default, str) or PATTERN.search(self.default) is None
        if "default" in self.given and is_known:
            problem = problem_with_answer(self.default, self.schema_, self.choices)
            if problem is not None:
                yield Fault(problem, "default")


class OnError(Model):
    """What happens when a task fails."""

    retry: int = field(Integer(least=0, most=1000), default=0)
    retry_delay_secs: float = field(SECONDS, default=0)
    exponential_backoff: bool = field(FLAG, default=False)
    continue_: bool = field(FLAG, default=False, name="continue")


class Context(Model):
    """Which outputs are put into an agent's prompt."""

    mode: str = field(OneOf("automatic", "manual", "none"), default="automatic")
    include_tasks: list[str] = field(TEXTS, default=[])
    exclude_tasks: list[str] = field(TEXTS, default=[])
    min_relevance: float = field(Number(least=0, most=1), default=0.4)
    max_bytes: int | str | None = field(SIZE, default=None)
    max_tokens: int | None = field(COUNTED, default=None)
    max_tasks: int | None = field(COUNTED, default=None)
    time_window_secs: float | None = field(SECONDS, default=None)
    packing: str = field(OneOf("greedy", "fair"), default="greedy")


STAND_IN_PROGRAM = ["/bin/true"]
"""The program of what stands for an invalid agent or task, so that what names it is no error as well; it never runs."""


class Permissions(Model):
    """What an agent may do without being asked."""

    mode: str = field(OneOf(*MODES), default="default")
    allowed_directories: list[str] = field(TEXTS, default=[])


class Agent(Model):
    """A command that reads a prompt on its stdin, and whose stdout is the answer."""

    description: str | None = field(TEXT, default=None)
    model: str | None = field(TEXT, default=None)
    system_prompt: str | None = field(TEXT, default=None)
    command: list[str] | None = field(ListOf(TEXT, least=1), default=None)
    provider: str | None = field(TEXT, default=None)
    tools: list[str] = field(TEXTS, default=[])
    permissions: Permissions | None = field(Part(Permissions), default=None)
    max_turns: int | None = field(COUNTED, default=None)

    def faults(self, broken: frozenset[str]) -> Iterator[Fault]:
        """See `Model.faults`."""
        kinds = self.those_of(broken, "command", "provider")
        if len(kinds) != 1:
            yield Fault("an agent has either command or provider", kinds[1] if kinds else None)

    def mended(self) -> Agent:
        """See `Model.mended`."""
        given = {name: self.__dict__[name] for name in self.given}
        if self.command is None and self.provider is None:
            return Agent(command=STAND_IN_PROGRAM, system_prompt=self.system_prompt)
        if self.command is not None:
            given.pop("provider", None)
        return Agent(**given)

    @classmethod
    def stand_in(cls) -> Agent:
        """See `Model.stand_in`."""
        return Agent(command=STAND_IN_PROGRAM)


class Cache(Model):
    """When a task is not done, since an earlier run did the same: what it depends on beside what it refers to."""

    inputs: list[str] = field(TEXTS, default=[])
    env: list[str] = field(ListOf(VARIABLE), default=[])
    key: str | None = field(TEXT, default=None)


class RunsOn(Model):
    """Which machines run a program, where programs run on other machines (``max run --on``)."""

    queue: str = field(Text(QUEUE_NAME, OF_QUEUES))


class Tasks(Named):
    """Tasks by name. Subtasks may also be a list of one-name mappings, as the upstream DSL writes it."""

    def __init__(self, least: int = 0) -> None:
        super().__init__(Part(lambda: Task), least)

    def read(self, reader: Reader, path: Path, value: Any) -> Any:
        """See `Kind.read`."""
        if isinstance(value, list) and all(isinstance(one, dict) and len(one) == 1 for one in value):
            found: dict[str, Any] = {}
            for number, one in enumerate(value):
                for name, task in one.items():
                    if name in found:
                        reader.tell((*path, number, name), f"{name!r} is given twice")
                    found.setdefault(name, task)
            value = found
        return super().read(reader, path, value)

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        """See `Kind.schema`."""
        mapping = super().schema(definitions)
        one = {**mapping, "minProperties": 1, "maxProperties": 1}
        return {"anyOf": [mapping, {"type": "array", "items": one}]}


class Task(Model):
    """One task: a script, a command, an agent, an intent, subtasks or a question."""

    limits: dict[str, Any] = field(LIMITS, default={})
    description: str | None = field(TEXT, default=None)
    script: Script | None = field(Part(Script), default=None)
    command: Command | None = field(Part(Command), default=None)
    agent: str | None = field(TEXT, default=None)
    intent: Intent | None = field(Part(Intent), default=None)
    subtasks: dict[str, Task] | None = field(Tasks(), default=None)
    await_: Await | None = field(Part(Await), default=None, name="await")
    depends_on: list[str] = field(TEXTS, default=[])
    parallel_with: list[str] = field(TEXTS, default=[])
    priority: int = field(PRIORITY, default=0)
    inputs: dict[str, Any] = field(MapOf(ANY), default={})
    stdin_from: str | None = field(TEXT, default=None)
    output: str | None = field(TEXT, default=None)
    condition: Condition | None = field(CONDITION, default=None)
    on_error: OnError = field(Part(OnError), default=OnError())
    timeout_secs: float | str | None = field(TIMEOUT, default=None)
    always: bool = field(FLAG, default=False)
    runs_on: RunsOn | None = field(Part(RunsOn), default=None)
    upload: list[str] = field(TEXTS, default=[])
    cache: Cache | None = field(Part(Cache), default=None)
    matrix: dict[str, list[Any]] | None = field(Named(ListOf(ANY), least=1), default=None)
    loop: Loop | None = field(LoopKind(Loop), default=None)
    loop_control: LoopControl = field(Part(LoopControl), default=LoopControl())
    inject_context: bool = field(FLAG, default=False)
    context: Context = field(Part(Context), default=Context())

    KINDS = ("script", "command", "agent", "intent", "subtasks", "await_")

    def faults(self, broken: frozenset[str]) -> Iterator[Fault]:
        """See `Model.faults`."""
        given = self.those_of(broken, *self.KINDS)
        if len(given) != 1:
            known = ", ".join(self.FIELDS[name].name for name in self.KINDS)
            hint = "; subtasks name their agents themselves" if given == ["agent", "subtasks"] else ""
            yield Fault(
                f"a task has exactly one of {known}; this has {', '.join(given) or 'none'}{hint}",
                given[1] if given else None,
            )
        if self.cache is not None and (self.subtasks is not None or self.intent is not None):
            yield Fault("a cache is for what runs a program", "cache")
        if self.await_ is not None and self.cache is not None:
            yield Fault("what waits for an answer has no cache", "cache")
        if self.await_ is not None and self.stdin_from is not None:
            yield Fault("what waits for an answer reads nothing by stdin_from", "stdin_from")
        yield from _faults_of_place(self)
        if self.matrix is not None and self.loop is not None:
            yield Fault("a task has a matrix or a loop; give the other to a subtask", "matrix")
        if self.inject_context and "agent" not in given:
            yield Fault("inject_context is for tasks of agents: their prompt takes it", "inject_context")
        if self.agent is not None and not self.those_of(broken, "description"):
            yield Fault("an agent's task needs a description: it is the prompt")
        if self.matrix is not None:
            yield from _faults_of_matrix(self.matrix)

    def mended(self) -> Task:
        """See `Model.mended`."""
        given = {name: self.__dict__[name] for name in self.given}
        for fault in self.faults(frozenset()):
            if fault.field is not None and self.NAMES[fault.field] not in self.KINDS:
                given.pop(self.NAMES[fault.field], None)
        # Subtasks first: those have names that others refer to.
        kinds = sorted(
            (name for name in self.KINDS if given.get(name) is not None), key=lambda name: name != "subtasks"
        )
        for name in kinds[1:]:
            given.pop(name)
        if not kinds:
            given["command"] = STAND_IN
        if "agent" in kinds[:1]:
            given.setdefault("description", "")
        else:
            given.pop("inject_context", None)
        return Task(**given)

    @classmethod
    def stand_in(cls) -> Task:
        """See `Model.stand_in`."""
        return Task(command=STAND_IN)


STAND_IN = Command(executable=STAND_IN_PROGRAM[0])
"""What an invalid task does."""


def _faults_of_place(task: Task) -> Iterator[Fault]:
    runs_no_program = not (task.intent is None and task.subtasks is None and task.await_ is None)
    for name in ("runs_on", "upload"):
        if runs_no_program and name in task.given:
            yield Fault(f"{name} is for tasks with a script, a command or an agent", name)


def _faults_of_matrix(matrix: dict[str, list[Any]]) -> Iterator[Fault]:
    names = [name for name in matrix if name != "exclude"]
    if not names or not all(matrix[name] for name in names):
        yield Fault("a matrix has lists of values, of which none is empty", "matrix")
    elif math.prod(len(matrix[name]) for name in names) > _MOST_COMBINATIONS:
        yield Fault(f"a matrix has at most {_MOST_COMBINATIONS:,} combinations", "matrix")
    for rule in matrix.get("exclude", []):
        if not isinstance(rule, dict) or not rule or not rule.keys() <= set(names):
            yield Fault(f"exclude lists mappings with some of: {', '.join(names)}", "matrix")


class Defaults(Model):
    """What tasks have where they say nothing else."""

    on_error: OnError = field(Part(OnError), default=OnError())
    timeout_secs: float | str | None = field(TIMEOUT, default=None)
    priority: int = field(PRIORITY, default=0)
    inject_context: bool = field(FLAG, default=False)
    runs_on: RunsOn | None = field(Part(RunsOn), default=None)
    upload: list[str] = field(TEXTS, default=[])
    strict: bool | None = field(FLAG, default=None)


class Input(Model):
    """A value that is given to a run."""

    description: str | None = field(TEXT, default=None)
    type: str | None = field(OneOf(*INPUT_TYPES), default=None)
    default: Any = field(ANY, default=None)
    required: bool = field(FLAG, default=False)
    enum: list[Any] | None = field(ListOf(ANY, least=1), default=None)
    minimum: float | None = field(AsWritten(), default=None)
    maximum: float | None = field(AsWritten(), default=None)
    pattern: str | None = field(TEXT, default=None)

    def faults(self, _broken: frozenset[str]) -> Iterator[Fault]:
        """See `Model.faults`."""
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            yield Fault(f"is no regular expression: {error}", "pattern")
            return
        problem = None if self.default is None else problem_with(self, self.default)
        if problem is not None:
            yield Fault(problem, "default")

    @classmethod
    def stand_in(cls) -> Input:
        """See `Model.stand_in`."""
        return Input()


class InputKind(Part):
    """An input, or just its default."""

    def __init__(self) -> None:
        super().__init__(Input)

    def read(self, reader: Reader, path: Path, value: Any) -> Any:
        """See `Kind.read`."""
        return super().read(reader, path, value if isinstance(value, dict) else {"default": value})

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        """See `Kind.schema`."""
        plain = {"type": ["string", "number", "boolean", "array", "null"], "description": "The default."}
        return {"anyOf": [super().schema(definitions), plain]}


class Hooks(Model):
    """Commands that run before, after and between the tasks."""

    pre_workflow: list[str] = field(TEXTS, default=[])
    post_workflow: list[str] = field(TEXTS, default=[])
    post_task: list[str] = field(TEXTS, default=[])
    on_error: list[str] = field(TEXTS, default=[])


class WorkflowSpec(Model):
    """A workflow file."""

    STAND_INS: ClassVar = {"name": "unknown", "version": "unknown", "tasks": {}}
    limits: dict[str, Any] = field(LIMITS, default={})
    name: str = field(TEXT)
    version: str = field(VERSION)
    dsl_version: str | None = field(VERSION, default=None)
    description: str | None = field(TEXT, default=None)
    inputs: dict[str, Input] = field(Named(InputKind()), default={})
    defaults: Defaults | None = field(Part(Defaults), default=None)
    outputs: dict[str, str] = field(MapOf(OUTPUT), default={})
    secrets: list[str] = field(SECRETS, default=[])
    agents: dict[str, Agent] = field(Named(Part(Agent)), default={})
    tasks: dict[str, Task] = field(Tasks(least=1))
    context: Context = field(Part(Context), default=Context())
    hooks: Hooks = field(Part(Hooks), default=Hooks())
    env: dict[str, str] = field(VARIABLES, default={})
    cwd: str | None = field(TEXT, default=None)
