"""Exported states that somebody has changed: refused as a whole, or imported and readable."""

import copy
import json
import os
import random
import time

import pytest

from helpers import bash
from maxstage import WorkflowError
from maxstage.workflow.run.folder import import_run, list_runs, runs_folder
from maxstage.workflow.run.state import RunState

ROUNDS = 150
"""A second's work, about."""

SECONDS = float(os.environ.get("MAXSTAGE_FUZZ_SECONDS", "60"))
"""Of the long run."""

VALUES = [
    *(None, True, 0, -1, 1.5, 2**63, 2**64, 10**30, 10**400, float("inf"), float("nan"), "", "x", "\ud83d", "\0"),
    *("\x1b[2J", "../../x", "max:00000000", "loop[-1]", f"loop[{10**20}]", "a.b", "completed", "running", [], {}),
    *("2024-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59+23:59", "====", "YQ==", [[]], ["a"]),
]  # fmt: skip


@pytest.fixture
def exported(flow):
    """The export of a run with all there is."""
    tasks = {
        "big": bash("seq 3000; echo e >&2", output="out/big", limits={"max_stdout_bytes": 1024}),
        "loop": bash("echo {{ item }}", loop={"for_each": {"collection": {"type": "inline", "items": [1, "a"]}}}),
        "no": bash("exit 3", on_error={"continue": True}),
        "say": {"agent": "g", "description": "say", "inject_context": True, "depends_on": ["big", "loop"]},
    }  # fmt: skip
    result = flow(tasks, agents={"g": {"command": ["cat"]}}, outputs={"o": "{{ tasks.loop.output }}"})
    state = RunState(runs_folder(flow.store), result.run_id)
    found = json.loads(json.dumps(state.export()))
    state.close()
    return found | {"attempts": {"no": [found["task_outputs"]["no"]]}}


def places(value, path=()):
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inside:
        yield from places(one, (*path, key))


def mutated(rng, exported):
    data = copy.deepcopy(exported)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        *outer, last = rng.choice(list(places(data)))
        inside = data
        for key in outer:
            inside = inside[key]
        what = rng.randrange(5)
        if what < 3 or isinstance(inside, list):
            inside[last] = copy.deepcopy(rng.choice(VALUES))
        elif what == 3:
            del inside[last]
        else:
            inside[rng.choice([one for one in VALUES if isinstance(one, str)])] = inside.pop(last)
    return data


def attempt(number, exported, folder):
    """Import a mutated state; return whether it was accepted."""
    data = mutated(random.Random(number), exported) | {"run": f"imported-{number}"}
    before = sorted(os.listdir(folder))
    try:
        # As from a file, which may hold any number.
        import_run(folder, json.loads(json.dumps(data)), "x.json").close()
    except WorkflowError as error:
        assert "\n" not in str(error), number  # noqa: PT017 - each round is the other case
        assert sorted(os.listdir(folder)) == before, number
        return False
    state = RunState(folder, data["run"])
    try:
        json.dumps(state.export())
        assert len(state.ended()) == len(state.paths()), number
        state.acquire()
        state.delete()
    except Exception as error:
        error.add_note(f"in round {number}")
        raise
    finally:
        state.close()
    return True


def test_mutated_exports(flow, exported):
    folder = runs_folder(flow.store)
    accepted = [attempt(number, exported, folder) for number in range(ROUNDS)]
    assert 0 < sum(accepted) < ROUNDS
    assert len(list_runs(folder)) == 1


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("task_outputs", "no", "attempts"), 10**30),
        (("task_outputs", "no", "output", "original_size"), 2**64),
        (("task_outputs", "no", "output", "completed_at"), "now"),
        (("contexts", "say", "bytes"), "x"),
        (("files", "big"), None),
        (("attempts", "no", 0, "output", "content"), 5),
        (("facts", "folder"), ...),
        (("facts", "inputs"), []),
    ],
)
def test_what_is_missing_or_wrong_is_refused_at_once(flow, exported, where, value):
    *outer, last = where
    inside = exported
    for key in outer:
        inside = inside[key]
    inside[last] = value
    if value is ...:
        del inside[last]
    with pytest.raises(WorkflowError, match="is not the state of a run"):
        import_run(runs_folder(flow.store), exported | {"run": "imported"}, "x.json")
    assert len(list_runs(runs_folder(flow.store))) == 1


@pytest.mark.stress
@pytest.mark.timeout(SECONDS * 2 + 600)
def test_mutated_exports_for_long(flow, exported):
    folder = runs_folder(flow.store)
    number = start = time.time_ns()  # other rounds each time
    while time.time_ns() < start + SECONDS * 10**9:
        attempt(number, exported, folder)
        number += 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, WorkflowError])
def test_an_import_that_is_interrupted_leaves_nothing(flow, exported, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(RunState, "record_context", fail)
    with pytest.raises(error):
        import_run(runs_folder(flow.store), exported | {"run": "imported"}, "x.json")
    assert len(list_runs(runs_folder(flow.store))) == 1


def test_an_import_is_one_transaction(flow, exported, monkeypatch):
    """Killed in its middle, it must not leave a run that says it has completed, with some of its tasks."""
    folder = runs_folder(flow.store)
    seen = []

    def look(self):
        other = RunState(folder, self.run_id)
        seen.append((other.facts(), other.paths()))
        other.close()

    monkeypatch.setattr(RunState, "_read_all", look)
    import_run(folder, exported | {"run": "imported"}, "x.json").close()
    assert seen == [({}, [])]
