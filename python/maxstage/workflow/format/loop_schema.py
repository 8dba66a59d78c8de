"""Conditions and loops, as a workflow file has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from maxstage.workflow.format.model import ANY, BAD, Fault, ListOf, Model, OneOf, Part, field
from maxstage.workflow.format.operators import OPERATORS
from maxstage.workflow.format.values import COUNT, COUNTED, FLAG, NAME, NUMBER, SECONDS, TEXT, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.workflow.format.model import Reader
    from maxstage.workflow.format.yaml_source import Path


class Condition(Model):
    """When a task runs: a condition of one type, or several conditions combined."""

    ALL_OR_NOTHING = True
    type: str | None = field(
        OneOf("task_status", "state_equals", "state_exists", "compare", "matches", "always", "never"),
        default=None,
    )
    task: str | None = field(TEXT, default=None)
    status: str | None = field(OneOf("completed", "failed", "skipped"), default=None)
    key: str | None = field(TEXT, default=None)
    value: Any = field(ANY, default=None)
    left: Any = field(ANY, default=None)
    op: str | None = field(OneOf(*OPERATORS), default=None)
    right: Any = field(ANY, default=None)
    regex: str | None = field(TEXT, default=None)
    and_: list[Condition] | None = field(ListOf(Part(lambda: Condition), least=1), default=None, name="and")
    or_: list[Condition] | None = field(ListOf(Part(lambda: Condition), least=1), default=None, name="or")
    not_: Condition | None = field(Part(lambda: Condition), default=None, name="not")

    _NEEDED: ClassVar = {
        "task_status": ("task", "status"),
        "state_equals": ("key",),
        "state_exists": ("key",),
        "compare": ("left", "op", "right"),
        "matches": ("value", "regex"),
    }

    def faults(self, broken: frozenset[str]) -> Iterator[Fault]:
        """See `Model.faults`."""
        forms = self.those_of(broken, "type", "and_", "or_", "not_")
        if len(forms) != 1:
            yield Fault("a condition has exactly one of type, and, or, not", forms[1] if forms else None)
        needed = self._NEEDED.get(self.type or "", ())
        if not set(needed) <= self.given | broken:
            *others, last = needed
            yield Fault(f"{self.type} needs {', '.join(others)}{' and ' if others else ''}{last}")
        if self.regex is not None:
            from maxstage.query.regex import check_regex  # only where it is needed

            try:
                check_regex(self.regex)
            except ValueError as error:
                yield Fault(str(error), "regex")

    def _parts(self) -> list[Condition]:
        return [*(self.and_ or []), *(self.or_ or []), *([self.not_] if self.not_ else [])]

    def tasks(self) -> list[str]:
        """Return the tasks whose status it depends on."""
        return [name for part in self._parts() for name in part.tasks()] + ([self.task] if self.task else [])

    def state_keys(self) -> list[str]:
        """Return the keys of the state that it depends on."""
        return [key for part in self._parts() for key in part.state_keys()] + ([self.key] if self.key else [])


CONDITION = Part(Condition)


class CollectionKind(Part):
    """A collection, also in the older form, whose type is called ``source``."""

    def read(self, reader: Reader, path: Path, value: Any) -> Any:
        """See `Kind.read`."""
        if not isinstance(value, dict) or "source" not in value or "type" in value:
            return super().read(reader, path, value)
        if value["source"] == "http":
            return reader.fault(
                (*path, "source"),
                "can't be http; let a task fetch it with curl, and go over what that printed: "
                "{type: state, key: tasks.NAME.output}",
            )
        renamed = {"type" if name == "source" else name: one for name, one in value.items()}
        return super().read(reader, path, renamed)


class Collection(Model):
    """What a for_each iterates over."""

    ALL_OR_NOTHING = True
    type: str = field(OneOf("inline", "range", "file", "state", "token"))
    items: list[Any] | None = field(ListOf(ANY), default=None)
    start: int | str = field(NUMBER, default=0)
    end: int | str | None = field(NUMBER, default=None)
    step: int | str = field(NUMBER, default=1)
    path: str | None = field(TEXT, default=None)
    format: str = field(OneOf("json", "json_lines", "csv", "lines"), default="lines")
    key: str | None = field(TEXT, default=None)
    token: str | None = field(TEXT, default=None)

    _NEEDED: ClassVar = {"inline": "items", "range": "end", "file": "path", "state": "key", "token": "token"}

    def faults(self, broken: frozenset[str]) -> Iterator[Fault]:
        """See `Model.faults`."""
        if not self.those_of(broken, self._NEEDED[self.type]):
            yield Fault(f"a collection of type {self.type} needs {self._NEEDED[self.type]}")
        if self.step == 0:
            yield Fault("must not be 0", "step")


class ForEach(Model):
    """Once for each item."""

    ALL_OR_NOTHING = True
    collection: Collection = field(CollectionKind(Collection))
    iterator: str = field(NAME, default="item")
    parallel: bool = field(FLAG, default=False)
    max_parallel: int | None = field(COUNTED, default=None)


class Repeat(Model):
    """A number of times."""

    ALL_OR_NOTHING = True
    count: int | str = field(COUNT)
    iterator: str | None = field(NAME, default=None)
    parallel: bool = field(FLAG, default=False)
    max_parallel: int | None = field(COUNTED, default=None)


class While(Model):
    """As long as a condition holds, or until it does."""

    ALL_OR_NOTHING = True
    condition: Condition = field(CONDITION)
    max_iterations: int = field(COUNTED, default=1000)
    delay_between_secs: float = field(SECONDS, default=0)
    iteration_variable: str | None = field(NAME, default=None)

    @property
    def least(self) -> int:
        """How many iterations there are before the condition is looked at."""
        return 0


class RepeatUntil(While):
    """Until a condition holds, once at least."""

    min_iterations: int | None = field(COUNTED, default=None)

    @property
    def least(self) -> int:
        """See `While.least`."""
        return self.min_iterations or 1


class Loop(Model):
    """One of the four loops."""

    ALL_OR_NOTHING = True
    for_each: ForEach | None = field(Part(ForEach), default=None)
    repeat: Repeat | None = field(Part(Repeat), default=None)
    while_: While | None = field(Part(While), default=None, name="while")
    repeat_until: RepeatUntil | None = field(Part(RepeatUntil), default=None)

    def faults(self, broken: frozenset[str]) -> Iterator[Fault]:
        """See `Model.faults`."""
        kinds = self.those_of(broken, *self.FIELDS)
        if len(kinds) != 1:
            known = ", ".join(self.NAMES)
            yield Fault(f"a loop has exactly one of {known}", kinds[1] if kinds else None)

    @property
    def turns(self) -> While | None:
        """What it asks before or after each iteration, if it depends on a condition."""
        return self.while_ or self.repeat_until

    @property
    def side_by_side(self) -> ForEach | Repeat | None:
        """What says how many iterations may run at once, if some may."""
        one = self.for_each or self.repeat
        return one if one is not None and one.parallel else None

    @property
    def variables(self) -> list[str]:
        """The names that its iterations have, beside ``iteration``: the item of a for_each, a number in the others."""
        if self.for_each is not None:
            return [self.for_each.iterator, "item"]
        name = (
            self.repeat.iterator if self.repeat is not None else self.turns and self.turns.iteration_variable
        )
        return [name] if name else []


class LoopKind(Part):
    """A loop, also in the older form: its kind is called ``type``, and its fields stand beside that."""

    def read(self, reader: Reader, path: Path, value: Any) -> Any:
        """See `Kind.read`."""
        if not isinstance(value, dict) or "type" not in value:
            return super().read(reader, path, value)
        attribute = Loop.NAMES.get(value["type"]) if isinstance(value["type"], str) else None
        if attribute is None:
            *others, last = map(repr, Loop.NAMES)
            return reader.fault((*path, "type"), f"must be {', '.join(others)} or {last}")
        fields = {name: one for name, one in value.items() if name != "type"}
        found = Loop.FIELDS[attribute].kind.read(reader, path, fields)
        return found if found is BAD else Loop(**{attribute: found})


class LoopControl(Model):
    """When a loop ends early, or an iteration is skipped."""

    break_condition: Condition | None = field(CONDITION, default=None)
    continue_condition: Condition | None = field(CONDITION, default=None)
    timeout_secs: float | str | None = field(TIMEOUT, default=None)
    checkpoint_interval: int | None = field(COUNTED, default=None)
