"""Filters: from the text that a user writes to the plain data that both backends evaluate.

The grammar, ``NOT`` binding tighter than ``AND``, that tighter than ``OR``::

    any     = all { OR all }
    all     = one { AND one }
    one     = NOT one | "(" any ")" | field test
    test    = ("=" | "!=") (value | NULL) | (">" | ">=" | "<" | "<=" | "~=") value
            | [NOT] IN "(" (value | NULL) { "," (value | NULL) } ")" | IS [NOT] NULL

**The plain data** is tuples; fields are numbers in a `Fields` table, texts are bytes in UTF-8:

- ``("and", tests)``, ``("or", tests)``, ``("not", test)``;
- ``("null", field)``: the field is missing or null;
- ``("cmp", field, operator, text, number)``: `operator` is ``= < <= > >=``; `number` is a JSON number, or None where
  the value is text;
- ``("like", field, parts)``: the whole text matches the parts, which are texts and ``"*"`` and ``"?"`` as `str`.

**What is compared.** A value has a text: that of a string, a number as it is written, ``true`` and ``false``, and of
arrays and objects their JSON as it is written. A number in the filter compares as a number with numbers, and with texts
that are written like one (all of a CSV is text); it equals another text if that is what is written, and is neither
less nor greater. Other values compare by their texts, code point by code point. Null, and a field that is missing,
equals null and nothing else, and is neither less nor greater than anything.
"""

from maxstage.errors import InvalidQuery
from maxstage.query.words import Value, Words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Path = tuple[str | int, ...]
    Test = tuple[Any, ...]

_DEEPEST = 100
"""Levels of parentheses and NOT: more than anybody writes, and few enough for a call each."""

MOST_PARTS = 64
"""Parts of a field, for the same reason."""


class Fields:
    """The fields that a query looks at, each once, by number.

    Attributes:
        paths: Their names and numbers of elements.
    """

    def __init__(self) -> None:
        self.paths: list[Path] = []

    def number_of(self, path: "Path") -> int:
        """Return the number of a field, which it gets if it has none yet."""
        # Not `in`: True equals 1, but no part is a bool.
        if path not in self.paths:
            self.paths.append(path)
        return self.paths.index(path)


def parse_filter(text: str, fields: Fields) -> "Test":
    """Return a filter as plain data.

    Raises:
        InvalidQuery: It is none; the message names the column.

    >>> parse_filter("age >= 18 and not name ~= 'Jo*'", Fields())
    ('and', (('cmp', 0, '>=', b'18', b'18'), ('not', ('like', 1, (b'Jo', '*')))))
    """
    parser = _Parser(text, fields)
    test = parser.any(0)
    if not parser.words.at_end():
        if parser.words.take(")"):
            raise parser.words.error("this ) closes nothing", parser.words.at - 1)
        raise parser.words.error("AND or OR is expected")
    return test


def parse_path(text: str) -> "Path":
    """Return the field that a text names, like ``a.b[0]``.

    Raises:
        InvalidQuery: It names none.
    """
    words = Words(text)
    try:
        path = words.path()
    except InvalidQuery:
        path = ()
    if not path or not words.at_end() or len(path) > MOST_PARTS:
        raise InvalidQuery(f"{text!r} is not a field, like name, a.b or a[0]")
    return path


