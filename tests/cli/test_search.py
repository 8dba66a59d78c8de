"""``max search`` and ``max count``, by the real program."""

import fcntl
import gzip
import json
import os
import re
import signal
import sys
import termios
import time

import pytest

from helpers import PATIENCE, edit, wait_until

PEOPLE = [
    {"id": number, "name": name, "age": age, "company": company, "address": {"city": city}}
    for number, (name, age, company, city) in enumerate(
        [
            ("Ada", 36, "Acme", "Bonn"),
            ("Ben", 17, "Hooli", "Oslo"),
            ("Cleo", 52, "Hooli", "Rome"),
            ("Dan", 17, None, "Bonn"),
            ("Ève", 29, "Acme", "Oslo"),
        ],
        1,
    )
]
NDJSON = "".join(json.dumps(one) + "\n" for one in PEOPLE).encode()
STATE = re.compile(r"Continue: --state=(max:state:[0-9a-f]{16})\n$")


def ids(text) -> list[int]:
    return [json.loads(line)["id"] for line in text.splitlines()]


def found(program, *args, **options) -> list[int]:
    return ids(program("search", *args, "-o", "ndjson", **options).stdout)


@pytest.fixture
def token(program):
    return program.stage(NDJSON)


def test_records_are_found_as_they_are(program, token):
    done = program("search", token, "-f", "age < 18")
    assert done.stdout == b"Results 1-2 of 2\n" + b"".join(
        NDJSON.splitlines(keepends=True)[i] for i in (1, 3)
    )
    assert done.stderr == b""
    assert found(program, token, "-f", "age > 18", "-f", "company = Acme") == [1, 5]
    assert found(program, token, "Hooli") == [2, 3]
    assert found(program, token, "-e", r'"age": [35]\d') == [1, 3]
    assert found(program, token, "-f", "name = 'Ève'") == [5]
    assert found(program, token, "-f", "address.city = Bonn") == [1, 4]
    assert program.text("search", token, "nobody") == "No results\n"


def test_type_is_the_field_type(program):
    token = program.stage(b'{"id": 1, "type": "contact"}\n{"id": 2, "type": "a \\"b\\""}\n')
    assert found(program, token, "--type=contact") == [1]
    assert found(program, token, "-t", 'a "b"') == [2]


def test_fields_and_formats(program, token):
    ask = ["search", token, "-f", "company is null or age = 36", "--fields", "id,address.city,company,nope"]
    rows = ['{"id": 1, "address.city": "Bonn", "company": "Acme", "nope": null}']
    rows += ['{"id": 4, "address.city": "Bonn", "company": null, "nope": null}']
    assert program.text(*ask, "-o", "ndjson").splitlines() == rows
    page = json.loads(program.text(*ask, "-o", "json"))
    assert page["pagination"] == {"offset": 0, "limit": 50, "total": 2, "hasMore": False}
    assert page["data"] == [json.loads(row) for row in rows]
    assert json.loads(program.text(*ask, "-o", "json", "--all")) == page["data"]
    table = "id,address.city,company,nope\n1,Bonn,Acme,\n4,Bonn,,\n"
    assert program.text(*ask, "-o", "csv") == program.text(*ask, "-o", "csv", "--all") == table
    assert json.loads(program.text("search", token, "nobody", "-o", "json"))["data"] == []
    assert json.loads(program.text("search", token, "nobody", "-o", "json", "--all")) == []


def test_line_numbers_are_those_of_retrieve(program, token):
    text = program.text("search", token, "Hooli", "-n", "--fields", "id")
    assert text.splitlines()[1:] == ['2:{"id": 2}', '3:{"id": 3}']
    assert ids(program("retrieve", token, "--lines", "3").stdout) == [3]
    page = json.loads(program.text("search", token, "-f", "age > 50", "-n", "-o", "json"))
    assert page["data"] == [{"line": 3, "record": PEOPLE[2]}]


def test_sorting(program, token):
    assert found(program, token, "--sort", "age") == [2, 4, 5, 1, 3]
    assert found(program, token, "--sort", "age:desc", "--limit", "2") == [3, 1]
    assert found(program, token, "--sort", "age:desc", "--limit", "2", "--offset", "2") == [5, 2]
    assert found(program, token, "--sort", "company:desc", "--all") == [2, 3, 1, 5, 4]
    line = program("search", token, "--sort", "age:dsc", check=2).stderr
    assert b'"dsc" is not an order; sort by FIELD:desc or FIELD:asc' in line
    assert found(program, token, "--sort", "name", "--all") == [1, 2, 3, 4, 5]


