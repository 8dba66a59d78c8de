"""The words of a filter: where each begins, what kind it is, and what it says.

What a word is depends on where it stands: after an operator ``2024-01-01`` and ``*.pdf`` are values, before one
``a.b[0]`` is a field. So the parser asks for the kind that it expects.
"""

from maxstage.errors import InvalidQuery

_BLANK = " \t\r\n"
_NO_FIELD = "=!<>~.[](),\"'"
_NO_VALUE = "=<>~(),\"'"
"""What ends a name or a value that is not quoted, besides blanks."""

_OPERATORS = ("!=", ">=", "<=", "~=", "=", ">", "<")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_SHOWN = 20

ANY, ONE = "*", "?"
"""Wildcards of a pattern."""


class Value:
    """A value as a filter has it.

    Attributes:
        text: What it says.
        quoted: Whether it was quoted: then it is text, whatever it looks like.
        parts: The same as a pattern: texts, and `ANY` and `ONE` in tuples of one.
        at: Where it begins.
    """

    __slots__ = ("at", "parts", "quoted", "text")

    def __init__(self, text: str, quoted: bool, parts: "list[str | tuple[str]]", at: int) -> None:
        self.text = text
        self.quoted = quoted
        self.parts = parts
        self.at = at


class Words:
    """A filter's text, read from left to right.

    Attributes:
        at: Where the next word begins, once `skip` was called.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def error(self, message: str, at: int | None = None) -> InvalidQuery:
        """Return the error that something is wrong at a place; by default here."""
        place = self.at if at is None else at
        rest = self.text[place : place + _SHOWN] + ("..." if len(self.text) > place + _SHOWN else "")
        where = f"at {rest!r}" if rest else "where it ends"
        return InvalidQuery(f"Invalid filter, column {place + 1}: {message}, {where}")

    def skip(self) -> None:
        """Go to the next word."""
        while self.at < len(self.text) and self.text[self.at] in _BLANK:
            self.at += 1

    def at_end(self) -> bool:
        """Whether nothing is left."""
        self.skip()
        return self.at == len(self.text)

    def take(self, sign: str) -> bool:
        """Go past a sign, if it is what comes."""
        self.skip()
        if not self.text.startswith(sign, self.at):
            return False
        self.at += len(sign)
        return True

    def keyword(self, word: str) -> bool:
        """Go past a keyword, in any case, if it is what comes."""
        self.skip()
        end = self.at + len(word)
        if self.text[self.at : end].lower() != word:
            return False
        # `not(x = 1)` is the keyword, `nothing = 1` is not.
        if end < len(self.text) and self.text[end] not in _BLANK + _NO_FIELD:
            return False
        # A field of that name may have parts.
        if self.text[end : end + 1] in {".", "["}:
            return False
        self.at = end
        return True

    def operator(self) -> str | None:
        """Go past an operator and return it."""
        self.skip()
        found = next((sign for sign in _OPERATORS if self.text.startswith(sign, self.at)), None)
        if found == "=" and self.text.startswith("==", self.at):
            raise self.error("equal is written with one =")
        if found == "<" and self.text.startswith("<>", self.at):
            raise self.error("unequal is written !=")
        self.at += len(found or "")
        return found

    def path(self) -> tuple[str | int, ...]:
        """Read a field: names and, in brackets, numbers."""
        self.skip()
        parts: list[str | int] = []
        if self.text[self.at : self.at + 1] != "[":
            parts.append(self._name())
        while self.text[self.at : self.at + 1] in {".", "["}:
            dot = self.text[self.at] == "."
            self.at += 1
            parts.append(self._name() if dot else self._index())
        return tuple(parts)

    def _name(self) -> str:
        if self.text[self.at : self.at + 1] in {'"', "'"}:
            return self._quoted().text
        name = self._bare(_NO_FIELD)
        if not name:
            raise self.error("the name of a field is expected")
        return name

    def _index(self) -> int:
        digits = self._bare("]" + _NO_FIELD)
        if not (digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS):
            self.at -= len(digits)
            raise self.error("the number of an element is expected")
        if not self.text.startswith("]", self.at):
            raise self.error("] is expected")
        self.at += 1
        return int(digits)

    def value(self, what: str = "a value") -> Value:
        """Read a value, quoted or not."""
        self.skip()
        if self.text[self.at : self.at + 1] in {'"', "'"}:
            return self._quoted()
        at = self.at
        text = self._bare(_NO_VALUE)
        if not text:
            raise self.error(f"{what} is expected")
        if self.text[self.at : self.at + 1] not in {"", ")", ",", "(", *_BLANK}:
            raise self.error("what holds this is put into quotes")
        parts: list[str | tuple[str]] = []
        for char in text:
            _add(parts, char, wild=char in {ANY, ONE})
        return Value(text, False, parts, at)

    def _bare(self, ends: str) -> str:
        start = self.at
        while (
            self.at < len(self.text) and self.text[self.at] not in ends and self.text[self.at] not in _BLANK
        ):
            self.at += 1
        return self.text[start : self.at]

    def _quoted(self) -> Value:
        start, quote = self.at, self.text[self.at]
        self.at += 1
        chars: list[str] = []
        parts: list[str | tuple[str]] = []
        while (char := self.text[self.at : self.at + 1]) != quote:
            if not char:
                raise self.error(f"{quote} is opened and not closed", start)
            self.at += 1
            escaped = char == "\\"
            if escaped:
                char = self._escape()
            chars.append(char)
            _add(parts, char, wild=not escaped and char in {ANY, ONE})
        self.at += 1
        return Value("".join(chars), True, parts, start)

    def _escape(self) -> str:
        char = self.text[self.at : self.at + 1]
        if char == "u":
            digits = self.text[self.at + 1 : self.at + 5]
            if len(digits) == _UNIT and all(digit in "0123456789abcdefABCDEF" for digit in digits):
                self.at += 1 + _UNIT
                return chr(int(digits, 16))
            raise self.error("\\u is followed by four hex digits", self.at - 1)
        if not char or char not in "\"'\\*?/nrt":
            raise self.error("an escape is \\ and one of \" ' \\ * ? / n r t u", self.at - 1)
        self.at += 1
        return _ESCAPES.get(char, char)


_UNIT = 4
_MOST_DIGITS = 9
"""Digits of an element's number: no array in a record has more elements."""


def _add(parts: "list[str | tuple[str]]", char: str, *, wild: bool) -> None:
    if wild:
        parts.append((char,))
    elif parts and isinstance(parts[-1], str):
        parts[-1] += char
    else:
        parts.append(char)
