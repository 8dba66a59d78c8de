"""Looking through records: equal to an oracle by `json`, the same from both backends, however the data is cut up."""

import itertools
import os
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helpers import examples
from maxstage import _pure
from maxstage.query.filter import Fields, parse_path
from maxstage.query.plan import MOST, Plan
from vectors import query_oracle as oracle

_core = pytest.importorskip("maxstage._core")
BACKENDS = (_core, _pure)

NASTY = [
    b'{"a": "Hello"}',
    b'{"a": "\\u0048ello"}',
    b'{"a": "\\u0048ell\\u006f", "b": 1}',
    b'{"a":1,"a":"Hello"}',
    b'{"a":"Hello","a":1}',
    b'{"a":"Hello","\\u0061":1}',
    b'{"a":{"b":1},"a":{}}',
    b'{"a":{"b":1},"a":2}',
    b'{"a":{"b":[1,"Hello"]}}',
    b'{"a": 1}',
    b'{"a": 1.0}',
    b'{"a": 10e-1}',
    b'{"a": 1e400}',
    b'{"a": -1e400}',
    b'{"a": ' + b"9" * 5000 + b"}",
    b'{"a": 1e' + b"9" * 5000 + b"}",
    b'{"a": 0.' + b"0" * 400 + b"1}",
    b'{"a": NaN}',
    b'{"a": Infinity}',
    b'{"a": -Infinity}',
    b'{"a": "\\ud800"}',
    b'{"a": "\\ud83d\\ude00"}',
    b'{"a": "\\ude00\\ud83d"}',
    b'{"a": "\\ud83d\\ud83d\\ude00"}',
    '{"a": "😀é"}'.encode(),
    b'{"a": "\\u0000"}',
    b'{"a": "\x00"}',
    b'{"a": "Hello"}\x00',
    b'\xef\xbb\xbf{"a": "Hello"}',
    b'{"a": "x\\/y"}',
    b'{"a": "tab\there"}',
    b'{"a": "say \\"x\\""}',
    b'{"a": true, "b": null}',
    b'{"a": [1, {"b": 2}]}',
    b'{"a": []}',
    b"[" * 10_000 + b"]" * 10_000,
    b'{"a": ' + b"[" * 10_000 + b'"Hello"' + b"]" * 10_000 + b', "b": 1}',
    b'{"b":' * 10_000 + b"1" + b"}" * 10_000,
    b"[" * 10_000 + b"]" * 9_999,
    b'[{"a":1}, "Hello"]',
    b'"Hello"',
    b"1",
    b"null",
    b"{}",
    b"",
    b"  \t",
    b"Hello",
    b'{"a": "Hello"',
    b'{"a": "Hello"},',
    b"{'a': 1}",
    b'{"a": 01}',
    b'{"a": 1.}',
    b'{"a": +1}',
    b'{"a": "\\x"}',
    b'{"a" "Hello"}',
    b'{"a": tru}',
    b'{"a": [1, 9223372036854775808, -9223372036854775808, 1.5, 1e5, 1e-400, 123456789012345678901234567890123456789]}',
    b'{"a": ["2024-02-29", {"b": "2023-02-29"}, "2024-03-01T10:00", "2024-13-01", "0000-01-01", "2024-03-01 "]}',
    b'{"a": ["2024-03-01 10:00:00.123456Z", "2024-03-01T10:00:00+05:30", "2024-03-01T10:00:00-15", "2024-03-01T9:00"]}',
]
BYTES = [b'{"a": "\xff Hello"}', b'{"\xff": 1, "a": "Hello"}', b'{"a": "\xc3"}', b"\xff\xfe"]
"""What is no UTF-8: taken as it comes."""

