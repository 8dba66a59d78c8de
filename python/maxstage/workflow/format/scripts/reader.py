"""Going through a script of a language whose values are literals, to find where references stand.

A value becomes a literal of which every character is an escape, or the inside of one: where it lands in the wrong
place it is an error of syntax and no more. Where a language takes escapes as they are (a raw text of Python), the
literal is ended before and begun again after. Where it would run the text (backticks), the reference is refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from maxstage import exact
from maxstage.errors import WorkflowError
from maxstage.workflow.format.references import as_text
from maxstage.workflow.format.scripts.calls import MARK, TEXT, VALUE, WORD, Token
from maxstage.workflow.format.scripts.functions import Dialect, refuse_code
from maxstage.workflow.format.scripts.places import (
    AFTER_BACKSLASH,
    COMMENT,
    Lost,
    Place,
    Quoting,
    completed,
    references_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CHECK_FIRST = "assign the value to a variable, and use that"
_RUN = "is run by a shell; start the program with a list of arguments"

_WORDS = re.compile(r"[A-Za-z_$][\w$]*|[0-9][\w.]*")
_BEFORE_REGEX = frozenset(
    (
        "return",
        "typeof",
        "case",
        "in",
        "of",
        "void",
        "delete",
        "throw",
        "new",
        "await",
        "yield",
        "else",
        "do",
        "instanceof",
        "and",
        "or",
        "not",
        "if",
        "unless",
        "while",
        "until",
        "when",
        "then",
        "split",
        "grep",
        "map",
        "join",
        "x",
        "lt",
        "gt",
        "le",
        "ge",
        "eq",
        "ne",
        "cmp",
        "puts",
        "print",
        "p",
    )
)
"""Words after which a slash begins a regular expression, and backticks no tagged text."""
AHEAD = 20
"""Characters that are looked at to know what begins: the rest of a long script is not copied for it."""
CLOSERS = {"(": ")", "[": "]", "{": "}", "<": ">"}


class Reader:
    """Goes through a script once, and writes values as its language does: each language is a subclass.

    Attributes:
        dialect: What calls look like, and which functions read code.
        constants: What nothing, false and true are called.
        found: The places that were come across.
        tokens: The parts of the script.
        anchors: For where a reference in a here-document begins, where that is handed over.
    """

    dialect: Dialect
    constants: tuple[str, str, str]

    def __init__(self, text: str) -> None:
        self.found: list[Place] = []
        self.tokens: list[Token] = []
        self.anchors: dict[int, int] = {}
        self._text = text
        self._at = 0
        self._references = references_in(text)
        # What came last that is no blank: a word, or a character.
        self._last = ""

    def code(self, end: str) -> None:
        """Go over code up to the bracket that ends it."""
        raise NotImplementedError

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise Lost
        return self._text[self._at]

    def _sees(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _token(self, kind: str, start: int, end: int) -> None:
        self.tokens.append(Token(kind, self._text[start:end], start, end))

    def _begin_text(self, start: int) -> int:
        """Note that a text begins; return its number for `_end_text`."""
        self.tokens.append(Token(TEXT, "", start, start))
        return len(self.tokens) - 1

    def _end_text(self, number: int, start: int, end: int) -> None:
        """Note where what a text holds begins and ends; the text itself ends where we are."""
        whole = self.tokens[number]
        self.tokens[number] = Token(TEXT, self._text[start:end], whole.start, self._at)

    def _reference(self, quote: str, why: str = "") -> bool:
        end = self._references.get(self._at)
        if end is None:
            return False
        place = Place(self._at, end, quote)
        if why:
            place.refuse(why)
        self.found.append(place)
        if not quote:
            self._token(VALUE, self._at, end)
        self._at = end
        self._last = "x"
        return True

    def _escape(self, quote: str) -> None:
        self._at += 1
        if self._reference(quote):
            self.found[-1].refuse(AFTER_BACKSLASH)
        else:
            self._at += 1

    def _comment(self, end: str) -> None:
        while self._at < len(self._text) and not self._sees(end):
            if not self._reference(COMMENT):
                self._at += 1
        if end.startswith("\n"):
            self._token(MARK, min(self._at, len(self._text) - 1), self._at + 1)
        self._at = min(self._at + len(end), len(self._text))

    def _up_to(
        self,
        end: str,
        quote: str,
        *,
        why: str = "",
        opening: str = "",
        inner: dict[str, Callable[[], None]] | None = None,
        began: int | None = None,
    ) -> None:
        """Go over a text up to its end.

        Args:
            end: What ends it.
            quote: The kind of text.
            why: Why references in it are refused, if they are.
            opening: What opens an inner pair, where such texts nest.
            inner: What begins code within it.
            began: Where the text began.
        """
        depth = 0
        number, start = self._begin_text(self._at if began is None else began), self._at
        while depth or not self._sees(end):
            self._next()
            if self._reference(quote, why):
                continue
            begins = next((mark for mark in inner or {} if self._sees(mark)), None)
            if begins is not None and inner is not None:
                self.tokens.append(Token(MARK, "{", self._at, self._at))
                self._at += len(begins)
                inner[begins]()
                self.tokens.append(Token(MARK, "}", self._at, self._at))
            elif self._next() == "\\":
                self._escape(quote)
            else:
                depth += (self._next() == opening) - (depth > 0 and self._sees(end))
                self._at += 1
        self._at += len(end)
        self._end_text(number, start, self._at - len(end))
        self._last = "x"

    def _plain(self) -> None:
        """Go over a word or a character of code."""
        word = _WORDS.match(self._text, self._at)
        if word is not None:
            self._last = word[0]
            self._token(WORD, self._at, word.end())
            self._at = word.end()
            return
        if not self._next().isspace():
            self._last = self._next()
        if self._next() not in " \t\r":
            self._token(MARK, self._at, self._at + 1)
        self._at += 1

    @property
    def _value_before(self) -> bool:
        """Whether a value ends here, so that a slash divides."""
        last = self._last
        return last not in _BEFORE_REGEX and (last[-1:].isalnum() or last[-1:] in {"_", "$", ")", "]", "}"})

    @classmethod
    def escaped(cls, text: str) -> str:
        """Return a text with every character as an escape; by default byte by byte."""
        return escaped_bytes(text)

    @classmethod
    def inside(cls, text: str, quote: str) -> str:
        """Return a text as it is written within a quote."""
        del quote
        return cls.escaped(text)

    @classmethod
    def parsed(cls, whole: str) -> str:
        """Return the code of a list or a mapping, given the literal of its JSON; by default that literal."""
        return whole

    @classmethod
    def holds(cls, number: float) -> bool:
        """Whether a number is the same here as it was written: whole ones have no limit, by default."""
        return isinstance(number, int) or exact.is_double(number)

    @classmethod
    def check(cls, reference: str, value: Any) -> None:
        """Check that a value that stands by itself is the same in this language.

        Raises:
            WorkflowError: A number of it would be another one.
        """
        if isinstance(value, list | dict) and cls.parsed("") == "":
            return  # the script gets its JSON, and reads that itself
        for number in exact.numbers_in(value):
            if not cls.holds(number):
                raise WorkflowError(
                    f"the value of {reference} has the number {exact.shortened(str(number))}, which would be another "
                    f'one in this language; write the reference in quotes, "{reference}", to get it as text'
                )

    @classmethod
    def literal(cls, value: Any, quote: str) -> str:
        """Return a value as it is written where a reference stood.

        Args:
            value: The value.
            quote: What it stands within; "" where it stands by itself.
        """
        if quote:
            return cls.inside(as_text(value), quote)
        if isinstance(value, bool) or value is None:
            return cls.constants[0 if value is None else 1 + value]
        if isinstance(value, int | float):
            return exact.dumps(value)
        whole = f'"{cls.escaped(as_text(value))}"'
        return whole if isinstance(value, str) else cls.parsed(whole)


def escaped_bytes(text: str) -> str:
    """Return a text with every byte as an escape."""
    return "".join(f"\\x{byte:02x}" for byte in text.encode("utf-8", "surrogateescape"))


def quoting_of(reader: type[Reader]) -> Quoting:
    """Return the rules of a language whose values are literals."""

    def places(text: str) -> list[Place]:
        if not references_in(text):
            return []
        one = reader(text)
        try:
            one.code("")
        except (Lost, RecursionError):
            return completed(text, [], lost=True)
        refuse_code(one.dialect, text, one.tokens, one.found, one.anchors)
        return completed(text, one.found, lost=False)

    def write(_number: int, place: Place, reference: str, value: Any) -> tuple[str, str]:
        if not place.quote:
            reader.check(reference, value)
        return "", reader.literal(value, place.quote)

    return Quoting(places, write)


def why_refused(kind: str) -> str:
    """Return why a reference is refused in a kind of text; "" where it is not."""
    if kind == "'":
        return "it is in single quotes, which take no escapes; use double quotes"
    if kind == "%W":
        return "it is in %W or %I, where an empty value would be no element; use [ ]"
    return f"what stands in backticks {_RUN}" if kind == "`" else ""
