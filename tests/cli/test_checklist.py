"""The testing checklist of the plan that staging grew from, line by line, through pipes."""

import json
import os
import re
import subprocess
import sys

import pytest

from helpers import edit

TOKEN = re.compile(r"max:[0-9a-f]{8}\n")
CONTACTS = b"".join(
    b'{"id":"%d","source":"hubspot","type":"contact","name":"n%d"}\n' % (number, number)
    for number in range(1, 9)
)


def shell(program, script: str) -> str:
    """Run a script in which ``max`` is the program."""
    prologue = f'max() {{ "{sys.executable}" -m maxstage "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-c", prologue + script], cwd=program.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_echo_into_stage_prints_a_token(program):
    assert TOKEN.fullmatch(shell(program, 'echo "test" | max stage'))


def test_retrieve_outputs_staged_data(program):
    assert shell(program, "T=$(echo test | max stage); max retrieve $T") == "test\n"


def test_list_shows_all_staged_data_with_metadata(program):
    program.stage(CONTACTS)
    program.stage(b"x" * 94_200, "--source", "gdrive/file")
    # Columns line up: numbers to the right, text to the left.
    newest, oldest = program.text("stage", "list").splitlines()
    assert re.fullmatch(
        r"max:[0-9a-f]{8}   1 record  94\.2 KB  gdrive/file      \d s ago  expires: (60|59) min", newest
    )
    assert re.fullmatch(
        r"max:[0-9a-f]{8}  8 records    472 B  hubspot/contact  \d s ago  expires: (60|59) min", oldest
    )


def test_list_as_json(program):
    token = program.stage(CONTACTS)
    (item,) = json.loads(program.text("stage", "list", "-o", "json"))
    wanted = {"token", "createdAt", "expiresAt", "recordCount", "byteSize", "source", "contentType"}
    assert wanted <= item.keys()
    assert (item["token"], item["recordCount"], item["byteSize"]) == (
        token.removeprefix("max:"),
        8,
        len(CONTACTS),
    )
    assert (item["source"], item["contentType"]) == ("hubspot/contact", "ndjson")
    assert json.loads(program.text("stage", "list", "-o", "json", "--source", "other")) == []


def test_info_shows_detail_with_a_preview(program):
    token = program.stage(CONTACTS)
    lines = program.text("stage", "info", token).splitlines()
    assert lines[0] == f"Token:      {token}"
    assert lines[1] == "Records:    8"
    assert lines[3] == "Source:     hubspot/contact"
    assert lines[6] == "Type:       ndjson"
    at = lines.index("Preview:")
    assert lines[at + 1] == '  {"id":"1","source":"hubspot","type":"contact","name":"n1"}'
    assert lines[at + 4] == "  ... (5 more)"
    assert '  name    string  100%  "n1"' in lines


def test_info_as_json(program):
    info = json.loads(program.text("stage", "info", program.stage(CONTACTS), "-o", "json"))
    assert info["fields"]["name"] == {"type": "string", "present": 1.0, "example": "n1"}
    assert info["estimatedTokens"] == -(-len(CONTACTS) // 4)
    assert len(info["preview"]) == 3


def test_the_preview_cuts_lines_and_disarms_control_characters(program):
    token = program.stage(b"\x1b[31mred\n" + b"y" * 101 + b"\n" + b"z" * 100 + b"\n" + b"\xff\n")
    preview = program.text("stage", "info", token).split("Preview:\n")[1].splitlines()
    assert preview == ["  \\x1b[31mred", "  " + "y" * 100 + "...", "  " + "z" * 100, "  ... (1 more)"]


def test_unstage_deletes(program):
    token = program.stage(b"test\n")
    assert program.text("unstage", token) == f"Unstaged: {token}\n"
    assert program.leftovers() == []
    assert program("retrieve", token, check=1).stderr.decode().startswith(f"Staged data not found: {token}")
    assert program.text("stage", "list") == "No staged data.\n"


def expire(program, token: str) -> None:
    """Set an item's expiry to the past."""
    edit(program.staging / f"{token.removeprefix('max:')}.meta.json", expiresAt="2024-01-01T00:00:00Z")


def test_expired_items_are_cleaned_by_themselves(program):
    token = program.stage(CONTACTS)
    expire(program, token)
    os.utime(program.staging / ".sweep", (0, 0))  # the next sweep is due
    assert program.text("stage", "list") == "No staged data.\n"
    assert not list(program.staging.glob("[0-9a-f]*"))
    message = program("retrieve", token, check=1).stderr.decode()
    assert re.match(rf"Staged data expired \d+ d ago: {token} \(hubspot/contact, 8 records\)", message)


@pytest.mark.parametrize(
    "command", [["retrieve"], ["stage", "info"], ["stage", "renew"], ["unstage"], ["stage", "pin"]]
)
def test_invalid_tokens_are_told(program, command):
    done = program(*command, "nope", check=2)
    assert done.stderr.decode().startswith("Invalid token: nope; a token is max: and 8 to 32 hex digits")
    assert done.stderr.count(b"\n") == 1


def test_the_directory_is_staging(program):
    token = program.stage(CONTACTS)
    item_id = token.removeprefix("max:")
    assert (program.staging / f"{item_id}.ndjson").read_bytes() == CONTACTS
    assert json.loads((program.staging / f"{item_id}.meta.json").read_text())["token"] == item_id
    assert program.staging == program.folder / ".max" / "staging"


def test_the_agent_handoff(program):
    script = """
        T=$(for i in 1 2 3 4 5; do echo "{\\"company\\": \\"c$((i % 2))\\"}"; done | max stage --source crm)
        max retrieve $T | sort | uniq -c | sort -rn | head -1
    """
    assert shell(program, script).split() == ["3", '{"company":', '"c1"}']


def test_large_data_is_streamed(program):
    """512 MiB in, out of flat memory: the peak of the process is measured by the kernel."""
    script = """
import os, resource, subprocess, sys
feed = subprocess.Popen(["head", "-c", str(512 << 20), "/dev/zero"], stdout=subprocess.PIPE)
subprocess.run([sys.executable, "-m", "maxstage", *sys.argv[1:]], stdin=feed.stdout, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
    run = [sys.executable, "-c", script, "stage", "--compress"]
    token, peak = subprocess.run(
        run, cwd=program.folder, capture_output=True, check=True, text=True
    ).stdout.split()
    assert int(peak) < 64 * 1024
    meta = json.loads((program.staging / f"{token.removeprefix('max:')}.meta.json").read_text())
    assert meta["byteSize"] == 512 << 20