def test_counts(program, token):
    assert program.text("count", token) == "5\n"
    assert program.text("count", token, "-f", "age < 30", "-o", "json") == '{"count": 3}\n'
    assert program.text("count", token, "--by", "company") == "2  Acme\n2  Hooli\n1  null\n"
    assert program.text("count", token, "--by", "address.city", "--top", "1") == "2  Bonn\n"
    groups = json.loads(program.text("count", token, "--by", "age", "-o", "json", "--top", "2"))
    assert groups == {
        "count": 5,
        "by": "age",
        "groups": [{"value": 17, "count": 2}, {"value": 29, "count": 1}],
    }
    assert (
        program.text("count", token, "--by", "company", "-o", "csv") == "value,count\nAcme,2\nHooli,2\n,1\n"
    )
    lines = program.text("count", token, "--by", "company", "-o", "ndjson").splitlines()
    assert [json.loads(line)["value"] for line in lines] == ["Acme", "Hooli", None]
    assert json.loads(program.text("count", token, "--by", "x", "-f", "id > 9", "-o", "json"))["groups"] == []


def test_equal_values_are_one_group_and_no_others(program):
    values = ["1", "1.0", '"1"', "10e-1", "true", '"true"', "[1]", '"[1]"', "null"]
    rows = "".join([f'{{"a":{value}}}\n' for value in values]) + "{}\n"
    done = program.text("count", program.stage(rows.encode()), "--by", "a", "-o", "ndjson")
    groups = [(json.dumps(row["value"]), row["count"]) for row in map(json.loads, done.splitlines())]
    assert groups == [("1", 3), ("null", 2), ('"1"', 1), ("[1]", 1), ('"[1]"', 1), ("true", 1), ('"true"', 1)]


@pytest.mark.parametrize("pack", [[], ["--compress"], ["--compress=zstd"]], ids=str)
def test_compressed_items(program, pack):
    data = b"".join(b'{"id": %d, "x": "%d"}\n' % (number, number % 7) for number in range(200_000))
    token = program.stage(data, *pack)
    assert found(program, token, "-f", "id = 131072 or id = 7") == [7, 131072]
    assert found(program, token, "-f", "x = '3'", "--offset", "28000", "--limit", "1") == [196_003]
    assert program.text("count", token, "--by", "x", "--top", "1") == "28572  0\n"


def test_files_of_all_kinds(program, tmp_path):
    (tmp_path / "a.ndjson").write_bytes(b"\xef\xbb\xbf" + NDJSON.replace(b"\n", b"\r\n"))
    (tmp_path / "b.json").write_text(json.dumps(PEOPLE, indent=2))
    (tmp_path / "c.csv").write_bytes(b'\xef\xbb\xbfid,age,note\r\n1,36,"two\r\nlines"\r\n2,7,\n\n3,x\n')
    (tmp_path / "d.log").write_bytes(b"first\nerror: {x}\r\nlast error")
    (tmp_path / "e.ndjson.gz").write_bytes(gzip.compress(NDJSON[:100]) + gzip.compress(NDJSON[100:]))
    (tmp_path / "f.json").write_text(json.dumps(PEOPLE[1], indent=1))
    (tmp_path / "g").write_bytes(b"")
    for name in ("a.ndjson", "b.json", "e.ndjson.gz"):
        assert found(program, name, "-f", "age = 17") == [2, 4], name
    assert found(program, "f.json", "-f", "age = 17") == [2]
    assert program.text("search", "c.csv", "-f", "age > 7", "-o", "ndjson") == (
        '{"id": "1", "age": "36", "note": "two\\r\\nlines"}\n'
    )
    assert program.text("count", "c.csv", "-f", "note is null") == "1\n"
    assert program.text("search", "d.log", "error", "-n") == "Results 1-2 of 2\n2:error: {x}\n3:last error\n"
    assert program.text("search", "d.log", "-f", "line ~= 'e*}'", "-o", "json", "--all") == (
        '[\n{"line": "error: {x}"}\n]\n'
    )
    assert program.text("count", "g") == "0\n"
    if os.path.exists("/proc/self/status"):  # a file without a size
        assert program.text("count", "/proc/self/status", "Name:") == "1\n"
    assert program.text("count", "a.ndjson", "d.log", "b.json") == "13\n"
    assert program.text("count", "-", stdin=(tmp_path / "b.json").read_bytes()) == "5\n"
    assert program.text("count", "--csv", "-", "-f", "a = 1", stdin=b"a\n1\n2\n") == "1\n"


