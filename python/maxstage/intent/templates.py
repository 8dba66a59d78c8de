"""Templates: texts with placeholders that the fields of a record fill.

``{name}`` is a field, ``{a.b[0]}`` one within another, ``{#}`` the number of the record. ``{size:08}`` and
``{modified:%Y}`` are formatted as Python does it, the latter as a time. ``{{`` and ``}}`` are braces.

A value stays what it is: in a path it may not hold a ``/`` unless it is written ``{path!p}``, and a word of a command
that begins with one may not begin with ``-`` unless it is written ``{label!o}``.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from maxstage import exact
from maxstage.errors import Error, InvalidQuery
from maxstage.query.filter import parse_path

if TYPE_CHECKING:
    from datetime import datetime

_NUMBER = "#"
_FLAGS = "po"
_PLACE = re.compile(r'((?:"[^"]*"|[^{}!:"])*)(?:!([^{}!:]*))?(?::([^{}]*))?\}')
_TOO_WIDE = re.compile(r"[0-9]{4}")
"""A width or precision that makes a text of one record larger than all of them."""
_MOST_NAMED = 12
"""Fields that an error names."""
_MILLISECONDS = 100_000_000_000
"""A time above this, in the year 5138, is in milliseconds, as JavaScript has it."""


class TemplateError(InvalidQuery):
    """A template can't be understood."""


class MissingField(Error):
    """A record has no such field."""


class Fault(Exception):
    """A record can't be used as it is: the operation is planned, told as a problem, and never done."""


class Place:
    """A placeholder.

    Attributes:
        text: As it was written, for errors.
        path: The names and numbers that lead to the field; None for the number of the record.
        may_hold_slash: Whether its value may be a path.
        may_be_option: Whether a word that it begins may begin with ``-``.
        format: How it is formatted; "" for as it is.
    """

    __slots__ = ("format", "may_be_option", "may_hold_slash", "path", "text")

    def __init__(self, text: str, field: str, flags: str, form: str) -> None:
        self.text = text
        self.format = form
        if _TOO_WIDE.search(form):
            raise InvalidQuery(
                f"{text} has a number above 999 in its format, more than any name or text needs"
            )
        # A time has a slash only where its format does.
        self.may_hold_slash = "p" in flags or ("/" in form and "%" in form)
        self.may_be_option = "o" in flags
        self.path = None if field.strip() == _NUMBER else parse_path(field)

    def value(self, record: Any, number: int) -> str:
        """Return its text for a record.

        Raises:
            MissingField: The record has no such field, or it is null.
            Fault: The value can't be formatted this way.
        """
        if self.path is None:
            value: Any = number
        elif len(self.path) == 1 and type(record) is dict:
            value = record.get(self.path[0])
        else:
            value = _within(record, self.path)
        if value is None:
            raise MissingField(self._missing(record, number))
        if not self.format:
            return value if type(value) is str else _plain(value)
        return self._formatted(value)

    def _missing(self, record: Any, number: int) -> str:
        from maxstage.humanize import printable

        names = [str(name) for name in record] if isinstance(record, dict) else []
        more = f", and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        there = printable(", ".join(names[:_MOST_NAMED])) + more
        has = f"it has: {there}" if names else "it is no object with fields"
        return f"record {number:,} has no value for {self.text}; {has}"

    def _formatted(self, value: Any) -> str:
        try:
            if "%" in self.format:
                return _time(value).strftime(self.format)
            return format(value, self.format)
        except (ValueError, TypeError, OverflowError, OSError) as error:
            from maxstage.humanize import printable

            raise Fault(f"{self.text} can't format {printable(_plain(value), 60)!r}: {error}") from None


