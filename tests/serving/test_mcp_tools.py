"""The tools: what they answer, what they refuse, what a client with a scope sees of them."""

import gzip
import json
import os
import shlex
import signal
from pathlib import Path

import pytest
from wire import META, slow_to_stage

from helpers import PATIENCE, Gate, is_running, wait_until, wait_until_gone
from maxstage import Store


def lines(count):
    return "".join(f"line {number}\n" for number in range(1, count + 1))


def test_staging_text(wire, store):
    token = wire.stage('{"id": 1}\n{"id": 2}\n', source="a/b", ttl="2h", labels={"job": "42"}, type="ndjson")
    item = store.info(token)
    assert (item.record_count, item.source, item.content_type, item.labels) == (
        2,
        "a/b",
        "ndjson",
        {"job": "42"},
    )
    assert item.expires - item.created == pytest.approx(7200, abs=2)
    assert wire.call("stage", text="").endswith("(0 records, 0 bytes, text)")
    result = wire.ask("tools/call", name="stage", arguments={"text": "x"})["result"]
    link = result["content"][1]
    assert (link["type"], link["size"], link["mimeType"]) == ("resource_link", 1, "text/plain")
    assert link["uri"] == result["content"][0]["text"].split()[0].replace("max:", "max://")


def test_half_a_character_is_told(wire, store):
    text = wire.call("stage", text="a\ud83d")
    assert "became U+FFFD" in text
    with store.open(text.split()[0]) as file:
        assert file.read() == "a\ufffd".encode()


def test_staging_a_file(wire, program, tmp_path_factory):
    (program.folder / "data.txt").write_text(lines(3))
    for path in ("data.txt", "./data.txt", str(program.folder / "data.txt")):
        text = wire.call("stage", path=path)
        assert "(3 records, 21 bytes, text)" in text
    outside = tmp_path_factory.mktemp("else") / "secret"
    outside.write_text("x")
    (program.folder / "link").symlink_to(outside)
    os.mkfifo(program.folder / "pipe")
    (program.folder / "folder").mkdir()
    token = wire.stage("x")
    for path, words in (
        (str(outside), f"stage: {outside} is outside of {program.folder}; "),
        ("link", "stage: link is outside of "),
        ("../x", "stage: ../x is outside of "),
        ("gone", f"No such file or directory: {program.folder}/gone"),
        ("pipe", "stage: pipe is not a regular file"),
        ("folder", "stage: folder is not a regular file"),
        (f".max/staging/{token[4:]}.txt", "belongs to a store; use its token"),
        ("a\0b", "stage: path holds a character that no file name has"),
        ("a\ud800b", "stage: path holds a character that no file name has"),
        ("", "stage:  is not a regular file"),
        ("x" * 5000, "File name too long: "),
    ):
        assert words in wire.fails("stage", path=path), path


def test_more_folders_may_be_allowed(connect, tmp_path_factory):
    folder = tmp_path_factory.mktemp("else")
    (folder / "data").write_text("x")
    wire = connect("--root", str(folder))
    assert "1 byte" in wire.call("stage", path=str(folder / "data"))
    assert "is outside of" in wire.fails("stage", path="data")


def test_a_client_without_a_folder_stages_no_files(connect, program_in, program, monkeypatch):
    for folder in ("/", str(program.folder)):
        monkeypatch.setenv("HOME", folder)
        wire = connect("--dir", str(program.folder), program=program_in(Path(folder)))
        assert wire.fails("stage", path="/etc/hostname").startswith(
            "stage: no folder is open to this server; "
        )


def test_a_script_that_asks_and_closes_has_its_answer(wire):
    wire.send("tools/call", name="stage", arguments={"text": "x"})
    wire.process.stdin.close()
    assert "max:" in wire.receive()["result"]["content"][0]["text"]
    assert wire.process.wait(PATIENCE) == 0