def test_a_part_of_a_compressed_file_is_no_whole(program, tmp_path):
    """Where gzip data ends early nobody knows what was to come: a count of the rest would be a lie."""
    packed = gzip.compress(NDJSON) + gzip.compress(NDJSON)
    path = tmp_path / "a.ndjson.gz"
    for cut in (len(packed) - 1, len(packed) - 8, len(packed) // 2 + 30, len(packed) // 2 + 3, 30):
        path.write_bytes(packed[:cut])
        for verb in ("search", "count", "schema"):
            assert (
                program.fails(verb, path.name)
                == "a.ndjson.gz is only a part: its gzip data ends before its end"
            )
        assert "only a part" in program.fails("count", "-", stdin=packed[:cut])
    # What fills a block is nothing, as gzip itself has it; and one member may follow another.
    path.write_bytes(packed + bytes(600))
    assert program.text("count", path.name) == "10\n"
    path.write_bytes(packed + b"xyz")
    assert "is not gzip" in program.fails("count", path.name)


def test_zstd_is_not_read_as_text(program, tmp_path):
    (tmp_path / "a.ndjson.zst").write_bytes(bytes.fromhex("28b52ffd2000010000"))
    said = program.fails("count", "a.ndjson.zst")
    assert said == "a.ndjson.zst is compressed by zstd: read it by zstd -dc a.ndjson.zst | max search -"


def test_numbers_in_csv_are_numbers_however_deep(program):
    token = program.stage(b'{"a": [1, {"b": 1.10, "c": "1"}], "d": 1e400}\n')
    done = program.text("search", token, "--fields", "a,d", "-o", "csv")
    assert done == 'a,d\n"[1, {""b"": 1.10, ""c"": ""1""}]",1e400\n'


def test_what_is_no_json_is_counted_and_told(program, tmp_path):
    (tmp_path / "a.ndjson").write_bytes(b'{"id": 1}\nnot json\n{"id": 2}\n{"id": 3\n')
    done = program("search", "a.ndjson", "-o", "ndjson")
    assert ids(done.stdout) == [1, 2]
    assert done.stderr == b"2 records are not JSON and left out (the first: a.ndjson, line 2)\n"
    assert program("count", "a.ndjson").stderr == done.stderr
    assert program("search", "a.ndjson", "--all", "-o", "ndjson").stderr == done.stderr
    for verb in ("search", "count"):
        assert program.fails(verb, "a.ndjson", "--strict") == "a.ndjson, line 2 is not JSON"
        assert program.fails(verb, "a.ndjson", "--strict", "-f", "id = '9'") == "a.ndjson, line 2 is not JSON"
    (tmp_path / "b.json").write_text("[1, 2")
    assert "b.json is not one JSON array: it ends within the array" in program.fails("count", "b.json")
    (tmp_path / "c.csv").write_text("a,a\n1,2\n")
    assert "two columns are named 'a'" in program.fails("count", "c.csv")
    (tmp_path / "d.csv").write_text("a,b\n1,2,3\n")
    assert "line 2 has more fields" in program.fails("count", "d.csv")


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        ([], 2, "nothing to search"),
        (["nope"], 1, "nope; name a token, a file, a source, or - for standard input"),
        (["max:00000000"], 1, "not found"),
        (["max:x"], 2, "Invalid token"),
        (["."], 1, "Is a directory"),
        (["T", "-f", "age >"], 2, "Invalid filter, column 6: a value is expected"),
        (["T", "--fields", "a,,b"], 2, "names an empty field"),
        (["T", "--fields", "a b"], 2, "'a b' is not a field"),
        (["T", "--sort", ""], 2, "is not a field"),
        (["T", "-e", "("], 2, "Invalid regular expression"),
        (["T", "-e", r"(a)\1"], 2, "back-references"),
        (["T", "-o", "csv"], 2, "--fields"),
        (["T", "-n", "--sort", "a"], 2, "-n numbers lines"),
        (["T", "--all", "--limit", "5"], 2, "either --all or --limit"),
        (["T", "--limit", "0"], 2, "0"),
        (["T", "--state", "max:state:x"], 2, "Invalid state"),
        (["--state", "max:state:0123456789abcdef"], 1, "No such state"),
        (["-", "-"], 2, "which can be read once"),
        (["T", ""], 2, "the pattern is empty"),
    ],
)
def test_mistakes_are_told(program, token, args, code, says):
    assert says in program.fails("search", *(token if arg == "T" else arg for arg in args), code=code)


def test_an_expired_item_is_told(program, token):
    edit(program.staging / f"{token[4:]}.meta.json", expiresAt="2024-01-28T13:00:00Z")
    assert program.fails("search", token).startswith("Staged data expired ")


def test_results_can_be_staged(program, token):
    staged = program.text("search", token, "-f", "age < 30", "--fields", "id", "--stage").strip()
    assert program("retrieve", staged).stdout == b'{"id": 2}\n{"id": 4}\n{"id": 5}\n'
    info = json.loads(program.text("stage", "info", staged, "-o", "json"))
    assert info["source"] == token
    assert info["derivedFrom"] == {"from": [token], "query": {"fields": ["id"], "filters": ["age < 30"]}}
    assert info["contentType"] == "ndjson"
    assert f'Derived:    {{"from": ["{token}"], "query": {{' in program.text("stage", "info", staged)
    limited = program.text("search", token, "--stage", "--limit", "2").strip()
    assert ids(program("retrieve", limited).stdout) == [1, 2]
    # Two of five are not all that there are: what they are derived by says so.
    cut = program.text("search", token, "--stage", "--offset", "1", "--limit", "2").strip()
    info = json.loads(program.text("stage", "info", cut, "-o", "json"))
    assert info["derivedFrom"]["query"] == {"offset": 1, "limit": 2}


