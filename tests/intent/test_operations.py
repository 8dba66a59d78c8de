"""What each operation does, how it is taken back, and what stands in its way."""

import json
import os
import stat

import pytest
from world import pretend_far

from maxstage import Error, Intent
from maxstage.intent import copying, transfer
from maxstage.intent.execution import Options
from maxstage.intent.journal import Lock


@pytest.fixture
def files(tmp_path):
    for name in "abc":
        (tmp_path / name).write_text(f"text of {name}")
    return tmp_path


def names_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if ".max" not in path.parts)


def plan(store, operation, records, **templates):
    return Intent.plan(store, operation, records, root=store.layout.project, **templates)


def lines_of(store, outcome):
    with store.open(outcome.token) as file:
        return [json.loads(line) for line in file]


def by_name(*names):
    return [{"name": name} for name in names]


def test_copy(store, files):
    os.chmod(files / "a", 0o640)
    os.utime(files / "a", ns=(10**18, 10**18))
    outcome = plan(store, "copy", by_name("a", "b"), from_="{name}", to="new/{name}").execute()
    assert outcome.statuses == {"succeeded": 2, "failed": 0, "skipped": 0, "unknown": 0}
    assert names_in(files) == ["a", "b", "c", "new", "new/a", "new/b"]
    status = (files / "new" / "a").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o640, 10**18)
    (files / "new" / "b").write_text("changed")
    outcome = Intent.undo(store, outcome.token)
    assert outcome.statuses["succeeded"] == outcome.statuses["failed"] == 1
    assert (files / "new" / "b").read_text() == "changed"
    assert not (files / "new" / "a").exists()
    assert lines_of(store, outcome)[0]["error"] == "new/b has changed since the intent was made"


def test_move_and_what_was_written_into_it_since(store, files):
    outcome = plan(store, "move", by_name("a"), from_="{name}", to="x/y/{name}").execute()
    assert names_in(files) == ["b", "c", "x", "x/y", "x/y/a"]
    (files / "x" / "y" / "a").write_text("more")
    assert Intent.undo(store, outcome.token).ok
    assert names_in(files) == ["a", "b", "c"]
    assert (files / "a").read_text() == "more"


def test_delete_and_undo_and_undo_of_that(store, files):
    outcome = plan(store, "delete", by_name("a", "b"), from_="{name}").execute()
    assert names_in(files) == ["c"]
    back = Intent.undo(store, outcome.token)
    assert names_in(files) == ["a", "b", "c"]
    assert Intent.undo(store, outcome.token).is_old
    assert Intent.undo(store, back.token).ok
    assert names_in(files) == ["c"]


def test_write(store, files):
    records = [{"name": "d", "text": "ä\n"}, {"name": "e", "text": ""}]
    outcome = plan(store, "write", records, to="{name}", content="{text}").execute()
    assert (files / "d").read_bytes() == "ä\n".encode()
    assert (files / "e").read_bytes() == b""
    assert Intent.undo(store, outcome.token).ok
    assert names_in(files) == ["a", "b", "c"]


def test_run_gets_the_record_and_a_key(store, files):
    argv = ["sh", "-c", 'printf "%s " "$1" "$MAX_INTENT_OP"; cat', "_", "{name}"]
    intent = plan(store, "run", by_name("$(touch x); `touch x` && 'x'\n*"), argv=argv)
    (line,) = lines_of(store, intent.execute())
    assert line["output"] == f"{line['record']['name']} {intent.id}:1 {json.dumps(line['record'])}\n"
    assert names_in(files) == ["a", "b", "c"]
    with pytest.raises(Error, match="can't be taken back: 1 programs were run"):
        Intent.undo(store, intent.token)


def test_run_stops_at_the_first_failure_and_goes_on_after_it(store, files):
    argv = ["sh", "-c", "echo $1 >> log; [ $1 != 2 ]", "_", "{n}"]
    intent = plan(store, "run", [{"n": n} for n in range(1, 5)], argv=argv)
    outcome = intent.execute()
    assert (outcome.statuses["succeeded"], outcome.statuses["failed"], outcome.pending) == (1, 1, 2)
    outcome = intent.execute()
    assert (outcome.statuses["succeeded"], outcome.statuses["failed"], outcome.pending) == (3, 1, 0)
    assert intent.execute().is_old
    assert (files / "log").read_text().split() == ["1", "2", "3", "4"]
    intent.execute(Options(again=("failed",), retry=1))
    assert (files / "log").read_text().split() == ["1", "2", "3", "4", "2", "2"]


def test_many_programs_at_a_time(store, files):
    argv = ["sh", "-c", "touch done-$1", "_", "{n}"]
    outcome = plan(store, "run", [{"n": n} for n in range(12)], argv=argv).execute(Options(jobs=4))
    assert outcome.ok
    assert len(names_in(files)) == 15


CONFLICTS = {
    "fail": ("text of a", "text of b", False, 0),
    "skip": ("text of a", "text of b", False, 0),
    "overwrite": (None, "text of a", False, 1),
    "rename": (None, "text of b", True, 1),
}