ARGUMENTS = [
    ("stage", {}, "stage: give either text or path"),
    ("stage", {"text": "x", "path": "y"}, "stage: give either text or path"),
    ("stage", {"text": 5}, "stage: text must be text, not 5"),
    ("stage", {"text": "x", "ttl": "soon"}, "stage: ttl must be"),
    ("stage", {"text": "x", "type": "csv"}, "stage: type must be one of: ndjson, json, text, not 'csv'"),
    ("stage", {"text": "x", "labels": ["a"]}, "stage: labels must be an object of texts, not ['a']"),
    ("stage", {"text": "x", "labels": {"a": 1}}, "stage: labels must be an object of texts"),
    ("stage", {"text": "x", "source": "\x1b"}, ""),
    ("stage", {"txt": "x"}, "stage: unknown argument 'txt'; did you mean 'text'?"),
    ("retrieve", {}, "retrieve needs token: "),
    ("retrieve", {"token": None}, "retrieve needs token: "),
    ("retrieve", {"token": "../x"}, "Invalid token: ../x"),
    ("retrieve", {"token": "max:00000000"}, "Staged data not found: max:00000000"),
    ("retrieve", {"token": "T", "lines": "x"}, "retrieve: lines must be like "),
    ("retrieve", {"token": "T", "lines": "0:5"}, "retrieve: lines must be like "),
    ("retrieve", {"token": "T", "lines": "5:4"}, "retrieve: lines must be like "),
    ("retrieve", {"token": "T", "lines": ""}, "retrieve: lines must be like "),
    ("retrieve", {"token": "T", "bytes": "5"}, "retrieve: bytes must be like "),
    ("retrieve", {"token": "T", "bytes": "5:4"}, "retrieve: bytes must be like "),
    ("retrieve", {"token": "T", "head": 0}, "retrieve: head must be a whole number, 1 or more, not 0"),
    ("retrieve", {"token": "T", "head": True}, "retrieve: head must be a whole number, not True"),
    ("retrieve", {"token": "T", "head": 1, "tail": 1}, "retrieve: use only one of lines, head, tail, "),
    ("info", {"token": 5}, "info: token must be text, not 5"),
    ("list", {"limit": -1}, "list: limit must be a whole number, 1 or more, not -1"),
    ("list", {"limit": 1.5}, "list: limit must be a whole number, not 1.5"),
]


def test_arguments_that_are_no_good(wire):
    token = wire.stage("x")
    for name, arguments, words in ARGUMENTS:
        given = arguments | ({"token": token} if arguments.get("token") == "T" else {})
        assert wire.fails(name, **given).startswith(words), (name, arguments)


def test_reading_pieces(wire):
    text = lines(10)
    token = wire.stage(text)
    for arguments, wanted in (
        ({}, text),
        ({"lines": "2:3"}, "line 2\nline 3\n"),
        ({"lines": "9:"}, "line 9\nline 10\n"),
        ({"lines": ":2"}, "line 1\nline 2\n"),
        ({"lines": "4"}, "line 4\n"),
        ({"head": 1}, "line 1\n"),
        ({"head": "1"}, "line 1\n"),
        ({"tail": 1}, "line 10\n"),
        ({"tail": 10**30}, text),
        ({"bytes": "0:4"}, "line"),
        ({"bytes": "70:"}, text[70:]),
        ({"next_line": 10}, "line 10\n"),
        ({"lines": "11:"}, f"[nothing at the end of {token}: it has 10 lines, 71 bytes]"),
        ({"bytes": "99999999999999999999:"}, f"[nothing at the end of {token}: it has 10 lines, 71 bytes]"),
        ({"bytes": "5:5"}, f"[nothing at byte 5 of {token}: it has 10 lines, 71 bytes]"),
    ):
        assert wire.call("retrieve", token=token, **arguments) == wanted, arguments
    assert wire.call("retrieve", token=f"max://{token[4:].upper()}", head=1) == "line 1\n"
    assert wire.call("retrieve", token=wire.stage("")).endswith(" is empty]")


