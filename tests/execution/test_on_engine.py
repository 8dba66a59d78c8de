"""Runs whose programs run on workers of an engine: what travels, what does not, and how they are ended."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from engines import Worker, max_program
from helpers import FOREVER, lines_of, wait_for, wait_until, wait_until_gone
from maxstage import Store
from maxstage.workflow.execution.job import ANSWER
from maxstage.workflow.workflow import Workflow

pytestmark = pytest.mark.remote

SOON = 5
"""Seconds in which a run that is cancelled has ended everywhere, as is promised; and some for a busy machine."""
SLACK = 10


@pytest.fixture
def on(engine, worker_forks, store):
    """The engine, with a worker of the project."""
    with worker_forks.worker(store.layout.project, engine.on):
        yield engine.on


def work(tasks, store, folder, *, on=None, **root):
    """Run tasks that are given as plain data."""
    how = {name: root.pop(name) for name in ("resume", "on_event", "jobs") if name in root}
    made = Workflow.from_dict({"name": "w", "version": "1", "tasks": tasks, **root}, store=store)
    return made.run(store=store, folder=folder, on=on, **how)


def script(text, **more):
    """Return a task."""
    return {"script": {"content": text}, **more}


def asked_of_engine(on, run_id):
    """Return the names of a run's programs at the engine, and the bytes of what each was given and answered."""

    async def ask():
        from maxstage.workflow.execution.temporal.address import Address
        from maxstage.workflow.execution.temporal.connection import connect

        client = await connect(Address.parse(on))
        found = {}
        async for one in client.list_activities(f'ActivityId STARTS_WITH "{run_id}/"'):
            handle = client.get_activity_handle(one.activity_id)
            known = await handle.describe(include_input=True, include_outcome=True)
            found[one.activity_id] = (known.raw_input.ByteSize(), known.raw_outcome.ByteSize())
        return found

    return asyncio.run(ask())


def told(result):
    """Return what a run has told of each task, except for times and tokens."""
    found = {}
    for path, one in result.tasks.items():
        output = one.output
        while output is not None:
            texts = output.content.replace((output.token or "-").encode(), b"TOKEN")
            how = (output.exit_code, output.signal, output.original_size, output.truncated, output.warnings)
            found[path, output.output_type] = (
                one.status,
                one.attempts,
                one.error,
                texts,
                how,
                output.token is None,
            )
            output = output.stderr
    return found


def test_results_are_the_same_byte_for_byte(on, store, tmp_path):
    tasks = {
        "many": script("seq 200000; seq 50000 >&2", output="out/many.txt"),
        "odd": script(r"printf '\xff\xfe\0'; exit 3", on_error={"retry": 1, "continue": True}),
        "last": script("tail -n 1", stdin_from="many"),
        "killed": script("kill -9 $$", on_error={"continue": True}),
        "loop": {
            **script("echo {{ item }} {{ tasks.last.output }}"),
            "loop": {"for_each": {"collection": {"type": "range", "end": 4}, "parallel": True}},
        },
        "asked": {"agent": "a", "description": "say", "inject_context": True, "depends_on": ["loop", "many"]},
    }
    root = {"agents": {"a": {"command": ["cat"]}}, "limits": {"max_stdout_bytes": "2KiB"}}
    both = [work(tasks, store, tmp_path, on=where, **root) for where in (None, on)]
    assert all(one.ok for one in both)
    assert told(both[0]) == told(both[1])
    assert (tmp_path / "out" / "many.txt").read_bytes().endswith(b"\n200000\n")
    item = both[1].tasks["many"].output
    assert item.external_path == both[0].tasks["many"].output.external_path.replace(
        both[0].tasks["many"].output.token.removeprefix("max:"), item.token.removeprefix("max:")
    )
    assert store.open(item.token).read().endswith(b"\n200000\n")


def test_no_message_is_larger_than_64_kib(on, store, tmp_path):
    tasks = {
        "big": script("head -c 900000 /dev/urandom | base64; head -c 200000 /dev/zero >&2"),
        "whole": script("head -c 100000000 /dev/zero"),
        "read": script("wc -c", stdin_from="whole"),
        "long": script(f"echo {'x' * 90000}"),
        "filled": script("printf %s {{ tasks.long.output }} | wc -c"),
        "given": {"command": {"executable": "cat", "env": {"LONG": "y" * 100000}}},
    }
    result = work(tasks, store, tmp_path, on=on)
    assert result.ok, result.error
    assert result.tasks["read"].output.content.strip() == b"100000000"
    assert len(result.tasks["big"].output.content) > 1_000_000
    sizes = asked_of_engine(on, result.run_id)
    assert len(sizes) == len(tasks)
    assert max(size for pair in sizes.values() for size in pair) <= 64 * 1024
    # Nothing is left of what was sent as items: only outputs that results name.
    known = {one.output.token for one in result.tasks.values()} | {
        one.output.stderr.token for one in result.tasks.values()
    }
    assert {item.token for item in store.list() if item.source != ANSWER} <= known


