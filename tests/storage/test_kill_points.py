"""A process may die at any moment: no item is incomplete, no published one is lost, and leftovers go in time."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import kills
import pytest

from maxstage.settings import Settings
from maxstage.store.project import Layout
from maxstage.store.quota import Quota
from maxstage.store.store import Store

HOURS = 3 * 3600


@pytest.fixture
def clock(monkeypatch):
    """Return a function that moves the clock forward by hours."""
    real = time.time

    def forward():
        monkeypatch.setattr(time, "time", lambda: real() + HOURS)

    yield forward
    monkeypatch.undo()


def moments_of(scenario, kind, folder, settings):
    """Return how many moments a scenario has at which its process may die."""
    mortal, before = _begin(kind, folder, None, settings)
    scenario(Store(Layout(str(folder)), mortal, settings), list(before))
    return mortal.moments


def _begin(kind, folder, at, settings):
    Store.init(folder)
    layout = Layout(str(folder))
    storage = kind.make(layout)
    before = kills.kept(Store(layout, storage, settings))
    return kills.Mortal(storage, at, die=kind.die), before


@pytest.mark.parametrize("scenario", kills.SCENARIOS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("limited", [False, True])
def test_a_process_that_ends(kind, tmp_path, scenario, limited, monkeypatch):
    # A quota only adds to what is called, so `make test` tries fewer moments of that.
    step = 3 if limited else 1
    ends_at_moments(kind, tmp_path, scenario, limited, monkeypatch, step=4 * step if kind.is_remote else step)


@pytest.mark.stress
@pytest.mark.parametrize("scenario", kills.SCENARIOS, ids=lambda one: one.__name__)
def test_a_process_that_ends_with_a_quota(kind, tmp_path, scenario, monkeypatch):
    ends_at_moments(kind, tmp_path, scenario, True, monkeypatch, step=1)


def ends_at_moments(kind, tmp_path, scenario, limited, monkeypatch, step):
    settings = Settings(max_store_bytes=10**9 if limited else None)
    # How often a store is measured depends on the time that passes: always, so that each attempt has the same moments.
    monkeypatch.setattr(Quota, "_is_far", lambda self, _more: not self.of_store)
    real = time.time
    moments = moments_of(scenario, kind, tmp_path / "all", settings)
    assert moments >= 2
    for at in range(1, moments + 1, step):
        monkeypatch.setattr(time, "time", real)
        folder = tmp_path / str(at)
        mortal, before = _begin(kind, folder, at, settings)
        with pytest.raises(kills.Died):
            scenario(Store(Layout(str(folder)), mortal, settings), list(before))
        fresh = Store(Layout(str(folder)), mortal._mortal.inner, settings)
        kills.check(
            fresh, before, scenario, lambda: monkeypatch.setattr(time, "time", lambda: real() + HOURS)
        )


@pytest.mark.skipif("MAXSTAGE_REMOTE" in os.environ, reason="tests/remote has its own")
@pytest.mark.parametrize("scenario", kills.SCENARIOS, ids=lambda one: one.__name__)
def test_a_process_that_is_killed(tmp_path, scenario, clock):
    """Real processes and ``kill -9``, for the storage that uses locks of the kernel."""
    here = Path(__file__).parent
    run = [sys.executable, here / "killed.py", scenario.__name__, tmp_path]
    done = subprocess.run(run, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(here)})
    assert done.returncode == 0, done.stderr
    projects = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(projects) > 2
    stores = [Store.open(tmp_path / str(at)) for at in range(1, len(projects) + 1)]
    befores = [{token: data.encode() for token, data in tokens.items()} for tokens in projects]
    for store, before in zip(stores, befores, strict=True):
        kills._check_items(store, before, scenario)
    clock()
    for store, before in zip(stores, befores, strict=True):
        kills.check(store, before, scenario, lambda: None)