@pytest.mark.parametrize("compress", [False, "gzip"])
def test_reading_on_gives_all_of_it(wire, store, compress):
    text = lines(20_000)
    token = store.stage(text.encode(), compress=compress).token
    read, following = "", 1
    while following is not None:
        answer = wire.call("retrieve", token=token, next_line=following)
        assert len(answer.encode()) <= 16 * 1024
        body, _, footer = answer.rpartition("[")
        if footer.startswith("lines "):
            read += body
            assert f"-{following - 1 + body.count(chr(10)):,} of 20,000" in footer
            following = int(footer.split("next_line: ")[1].split(";")[0])
        else:
            read += answer
            following = None
    assert read == text


def test_reading_on_in_a_long_line(wire):
    text = "äöü€😀" * 20_000
    token = wire.stage(text)
    read, at = "", 0
    while at is not None:
        answer = wire.call("retrieve", token=token, bytes=f"{at}:")
        assert len(answer.encode()) <= 16 * 1024
        body, _, footer = answer.rpartition("\n[")
        if "next_byte: " in footer:
            read += body
            at = int(footer.split("next_byte: ")[1].split(";")[0])
        else:
            read += answer
            at = None
    assert read == text
    # From the end, too.
    answer = wire.call("retrieve", token=token, tail=1)
    body, _, footer = answer.rpartition("\n[")
    assert text.endswith(body)
    assert "what comes before: " in footer


def test_the_last_lines_are_the_last_lines(wire):
    token = wire.stage(lines(20_000))
    answer = wire.call("retrieve", token=token, tail=10_000)
    body, _, footer = answer.rpartition("[")
    count = body.count("\n")
    assert body == "".join(f"line {number}\n" for number in range(20_001 - count, 20_001))
    assert footer.startswith(f"the last {count:,} of 20,000 lines, from line {20_001 - count:,}; ")
    assert f'lines="A:{20_000 - count}"' in footer


def test_bytes_that_are_no_text(wire, store):
    token = store.stage(b"a\xff\xfeb\n").token
    assert wire.call("retrieve", token=token) == (
        "a\ufffd\ufffdb\n[5 bytes; bytes that are not UTF-8 are shown as U+FFFD]"
    )
    noise = store.stage(b"\xff" * 100_000).token
    answer = wire.call("retrieve", token=noise)
    assert len(answer.encode()) <= 16 * 1024
    assert "next_byte: " in answer
    # What is text is told as it is, also where it has this character.
    assert wire.call("retrieve", token=wire.stage("\ufffd")) == "\ufffd"


def test_the_limit_is_an_option(connect):
    wire = connect("--max-bytes", "1KiB")
    token = wire.stage(lines(1000))
    for name, arguments in (("retrieve", {}), ("retrieve", {"tail": 900}), ("info", {})):
        assert len(wire.call(name, token=token, **arguments).encode()) <= 1024
    for _ in range(20):
        wire.stage("x")
    assert len(wire.call("list").encode()) <= 1024


def test_damaged_data_is_an_error(wire, store):
    item = store.stage(b"one\n")
    path = store.storage.path(item)
    with open(path, "r+b") as file:
        file.write(b"two\n")
    assert "damaged" in wire.fails("retrieve", token=item.token)


def test_expired_data_says_so(wire, store, program):
    token = wire.stage("x", ttl="1")
    meta = program.staging / f"{token[4:]}.meta.json"
    meta.write_text(meta.read_text().replace('"expiresAt": "20', '"expiresAt": "19'))
    assert wire.fails("retrieve", token=token).startswith("Staged data expired ")


def test_info_is_what_the_command_prints(wire, program):
    token = wire.stage('{"a": 1}\n{"a": 2}\n')
    printed = program.text("stage", "info", token)
    told = wire.call("info", token=token)
    assert told.splitlines()[:4] == printed.splitlines()[:4]
    assert "Fields" in told


def test_listing(wire):
    assert wire.call("list") == "No staged data."
    one = wire.stage("x", source="a/b", labels={"job": "1"})
    two = wire.stage("x", source="c/d")
    assert [line.split()[0] for line in wire.call("list").splitlines()] == [two, one]
    assert wire.call("list", source="a/*").startswith(one)
    assert wire.call("list", labels={"job": "1"}).startswith(one)
    assert wire.call("list", limit=1).splitlines()[1].startswith("More than these 1")
    assert wire.call("list", limit=10**40).count("max:") == 2


