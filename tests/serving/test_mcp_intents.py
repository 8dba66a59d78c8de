"""The tools for intents: planning and looking for everybody, doing only where it is allowed."""

import re

import pytest

from maxstage.intent.areas import CONFLICTS
from maxstage.mcp.tools.preview import POLICIES


@pytest.fixture
def files(program):
    for name in "abc":
        (program.folder / name).write_text(name)
    return program.folder


def test_the_policies_are_those_of_intents():
    assert list(CONFLICTS) == POLICIES


def test_the_whole_way(connect, files):
    wire = connect("--allow", "execute")
    token = wire.stage('{"n": "a"}\n{"n": "b"}\n{"n": "x"}\n')
    told = wire.call("plan", token=token, operation="move", to="to/{n}", **{"from": "{n}"})
    intent = re.match(r"max:intent:[0-9a-f]{8}", told)[0]
    assert "3 moves" in told
    assert "3: x is missing" in told
    assert sorted(path.name for path in files.iterdir() if path.name != ".max") == ["a", "b", "c"]
    assert "1 problem" in wire.call("preview", intent=intent, sample=1)
    told = wire.call("execute", intent=intent)
    result = re.match(r"max:result:[0-9a-f]{8}", told)[0]
    assert told.split("\n")[1] == "move 3: x is missing"
    assert ": 2 succeeded, 1 failed" in told
    assert wire.call("count", token=result, by="status").lstrip().startswith("2  succeeded")
    assert "2 succeeded" in wire.call("undo", result=result)
    assert (files / "a").read_text() == "a"


def test_what_is_not_allowed(connect, files, tmp_path_factory):
    wire = connect()
    token = wire.stage('{"n": "a"}\n')
    told = wire.call("plan", token=token, operation="run", argv=["touch", "{n}x"])
    intent = re.match(r"max:intent:[0-9a-f]{8}", told)[0]
    answer = wire.ask("tools/call", name="execute", arguments={"intent": intent})
    assert answer["error"]["message"].startswith("Unknown tool: execute")
    other = str(tmp_path_factory.mktemp("other"))
    assert "is outside of" in wire.fails(
        "plan", token=token, operation="delete", root=other, **{"from": "{n}"}
    )
    assert "move needs a template for to" in wire.fails(
        "plan", token=token, operation="move", **{"from": "{n}"}
    )
    assert "needs --allow exec" not in told
    wire = connect("--allow", "execute")
    assert "--allow exec" in wire.fails("execute", intent=intent)
    assert not (files / "ax").exists()
    wire = connect("--allow", "execute", "--allow", "exec")
    assert "1 succeeded" in wire.call("execute", intent=intent)
    assert (files / "ax").exists()


def test_a_scope_has_its_own_intents(connect, files):
    mine = connect("--scope", "agent=a", "--allow", "execute")
    other = connect("--scope", "agent=b", "--allow", "execute")
    token = mine.stage('{"n": "a"}\n')
    told = mine.call("plan", token=token, operation="delete", **{"from": "{n}"})
    intent = re.match(r"max:intent:[0-9a-f]{8}", told)[0]
    for name in ("preview", "execute"):
        assert other.fails(name, intent=intent) == f"No such intent: {intent}"
    assert other.fails("undo", result=intent) == f"No such intent: {intent}"
    result = re.match(r"max:result:[0-9a-f]{8}", mine.call("execute", intent=intent))[0]
    assert '"status": "succeeded"' in mine.call("retrieve", token=result)
    assert other.fails("retrieve", token=result).startswith("Staged data not found")
    assert other.fails("undo", result=result).startswith("No such intent")
    assert "1 succeeded" in mine.call("undo", result=result)
