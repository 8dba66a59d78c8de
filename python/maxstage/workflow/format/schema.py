"""The format of a workflow file: the names of its fields, and their values.

Names are those of the upstream DSL. `maxstage.workflow.format.loading` reads files into these types; the JSON Schema
that ``max validate --schema`` prints is made from them.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from maxstage.output.limits import Limits, LimitsError, limits_schema
from maxstage.sizes import parse_size
from maxstage.workflow.format.answers import check_schema, problem_with_answer
from maxstage.workflow.format.input_types import INPUT_TYPES, problem_with
from maxstage.workflow.format.languages import LANGUAGES, SHELL
from maxstage.workflow.format.operators import OPERATORS
from maxstage.workflow.format.references import PATTERN

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]
Variable = Annotated[str, Field(pattern=r"^[^=]+$")]
_LONGEST = 1e9
"""Thirty years, in seconds; the system's clocks allow little more."""
_MOST = 2**53
"""The largest whole number that every program reads exactly."""
_MOST_COMBINATIONS = 10_000
"""Of a matrix: more than anybody means."""
Seconds = Annotated[float, Field(ge=0, le=_LONGEST, allow_inf_nan=False)]
Timeout = Annotated[float, Field(gt=0, le=_LONGEST, allow_inf_nan=False)]
Number = Annotated[int, Field(ge=-_MOST, le=_MOST)]


def _one_reference(value: str) -> str:
    if PATTERN.fullmatch(value) is None:
        raise PydanticCustomError("number", "must be a number, or a reference like {{ inputs.n }}", {})
    return value


def _kind_of_number(value: Any) -> str:
    return "reference" if isinstance(value, str) else "number"


if TYPE_CHECKING:
    LanguageName = str
    Operator = str
    InputTypeName = str
    NumberOr = int | str
    CountOr = int | str
    TimeoutOr = float | str
else:
    LanguageName = Literal[tuple(LANGUAGES)]
    Operator = Literal[tuple(OPERATORS)]
    InputTypeName = Literal[tuple(INPUT_TYPES)]

    def _or_reference(number: Any) -> Any:
        """Return the type of a number, or of a reference to one."""
        reference = Annotated[str, AfterValidator(_one_reference), Tag("reference")]
        return Annotated[Annotated[number, Tag("number")] | reference, Discriminator(_kind_of_number)]

    NumberOr = _or_reference(Number)
    CountOr = _or_reference(Annotated[int, Field(ge=0, le=_MOST)])
    TimeoutOr = _or_reference(Timeout)