PEOPLE = "".join(
    f'{{"name": "p{number}", "city": "{("Rome", "Oslo", "Bonn")[number % 3]}", "n": {number}}}\n'
    for number in range(1000)
)


def test_searching(wire):
    token = wire.stage(PEOPLE)
    first = PEOPLE.splitlines()
    assert wire.call("search", token=token, limit=2) == (
        f"{first[0]}\n{first[1]}\n[results 1-2 of 1,000; go on with offset=2]"
    )
    assert wire.call("search", token=token, filter="n = 7") == f"{first[7]}\n[results 1-1 of 1]"
    assert wire.call("search", token=token, filter='city = "Oslo"', fields=["n"], sort="n:desc", limit=1) == (
        '{"n": 997}\n[results 1-1 of 333; go on with offset=1]'
    )
    assert wire.call("search", token=token, pattern='"p12"', line_numbers=True).startswith("13:{")
    assert wire.call("search", token=token, regex='"p1[01]"').endswith("[results 1-2 of 2]")
    assert wire.call("search", token=f"{token} {token}", filter="n = 7").endswith("[results 1-2 of 2]")
    assert wire.call("search", token=token, filter="n = -1") == "[no results]"
    assert wire.call("search", token=token, offset=10**30) == "[no results after the first 1,000]"
    text = wire.stage("one\ntwo\n")
    assert wire.call("search", token=text, filter="line = two") == "two\n[results 1-1 of 1]"
    csv = wire.stage("a,b\n1,2\n")
    assert wire.call("search", token=csv, csv=True, fields=["b"]).endswith("\n[results 1-1 of 1]")


def test_pages_of_a_search_are_all_of_it(wire):
    token = wire.stage(PEOPLE)
    found, offset = [], 0
    while offset is not None:
        answer = wire.call("search", token=token, limit=1000, offset=offset)
        assert len(answer.encode()) <= 16 * 1024
        *records, last = answer.splitlines()
        found += records
        offset = int(last.split("offset=")[1].rstrip("]")) if "offset=" in last else None
    assert found == PEOPLE.splitlines()


def test_a_record_that_is_too_long_for_an_answer(connect):
    wire = connect("--max-bytes", "1KiB")
    long = json.dumps({"a": "ä" * 5000}, ensure_ascii=False)
    token = wire.stage(f"{long}\n" + '{"a": 1}\n')
    answer = wire.call("search", token=token)
    assert len(answer.encode()) <= 1024
    assert answer.endswith("[results 1-1 of 2; go on with offset=1; the record is cut: it has 10,009 bytes]")
    assert wire.call("search", token=token, offset=1) == '{"a": 1}\n[results 2-2 of 2]'


def test_records_that_are_damaged_are_told(wire):
    token = wire.stage('{"a": 1}\n{"a": 2}\n{"a":\n')
    note = f"1 record is not JSON and left out (the first: {token}, line 3)"
    assert wire.call("search", token=token, filter="a > 1").endswith(f"[results 1-1 of 1; {note}]")
    assert wire.call("count", token=token, filter="a > 0") == f"2\n[{note}]"


def test_counting(wire):
    token = wire.stage(PEOPLE)
    assert wire.call("count", token=token) == "1000"
    assert wire.call("count", token=token, filter="n < 10") == "10"
    assert wire.call("count", token=token, by="city", top=2) == (
        "      334  Rome\n      333  Bonn\n[1,000 records; more than these 2: ask for more with top]"
    )
    assert wire.call("count", token=token, by="nope", top=10**30) == "    1,000  null\n[1,000 records]"