def _within(value: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        if isinstance(part, str):
            value = value.get(part) if isinstance(value, dict) else None
        else:
            value = value[part] if isinstance(value, list) and part < len(value) else None
    return value


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return exact.dumps(value) if isinstance(value, dict | list) else str(value)


def _time(value: Any) -> datetime:
    from datetime import UTC, datetime

    if isinstance(value, str):
        return datetime.fromisoformat(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("it is no time")
    return datetime.fromtimestamp(value / 1000 if abs(value) >= _MILLISECONDS else value, UTC)


class Template:
    """A text with placeholders.

    Args:
        text: As it is written.

    Raises:
        TemplateError: It can't be understood.

    >>> Template("by-{year}/{name}.{{x}}").fill({"year": 2024, "name": "a"}, 1)
    'by-2024/a.{x}'
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts: list[str | Place] = []
        at = 0
        while at < len(text):
            brace = min(
                (found for found in (text.find("{", at), text.find("}", at)) if found >= 0), default=-1
            )
            if brace < 0:
                self._literal(text[at:])
                break
            self._literal(text[at:brace])
            if text[brace : brace + 2] in {"{{", "}}"}:
                self._literal(text[brace])
                at = brace + 2
            else:
                at = self._place(brace)

    def _literal(self, text: str) -> None:
        if text and self.parts and isinstance(self.parts[-1], str):
            self.parts[-1] += text
        elif text:
            self.parts.append(text)

    def _place(self, brace: int) -> int:
        match = _PLACE.match(self.text, brace + 1) if self.text[brace] == "{" else None
        where = f"column {brace + 1} of {self.text!r}"
        if match is None:
            raise TemplateError(f"{where} is neither a placeholder like {{name}} nor a brace, {{{{ or }}}}")
        field, flags, form = match[1], match[2], match[3] or ""
        if not set(flags or "") <= set(_FLAGS) or flags == "":
            raise TemplateError(f"{where}: after ! stands p, for a path, or o, for what may begin with -")
        try:
            self.parts.append(Place(f"{{{match[0]}", field, flags or "", form))
        except InvalidQuery as error:
            raise TemplateError(f"{where}: {error}") from None
        return match.end()

    @property
    def places(self) -> list[Place]:
        """The placeholders."""
        return [part for part in self.parts if isinstance(part, Place)]

    def fill(self, record: Any, number: int) -> str:
        """Return the text for a record, whatever its values hold. Raises as `Place.value` does."""
        return "".join([part if type(part) is str else part.value(record, number) for part in self.parts])  # type: ignore[union-attr]

    def fill_path(self, record: Any, number: int) -> str:
        """Return the text for a record as a path: no value may add folders, unless it may hold a path.

        Raises:
            MissingField: The record has no such field.
            Fault: A value may not be part of a path.
        """
        texts = []
        for part in self.parts:
            if type(part) is str:
                texts.append(part)
                continue
            text = part.value(record, number)  # type: ignore[union-attr]
            if "/" in text and not part.may_hold_slash:  # type: ignore[union-attr]
                raise Fault(_slash(part, text))  # type: ignore[arg-type]
            texts.append(text)
        return "".join(texts)

    def fill_word(self, record: Any, number: int, *, is_argument: bool = False) -> str:
        """Return the text for a record as a word of a command.

        Args:
            record: The record.
            number: Its number.
            is_argument: Whether it comes after ``--``, so that it is never taken for an option.

        Raises:
            MissingField: The record has no such field.
            Fault: The value would be taken for an option, or can't be an argument.
        """
        text = self.fill(record, number)
        first = self.parts[0] if self.parts else ""
        is_like_option = text.startswith("-") and not is_argument
        if is_like_option and isinstance(first, Place) and not first.may_be_option:
            from maxstage.humanize import printable

            wanted = first.text.replace(":", "!o:", 1) if first.format else f"{first.text[:-1]}!o}}"
            raise Fault(
                f"{printable(text, 60)!r} would be taken for an option; write {wanted} to allow that, "
                "or put -- before it"
            )
        if "\0" in text:
            raise Fault(f"{self.text} has a null character, which no argument can have")
        if not text.isascii():
            try:
                os.fsencode(text)
            except UnicodeEncodeError:
                raise Fault(f"{self.text} has half of a character, which no argument can have") from None
        return text


def _slash(place: Place, text: str) -> str:
    from maxstage.humanize import printable

    wanted = place.text.replace(":", "!p:", 1) if place.format else f"{place.text[:-1]}!p}}"
    return f"{place.text} is {printable(text, 60)!r}, which has a /; write {wanted} to allow folders"