names = st.sampled_from(["a", "b", "Hello", "é"])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([b"1", b"1.0", b"-2", b"3e2", b"1e400", b"0"])
    | st.sampled_from(["", "Hello", "H", "😀", "1", "x y", "\n", "\\"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


def written(value, draw) -> bytes:
    """Write JSON in one of its many ways."""
    blank = draw(st.sampled_from([b"", b"", b" ", b"\t"]))
    if isinstance(value, bytes):
        return blank + value
    if isinstance(value, dict):
        rows = [written(key, draw) + b":" + written(one, draw) for key, one in value.items()]
        return blank + b"{" + b",".join(rows) + blank + b"}"
    if isinstance(value, list):
        return blank + b"[" + b",".join(written(one, draw) for one in value) + b"]"
    if isinstance(value, str):
        text = b""
        for char in value:
            units = char.encode("utf-16-be").hex()
            escape = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)).encode()
            plain = char.encode() if char not in '"\\\n' else {"\\": b"\\\\", "\n": b"\\n", '"': b'\\"'}[char]
            text += draw(st.sampled_from([plain, plain, plain, escape]))
        return blank + b'"' + text + b'"'
    return blank + {None: b"null", True: b"true", False: b"false"}[value]


@st.composite
def lines(draw):
    def line():
        if draw(st.integers(0, 2)):
            return draw(st.sampled_from(NASTY + BYTES))
        return written(draw(values), draw)

    return [line() for _ in range(draw(st.integers(0, 8)))]


texts = st.builds(
    lambda rows, end, last: end.join(rows) + last,
    lines(),
    st.sampled_from([b"\n", b"\n", b"\r\n"]),
    st.sampled_from([b"", b"\n"]),
)
FILTERS = [
    "a = Hello",
    "a = 1",
    "a != 1",
    "a > 0",
    "a <= '1'",
    "a ~= ell",
    "a ~= 'H*o'",
    "a ~= '?'",
    "a is null",
    "a is not null and b = 1",
    "a.b = 1 or a.b ~= Hello",
    "a[0] = 1",
    "a in (Hello, '😀', 'x/y')",
    "not (a = Hello or b = 1)",
    "a = '\\ud800' or a ~= '\\u0000'",
    "Hello is not null or [1] = Hello",
]
plans = st.fixed_dictionaries(
    {},
    optional={
        "filters": st.lists(st.sampled_from(FILTERS), max_size=2),
        "contains": st.lists(st.sampled_from([b"Hello", b"a", b'"']), max_size=1),
        "regex": st.sampled_from(["Hel+o", "^.{3,9}$", "(?i)hello", r'"a":\s*\d']),
        "columns": st.lists(st.sampled_from(["a", "b", "a.b", "a[1]", "[0]", '"Hello"', "line"]), max_size=3),
        "skip": st.integers(0, 3),
        "most": st.integers(1, 4),
        "count_rest": st.just(True),
        "is_json": st.sampled_from([True, True, True, False]),
        "numbered": st.booleans(),
        "every": st.booleans(),
    },
)
wanted = st.one_of(
    st.just({}),
    st.sampled_from(["count", "shapes", "kinds"]).map(lambda what: {"wanted": what}),
    st.tuples(
        st.sampled_from(["groups", "ascending", "descending"]), st.sampled_from(["a", "a.b", "line"])
    ).map(lambda pair: {"wanted": pair[0], "field": pair[1]}),
)


def look(module, plan: Plan, text: bytes, cuts=()):
    """Feed a text, cut at these places; return all that is found."""
    scan = module.Scan(plan)
    scan.begin()
    found = []
    for start, end in itertools.pairwise([0, *sorted({min(cut, len(text)) for cut in cuts}), len(text)]):
        if scan.full:
            break
        scan.feed(text[start:end])
        found += scan.take_sorted() if plan.wanted.endswith("cending") else scan.take()
    if not scan.full:
        scan.finish()
    found += scan.take_sorted() if plan.wanted.endswith("cending") else scan.take()
    if plan.wanted.endswith("cending"):
        found = sorted(found, key=lambda one: one[0])[: plan.skip + plan.most]
    elif not plan.numbered:
        found = [one[1:] for one in found]
    groups = sorted(scan.take_groups())
    resume = None if plan.wanted != "records" else scan.resume if plan.numbered else scan.resume[0]
    # What comes after the last that is wanted may have been looked at, or not.
    after = () if scan.full else (scan.matched, scan.bad, scan.first_bad if plan.numbered else None)
    shapes = scan.take_shapes() if plan.is_json and plan.wanted == "shapes" else None
    shapes = scan.take_kinds() if plan.is_json and plan.wanted == "kinds" else shapes
    return shapes, found, groups, scan.given if plan.wanted == "records" else None, resume, scan.full, after


