"""Each command in an interpreter of its own that has imported nothing, where most tests use forks (see `forks`)."""

import importlib.util
import os
import shlex

import pytest

from maxstage.cli.app import COMMANDS

FLOW = """
name: f
version: 1
agents: {a: {command: [cat]}}
tasks:
  t: {script: {content: seq 2000}, limits: {max_stdout_bytes: 1KiB}}
  w: {agent: a, description: say, inject_context: true, depends_on: [t]}
"""

LINES = """
help stage
init
stage records.ndjson
stage --compress=gzip --label a=b records.ndjson
retrieve {token}
retrieve {token} --max-bytes 5
path {token}
search {token} -f a>=1 --sort a:desc
count {token} --by a
schema {token}
sql "FROM 'records.ndjson'"
sources
stage list -o json
stage info {token}
stage renew {token} --ttl 1h
stage pin {token}
stage unpin {token}
stage copy {token} --to .
stage copy --help
grant --help
stage gc
stage verify
exec --agent -- seq 3
exec --diff -- seq 3
truncate --max-bytes 1KiB records.ndjson
mcp
mcp wrap -- cat
gain
validate flow.yaml
template starter
run flow.yaml
run flow.yaml --dry-run
runs
answer
runs show {run}
runs output {run} w
runs report {run} --html -
runs export {run}
context {run} w
runs prune {run} --keep 1
agent
agent status
agent install claude --dry-run
agent uninstall claude --dry-run
agent plugin plugin
intent delete records.ndjson --from a{{a}}.txt
intent list
preview {intent}
execute {intent}
undo {result}
unstage {token}
engine
worker --help
runs cancel {run}
runs clean {run}
"""
"""Commands of each module in `maxstage.cli`, in an order in which they make sense."""


@pytest.mark.started
def test_each_command_starts(program, tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (program.folder / "flow.yaml").write_text(FLOW)
    for number in (1, 2):
        (program.folder / f"a{number}.txt").touch()
    (program.folder / "records.ndjson").write_text('{"a": 1}\n{"a": 2}\n')
    known = {"token": program.stage(b'{"a": 1}\n')}
    left = {module for module, _ in COMMANDS.values()}
    for line in LINES.strip().splitlines():
        if line.startswith("sql") and importlib.util.find_spec("duckdb") is None:
            left.discard("sql")
            continue
        if line == "engine" and importlib.util.find_spec("temporalio") is None:
            left.discard("engine")
            continue
        words = [word.format(**known) for word in shlex.split(line)]
        done = program(*words)
        assert b"Traceback" not in done.stderr, line
        name = " ".join(words[:2])
        left.discard(COMMANDS.get(name, COMMANDS[words[0]])[0])
        if name == "run flow.yaml":
            known["run"] = program.text("runs").split()[0]
        elif name == "intent delete":
            known["intent"] = done.stdout.decode().strip()
        elif words[0] == "execute":
            known["result"] = done.stdout.decode().strip()
    assert left == set(), "add a command of these modules to LINES"
    assert os.listdir(program.folder / "plugin")