def test_describing_fields(wire):
    token = wire.stage(PEOPLE)
    head, _, names, *fields = wire.call("schema", token=token).splitlines()
    assert head == "1,000 records"
    assert names.split()[:3] == ["field", "type", "present"]
    assert any(line.startswith("n ") and " 999 " in line for line in fields)
    assert wire.call("schema", token=token, filter="n < 10").startswith("10 records\n")
    assert wire.call("schema", token=token, sample=10**30).startswith("1,000 records\n")
    assert wire.call("schema", token=token, sample=3).startswith("3 records\n")
    damaged = wire.stage('{"a": 1}\n{"a": 2}\n{"a":\n')
    assert "1 record is not JSON" in wire.call("schema", token=damaged).splitlines()[-1]


PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


@pytest.mark.parametrize(
    ("meta", "wanted"),
    [
        ({"traceparent": PARENT, "tracestate": "x=1"}, f"{PARENT} x=1"),
        ({"traceparent": PARENT}, f"{PARENT} none"),
        ({"traceparent": PARENT, "tracestate": "\x00"}, f"{PARENT} none"),
        ({"traceparent": PARENT.upper(), "tracestate": "x=1"}, "ours none"),
        ({"traceparent": f"{PARENT}\n"}, "ours none"),
        ({"traceparent": 5}, "ours none"),
        ({}, "ours none"),
    ],
)
def test_commands_are_part_of_the_trace_of_the_call(connect, meta, wanted):
    wire = connect("--allow", "exec", env={**os.environ, "TRACEPARENT": "ours"})
    script = 'echo "$TRACEPARENT ${TRACESTATE-none}"'
    result = wire.ask("tools/call", meta=meta, name="exec", arguments={"command": ["sh", "-c", script]})[
        "result"
    ]
    assert result["content"][0]["text"].splitlines()[0] == wanted


def test_queries_that_are_no_good(wire):
    token, text = wire.stage(PEOPLE), wire.stage("one\ntwo\n")
    for name, arguments, words in (
        ("search", {"filter": "n ="}, ""),
        ("search", {"regex": "("}, ""),
        ("search", {"pattern": ""}, "the pattern is empty"),
        ("search", {"limit": 0}, "search: limit must be "),
        ("search", {"sort": "n", "line_numbers": True}, "search: line_numbers are of lines "),
        ("search", {"fields": "n"}, "search: fields must be a list of texts, not 'n'"),
        ("search", {"fields": ["a"], "token": text}, "search: lines of text have no fields"),
        ("search", {"token": "max:00000000"}, "Staged data not found: "),
        ("search", {"token": f"{token} x"}, "Invalid token: x"),
        ("search", {"token": " "}, "Invalid token: "),
        ("count", {"by": "", "token": token}, ""),
        ("count", {"top": 0}, "count: top must be "),
    ):
        assert wire.fails(name, **{"token": token} | arguments).startswith(words), arguments


def test_a_scope_shows_only_its_own(connect, store, program):
    other = store.stage(b"secret\n", source="secret/source", labels={"agent": "b"}).token
    plain = store.stage(b"secret\n").token
    short = store.stage(b"secret\n", source="secret/source", ttl=1, labels={"agent": "b"}).token
    meta = program.staging / f"{short[4:]}.meta.json"
    meta.write_text(meta.read_text().replace('"expiresAt": "20', '"expiresAt": "19'))
    wire = connect("--scope", "agent=a", "--allow", "exec")
    own = wire.stage("mine\n", labels={"agent": "b", "x": "y"})
    assert store.info(own).labels == {"agent": "a", "x": "y"}
    assert wire.call("list").split()[0] == own
    assert wire.call("list", labels={"agent": "b"}).count("max:") == 1
    for token in (other, plain, short):
        for name, arguments in (
            ("retrieve", {"token": token}),
            ("info", {"token": token}),
            ("search", {"token": token}),
            ("count", {"token": f"{own} {token}"}),
            ("exec", {"command": ["cat"], "stdin": token}),
        ):
            assert wire.fails(name, **arguments) == f"Staged data not found: {token}"
        assert "error" in wire.ask("resources/read", uri=f"max://{token[4:]}")
    (resource,) = wire.ask("resources/list")["result"]["resources"]
    assert resource["name"] == own
    # What a command prints is its own as well.
    kept = wire.call("exec", command=["seq", "100000"]).rpartition(": ")[2].rstrip("]")
    assert store.info(kept).labels == {"agent": "a"}
    assert wire.call("retrieve", token=kept, head=1) == "1\n"