# Paging


def next_state(done) -> str | None:
    match = STATE.search(done.stderr.decode())
    return match and match[1]


def test_a_search_goes_on_where_it_was(program, token):
    done = program("search", token, "-f", "age < 50", "--limit", "3", "-o", "ndjson")
    assert ids(done.stdout) == [1, 2, 4]
    assert done.stderr.startswith(b"More results (3 of 4). Continue: --state=max:state:")
    state = next_state(done)
    for _ in range(2):  # a state is not used up
        done = program("search", "--state", state)
        assert done.stdout == b"Results 4-4 of 4\n" + NDJSON.splitlines(keepends=True)[4]
        assert done.stderr == b"Complete (4 results).\n"
    # Saying the query again is no mistake; saying another is.
    assert found(program, token, "-f", "age < 50", f"--state={state}") == [5]
    assert "belongs to another query" in program.fails("search", token, "-f", "age < 51", "--state", state)
    assert "belongs to another query" in program.fails("search", "-f", "age < 50", "x", "--state", state)
    assert "takes no --all" in program.fails("search", "--all", "--state", state, code=2)


@pytest.mark.parametrize("sort", [[], ["--sort", "age:desc"]], ids=str)
def test_pages_of_what_has_no_lines(program, tmp_path, sort):
    (tmp_path / "a.json").write_text(json.dumps(PEOPLE))
    done = program("search", "a.json", "--limit", "2", "-o", "ndjson", *sort)
    seen = ids(done.stdout)
    while state := next_state(done):
        done = program("search", "--state", state, "-o", "ndjson", "--limit", "1")
        seen += ids(done.stdout)
    assert seen == ([3, 1, 5, 2, 4] if sort else [1, 2, 3, 4, 5])


def test_states_that_are_no_good(program, token, tmp_path):
    state = next_state(program("search", token, "--limit", "1"))
    path = tmp_path / ".max" / "states" / f"{state.rpartition(':')[2]}.json"
    assert path.stat().st_mode & 0o777 == 0o600
    known = json.loads(path.read_text())
    assert 23.9 * 3600 < known["expires"] - time.time() <= 24 * 3600
    path.write_text(json.dumps(known | {"expires": time.time() - 1}))
    assert program.fails("search", "--state", state).startswith("State expired: max:state:")
    path.write_text("{")
    assert program.fails("search", "--state", state).startswith("Damaged state: max:state:")
    path.write_text(json.dumps(known))
    program("unstage", token)
    assert program.fails("search", "--state", state).startswith(f"Staged data not found: {token}")
    # A file that is written to meanwhile.
    (tmp_path / "a.ndjson").write_bytes(NDJSON)
    state = next_state(program("search", "a.ndjson", "--limit", "1"))
    (tmp_path / "a.ndjson").write_bytes(NDJSON + NDJSON)
    assert "a.ndjson has changed since the search began" in program.fails("search", "--state", state)


def test_old_states_are_swept(program, token, tmp_path):
    state = next_state(program("search", token, "--limit", "1"))
    path = tmp_path / ".max" / "states" / f"{state.rpartition(':')[2]}.json"
    os.utime(path, (time.time() - 90_000,) * 2)
    program("search", token, "--limit", "1")
    assert not path.exists()


def test_a_pipe_goes_on_by_its_offset(program):
    done = program("search", "-", "--limit", "2", "-o", "ndjson", stdin=NDJSON)
    assert done.stderr == b"More results (2 of 5). Continue: --offset 2\n"
    assert found(program, "-", "--limit", "9", "--offset", "2", stdin=NDJSON) == [3, 4, 5]


def unread(pipe) -> int:
    """Return how many bytes of a pipe nobody has read."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_ctrl_c_ends_a_search_of_a_silent_pipe(program):
    process = program.start("count", "-")
    process.stdin.write(NDJSON)
    process.stdin.flush()
    wait_until(lambda: not unread(process.stdin), "it has read what there is")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) in {130, -signal.SIGINT}
    assert process.stderr.read() == b""
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()


def test_a_reader_that_goes_ends_it_quietly(program):
    data = b"".join(b'{"id": %d}\n' % number for number in range(300_000))
    token = program.stage(data)
    process = program.start("search", token, "--all", "-o", "ndjson")
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == b""
    process.stdin.close()
    process.stderr.close()
