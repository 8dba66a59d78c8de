"""Checks of a run's state as it is read, since a file may be damaged in ways that SQLite doesn't notice.

A shape is a function that returns whether a value is valid. Commands that show runs rely on these checks.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from maxstage import exact

Shape = Callable[[Any], bool]

_LATEST = 2.5e11
"""Seconds since 1970, about the year 9900: `datetime` can't represent much later times."""
_MOST = 1e18
"""Larger than any size or count."""


def text(value: Any) -> bool:
    """Return whether it is text."""
    return isinstance(value, str)


def flag(value: Any) -> bool:
    """Return whether it is true or false."""
    return isinstance(value, bool)


def number(value: Any) -> bool:
    """Return whether it is a finite number of plausible size."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST


def whole(value: Any) -> bool:
    """Return whether it is a whole number of plausible size."""
    return isinstance(value, int) and number(value)


def moment(value: Any) -> bool:
    """Return whether it is a time in seconds since 1970."""
    return number(value) and 0 <= value < _LATEST


def anything(value: Any) -> bool:  # noqa: ARG001 - as every shape has it
    """Return true."""
    return True


def maybe(shape: Shape) -> Shape:
    """Return the shape of an optional value."""
    return lambda value: value is None or shape(value)


def one_of(*values: str) -> Shape:
    """Return the shape of a text that is one of `values`."""
    return lambda value: isinstance(value, str) and value in values


def listed(shape: Shape) -> Shape:
    """Return the shape of a list."""
    return lambda value: isinstance(value, list) and all(map(shape, value))


def mapping(shape: Shape) -> Shape:
    """Return the shape of a mapping with arbitrary keys."""
    return lambda value: isinstance(value, dict) and all(map(shape, value.values()))


def record(required: dict[str, Shape], optional: dict[str, Shape] | None = None) -> Shape:
    """Return the shape of a mapping with known keys, which may have others as well."""
    known = required | (optional or {})

    def fits(value: Any) -> bool:
        if not isinstance(value, dict) or not required.keys() <= value.keys():
            return False
        return all(shape(value[key]) for key, shape in known.items() if key in value)

    return fits


_COUNTS = (
    "held_bytes",
    "peak_held_bytes",
    "external_bytes",
    "external_stored_bytes",
    "outputs",
    "truncated",
    "external",
    "pruned",
    "prunings",
    "prompts",
    "context_bytes",
    "context_tokens",
    "tokens_saved",
    "average_relevance",
)
METRICS = record(
    dict.fromkeys(_COUNTS, number),
    dict.fromkeys(("moved", "whole_tokens", "items", "relevance", "largest"), number),
)
"""What `maxstage.workflow.run.metrics.Metrics.to_dict` returns."""

_FACTS = record(
    {},
    {
        "workflow": text,
        "file": text,
        "sha256": text,
        "inputs": mapping(anything),
        "folder": text,
        "stores": listed(text),
        "on": maybe(text),
        "started": maybe(moment),
        "ended": maybe(moment),
        "status": one_of("running", "completed", "failed", "interrupted", "waiting"),
        "error": maybe(text),
        "outputs": maybe(mapping(anything)),
        "metrics": maybe(lambda value: value == {} or METRICS(value)),
    },
)
_OF_A_START = {"file", "folder", "inputs"}
"""The facts that a run has from its first start on: an import of the older form has none of them until then."""


def FACTS(value: Any) -> bool:  # noqa: N802 - a shape like the others
    """Return whether it is the facts of a run."""
    return _FACTS(value) and _OF_A_START & value.keys() in (set(), _OF_A_START)


KINDS = ("program", "agent", "intent", "question", "group")
"""What a task of a plan is."""
PLAN = mapping(record({"after": listed(text), "kind": one_of(*KINDS), "loop": flag}))
"""What `maxstage.workflow.run.plan.plan_of` returns."""

CANDIDATE = record(
    {"task": text, "relevance": number, "why": text, "size": maybe(whole), "state": text, "reason": text}
)
CONTEXT = record({"bytes": whole, "tokens": whole, "whole_bytes": whole, "candidates": listed(CANDIDATE)})
"""The context that an agent's task was given."""

QUESTION = record(
    {
        "prompt": text,
        "choices": maybe(listed(anything)),
        "schema": maybe(mapping(anything)),
        "since": moment,
        "until": maybe(moment),
    }
)
"""What a task asks."""

_STREAM: dict[str, Shape] = {
    "task_id": text,
    "output_type": text,
    "content": text,
    "original_size": whole,
    "truncated": flag,
    "token": maybe(text),
    "external_path": maybe(text),
}
_REST: dict[str, Shape] = {
    "content_base64": maybe(text),
    "moved": maybe(text),
    "moved_path": maybe(text),
    "store": maybe(text),
    "truncation_strategy": maybe(text),
    "dropped_bytes": whole,
    "dropped_lines": whole,
    "relevance_score": number,
    "last_accessed": text,
    "completed_at": text,
    "depended_by": listed(text),
    "exit_code": maybe(whole),
    "signal": maybe(whole),
    "duration": maybe(number),
    "timed_out": flag,
    "warnings": listed(text),
}
OUTPUT = record(_STREAM | {"stderr": maybe(record(_STREAM, _REST))}, _REST)
"""What `maxstage.output.task_output.TaskOutput.to_dict` returns, and keys for text moved to the store."""

GIVEN_UP = (text, maybe(text))
"""The columns of a task that was not tried again, as `RunState.given_up` reads them."""
ENDED = (text, moment, moment, whole, whole, whole, whole, whole)
"""The columns of a task that has ended, as `RunState.ended` reads them."""
RESULT = (
    one_of("completed", "failed", "skipped", "interrupted"),
    whole,
    whole,
    maybe(text),
    maybe(text),
    whole,
    moment,
    whole,
    whole,
    maybe(text),
)
"""The columns of a task's result, as `RunState.find` reads them."""


def parse(content: Any, shape: Shape) -> Any:
    """Return a JSON text as a value.

    Raises:
        ValueError: It is not JSON, or has another shape.
    """
    if not isinstance(content, str):
        raise ValueError("a column that should be JSON is not text")  # noqa: TRY004 - damaged data, not a caller's mistake
    try:
        value = json.loads(content, parse_int=exact.integer, parse_float=exact.real)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not shape(value):
        raise ValueError("something in it is missing, or has the wrong type")
    return value


def check_row(row: tuple[Any, ...], shapes: tuple[Shape, ...]) -> None:
    """Check the columns of a row.

    Raises:
        ValueError: One has the wrong type.
    """
    if not all(shape(value) for shape, value in zip(shapes, row, strict=True)):
        raise ValueError("a column has a value of the wrong type")


def checked_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a run if they are valid.

    Raises:
        ValueError: They are not.
    """
    if not FACTS(facts):
        raise ValueError("the facts of the run are not as they were written")
    return facts