@examples(300)
@given(
    texts, plans, wanted, st.lists(st.integers(0, 300), max_size=6), st.lists(st.integers(0, 300), max_size=6)
)
@example(b'\xef\xbb\xbf{"a":1}\n{"a":2}', {}, {}, [1, 2], [])
@example(b"no JSON", {"filters": ["a = Hello"]}, {}, [], [])
def test_both_find_the_same_however_the_data_is_cut(text, plan, what, cuts, other_cuts):
    if what.get("wanted") in {"shapes", "kinds"}:
        plan = plan | {"is_json": True}  # only JSON has any
    plan = Plan(**plan | what)
    whole = look(_core, plan, text)
    assert look(_core, plan, text, cuts) == whole
    assert look(_pure, plan, text, other_cuts) == whole


@examples(300)
@given(
    st.lists(st.sampled_from(NASTY), max_size=8), st.sampled_from(FILTERS), st.sampled_from([b"\n", b"\r\n"])
)
def test_they_find_what_the_oracle_finds(rows, text, end):
    matching, bad = [], 0
    for number, row in enumerate(rows, 1):
        record = row.removeprefix(b"\xef\xbb\xbf") if number == 1 else row
        if not record.strip(oracle.BLANK):
            continue
        try:
            value = parsed(record)
        except oracle.NotJson:
            bad += 1
            continue
        if EXPECTED[text](value):
            matching.append((number, record))
    for module in BACKENDS:
        scan = module.Scan(Plan(filters=[text], every=True))
        scan.feed(end.join(rows))
        scan.finish()
        assert [(line, record) for line, _, record in scan.take()] == matching
        assert scan.bad == bad
        # Looking only where a literal is finds the same.
        quick = module.Scan(Plan(filters=[text]))
        quick.feed(end.join(rows))
        quick.finish()
        assert [record for _, _, record in quick.take()] == [record for _, record in matching]


def parsed(row: bytes):
    """Return a row as the oracle has it; what is nested too deeply for `json` is told by hand."""
    if row.count(b"[") > 9000:
        if row.count(b"[") != row.count(b"]"):
            raise oracle.NotJson
        return {"a": ["deep"], "b": oracle.Number(1)} if row[:1] == b"{" else [["deep"]]
    return {"b": {}} if row.count(b"{") > 9000 else oracle.parse(row)


def field(name):
    path = parse_path(name)
    return lambda value: oracle.field(value, path)


def test_(name, check):
    return lambda value: (found := field(name)(value)) is not None and check(found)


test_.__test__ = False


def is_text(text):
    return lambda value: isinstance(value, str) and value == text


def number(check):
    def compare(value):
        if isinstance(value, (bool, list, dict)) or not oracle.is_number(value):
            return False
        return check(oracle.Decimal(value, oracle.EXACT)) if "9" * 100 not in value else check(HUGE)

    return compare


HUGE = oracle.Decimal("1e1000")