def test_each_program_has_a_new_folder_with_what_is_uploaded(on, store, tmp_path):
    for name in ("data/a.csv", "data/deep/b.csv", "other.txt", "sub/run.sh"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{name}\n")
    (tmp_path / "sub" / "run.sh").write_text('echo "$0" | grep -c sub || ls')
    (tmp_path / "data" / "a.csv").chmod(0o755)
    tasks = {
        "first": script("find . -type f | sort; test -x data/a.csv; touch mine", upload=["data/**/*.csv"]),
        "second": script("find . | sort", depends_on=["first"]),
        "folder": script("find . -type f; pwd", upload=["data"], depends_on=["second"]),
        "inner": {"script": {"content": "pwd", "working_dir": "sub"}, "depends_on": ["folder"]},
        "file": {"script": {"file": "sub/run.sh"}, "depends_on": ["inner"]},
        "there": {"command": {"executable": "pwd", "working_dir": str(tmp_path)}},
        "none": script("true", upload=["no-such-*"], on_error={"continue": True}),
    }
    result = work(tasks, store, tmp_path, on=on)
    assert result.ok, result.error
    output = {name: one.output.text for name, one in result.tasks.items() if one.output}
    assert output["first"] == "./data/a.csv\n./data/deep/b.csv\n"
    assert output["second"] == ".\n"
    assert output["folder"].startswith("./data/")
    folder = output["folder"].splitlines()[-1]
    assert not os.path.exists(folder)
    assert output["inner"].endswith("/files/sub\n")
    assert output["file"] == "0\n"
    assert output["there"] == f"{tmp_path}\n"
    assert "nothing matches 'no-such-*'" in result.tasks["none"].error


def test_only_declared_variables_travel_and_secrets_do_not(engine, store, tmp_path, monkeypatch):
    monkeypatch.setenv("OF_DRIVER", "here")
    monkeypatch.setenv("API_KEY", "of-the-driver-123")
    worker = Worker(tmp_path, engine.on, env={"API_KEY": "of-the-worker-456", "OF_DRIVER": ""}).ready()
    try:
        tasks = {
            "seen": script('echo "$DECLARED $OF_DRIVER."; echo "key: $API_KEY"; echo "$MAX_DIR"'),
            "filled": script("echo {{ env.API_KEY }}", on_error={"continue": True}),
            "sent": {
                "script": {"content": "true", "env": {"KEY": "{{ env.API_KEY }}"}},
                "on_error": {"continue": True},
            },
        }
        result = work(tasks, store, tmp_path, on=engine.on, env={"DECLARED": "yes"}, secrets=["API_KEY"])
        assert result.ok, result.error
        assert result.tasks["seen"].output.text == f"yes .\nkey: ***\n{tmp_path}\n"
        for name in ("filled", "sent"):
            assert (
                "has the secret API_KEY in it, which would pass through the engine"
                in result.tasks[name].error
            )
        assert set(asked_of_engine(engine.on, result.run_id)) == {f"{result.run_id}/seen/1"}
    finally:
        worker.end()


def test_a_worker_without_the_secret_or_with_another_store_says_so(
    engine, worker_forks, store, tmp_path, monkeypatch
):
    (tmp_path / "else").mkdir()
    Store.init(tmp_path / "else")
    with worker_forks.worker(tmp_path / "else", engine.on):
        result = work({"t": script("true")}, store, tmp_path, on=engine.on)
    assert "is not the run's: start the worker in a project with the same store" in result.error
    with worker_forks.worker(tmp_path, engine.on):
        monkeypatch.setenv("ONLY_HERE", "a-secret-value")
        result = work({"t": script("true")}, store, tmp_path, on=engine.on, secrets=["ONLY_HERE"])
    assert "the environment of the worker has no secret named ONLY_HERE" in result.error


def test_queues(on, store, tmp_path):
    events = []
    other = Worker(tmp_path, on, queue="gpu", env={"WHERE": "gpu"})
    try:
        tasks = {"a": script("echo ${WHERE-}."), "b": script("echo ${WHERE-}.", runs_on={"queue": "gpu"})}
        result = work(tasks, store, tmp_path, on=on, on_event=events.append)
        assert [result.tasks[name].output.text for name in "ab"] == [".\n", "gpu.\n"]
    finally:
        other.end()
    events.clear()
    name = max_program(tmp_path, "runs").stdout.split()[0]
    flow = {"name": "w", "version": "1", "tasks": {"a": script("true", runs_on={"queue": "nobody"})}}
    (tmp_path / "flow.yaml").write_text(json.dumps(flow))
    driver = subprocess.Popen(
        [sys.executable, "-m", "maxstage", "run", "flow.yaml", "--on", on],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
    )
    shown = driver.stderr.readline() + driver.stderr.readline()
    assert b"takes jobs of the queue 'nobody' yet; to start one: max worker --on" in shown
    wait_until(lambda: max_program(tmp_path, "runs").stdout.split()[0] != name)
    max_program(tmp_path, "runs", "cancel", max_program(tmp_path, "runs").stdout.split()[0])
    assert driver.wait(60) == 1
    driver.stderr.close()


LONG = f"""
    trap '' TERM
    setsid sleep {FOREVER} &
    echo $$ $! | tr ' ' '\\n' > {{folder}}/pid.$MAX_TASK.new
    mv {{folder}}/pid.$MAX_TASK.new {{folder}}/pid.$MAX_TASK
    wait
"""


@pytest.fixture
def running(on, store, tmp_path):
    """A run in a process of its own, with two programs that go on; with the process and the programs' ids."""
    text = LONG.format(folder=tmp_path)
    flow = {"name": "w", "version": "1", "tasks": {"a": script(text), "b": script(text)}}
    (tmp_path / "flow.yaml").write_text(json.dumps(flow))
    driver = subprocess.Popen(
        [sys.executable, "-m", "maxstage", "run", "flow.yaml", "--on", on], cwd=tmp_path
    )
    for name in "ab":
        wait_for(tmp_path / f"pid.{name}")
    yield driver, [pid for name in "ab" for pid in lines_of(tmp_path / f"pid.{name}")], on
    driver.kill()
    driver.wait()


def test_what_ends_a_run_ends_its_programs_soon(running, tmp_path):
    driver, pids, _ = running
    began = time.monotonic()
    driver.send_signal(signal.SIGTERM)
    wait_until_gone(*pids)
    assert time.monotonic() - began < SOON + SLACK
    assert driver.wait(60) == 143


def test_a_run_is_cancelled_from_outside(running, tmp_path):
    driver, pids, _ = running
    began = time.monotonic()
    max_program(tmp_path, "runs", "cancel", max_program(tmp_path, "runs").stdout.split()[0])
    wait_until_gone(*pids)
    assert time.monotonic() - began < SOON + SLACK
    assert driver.wait(60) == 1


def test_a_run_whose_driver_is_gone_is_cancelled_from_anywhere(running, tmp_path):
    driver, pids, on = running
    driver.kill()
    driver.wait()
    name = max_program(tmp_path, "runs").stdout.split()[0]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    max_program(elsewhere, "init")
    done = max_program(elsewhere, "runs", "cancel", name, "--on", on)
    assert done.stdout == f"Cancelled run {name}; 2 programs ended\n"
    wait_until_gone(*pids)


def test_a_run_whose_state_is_lost_joins_what_was_done(on, store, tmp_path):
    tasks = {
        "a": script(f"echo a >> {tmp_path}/log; echo out-a"),
        "b": script(f"echo b >> {tmp_path}/log; seq 300000"),
    }
    first = work(tasks, store, tmp_path, on=on)
    assert first.ok
    shutil.rmtree(store.layout.runs)
    again = work(tasks, store, tmp_path, on=on, resume=first.run_id)
    assert again.ok
    assert again.run_id == first.run_id
    assert sorted(lines_of(tmp_path / "log")) == ["a", "b"]
    assert told(again) == told(first)
    with pytest.raises(Exception, match="There is no run"):
        work(tasks, store, tmp_path, on=on, resume="20200101-000000-000aaaa")


def test_a_worker_says_that_jobs_of_another_contract_wait(engine, store, tmp_path):
    async def start():
        from datetime import timedelta

        from maxstage.workflow.execution.temporal.address import Address
        from maxstage.workflow.execution.temporal.connection import connect
        from maxstage.workflow.execution.temporal.messages import ACTIVITY, CONTRACT, queue_name

        client = await connect(Address.parse(engine.on))
        name = queue_name("later", CONTRACT + 1)
        await client.start_activity(
            ACTIVITY, {}, id="later/1", task_queue=name, start_to_close_timeout=timedelta(seconds=600)
        )

    asyncio.run(start())
    worker = Worker(tmp_path, engine.on, queue="later").ready()
    try:
        wait_until(lambda: any(one["event"] == "other_contract" for one in list(worker.events)))
        assert not any(one["event"] == "started" for one in worker.events)
    finally:
        worker.end()
