"""What an answer may be: one of some choices, or what a JSON Schema says, of which the common part is known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from maxstage import exact
from maxstage.humanize import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_SHOWN = 60
"""Characters of a value that a message shows."""
_DEEPEST = 50
"""Levels that a schema may be nested."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: _is_number(value) and value == int(value),
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}
"""The types of JSON Schema."""


def _shown(value: Any) -> str:
    return printable(exact.dumps(value), _SHOWN)


def _of_type(value: Any, wanted: Any, _path: str) -> Iterator[str]:
    names = [wanted] if isinstance(wanted, str) else wanted
    if not any(TYPES[name](value) for name in names):
        yield f"must be of type {' or '.join(names)}, not {_shown(value)}"


def _in(value: Any, wanted: Any, _path: str) -> Iterator[str]:
    if not any(exact.equal(value, one) for one in wanted):
        yield f"must be one of {', '.join(map(exact.dumps, wanted))}, not {_shown(value)}"


def _bound(kind: str, holds: Callable[[Any, Any], bool], words: str) -> Callable[..., Iterator[str]]:
    """Return a rule for values of a type that are to stand in a relation to a number."""

    def rule(value: Any, wanted: Any, _path: str) -> Iterator[str]:
        if TYPES[kind](value) and not holds(value, wanted):
            yield f"must {words} {wanted}, and {_shown(value)} doesn't"

    return rule


def _required(value: Any, wanted: Any, _path: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{name} is missing" for name in wanted if name not in value)


def _items(value: Any, wanted: Any, path: str) -> Iterator[str]:
    for number, one in enumerate(value if isinstance(value, list) else ()):
        yield from _problems(one, wanted, f"{path}[{number}]")


def _properties(value: Any, wanted: Any, path: str) -> Iterator[str]:
    for name, schema in wanted.items():
        if isinstance(value, dict) and name in value:
            yield from _problems(value[name], schema, f"{path}.{name}" if path else name)


RULES: dict[str, Callable[[Any, Any, str], Iterator[str]]] = {
    "type": _of_type,
    "enum": _in,
    "const": lambda value, wanted, path: _in(value, [wanted], path),
    "minimum": _bound("number", lambda value, wanted: value >= wanted, "be at least"),
    "maximum": _bound("number", lambda value, wanted: value <= wanted, "be at most"),
    "minLength": _bound("string", lambda value, wanted: len(value) >= wanted, "have a length of at least"),
    "maxLength": _bound("string", lambda value, wanted: len(value) <= wanted, "have a length of at most"),
    "pattern": _bound("string", lambda value, wanted: re.search(wanted, value) is not None, "match"),
    "minItems": _bound("array", lambda value, wanted: len(value) >= wanted, "have a length of at least"),
    "maxItems": _bound("array", lambda value, wanted: len(value) <= wanted, "have a length of at most"),
    "required": _required,
    "items": _items,
    "properties": _properties,
}
"""The keywords of JSON Schema that are known; ``additionalProperties: false`` is, too."""

_WORDS = {"title", "description", "default", "examples", "$schema", "$id", "$comment"}
"""Keywords that restrict nothing."""
_FORMS: dict[str, Callable[[Any], bool]] = {
    "type": lambda one: one in TYPES if isinstance(one, str) else _all_in(one, lambda name: name in TYPES),
    "enum": lambda one: isinstance(one, list) and bool(one),
    "required": lambda one: _all_in(one, lambda name: isinstance(name, str)),
    "properties": lambda one: isinstance(one, dict),
    "pattern": lambda one: isinstance(one, str),
    **dict.fromkeys(("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"), _is_number),
}
"""What the value of a keyword must be."""


def _all_in(value: Any, holds: Callable[[Any], bool]) -> bool:
    return (
        isinstance(value, list) and bool(value) and all(isinstance(one, str) and holds(one) for one in value)
    )


def check_schema(schema: Any, where: str = "schema", depth: int = 0) -> None:
    """Check that a schema is one that is understood.

    Raises:
        ValueError: It is not.
    """
    if isinstance(schema, bool) and depth:
        return
    if not isinstance(schema, dict) or depth > _DEEPEST:
        raise ValueError(f"{where} must be a mapping, as JSON Schema has it")
    for name, value in schema.items():
        if name not in _WORDS and not (name == "additionalProperties" and isinstance(value, bool)):
            _check_keyword(name, value, where, depth)


def _check_keyword(name: str, value: Any, where: str, depth: int) -> None:
    if name not in RULES:
        shown = printable(repr(name), _SHOWN)
        raise ValueError(f"{where}: the keyword {shown} is not known; use {', '.join(RULES)}")
    if name in _FORMS and not _FORMS[name](value):
        raise ValueError(f"{where}: {name} can't be {_shown(value)}")
    if name == "pattern":
        _check_pattern(value, where)
    if name == "items":
        check_schema(value, f"{where}.items", depth + 1)
    if name == "properties":
        for part, inner in value.items():
            check_schema(inner, f"{where}.properties.{part}", depth + 1)


def _check_pattern(pattern: str, where: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{where}: pattern is no regular expression: {error}") from None


def _problems(value: Any, schema: Any, path: str = "") -> Iterator[str]:
    if isinstance(schema, bool):
        if not schema:
            yield f"{path or 'it'}: must not be there"
        return
    before = f"{path}: " if path else ""
    for name, wanted in schema.items():
        if name in RULES:
            nested = name in {"items", "properties"}
            yield from (text if nested else f"{before}{text}" for text in RULES[name](value, wanted, path))
    if schema.get("additionalProperties") is False and isinstance(value, dict):
        unknown = [name for name in value if name not in schema.get("properties", {})]
        yield from (f"{before}{printable(repr(name), _SHOWN)} is not known" for name in unknown)


def problem_with_answer(
    value: Any, schema: Mapping[str, Any] | None, choices: Sequence[Any] | None
) -> str | None:
    """Return what is wrong with an answer; None if nothing is.

    Args:
        value: The answer.
        schema: Its JSON Schema, which `check_schema` has taken; None for any.
        choices: What it must be one of; None for anything.

    >>> problem_with_answer(5, {"type": "integer", "maximum": 4}, None)
    "must be at most 4, and 5 doesn't"
    """
    if choices is not None and not any(exact.equal(value, one) for one in choices):
        return f"must be one of {', '.join(_plain(one) for one in choices)}, not {printable(_plain(value), _SHOWN)}"
    return None if schema is None else next(_problems(value, schema), None)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else exact.dumps(value)


def read_answer(text: str, schema: Mapping[str, Any] | None, choices: Sequence[Any] | None) -> Any:
    """Return an answer that was given as text as a value: one of the choices, JSON, or just text.

    >>> read_answer("yes", None, ["yes", "no"])
    'yes'
    >>> read_answer("3", {"type": "integer"}, None)
    3
    >>> read_answer("3", {"type": "string"}, None)
    '3'
    """
    text = text.removesuffix("\n").removesuffix("\r")
    if choices is not None:
        return next((one for one in choices if _plain(one) == text.strip()), text)
    if schema is None or ("type" in schema and next(_of_type("", schema["type"], ""), None) is None):
        return text
    try:
        return exact.loads(text)
    except (ValueError, RecursionError):
        return text