def plain(value) -> str:
    """Return a value's text; that of nested data as far as the tests below need it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value).replace("'", '"')


EXPECTED = {
    "a = Hello": test_("a", is_text("Hello")),
    "a = 1": test_("a", number(lambda one: one == 1)),
    "a != 1": lambda value: not test_("a", number(lambda one: one == 1))(value),
    "a > 0": test_("a", number(lambda one: one > 0)),
    "a <= '1'": test_("a", lambda one: isinstance(one, (str, bool)) and oracle.text_of(one) <= b"1"),
    "a ~= ell": test_("a", lambda one: "ell" in plain(one) or one == ["deep"]),
    "a ~= 'H*o'": test_("a", lambda one: plain(one)[:1] == "H" and plain(one)[-1:] == "o"),
    "a ~= '?'": test_("a", lambda one: len(plain(one)) == 1),
    "a is null": lambda value: field("a")(value) is None,
    "a is not null and b = 1": lambda value: field("a")(value) is not None and field("b")(value) == "1",
    "a.b = 1 or a.b ~= Hello": test_("a.b", lambda one: one == "1" or "Hello" in plain(one)),
    "a[0] = 1": test_("a[0]", lambda one: one == "1"),
    "a in (Hello, '😀', 'x/y')": test_("a", lambda one: one in ("Hello", "😀", "x/y")),
    "not (a = Hello or b = 1)": lambda value: not (field("a")(value) == "Hello" or field("b")(value) == "1"),
    "a = '\\ud800' or a ~= '\\u0000'": test_("a", lambda one: one == "\ud800" or "\0" in plain(one)),
    "Hello is not null or [1] = Hello": lambda value: field("[1]")(value) == "Hello",
}  # fmt: skip


def test_every_filter_has_an_oracle():
    assert list(EXPECTED) == FILTERS
    for text in FILTERS:
        Plan(filters=[text], every=True)
    assert Fields().paths == []


with_newlines = b'{"a":\n[1,\r\n2]}'
elements = st.lists(
    st.sampled_from([*(one for one in NASTY + BYTES if b"\x00" not in one), with_newlines]), max_size=5
)


@examples(300)
@given(
    elements,
    st.lists(st.integers(0, 400), max_size=5),
    st.sampled_from([b",", b" ,\n"]),
    st.binary(max_size=3),
)
def test_arrays_are_taken_apart_alike(rows, cuts, comma, after):
    text = b"[" + comma.join(rows) + b"]" + after

    def apart(module, cuts):
        one, out = module.Elements(), b""
        try:
            for start, end in itertools.pairwise(
                [0, *sorted({min(cut, len(text)) for cut in cuts}), len(text)]
            ):
                out += one.feed(text[start:end])
            return out + one.finish()
        except ValueError as error:
            return str(error)

    assert apart(_core, []) == apart(_core, cuts) == apart(_pure, cuts)


@pytest.mark.parametrize("codec", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("module", BACKENDS)
def test_stored_data_is_looked_through_in_any_ranges(module, codec, tmp_path):
    draw = random.Random(5)
    rows = [b'{"n": %d, "x": "%s"}' % (number, b"y" * draw.choice([0, 10, 900_000])) for number in range(60)]
    rows += [b'{"n": %d}' % number for number in range(60, 200_000)]
    text = b"\n".join(rows)
    with (tmp_path / "data").open("w+b") as file:
        writer = module.Writer(file.fileno(), "data", codec=codec)
        writer.write(text)
        writer.finish()
        size = os.fstat(file.fileno()).st_size
        reader = module.Reader(file.fileno(), "data", file_size=size, codec=codec)
        some = [rows[7], rows[59], rows[60], rows[-1]]
        cases = {"n >= 199990": rows[199_990:], "n in ('7', '59', '60', '199999')": some}
        for text_of_filter, expected in cases.items():
            scan, at = module.Scan(Plan(filters=[text_of_filter], numbered=True)), 0
            scan.begin()
            while at < len(text):
                step = draw.choice([1, 70_000, 3_000_000])
                scan.read(reader, at, min(len(text), at + step))
                at += step
            scan.finish()
            found = scan.take()
            assert [record for _, _, record in found] == expected
            for line, start, record in found:
                assert rows[line - 1] == record == text[start : start + len(record)]
        assert scan.resume == (len(text), len(rows))


@pytest.mark.parametrize("module", BACKENDS)
def test_a_line_that_is_too_long_is_no_record(module):
    scan = module.Scan(Plan())
    long = b'{"a": "' + b"x" * (17 << 20) + b'"}'
    for at in range(0, len(long), 1 << 20):
        scan.feed(long[at : at + (1 << 20)])
    scan.feed(b'\n{"b": 1}\n')
    assert (scan.bad, scan.first_bad, scan.matched) == (1, 1, 1)
    assert scan.take() == [(2, len(long) + 1, b'{"b": 1}')]


def test_most_is_the_most():
    for module in BACKENDS:
        assert module.Scan(Plan(most=MOST)).given == 0
