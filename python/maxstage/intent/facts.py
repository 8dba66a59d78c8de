"""What is known of an intent as a whole, beside its operations: which facts there are, and what each must be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maxstage.errors import Corrupt
from maxstage.store.tokens import is_id

if TYPE_CHECKING:
    from collections.abc import Callable

_LATEST = 1e11
"""Seconds: no clock shows a year above 5138."""


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value < _LATEST


def _is_identity(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(one) is int for one in value)  # noqa: PLR2004


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and is_id(value)


def _is_root(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("/") and all(ord(char) < 256 for char in value)  # noqa: PLR2004


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_labels(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())


def _is_templates(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(one, str) or _is_texts(one) for one in value.values())


def _is_approval(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _is_time(value.get("at"))
        and all(isinstance(value.get(name), str) for name in ("by", "onConflict", "digest"))
        and type(value.get("problems")) is int
    )


def _is_results(value: Any) -> bool:
    return _is_texts(value) and all(map(is_id, value))


_FACTS: dict[str, Callable[[Any], bool]] = {
    "kind": lambda value: isinstance(value, str),
    "root": _is_root,
    "rootIdentity": _is_identity,
    "count": lambda value: type(value) is int and value > 0,
    "created": _is_time,
    "expires": _is_time,
}
"""What is known of every intent."""
_MORE: dict[str, Callable[[Any], bool]] = {
    "begun": _is_time,
    "worked": _is_time,
    "finished": _is_time,
    "cancelled": _is_time,
    "undone": _is_time,
    "undoes": _is_id,
    "undoneBy": _is_id,
    "results": _is_results,
    "sources": _is_texts,
    "madeFolders": _is_texts,
    "labels": _is_labels,
    "templates": _is_templates,
    "approved": _is_approval,
    "takes": lambda value: type(value) is int and value >= 0,
    "cannot": lambda value: type(value) is int and value >= 0,
}
"""What is known of some."""


def check_facts(facts: dict[str, Any], path: str) -> dict[str, Any]:
    """Return what is known of an intent, if all of it is what it should be.

    Args:
        facts: What is known.
        path: Its file, for the error.

    Raises:
        Corrupt: Something is missing, or not what it should be.
    """
    for name, is_good in _FACTS.items():
        if not is_good(facts.get(name)):
            raise Corrupt(f"{path} is damaged: its {name} is missing, or not what it should be")
    for name, is_good in _MORE.items():
        if facts.get(name) is not None and not is_good(facts[name]):
            raise Corrupt(f"{path} is damaged: its {name} is not what it should be")
    return facts
