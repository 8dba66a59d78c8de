"""Messages about invalid fields: what they must be, what may have been meant, and where they belong."""

from __future__ import annotations

import functools
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

from maxstage.humanize import printable
from maxstage.output.limits import Limits
from maxstage.workflow.format import schema
from maxstage.workflow.format.references import as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from maxstage.workflow.format.yaml_source import Path

    Nearest = Callable[[str, Iterable[str]], str | None]


class Fault(NamedTuple):
    """An error that the validation found.

    Attributes:
        path: The path to it in the data.
        kind: The validation's name for it.
        texts: The messages about it.
        known: Further details.
    """

    path: Path
    kind: str
    texts: tuple[str, ...]
    known: dict[str, Any]

    @property
    def unknown(self) -> bool:
        """Whether it is a field that doesn't exist."""
        return self.kind == "extra_forbidden"

    @property
    def of_name(self) -> bool:
        """Whether the name of an entry is invalid, not its value."""
        return self.kind == "name"


def told_once(details: Iterable[Any], data: Any) -> list[Fault]:
    """Return the faults, with the messages about alternative forms of a value combined into one fault."""
    found: dict[tuple[Path, bool], Fault] = {}
    for one in details:
        of_name = one["loc"][-1:] == ("[key]",)
        path = _path_in(one["loc"], data, missing=one["type"] == "missing")
        of_variable = "env" in one["loc"][-3:-1]
        words = "a variable's name must not be empty or contain =" if of_variable else _NAME
        kind, text = ("name", words) if of_name else (one["type"], _text(one))
        before = found.get((path, of_name))
        texts = (text,) if before is None else tuple(dict.fromkeys((*before.texts, text)))
        found[path, of_name] = Fault(path, kind, texts, one.get("ctx", {}))
    return list(found.values())


def _path_in(where: Path, data: Any, *, missing: bool) -> Path:
    """Return the part of a path that exists in the data: the validation adds elements for alternative forms."""
    found: list[str | int] = []
    for part in where:
        in_list = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if not in_list and not (isinstance(data, dict) and part in data):
            break
        data = data[part]
        found.append(part)
    return (*found, where[-1]) if missing and len(found) == len(where) - 1 else tuple(found)


def describe(faults: Iterable[Fault], nearest: Nearest) -> Iterator[tuple[Path, str]]:
    """Yield a message for each fault, with its path."""
    for fault in faults:
        yield from _describe(fault, nearest)


def _describe(fault: Fault, nearest: Nearest) -> Iterator[tuple[Path, str]]:
    path, name = fault.path, fault.path[-1] if fault.path else ""
    if fault.unknown:
        yield path, _unknown(path, nearest)
    elif fault.kind == "missing":
        yield path[:-1], f"field {name!r} is missing"
    elif fault.kind == "default":
        yield (*path, "default"), f"default: {fault.known['problem']}"
    elif fault.kind == "limits":
        for limit, text in fault.known["problems"].items():
            yield (*path, limit), text
    else:
        # An empty name is nothing to be seen.
        shown = printable(str(name), 60) or '""'
        text = " or ".join(fault.texts).replace(" or must be ", " or ")
        yield path, f"{shown}: {text}" if path else f"a workflow {text}"


_NAME = "a name may have letters, digits, _ and -, and must not begin with a digit"
_TEXTS = {
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "list_type": "must be a list",
    "string_type": "must be text",
    # Names are the only values with a pattern.
    "string_pattern_mismatch": "must be a name: letters, digits, _ and -, and no digit first",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
    "literal_error": "must be {expected}",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:,}",
    "too_short": "must not be empty",
    "int_from_float": "must be a whole number",
    "value_error": "{error}",
    "recursion_loop": "contains itself",
}
"""The message for each kind of error, since those of the validation name Python types."""


def _text(one: Any) -> str:
    words = _TEXTS.get(one["type"])
    if one["type"] == "string_type" and isinstance(one["input"], bool | int | float):
        return f'must be text; put quotes around it: "{printable(as_text(one["input"]), 40)}"'
    return str(one["msg"]) if words is None else words.format(**one.get("ctx", {}))


def _unknown(path: Path, nearest: Nearest) -> str:
    """Return a message about an unknown field: what may have been meant, or where it belongs."""
    name = str(path[-1])
    text = f"unknown field {printable(repr(name), 80)}"
    here = _fields_at(path[:-1])
    # A name that differs only slightly is a typo, even if a field has that name elsewhere.
    near = nearest(name, here)
    if near is not None and (name not in _places() or abs(len(near) - len(name)) == 1):
        return f"{text}; did you mean {near!r}?"
    if name in _places():
        return f"{text}: {name} belongs in {_joined(_places()[name])}"
    near = nearest(name, _places())
    return text if near is None else f"{text}; did you mean {near!r}, in {_joined(_places()[near])}?"


def _joined(places: list[str]) -> str:
    return ", ".join(places[:-1]) + f" or {places[-1]}" if len(places) > 1 else places[0]


_ENTRIES = {schema.Task: "a task", schema.Agent: "an agent", schema.Input: "an input"}
"""The entries whose names the user chooses."""


@functools.cache
def _places() -> dict[str, list[str]]:
    """Return where each field belongs, in words."""
    found: dict[str, list[str]] = {}
    for model, places in _models().items():
        for name in _fields(model):
            known = found.setdefault(name, [])
            known += [place for place in places if place not in known]
    for name in Limits().to_dict():
        found.setdefault(name, []).append("limits")
    return found


@functools.cache
def _models() -> dict[type[BaseModel], list[str]]:
    """Return all parts of the format, each with the places where it occurs, in words."""
    found: dict[type[BaseModel], list[str]] = {schema.WorkflowSpec: ["the top level"]}
    todo: list[type[BaseModel]] = [schema.WorkflowSpec]
    while todo:
        for name, annotation in _fields(todo.pop()).items():
            for model in _models_in(annotation):
                place = _ENTRIES.get(model) or ("a condition" if model is schema.Condition else name)
                if model not in found:
                    found[model] = []
                    todo.append(model)
                if place not in found[model]:
                    found[model].append(place)
    return found


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _fields_at(path: Path) -> list[str]:
    """Return the fields that the part at `path` may have."""
    annotations: list[Any] = [schema.WorkflowSpec]
    for part in path:
        inside = []
        for one in _forms(annotations):
            if isinstance(one, type) and issubclass(one, BaseModel):
                inside += [annotation for name, annotation in _fields(one).items() if name == part]
            elif get_origin(one) in {dict, list}:
                inside.append(get_args(one)[-1])
        annotations = inside
    models = [one for one in _forms(annotations) if isinstance(one, type) and issubclass(one, BaseModel)]
    return [name for model in models for name in _fields(model)]


def _forms(annotations: Iterable[Any]) -> Iterator[Any]:
    """Yield the types that annotations allow."""
    for one in annotations:
        if get_origin(one) in {Union, UnionType}:
            yield from _forms(get_args(one))
        elif get_origin(one) is Annotated:
            yield from _forms(get_args(one)[:1])
        else:
            yield one
