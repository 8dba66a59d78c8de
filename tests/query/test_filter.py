"""Filters: what they mean, whatever way they are written; and where a mistake is."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import examples
from maxstage._backend import core
from maxstage.errors import InvalidQuery
from maxstage.query.filter import Fields, is_number, parse_filter, parse_path
from maxstage.query.plan import Plan
from vectors import query_oracle as oracle

NAMES = ["a", "b", "ab", "x y", "in", "null", "not", "é", 'q"', "$id", "a-b"]
NUMBERS = [
    "0",
    "1",
    "-1",
    "1.0",
    "10e-1",
    "2",
    "30",
    "3e1",
    "1e400",
    "1e399",
    "9007199254740993",
    "-0",
    "0.1",
    "0.10",
]
TEXTS = ["", "a", "ab", "aab", "b", "1", "1.0", "true", "null", "a*b", "a?b", "x y", "(", "é", "\U0001f600", "\ud800",
         "it's", 'say "x"', "back\\slash", "a/b", "line\nbreak", "007", "1MB", "and", "Jo", "John"]  # fmt: skip

paths = st.lists(st.sampled_from(NAMES) | st.integers(0, 2), min_size=1, max_size=3).map(tuple)
literals = st.one_of(
    st.sampled_from(NUMBERS).map(lambda text: (text, True)),
    st.sampled_from(TEXTS).map(lambda text: (text, False)),
)
nullable = st.none() | literals
parts = st.lists(
    st.sampled_from(["a", "b", "é", "Jo", "*!", "?"]) | st.sampled_from([("*",), ("?",)]), max_size=4
)
leaves = st.one_of(
    st.tuples(st.just("cmp"), paths, st.sampled_from(["=", "!="]), nullable),
    st.tuples(st.just("cmp"), paths, st.sampled_from([">", ">=", "<", "<="]), literals),
    st.tuples(st.just("null"), paths, st.booleans()),
    st.tuples(st.just("in"), paths, st.lists(nullable, min_size=1, max_size=3), st.booleans()),
    st.tuples(st.just("like"), paths, parts),
)
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=6,
)
TIGHTNESS = {"or": 0, "and": 1, "not": 2}

values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.sampled_from(TEXTS), st.sampled_from(NUMBERS).map(oracle.Number),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
records = st.dictionaries(st.sampled_from(NAMES), values, max_size=5)


class Writer:
    """Writes an expression in one of its many ways."""

    def __init__(self, draw) -> None:
        self.draw = draw

    def one_of(self, *ways: str) -> str:
        return self.draw(st.sampled_from(ways))

    def keyword(self, word: str) -> str:
        return "".join(self.one_of(char.lower(), char.upper()) for char in word)

    def quoted(self, text: str, escape: str = "") -> str:
        quote = self.one_of('"', "'")
        text = text.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\n", self.one_of("\\n", "\n"))
        for char in escape:
            text = text.replace(char, "\\" + char)
        return quote + "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in text) + quote

    def path(self, path) -> str:
        text = ""
        for part in path:
            if isinstance(part, int):
                text += f"[{part}]"
                continue
            bare = part.isalnum() and part not in {"not", "in", "null"}
            text += ("." if text else "") + (part if bare and self.draw(st.booleans()) else self.quoted(part))
        return text

    def literal(self, literal) -> str:
        if literal is None:
            return self.keyword("null")
        text, is_num = literal
        if is_num:
            return text
        plain = text and set(text) <= set(string.ascii_letters) and text != "null"
        return text if plain and self.draw(st.booleans()) else self.quoted(text)

    def write(self, test, tightness: int = 0) -> str:
        kind = test[0]
        if kind in {"and", "or"}:
            space = self.one_of(" ", "  ", "\t")
            inner = [self.write(one, TIGHTNESS[kind] + 1) for one in test[1]]
            text = f"{space}{self.keyword(kind)}{space}".join(inner)
        elif kind == "not":
            text = f"{self.keyword('not')} {self.write(test[1], TIGHTNESS['not'])}"
        else:
            return self.leaf(test)
        if TIGHTNESS[kind] < tightness or self.draw(st.integers(0, 5)) == 0:
            return f"({self.one_of('', ' ')}{text})"
        return text

    def leaf(self, test) -> str:
        kind, path, *rest = test
        text = self.path(path)
        if kind == "null":
            return f"{text} {self.keyword('is')} {self.keyword('null' if rest[0] else 'not null').replace('_', ' ')}"
        if kind == "in":
            no = "" if rest[1] else self.keyword("not") + " "
            return f"{text} {no}{self.keyword('in')} ({', '.join(map(self.literal, rest[0]))})"
        space = self.one_of("", " ")
        if kind == "like":
            pattern = "".join(
                part[0] if isinstance(part, tuple) else part.replace("*", "\\*").replace("?", "\\?")
                for part in rest[0]
            )
            return f'{text}{space}~={space}"{pattern}"'
        return f"{text}{space}{rest[0]}{space}{self.literal(rest[1])}"


def dump(value) -> str:
    """Write JSON with numbers as they are."""
    if isinstance(value, oracle.Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {dump(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value, ensure_ascii=value == "\ud800")


def has_nested(test, record) -> bool:
    """Whether a test looks at an array or object, whose text is that of the data: a test of its own is for these."""
    if test[0] in {"and", "or"}:
        return any(has_nested(one, record) for one in test[1])
    if test[0] == "not":
        return has_nested(test[1], record)
    return isinstance(oracle.field(record, test[1]), dict | list)


def matches(text: str, record) -> bool:
    scan = core.Scan(Plan(filters=[text]))
    scan.feed(dump(record).encode() + b"\n")
    assert scan.bad == 0
    return scan.matched == 1


@examples(500)
@given(expressions, records, st.data())
def test_a_filter_means_the_same_however_it_is_written(test, record, data):
    if has_nested(test, record):
        return
    text = Writer(data.draw).write(test)
    assert matches(text, record) == oracle.holds(test, record), text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = 1 or b = 1 and c = 1", True),
        ("(a = 1 or b = 1) and c = 1", False),
        ("not a = 1 or a = 1", True),
        ("not (a = 1 or a = 1)", False),
        ("not not a = 1", True),
        ("NOT b = 1 AND a = 1", True),
        ("b is null and c = null and d is not null", True),
        ("b != 5 and not b > 5 and not b <= 5 and not b ~= '*'", True),
        ("d > 1kb and d < 1MiB and d = 2000B", True),
        ("t = 2024-01-02 and t > 2024-01-01", True),
        ("t ~= 2024 and t ~= *02 and not t ~= 02*", True),
        ("tags ~= urgent and tags = '[\"urgent\", 1]' and tags[0] = urgent and tags[1] = 1", True),
        ("n in (7, 8) and n not in (x, null)", True),
        ("n = 7.0 and n = 7 and n != '7.0' and n = '7'", True),
        ("flag = true and flag != false", True),
    ],
)
def test_what_a_filter_means(text, expected):
    line = (
        b'{"a": 1, "c": null, "d": 2000, "t": "2024-01-02", "tags": ["urgent", 1], "n": "7", "flag": true}\n'
    )
    scan = core.Scan(Plan(filters=[text]))
    scan.feed(line)
    assert scan.matched == expected


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 1, "a field is expected"),
        ("a", 2, "an operator is expected"),
        ("a =", 4, "a value is expected"),
        ("a == 1", 3, "one ="),
        ("a <> 1", 3, "!="),
        ("a = 1 b = 2", 7, "AND or OR"),
        ("a = 1 and", 10, "a field is expected"),
        ("(a = 1", 1, "not closed"),
        ("a = 1)", 6, "closes nothing"),
        ("a = 'x", 5, "not closed"),
        ("a = 'x\\q'", 7, "an escape is"),
        ("a = '\\u12'", 6, "four hex digits"),
        ("a in 1", 6, "( is expected"),
        ("a in (1", 6, "not closed"),
        ("a in (1 2)", 9, ", or ) is expected"),
        ("a in ()", 7, "a value is expected"),
        ("a is 5", 6, "NULL or NOT NULL"),
        ("a is not 5", 10, "NULL is expected"),
        ("a not 5", 7, "IN is expected"),
        ("a > null", 5, "nothing is > null"),
        ("a = x=y", 6, "put into quotes"),
        ("a = it's", 7, "put into quotes"),
        ("a[x] = 1", 3, "number of an element"),
        ("a[1 = 1", 4, "] is expected"),
        ("a..b = 1", 3, "name of a field"),
        ("a = 1 and (b = 2 or c)", 22, "an operator is expected"),
        ("not " * 200 + "a = 1", 405, "levels"),
        ("(" * 200 + "a = 1" + ")" * 200, 102, "levels"),
        (".".join("a" * 65) + " = 1", 1, "64 parts"),
    ],
)
def test_a_mistake_is_shown_where_it_is(text, column, says):
    with pytest.raises(InvalidQuery, match=f"^Invalid filter, column {column}: ") as caught:
        parse_filter(text, Fields())
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@examples(300)
@given(st.text(alphabet="ab()'\"\\.[]=<>!~,* \t1-nulinotrd", max_size=30))
def test_anything_else_is_a_mistake_and_nothing_worse(text):
    try:
        parse_filter(text, Fields())
    except InvalidQuery as error:
        column = int(str(error).partition("column ")[2].partition(":")[0])
        assert 1 <= column <= len(text) + 1


@examples(100)
@given(st.sampled_from(NUMBERS) | st.text(alphabet="01.-+eE9٣", max_size=6))
def test_a_number_is_what_json_has_for_one(text):
    assert is_number(text) == oracle.is_number(text)


def test_fields_are_read_alone_too():
    assert parse_path('a."b c"[2]') == ("a", "b c", 2)
    for wrong in ("", "a b", "a.", "a[", "a = 1"):
        with pytest.raises(InvalidQuery):
            parse_path(wrong)