class Model(BaseModel):
    """What all parts share: unknown fields are errors, and nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Script(Model):
    """A script, in the workflow file or in its own file."""

    language: LanguageName = SHELL
    content: str | None = None
    file: str | None = None
    working_dir: str | None = None
    env: dict[Variable, str] = {}
    timeout_secs: TimeoutOr | None = None
    strict: bool | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Script:
        if self.strict is not None and self.language != SHELL:
            raise ValueError(f"strict is for {SHELL}, and this is {self.language}")
        if (self.content is None) == (self.file is None):
            raise ValueError("a script has either content or file")
        return self


class Command(Model):
    """A program with its arguments, run without a shell."""

    executable: str
    args: list[str] = []
    working_dir: str | None = None
    env: dict[Variable, str] = {}
    timeout_secs: TimeoutOr | None = None


class Intent(Model):
    """Many writes, an operation for each record: planned, and executed at once or when a person has approved."""

    operation: Literal["copy", "move", "delete", "write", "run"]
    records: str | None = None
    filter: str | None = None
    from_: Annotated[str | None, Field(alias="from")] = None
    to: str | None = None
    content: str | None = None
    argv: list[str] | None = None
    root: str | None = None
    execute: Literal["after_approval", "at_once"] = "after_approval"
    on_conflict: Literal["fail", "skip", "overwrite", "rename"] = "fail"
    keep_going: bool = False
    jobs: Annotated[int, Field(ge=1, le=1000)] = 1
    rate: Annotated[float, Field(gt=0, le=_LONGEST, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _templates(self) -> Intent:
        given: dict[str, Any] = {
            "from": self.from_,
            "to": self.to,
            "content": self.content,
            "argv": self.argv,
        }
        texts = [*(self.argv or ()), *(text for text in (self.from_, self.to, self.content) if text)]
        if any("{{" in text or "${" in text for text in texts):
            raise ValueError(
                "the templates of an intent are filled by records; references go into records and root"
            )
        from maxstage.errors import InvalidQuery
        from maxstage.intent.plan import parse_templates

        try:
            parse_templates(self.operation, {name: text for name, text in given.items() if text is not None})
        except InvalidQuery as error:
            raise ValueError(str(error)) from None
        return self


class Await(Model):
    """A question, whose answer comes from outside."""

    prompt: str
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    choices: Annotated[list[Any] | None, Field(min_length=1)] = None
    timeout_secs: TimeoutOr | None = None
    default: Any = None

    @field_validator("schema_")
    @classmethod
    def _good_schema(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None:
            check_schema(value)
        return value

    @model_validator(mode="after")
    def _good_default(self) -> Await:
        is_known = not isinstance(self.default, str) or PATTERN.search(self.default) is None
        if "default" in self.model_fields_set and is_known:
            problem = problem_with_answer(self.default, self.schema_, self.choices)
            if problem is not None:
                raise PydanticCustomError("default", "{problem}", {"problem": problem})
        return self


class OnError(Model):
    """What happens when a task fails."""

    retry: Annotated[int, Field(ge=0, le=1000)] = 0
    retry_delay_secs: Seconds = 0
    exponential_backoff: bool = False
    continue_: Annotated[bool, Field(alias="continue")] = False


class Condition(Model):
    """When a task runs: a condition of one type, or several conditions combined."""

    type: (
        Literal["task_status", "state_equals", "state_exists", "compare", "matches", "always", "never"] | None
    ) = None
    task: str | None = None
    status: Literal["completed", "failed", "skipped"] | None = None
    key: str | None = None
    value: Any = None
    left: Any = None
    op: Operator | None = None
    right: Any = None
    regex: str | None = None
    and_: Annotated[list[Condition] | None, Field(alias="and", min_length=1)] = None
    or_: Annotated[list[Condition] | None, Field(alias="or", min_length=1)] = None
    not_: Annotated[Condition | None, Field(alias="not")] = None

    @model_validator(mode="after")
    def _whole(self) -> Condition:
        if sum(part is not None for part in (self.type, self.and_, self.or_, self.not_)) != 1:
            raise ValueError("a condition has exactly one of type, and, or, not")
        if self.type == "task_status" and (self.task is None or self.status is None):
            raise ValueError("task_status needs task and status")
        if self.type in {"state_equals", "state_exists"} and self.key is None:
            raise ValueError(f"{self.type} needs key")
        if self.type == "compare" and not {"left", "op", "right"} <= self.model_fields_set:
            raise ValueError("compare needs left, op and right")
        if self.type == "matches" and not {"value", "regex"} <= self.model_fields_set:
            raise ValueError("matches needs value and regex")
        return self

    @field_validator("regex")
    @classmethod
    def _good_regex(cls, value: str | None) -> str | None:
        if value is not None:
            from maxstage.query.regex import check_regex  # only where it is needed

            check_regex(value)
        return value

    def _parts(self) -> list[Condition]:
        return [*(self.and_ or []), *(self.or_ or []), *([self.not_] if self.not_ else [])]

    def tasks(self) -> list[str]:
        """Return the tasks whose status it depends on."""
        return [name for part in self._parts() for name in part.tasks()] + ([self.task] if self.task else [])

    def state_keys(self) -> list[str]:
        """Return the keys of the state that it depends on."""
        return [key for part in self._parts() for key in part.state_keys()] + ([self.key] if self.key else [])


class Collection(Model):
    """What a for_each iterates over."""

    type: Literal["inline", "range", "file", "state", "token"]
    items: list[Any] | None = None
    start: NumberOr = 0
    end: NumberOr | None = None
    step: NumberOr = 1
    path: str | None = None
    format: Literal["json", "json_lines", "csv", "lines"] = "lines"
    key: str | None = None
    token: str | None = None

    @model_validator(mode="after")
    def _whole(self) -> Collection:
        wanted = {"inline": "items", "range": "end", "file": "path", "state": "key", "token": "token"}[
            self.type
        ]
        if getattr(self, wanted) is None:
            raise ValueError(f"a collection of type {self.type} needs {wanted}")
        if self.step == 0:
            raise ValueError("step must not be 0")
        return self


class ForEach(Model):
    """Once for each item."""

    collection: Collection
    iterator: Name = "item"
    parallel: bool = False
    max_parallel: Annotated[int, Field(ge=1, le=_MOST)] | None = None


class Repeat(Model):
    """A number of times."""

    count: CountOr


class While(Model):
    """As long as a condition holds, or until it does."""

    condition: Condition
    max_iterations: Annotated[int, Field(ge=1, le=_MOST)] = 1000
    delay_between_secs: Seconds = 0


class Loop(Model):
    """One of the four loops."""

    for_each: ForEach | None = None
    repeat: Repeat | None = None
    while_: Annotated[While | None, Field(alias="while")] = None
    repeat_until: While | None = None

    @model_validator(mode="after")
    def _one(self) -> Loop:
        kinds = (self.for_each, self.repeat, self.while_, self.repeat_until)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("a loop has exactly one of for_each, repeat, while, repeat_until")
        return self


class LoopControl(Model):
    """When a loop ends early, or an iteration is skipped."""

    break_condition: Condition | None = None
    continue_condition: Condition | None = None
    timeout_secs: TimeoutOr | None = None
    checkpoint_interval: Annotated[int, Field(ge=1, le=_MOST)] | None = None


class Context(Model):
    """Which outputs are put into an agent's prompt."""

    mode: Literal["automatic", "manual", "none"] = "automatic"
    include_tasks: list[str] = []
    exclude_tasks: list[str] = []
    min_relevance: Annotated[float, Field(ge=0, le=1)] = 0.4
    max_bytes: int | str | None = None
    max_tokens: Annotated[int, Field(ge=1, le=_MOST)] | None = None
    max_tasks: Annotated[int, Field(ge=1, le=_MOST)] | None = None
    time_window_secs: Seconds | None = None
    packing: Literal["greedy", "fair"] = "greedy"

    @field_validator("max_bytes")
    @classmethod
    def _good_size(cls, value: int | str | None) -> int | str | None:
        if value is not None:
            parse_size(value)
        return value