def test_exec_is_there_only_if_allowed(wire):
    answer = wire.ask("tools/call", name="exec", arguments={"command": ["true"]})
    assert answer["error"]["message"].startswith("Unknown tool: exec; there are stage, ")


@pytest.fixture
def allowed(connect):
    """A server that runs commands."""
    return connect("--allow", "exec")


def test_exec(allowed, store, program):
    assert allowed.call("exec", command=["sh", "-c", "echo out; echo err >&2; exit 3"]).startswith(
        "out\nerr\n[exit status 3 after 0."
    )
    answer = allowed.call("exec", command=["seq", "100000"])
    assert len(answer.encode()) <= 16 * 1024
    assert answer.endswith("]")
    token = answer.rpartition(": ")[2].rstrip("]")
    with store.open(token) as file:
        assert file.read().endswith(b"\n100000\n")
    head = allowed.call("exec", command=["seq", "100000"], strategy="head")
    assert head.startswith("1\n2\n3\n")
    (program.folder / "sub").mkdir()
    assert allowed.call("exec", command=["pwd"], cwd="sub").startswith(f"{program.folder}/sub\n")
    assert allowed.call("exec", command=["wc", "-l"], stdin=token).strip().startswith("100000")
    assert "timed out after " in allowed.call("exec", command=["sleep", "600"], timeout=0.2)
    for arguments, words in (
        ({"command": []}, "exec: command is empty"),
        ({"command": "ls"}, "exec: command must be a list of texts, not 'ls'"),
        ({"command": ["no-such-program"]}, "No such file or directory: no-such-program"),
        ({"command": ["a\0b"]}, "exec: "),
        ({"command": ["ls"], "strategy": "x"}, "exec: strategy must be one of: head, "),
        ({"command": ["ls"], "timeout": -1}, "exec: timeout must be "),
        ({"command": ["ls"], "cwd": "gone"}, "No such file or directory: "),
        ({"command": ["ls"], "stdin": "x"}, "Invalid token: x"),
    ):
        assert allowed.fails("exec", **arguments).startswith(words), arguments


def test_cancelling_ends_a_command_and_what_it_started(allowed, tmp_path):
    gate = Gate(tmp_path)
    script = f"sleep 600 & echo $! > {shlex.quote(str(tmp_path))}/child; {gate.wait}"
    request_id = allowed.send("tools/call", name="exec", arguments={"command": ["sh", "-c", script]})
    gate.reached()
    child = (tmp_path / "child").read_text().strip()
    assert is_running(child)
    allowed.tell("notifications/cancelled", requestId=request_id, reason="enough")
    wait_until_gone(child)
    # It is not answered; all else is.
    assert allowed.ask("tools/list")["result"]["tools"]
    gate.close()
    allowed.end()


