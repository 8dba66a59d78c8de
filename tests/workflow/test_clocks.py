"""Clocks that are wrong, or that are put right between two starts of a run."""

import time

import pytest

from helpers import bash, text_of
from maxstage import Error
from maxstage.workflow.run.folder import find_runs, runs_folder

TASKS = {"a": bash("echo a"), "b": bash("test -e go", depends_on=["a"])}
DAY = 86400


@pytest.fixture
def set_clock(monkeypatch):
    """Put the clock ahead by some seconds."""
    real = time.time

    def put(seconds):
        monkeypatch.setattr("time.time", lambda: real() + seconds)

    return put


def test_a_run_from_the_future_is_not_the_newest(flow, set_clock):
    set_clock(9000 * DAY)
    flow({"a": bash("true")})
    set_clock(0)
    left = flow(TASKS, check=False)
    assert not left.ok
    (flow.folder / "go").touch()
    assert flow(TASKS, resume=True).run_id == left.run_id


def test_a_run_goes_on_after_the_clock_was_put_back(program, flow, set_clock):
    set_clock(9000 * DAY)
    left = flow(TASKS, check=False)
    set_clock(0)
    (flow.folder / "go").touch()
    done = flow(TASKS, resume=True)
    assert (done.run_id, text_of(done, "a")) == (left.run_id, "a\n")
    assert "Took:" not in program.text("runs", "show", left.run_id)


@pytest.mark.parametrize("seconds", [-100 * 365 * DAY, 300 * 365 * DAY])
def test_a_clock_that_is_wrong_by_centuries_starts_nothing(flow, set_clock, seconds):
    left = flow(TASKS, check=False)
    set_clock(seconds)
    for run_id in (False, left.run_id):
        with pytest.raises(Error, match="clock of this machine is not between 1970 and 2262"):
            flow(TASKS, resume=run_id)
    assert [run_id for run_id, _ in find_runs(runs_folder(flow.store))] == [left.run_id]