@pytest.mark.parametrize("policy", CONFLICTS)
def test_a_target_that_exists(store, files, policy):
    source, target, renamed, done = CONFLICTS[policy]
    intent = plan(store, "move", by_name("a"), from_="{name}", to="b")
    assert intent.preview(on_conflict=policy).has_problems == (policy == "fail")
    outcome = intent.execute(Options(on_conflict=policy))
    assert outcome.statuses["succeeded"] == done
    assert ((files / "a").read_text() if source else (files / "a").exists()) == (source or False)
    assert (files / "b").read_text() == target
    assert (files / "b (1)").exists() == renamed
    if done:
        assert Intent.undo(store, outcome.token).ok
    assert names_in(files) == ["a", "b", "c"]
    assert [(files / name).read_text() for name in "ab"] == ["text of a", "text of b"]


def test_a_chain_in_one_intent(store, files):
    """Each waits for the one before; the preview knows that."""
    records = [
        {"from": "c", "to": "d"},
        {"from": "b", "to": "c"},
        {"from": "a", "to": "b"},
        {"from": "d", "to": "a"},
    ]
    intent = plan(store, "move", records, from_="{from}", to="{to}")
    assert intent.preview().problems == []
    outcome = intent.execute()
    assert outcome.ok
    assert [(files / name).read_text() for name in "abc"] == ["text of c", "text of a", "text of b"]
    assert Intent.undo(store, outcome.token).ok
    assert [(files / name).read_text() for name in "abc"] == ["text of a", "text of b", "text of c"]


def test_two_with_one_target(store, files):
    intent = plan(store, "copy", by_name("a", "b"), from_="{name}", to="same")
    assert intent.preview().problem_counts == {"twice": 1}
    outcome = intent.execute(Options(on_conflict="rename"))
    assert outcome.ok
    assert [(files / name).read_text() for name in ("same", "same (1)")] == ["text of a", "text of b"]


def test_into_another_file_system(store, files, monkeypatch):
    """As far as the program can tell."""
    pretend_far(monkeypatch)
    outcome = plan(store, "move", by_name("a", "b"), from_="{name}", to="new/{name}").execute(Options(jobs=2))
    assert outcome.ok
    assert names_in(files) == ["c", "new", "new/a", "new/b"]
    assert Intent.undo(store, outcome.token).ok
    assert [(files / name).read_text() for name in "ab"] == ["text of a", "text of b"]


def test_the_system_tells_that_it_is_another_file_system(store, files, monkeypatch):
    """Bind mounts have the same device, and renaming fails all the same."""
    real = transfer.core.rename_new

    class Core:
        Writer, Reader = copying.core.Writer, copying.core.Reader

        @staticmethod
        def rename_new(moves, **_):
            return [18 if b".max-intent-" not in move[1] else real([move])[0] for move in moves]

    monkeypatch.setattr(transfer, "core", Core)
    (files / "c").write_text("in the way")
    outcome = plan(store, "move", by_name("a"), from_="{name}", to="d").execute()
    assert outcome.ok
    assert names_in(files) == ["b", "c", "d"]
    assert (files / "d").read_text() == "text of a"


def test_a_copy_that_differs_deletes_nothing(store, files, monkeypatch):
    pretend_far(monkeypatch)

    def garble(fd, copy, *_):
        os.write(copy, b"garbled..")

    monkeypatch.setattr(copying, "_copy_content", garble)
    outcome = plan(store, "move", by_name("a"), from_="{name}", to="d").execute()
    assert "differs" in lines_of(store, outcome)[0]["error"]
    assert names_in(files) == ["a", "b", "c"]


def test_two_at_once(store, files):
    intent = plan(store, "delete", by_name("a"), from_="{name}")
    with (
        Lock(intent._path(), intent.token),
        pytest.raises(Error, match="is being executed by another process"),
    ):
        intent.execute()
    assert intent.execute().ok


def test_an_intent_is_executed_once(store, files):
    intent = plan(store, "delete", by_name("a"), from_="{name}")
    first = intent.execute()
    (files / "a").write_text("new")
    again = intent.execute()
    assert (again.token, again.is_old) == (first.token, True)
    assert (files / "a").read_text() == "new"


def test_an_intent_that_was_taken_back_is_not_executed_again(store, files):
    intent = plan(store, "delete", by_name("a"), from_="{name}")
    Intent.undo(store, intent.execute().token)
    with pytest.raises(Error, match="was taken back"):
        intent.execute()


def test_no_records(store, files):
    with pytest.raises(Error, match="no records"):
        plan(store, "delete", [], from_="{name}")
    assert list(Intent.list(store)) == []


def test_a_rate(store, files):
    outcome = plan(store, "copy", by_name("a", "b", "c"), from_="{name}", to="to/{name}").execute(
        Options(rate=100)
    )
    assert outcome.ok


def test_nothing_stays_open(store, files):
    """An agent that runs for days executes many."""
    opened = set(os.listdir("/proc/self/fd"))
    intent = plan(store, "move", by_name("a", "missing"), from_="{name}", to="x/{name}")
    intent.preview()
    outcome = intent.execute(Options(keep_going=True))
    assert Intent.undo(store, outcome.token).ok
    Intent.undo(store, outcome.token)
    assert set(os.listdir("/proc/self/fd")) == opened