@pytest.mark.parametrize("how", ["end", signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_command_does_not_outlive_the_server(allowed, tmp_path, how):
    gate = Gate(tmp_path)
    script = f"sleep 600 & echo $! > {shlex.quote(str(tmp_path))}/child; {gate.wait}"
    allowed.send("tools/call", name="exec", arguments={"command": ["sh", "-c", script]})
    gate.reached()
    child = (tmp_path / "child").read_text().strip()
    if how == "end":
        allowed.process.stdin.close()
        code = 0
    else:
        allowed.process.send_signal(how)
        code = -how if how == signal.SIGKILL else 128 + how
    assert allowed.process.wait(PATIENCE) == code
    wait_until_gone(child)
    assert allowed.process.stderr.read() == b""
    gate.close()


def test_calls_go_on_beside_each_other(allowed, tmp_path):
    gate = Gate(tmp_path)
    first = allowed.send("tools/call", name="exec", arguments={"command": ["sh", "-c", gate.wait]})
    gate.reached()
    assert allowed.stage("x").startswith("max:")
    # An id that is in use is no id for another one.
    allowed._asked[first] = "tools/call"
    allowed.send("tools/call", request_id=first, name="list", arguments={})
    assert allowed.receive()["error"]["message"] == f"Invalid Request: id {first} is in use"
    gate.open()
    assert allowed.receive()["id"] == first


def test_requests_are_limited(allowed, tmp_path):
    gate = Gate(tmp_path)
    for _ in range(64):
        allowed.send("tools/call", name="exec", arguments={"command": ["sh", "-c", gate.wait]})
    allowed.send("tools/call", name="list", arguments={})
    assert allowed.receive()["error"]["message"].startswith("64 requests are being answered; ")
    allowed.process.stdin.close()
    assert allowed.process.wait(PATIENCE) == 0


def test_progress_of_staging(wire, program):
    size = slow_to_stage(program)
    result = wire.ask("tools/call", meta={"progressToken": "p"}, name="stage", arguments={"path": "big"})
    assert not result["result"]["isError"]
    params = [one["params"] for one in wire.notifications]
    assert params
    assert all(one["progressToken"] == "p" and one["total"] == size for one in params)
    told = [one["progress"] for one in params]
    assert told == sorted(set(told))


def test_cancelling_ends_staging(wire, program):
    slow_to_stage(program)
    request_id = wire.send("tools/call", meta={"progressToken": 1}, name="stage", arguments={"path": "big"})
    wait_until(lambda: [name for name in os.listdir(program.staging) if name.endswith(".part")])
    wire.tell("notifications/cancelled", requestId=request_id)
    wait_until(lambda: not [name for name in os.listdir(program.staging) if name.endswith(".part")])
    assert wire.call("list") == "No staged data."
    wire.end()


def test_outside_of_a_project(connect, program_in, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("outside")
    wire = connect(program=program_in(Path(folder)))
    # It connects all the same, and each call says what is wrong.
    assert wire.ask("server/discover")["result"]
    assert wire.fails("list") == 'Not in a Max project. Run "max init" first.'
    assert wire.ask("resources/list")["error"]["message"].startswith("Not in a Max project")
    # As soon as there is one, it is found.
    Store.init(folder)
    assert wire.call("list") == "No staged data."
    monkeypatch.delenv("MAX_USER_STORE")
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    other = connect(program=program_in(tmp_path_factory.mktemp("outside")))
    token = other.stage("x")
    assert Store.user().info(token)
    # From inside a project as well.
    assert wire.fails("retrieve", token=token).startswith("Staged data not found")  # it was started without
    inside = connect(program=program_in(Path(folder)))
    assert inside.call("retrieve", token=token) == "x"


def test_wrong_usage(program):
    for args, words in (
        (["--max-bytes", "100"], "at least 1024 bytes"),
        (["--allow", "sql"], "'sql' is not"),
        (["--scope", "x"], "is not of the form KEY=VALUE"),
        (["--root", "/nope"], "does not exist"),
        (["--http", "x"], "is not a valid"),
        (["x"], "unexpected extra argument"),
    ):
        assert words in program.fails("mcp", *args, code=2), args
    assert "/nope does not exist" in program.fails("mcp", "--dir", "/nope")
    assert "max://TOKEN" in program.text("mcp", "--help")


def test_nothing_else_is_printed(connect, program):
    (program.folder / "noise.py").write_text("print('noise')\n")
    wire = connect("--allow", "exec", env={**os.environ, "PYTHONSTARTUP": "noise.py"})
    assert wire.call("exec", command=["echo", "x"]).startswith("x\n")
    request = {"jsonrpc": "2.0", "id": 900, "method": "tools/list", "params": {"_meta": META}}
    wire.write(json.dumps(request).encode() + b"\n")
    assert json.loads(wire.line())["id"] == 900
    wire.end()


def test_a_gzip_file_is_data_like_any_other(wire, program):
    (program.folder / "data.gz").write_bytes(gzip.compress(b"x" * 1000))
    assert "bytes, text)" in wire.call("stage", path="data.gz")