class Limited(Model):
    """Parts that may have limits."""

    limits: Annotated[dict[str, Any], Field(json_schema_extra=limits_schema)] = {}

    @field_validator("limits")
    @classmethod
    def _good_limits(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            Limits.parse(value)
        except LimitsError as error:
            # Each is reported at its own place.
            raise PydanticCustomError("limits", "limits", {"problems": error.problems}) from None
        return value


class Agent(Model):
    """A command that reads a prompt on its stdin, and whose stdout is the answer."""

    description: str | None = None
    model: str | None = None
    system_prompt: str | None = None
    command: Annotated[list[str], Field(min_length=1)] | None = None
    provider: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Agent:
        if (self.command is None) == (self.provider is None):
            raise ValueError("an agent has either command or provider")
        return self


class Cache(Model):
    """When a task is not done, since an earlier run did the same: what it depends on beside what it refers to."""

    inputs: list[str] = []
    env: list[Variable] = []
    key: str | None = None


class Task(Limited):
    """One task: a script, a command, an agent, an intent, subtasks or a question."""

    description: str | None = None
    script: Script | None = None
    command: Command | None = None
    agent: str | None = None
    intent: Intent | None = None
    subtasks: dict[Name, Task] | None = None
    await_: Annotated[Await | None, Field(alias="await")] = None
    depends_on: list[str] = []
    parallel_with: list[str] = []
    priority: Number = 0
    inputs: dict[str, Any] = {}
    stdin_from: str | None = None
    output: str | None = None
    condition: Condition | None = None
    on_error: OnError = OnError()
    timeout_secs: TimeoutOr | None = None
    always: bool = False
    cache: Cache | None = None
    matrix: Annotated[dict[Name, list[Any]] | None, Field(min_length=1)] = None
    loop: Loop | None = None
    loop_control: LoopControl = LoopControl()
    inject_context: bool = False
    context: Context = Context()

    @field_validator("matrix")
    @classmethod
    def _good_matrix(cls, value: dict[str, list[Any]] | None) -> dict[str, list[Any]] | None:
        names = [name for name in value or {} if name != "exclude"]
        if value is not None and (not names or not all(value[name] for name in names)):
            raise ValueError("a matrix has lists of values, of which none is empty")
        if value is not None and math.prod(len(value[name]) for name in names) > _MOST_COMBINATIONS:
            raise ValueError(f"a matrix has at most {_MOST_COMBINATIONS:,} combinations")
        for rule in (value or {}).get("exclude", []):
            if not isinstance(rule, dict) or not rule or not rule.keys() <= set(names):
                raise ValueError(f"exclude lists mappings with some of: {', '.join(names)}")
        return value

    @field_validator("subtasks", mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        """Take a list of one-name mappings as well, as the upstream DSL writes it."""
        if isinstance(value, list) and all(isinstance(part, dict) and len(part) == 1 for part in value):
            return {name: task for part in value for name, task in part.items()}
        return value

    @model_validator(mode="after")
    def _one_kind(self) -> Task:
        kinds = {
            "script": self.script,
            "command": self.command,
            "agent": self.agent,
            "intent": self.intent,
            "subtasks": self.subtasks,
            "await": self.await_,
        }
        given = [name for name, kind in kinds.items() if kind is not None]
        if len(given) != 1:
            known = ", ".join(kinds)
            raise ValueError(f"a task has exactly one of {known}; this has {', '.join(given) or 'none'}")
        if self.cache is not None and (self.subtasks is not None or self.intent is not None):
            raise ValueError("a cache is for what runs a program")
        if self.await_ is not None and (self.cache is not None or self.stdin_from is not None):
            raise ValueError("what waits for an answer has no cache, and reads nothing by stdin_from")
        if self.matrix is not None and self.loop is not None:
            raise ValueError("a task has a matrix or a loop; give the other to a subtask")
        if self.inject_context and self.agent is None:
            raise ValueError("inject_context is for tasks of agents: their prompt takes it")
        if self.agent is not None and self.description is None:
            raise ValueError("an agent's task needs a description: it is the prompt")
        return self


class Defaults(Model):
    """What tasks have where they say nothing else."""

    on_error: OnError = OnError()
    timeout_secs: TimeoutOr | None = None
    priority: Number = 0
    inject_context: bool = False
    strict: bool | None = None


class Input(Model):
    """A value that is given to a run."""

    description: str | None = None
    type: InputTypeName | None = None
    default: Any = None
    required: bool = False
    enum: Annotated[list[Any] | None, Field(min_length=1)] = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    pattern: str | None = None

    @field_validator("pattern")
    @classmethod
    def _good_pattern(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _good_default(self) -> Input:
        problem = None if self.default is None else problem_with(self, self.default)
        if problem is not None:
            raise PydanticCustomError("default", "{problem}", {"problem": problem})
        return self


class Hooks(Model):
    """Commands that run before, after and between the tasks."""

    pre_workflow: list[str] = []
    post_workflow: list[str] = []
    post_task: list[str] = []
    on_error: list[str] = []


class WorkflowSpec(Limited):
    """A workflow file."""

    name: str
    version: str
    description: str | None = None
    inputs: dict[Name, Input] = {}
    defaults: Defaults | None = None
    outputs: dict[str, str] = {}
    secrets: list[str] = []
    agents: dict[Name, Agent] = {}
    tasks: Annotated[dict[Name, Task], Field(min_length=1)]
    context: Context = Context()
    hooks: Hooks = Hooks()
    env: dict[Variable, str] = {}
    cwd: str | None = None

    @field_validator("version", mode="before")
    @classmethod
    def _version_as_text(cls, value: Any) -> Any:
        """Take ``version: 1.0``, which YAML reads as a number."""
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("inputs", mode="before")
    @classmethod
    def _plain_inputs(cls, value: Any) -> Any:
        """Take ``name: value`` as an input with that default."""
        if not isinstance(value, dict):
            return value
        return {
            name: given if isinstance(given, dict) else {"default": given} for name, given in value.items()
        }
