"""``max stage info`` and what else is shown of data: on data as it comes, and on data that means harm."""

import json
import os
import re

import pytest

import maxstage
from maxstage import Store
from maxstage.cli.printing import to_json
from maxstage.humanize import printable

DATA = {
    "half a surrogate pair": b'{"a":"\\ud83d", "\\udc00": 1}\n{"a":"x"}\n',
    "infinity": b'{"a":1e999}\n{"a":-1e999}\n',
    "NaN": b'{"a":NaN, "b": [Infinity]}\n{"a":-Infinity}\n',
    "not UTF-8": b'{"a":"\xff\xfe\xed\xa0\x80", "\xff": 1}\n{"a":"x"}\n',
    "10,000 levels": b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b'}\n{"b": 1}\n',
    "900 levels": b'{"a": ' + b"[" * 900 + b"]" * 900 + b'}\n{"b": 1}\n',
    "a key twice": b'{"a": 1, "a": "x"}\n{"a": 2}\n',
    "a BOM": b'\xef\xbb\xbf{"a": 1}\n{"a": 2}\n',
    "CRLF": b'{"a": 1}\r\n{"a": 2}\r\n',
    "5,000 digits": b'{"a": ' + b"9" * 5000 + b', "b": [' + b"9" * 5000 + b']}\n{"a": 2}\n',
    "escapes": b'{"\\u001b[31m\\u202e\\u009b": "\\u001b]0;x\\u0007", "b": "\x7f\xc2\x9b\xe2\x80\xae"}\n{"a": 1}\n',
    "one name": b'{"' + b"n" * 100_000 + b'": 1}\n{"a": 1}\n',
    "many names": b"".join(b'{"%d": %d}\n' % (number, number) for number in range(5000)),
    "names alike": b'{"%sa": 1, "%sb": 2}\n{"a": 1}\n' % (b"n" * 70, b"n" * 70),
    "long values": b'{"a": "%s", "b": [%s1]}\n{"a": 1}\n' % (b"x" * 50_000, b"1, " * 20_000),
    "1900 columns": b"{%s}\n{}\n" % b", ".join(b'"%s%d": 0' % (b"k" * 40, number) for number in range(1900)),
    "a form feed": b'{"a": "\x0c"}\n{"b": "\xe2\x80\xa8"}\n',
    "nothing": b"",
}
CONTROL = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What a terminal obeys."""


def strict(text: str):
    """Read JSON as a reader does that takes nothing else."""

    def unique(pairs):
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    value = json.loads(text, parse_constant=pytest.fail, object_pairs_hook=unique)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    return value


@pytest.mark.parametrize("kind", ["ndjson", "json"])
@pytest.mark.parametrize("name", DATA)
def test_info_of_any_data(program, name, kind):
    data = DATA[name] if kind == "ndjson" else DATA[name].split(b"\n")[0] + b"\n"
    token = program.stage(data, "--type", kind)
    done = program("stage", "info", token)
    assert done.stderr == b""
    assert not CONTROL.search(done.stdout.decode())
    assert len(done.stdout) < 20_000
    shown = program.text("stage", "info", token, "-o", "json")
    assert not CONTROL.search(shown)
    assert len(shown) < 40_000
    info = strict(shown)
    assert len(info["fields"]) <= 50
    assert all(0 < field["present"] <= 1 for field in info["fields"].values())


def info_of(program, data: bytes) -> dict:
    return strict(program.text("stage", "info", program.stage(data, "--type", "ndjson"), "-o", "json"))


def test_what_info_says_of_it(program):
    fields = info_of(program, DATA["half a surrogate pair"])["fields"]
    assert fields["a"] == {"type": "string", "present": 1.0, "example": "\ufffd"}
    assert fields["\\udc00"]["example"] == 1
    infinity = info_of(program, DATA["infinity"])["fields"]
    assert infinity["a"] == {"type": "number", "present": 1.0, "example": "1e999"}
    assert info_of(program, DATA["NaN"])["fields"]["a"]["example"] == "NaN"
    assert info_of(program, DATA["a BOM"])["recordsSampled"] == 2
    assert info_of(program, DATA["CRLF"])["fields"]["a"]["present"] == 1.0
    deep = info_of(program, DATA["10,000 levels"])
    assert (deep["recordsSampled"], list(deep["fields"])) == (1, ["b"])
    many = info_of(program, DATA["many names"])
    assert (len(many["fields"]), many["moreFields"]) == (50, 4950)
    token = program.stage(DATA["many names"])
    assert program.text("stage", "info", token).endswith("\n  ... (and 4,950 more)\n")
    assert info_of(program, DATA["a form feed"])["recordsSampled"] == 1  # a raw control character is not JSON


def plant(program, **changes) -> str:
    """Stage an item and say other things of it."""
    token = program.stage(b"data\n")
    path = program.staging / f"{token.removeprefix('max:')}.meta.json"
    changed = path.with_name("new")
    changed.write_text(json.dumps(json.loads(path.read_text()) | changes))
    changed.rename(path)
    return token


ESCAPE = "\x1b]0;owned\x07\x9b31m\u202e\r\n\t\x7f"


@pytest.mark.parametrize("text", [ESCAPE, ESCAPE * 1000])
def test_nothing_that_is_said_of_an_item_reaches_a_terminal_raw(program, text):
    labels = {f"{number}{text[:100]}": text[:100] for number in range(100)}
    token = plant(program, source=text, labels=labels)
    for command in (
        ["stage", "list"],
        ["stage", "list", "-o", "json"],
        ["stage", "info", token],
        ["stage", "info", token, "-o", "json"],
        ["stage", "renew", token, "-o", "json"],
        ["stage", "verify"],
        ["stage", "verify", "no\x1b[31mtoken"],
        ["retrieve", "no\x1b[31mtoken"],
        ["stage", "no/such\x1b[31m\u202efile"],
        ["stage", "gc", "--dry-run", "-o", "json"],
        ["unstage", "--source", "\x1b[31m", "--yes"],
    ):
        done = program(*command, check=None)
        for stream in (done.stdout, done.stderr):
            assert not CONTROL.search(stream.decode()), command
        if "json" not in command:
            assert len(done.stdout + done.stderr) < 20_000, command
    assert len(program.text("stage", "list")) < 2000
    info = program.text("stage", "info", token)
    assert " and 80 more\n" in info
    expired = plant(program, source=text, expiresAt="2024-01-01T00:00:00Z")
    line = program("retrieve", expired, check=1).stderr.decode()
    assert not CONTROL.search(line)
    assert len(line) < 2000


def test_file_names_in_errors(program):
    name = os.fsencode("a\x1b[31m\u202e") + b"\xff"
    (program.folder / os.fsdecode(name)).mkdir()
    done = program("stage", os.fsdecode(name), check=1)
    assert not CONTROL.search(done.stderr.decode())
    assert done.stderr.startswith(b"Is a directory: a\\x1b[31m")


def test_printable():
    assert printable("abc", 3) == "abc"
    assert printable("abcd", 3) == "abc..."
    assert printable("a\tb\nc\x1b\x9b\u202e\ud83d\u3000é") == "a b c\\x1b\\x9b\\u202e\\ud83d\u3000é"
    assert printable("") == ""


def test_json_for_every_reader():
    told = {
        "nan": float("nan"),
        "inf": [float("-inf"), 1.5],
        "\ud83d": ("\udcff",),
        "c": "\x7f\x9b\u202e\U000e0001é",
    }
    for indent in (None, 2):
        text = to_json(told, indent=indent)
        assert not CONTROL.search(text)
        assert strict(text) == {
            "nan": None,
            "inf": [None, 1.5],
            "\ufffd": ["\ufffd"],
            "c": "\x7f\x9b\u202e\U000e0001é",
        }
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(maxstage.Error, match="nested too deeply"):
        to_json(deep)


def test_exec_as_json_whatever_is_printed(program):
    script = r"printf '\033[31m\302\233\342\200\256\355\240\200\377'"
    shown = program.text("exec", "-o", "json", "--", "sh", "-c", script)
    assert not CONTROL.search(shown)
    assert strict(shown)["original_size"] == 14


def test_a_program_whose_name_is_not_utf8(program):
    path = os.fsencode(program.folder) + b"/\xff\x1b"
    with open(path, "wb") as file:
        file.write(b"#!/bin/sh\nseq 100000\n")
    os.chmod(path, 0o700)
    done = program("exec", "--max-stdout-bytes", "2KiB", "--", os.fsdecode(path))
    assert b"could not be kept" not in done.stderr
    (item,) = strict(program.text("stage", "list", "-o", "json"))
    assert item["source"] == "exec/\\udcff\\x1b"


TOO_LARGE = [
    ({"source": "s" * 1025}, "source has 1,025 characters; the limit is 1,024"),
    (
        {"labels": {str(number): "x" * 1000 for number in range(200)}},
        "the labels have 202,090 bytes; the limit is 65,536",
    ),
    ({"labels": {"a": "\ud83d"}}, "a label is two printable texts"),
    ({"labels": {"a": "\x1b"}}, "a label is two printable texts"),
    ({"source": "\x1b" * 1000}, "source has characters that can't be printed: '(\\\\x1b){60}'$"),
]


@pytest.mark.parametrize(("said", "message"), TOO_LARGE)
def test_what_cannot_be_said_of_an_item(store, said, message):
    for call in (store.stage, store.split):
        options = {"parts": 2} if call == store.split else {}
        with pytest.raises(ValueError, match=message):
            call(b"data", **said, **options)
    with pytest.raises(maxstage.InvalidMetadata, match=message):
        store.stage_many([b"data"], **said)
    assert store.ids() == []


def test_too_large_labels_are_wrong_usage(program):
    labels = [word for number in range(200) for word in ("--label", f"{number}={'x' * 1000}")]
    done = program("stage", *labels, stdin=b"data", check=2)
    assert done.stderr.startswith(b"the labels have ")
    assert done.stderr.count(b"\n") == 1
    assert program.leftovers() == []
    done = program("stage", "--source", "s" * 2000, stdin=b"data", check=2)
    assert done.stderr == b"source has 2,000 characters; the limit is 1,024\n"


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"a": "x" * 200_000}, "200,009 bytes; the limit is 65,536"),
        ({"token": "x"}, "'token' is a key of maxstage's own"),
        ({"a": float("nan")}, "not finite"),
        ({"a": "\ud83d"}, "not Unicode"),
        ({"a": {1, 2}}, "not JSON"),
        ({"a": json.loads("[" * 40 + "]" * 40)}, "nested more than 32 levels"),
    ],
)
def test_further_keys_that_cannot_be_kept(store, extra, message):
    with store.draft() as draft:
        draft.write(b"data")
        with pytest.raises(maxstage.InvalidMetadata, match=message):
            draft.publish(ttl_minutes=5, extra=extra)
    assert store.ids() == []
    assert [name for name in os.listdir(store.storage.layout.root) if not name.startswith(".lock")] == []


def test_the_largest_that_can_be_said_is_read_again(store):
    """All at their limits at once, and the line index of 5 TB."""
    labels = {str(number): "x" * 1000 for number in range(64)}
    with store.draft() as draft:
        draft.write(b"line\n" * 10)
        item = draft.finalize(5, source="é" * 1024, labels=labels, extra={"a": "x" * 65_000})
        draft.commit()
    assert store.info(item.token).to_dict() == item.to_dict()
    block = 8 * 1024**3
    item.byte_size = 5 * 10**12
    item.line_index = (block, [block] * -(-item.byte_size // block))
    item.extra = {}
    assert len(item.to_json()) < 100_000


def test_a_source_in_the_data_that_is_no_name(store: Store):
    assert store.stage(b'{"source": "%s"}' % (b"s" * 1025)).source is None
    assert store.stage(b'{"source": "%s"}' % (b"s" * 1024)).source == "s" * 1024