class _Parser:
    def __init__(self, text: str, fields: Fields) -> None:
        self.words = Words(text)
        self._fields = fields

    def any(self, depth: int) -> "Test":
        tests = [self._all(depth)]
        while self.words.keyword("or"):
            tests.append(self._all(depth))
        return tests[0] if len(tests) == 1 else ("or", tuple(tests))

    def _all(self, depth: int) -> "Test":
        tests = [self._one(depth)]
        while self.words.keyword("and"):
            tests.append(self._one(depth))
        return tests[0] if len(tests) == 1 else ("and", tuple(tests))

    def _one(self, depth: int) -> "Test":
        self.words.skip()
        if depth > _DEEPEST:
            raise self.words.error(f"more than {_DEEPEST} levels of parentheses and NOT")
        if self.words.keyword("not"):
            return "not", self._one(depth + 1)
        if self.words.take("("):
            opened = self.words.at - 1
            test = self.any(depth + 1)
            if not self.words.take(")"):
                if self.words.at_end():
                    raise self.words.error("( is opened and not closed", opened)
                raise self.words.error("AND, OR or ) is expected")
            return test
        if self.words.at_end():
            raise self.words.error("a field is expected")
        start = self.words.at
        path = self.words.path()
        if len(path) > MOST_PARTS:
            raise self.words.error(f"a field has at most {MOST_PARTS} parts", start)
        return self._test(self._fields.number_of(path))

    def _test(self, field: int) -> "Test":
        words = self.words
        operator = words.operator()
        if operator is not None:
            return self._compare(field, operator)
        if words.keyword("is"):
            no = words.keyword("not")
            if not words.keyword("null"):
                raise words.error("NULL is expected" if no else "NULL or NOT NULL is expected")
            return ("not", ("null", field)) if no else ("null", field)
        if words.keyword("in"):
            return self._among(field)
        if words.keyword("not"):
            if words.keyword("in"):
                return "not", self._among(field)
            raise words.error("IN is expected")
        raise words.error("an operator is expected: = != > >= < <= ~= IN IS")

    def _compare(self, field: int, operator: str) -> "Test":
        words = self.words
        if operator in {"=", "!="}:
            equal = ("null", field) if words.keyword("null") else _equal(field, words.value())
            return equal if operator == "=" else ("not", equal)
        if words.keyword("null"):
            raise words.error(
                f"nothing is {operator} null; write IS NULL or IS NOT NULL", words.at - len("null")
            )
        value = words.value()
        if operator == "~=":
            return "like", field, _pattern(value)
        return "cmp", field, operator, _bytes(value.text), _number(value)

    def _among(self, field: int) -> "Test":
        words = self.words
        if not words.take("("):
            raise words.error("( is expected after IN")
        opened = words.at - 1
        tests = [self._member(field)]
        while words.take(","):
            tests.append(self._member(field))
        if not words.take(")"):
            if words.at_end():
                raise words.error("( is opened and not closed", opened)
            raise words.error(", or ) is expected")
        return tests[0] if len(tests) == 1 else ("or", tuple(tests))

    def _member(self, field: int) -> "Test":
        return ("null", field) if self.words.keyword("null") else _equal(field, self.words.value())


def _equal(field: int, value: Value) -> "Test":
    return "cmp", field, "=", _bytes(value.text), _number(value)


def _pattern(value: Value) -> "tuple[bytes | str, ...]":
    """Return a pattern; without a wildcard it is one for what contains it."""
    parts = [_bytes(part) if isinstance(part, str) else part[0] for part in value.parts]
    if any(isinstance(part, str) for part in parts):
        return tuple(parts)
    return ("*", *parts, "*")


def _bytes(text: str) -> bytes:
    """Return text as data has it. A file name, or an argument, may be no UTF-8; half of a pair comes from an escape."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def _number(value: Value) -> bytes | None:
    """Return the number that a value is, as JSON writes it; None where it is text."""
    if value.quoted:
        return None
    if is_number(value.text):
        return value.text.encode()
    if value.text[:1].isdigit() and value.text[-1:] in "bB":
        from maxstage.sizes import parse_size

        try:
            return b"%d" % parse_size(value.text)
        except ValueError:
            return None
    return None


def is_number(text: str) -> bool:
    """Whether a text is a number as JSON writes them.

    >>> is_number("-1.5e+3"), is_number("01"), is_number("1.")
    (True, False, False)
    """
    rest = text.removeprefix("-")
    mantissa, sign, power = rest.partition("e") if "e" in rest else rest.partition("E")
    whole, point, fraction = mantissa.partition(".")
    power = power[1:] if power[:1] in {"+", "-"} else power
    parts = [whole, *([fraction] if point else []), *([power] if sign else [])]
    return all(part.isascii() and part.isdigit() for part in parts) and (len(whole) == 1 or whole[0] != "0")
