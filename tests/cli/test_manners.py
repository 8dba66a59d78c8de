"""Command manners: what is printed, and what is said of mistakes."""

import json
import os

import pytest

from maxstage import Store


def test_an_item_as_json_is_the_same_everywhere(program):
    big = b"x\n" * 3_000_000
    (one,) = (json.loads(line) for line in program.text("stage", "-o", "json", stdin=big).splitlines())
    token = one["ref"]
    (listed,) = json.loads(program.text("stage", "list", "-o", "json"))
    info = json.loads(program.text("stage", "info", token, "-o", "json"))
    renewed = json.loads(program.text("stage", "renew", token, "-o", "json"))
    for item in (one, listed, info, renewed):
        assert item["ref"] == f"max:{item['token']}" == token
        assert isinstance(item["createdNs"], str)
        assert "lineIndex" not in item
        assert list(item)[:2] == ["token", "ref"]
    meta = json.loads((program.staging / f"{one['token']}.meta.json").read_text())
    assert one["createdNs"] == meta["createdNs"]
    assert "lineIndex" in meta
    whole = json.loads(program.text("stage", "info", token, "-o", "json", "--all"))
    assert whole["lineIndex"] == meta["lineIndex"]


def test_json_of_a_name_that_is_not_utf8_is_json(program):
    done = program("retrieve", "a1b2c3d4", check=1)  # as ever
    assert done.stdout == b""
    from maxstage.cli import printing

    read, write = os.pipe()
    saved = os.dup(1)
    os.dup2(write, 1)
    try:
        printing.print_json({"name": "a\udcff", "half": "\ud83d"})
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(write)
    with open(read, "rb") as file:
        # Strict readers refuse half of a surrogate pair, as an escape too.
        assert json.loads(file.read()) == {"name": "a\ufffd", "half": "\ufffd"}


def test_one_of_a_kind_is_singular(program):
    store = Store.open_dir(program.folder)
    token = program.stage(b"x")
    assert "1 record " in program.text("stage", "list")
    assert repr(store.info(token)).startswith(f"<Item {token}: 1 record, 1 byte")
    path = program.staging / f"{token.removeprefix('max:')}.meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"expiresAt": "2024-01-01T00:00:00Z"}))
    assert b"(unknown, 1 record);" in program("retrieve", token, check=1).stderr
    token = program.stage(b"xy")
    (program.staging / f"{token.removeprefix('max:')}.txt").write_bytes(b"x")
    assert b"its data file has 1 byte, not 2" in program("retrieve", token, check=1).stderr


@pytest.mark.parametrize("output", ["text", "json"])
def test_what_verify_says_is_in_words(program, output):
    token = program.stage(b"data\n")
    (program.staging / f"{token.removeprefix('max:')}.txt").unlink()
    os.mkdir(program.staging / f"{token.removeprefix('max:')}.txt")
    done = program("stage", "verify", "-o", output, check=1)
    assert b"Errno" not in done.stderr + done.stdout
    assert done.stderr.count(b"\n") == 1
    assert token.encode() in done.stderr
    if output == "json":
        (one,) = json.loads(done.stdout)
        assert (one["token"], one["ref"], one["ok"]) == (token.removeprefix("max:"), token, False)
