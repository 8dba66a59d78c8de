"""What a preview tells a person, and that it is what an execution then does."""

import os

import pytest
from test_operations import lines_of, names_in, plan

from helpers import NOBODY
from maxstage.intent import preview
from maxstage.intent.execution import Options
from maxstage.intent.journal import RUNNING, Entry
from maxstage.intent.telling import lines_of as told_by


def shown(intent, on_conflict="fail", sample=10):
    found = intent.preview(on_conflict=on_conflict, sample=sample)
    lines = told_by(intent.id, intent.facts(), found, on_conflict)
    return "\n".join("  " * line.indent + line.text for line in lines)


def moves(store, *pairs):
    return plan(store, "move", [{"f": one, "t": other} for one, other in pairs], from_="{f!p}", to="{t!p}")


@pytest.fixture
def files(tmp_path):
    for name in "abc":
        (tmp_path / name).write_text(f"text of {name}")
    return tmp_path


def test_the_names_that_files_would_get(store, files):
    for folder in ("one", "two", "three"):
        (files / folder).mkdir()
        (files / folder / "x.txt").write_text(folder)
    (files / "all").mkdir()
    (files / "all" / "x (2).txt").write_text("there")
    intent = moves(store, *((f"{folder}/x.txt", "all/x.txt") for folder in ("one", "two", "three")))
    told = shown(intent, "rename")
    for line in (
        "move one/x.txt → all/x.txt",
        "move two/x.txt → all/x (1).txt",
        "move three/x.txt → all/x (3).txt",
    ):
        assert line in told
    assert "2 would get another name, since theirs is taken:\n  all/x (1).txt\n  all/x (3).txt\n" in told
    outcome = intent.execute(Options(on_conflict="rename"))
    went = [line["to"] for line in lines_of(store, outcome)]
    assert went == ["all/x.txt", "all/x (1).txt", "all/x (3).txt"]


def test_many_files_of_one_name(store, files, monkeypatch):
    """Each is not looked for among all that came before."""
    looks = []
    real = preview.look
    monkeypatch.setattr("maxstage.intent.looking.look", lambda *args: looks.append(1) or real(*args))
    intent = plan(store, "write", [{}] * 200, to="same", content="x")
    assert "199 would get another name" in shown(intent, "rename")
    assert "  same (10)\n  ... 189 more\n" in shown(intent, "rename")
    assert intent.execute(Options(on_conflict="rename")).ok
    assert len(names_in(files)) == 203
    assert len(looks) < 1500


def test_what_fails_takes_nothing_away(store, files):
    """A move that can't be done neither frees its source's name nor takes its target's."""
    found = moves(store, ("a", "b"), ("a", "new"), ("c", "a")).preview()
    assert [(problem.n, problem.text) for problem in found.problems] == [(1, "b exists")]
    intent = moves(store, ("a", "b"), ("a", "new"))
    assert intent.preview().problem_counts == {"exists": 1}
    outcome = intent.execute(Options(keep_going=True))
    assert [line["status"] for line in lines_of(store, outcome)] == ["failed", "succeeded"]


def test_the_order_is_what_stands_in_the_way(store, files):
    told = shown(moves(store, ("a", "b"), ("b", "c"), ("c", "d")))
    assert "1: b exists; 2 takes it away, but only afterwards" in told
    assert "2: c exists; 3 takes it away, but only afterwards" in told
    assert not moves(store, ("c", "d"), ("b", "c"), ("a", "b")).preview().has_problems


def test_what_an_earlier_operation_makes(store, files):
    told = shown(moves(store, ("a", "new"), ("b", "a"), ("new", "b")))
    assert "move new, made by 1, → b" in told


def test_what_is_no_file(store, files):
    (files / "folder").mkdir()
    os.mkfifo(files / "pipe")
    (files / "link").symlink_to("a")
    records = [{"name": name} for name in ("folder", "pipe", "link")]
    told = shown(plan(store, "copy", records, from_="{name}", to="new/{name}"))
    assert "3 have a source that is no file" in told


def test_a_program_that_is_not_there(store, files):
    (files / "here.sh").write_text("#!/bin/sh\n")
    os.chmod(files / "here.sh", 0o755)
    records = [{"n": 1}, {"n": 2}]
    told = shown(plan(store, "run", records, argv=["no-such-program", "{n} a"]))
    assert "2 have a program that can't be started\n    no-such-program is not on PATH\n" in told
    assert "argv: no-such-program '{n} a'\n" in told
    assert "./gone.sh is no program" in shown(plan(store, "run", records, argv=["./gone.sh"]))
    assert not plan(store, "run", records, argv=["./here.sh"]).preview().has_problems


def test_what_is_unknown_is_told(store, files):
    intent = plan(store, "run", [{"n": n} for n in range(3)], argv=["true"])
    from maxstage.intent.folder import open_intent

    with open_intent(store, intent.id, write=True) as journal:
        journal.note([Entry(1, RUNNING)])
    told = shown(intent)
    assert "of 1 of these nobody knows" in told
    assert f"max execute {intent.token} --retry unknown" in told


def test_a_name_with_a_newline_is_one(store, files):
    (files / "a\nb").write_text("x")
    assert "move a\\nb → new\\nname" in shown(moves(store, ("a\nb", "new\nname")))


def test_only_what_stands_out_is_odd(store, files):
    for number in range(30):
        (files / f"f{number}").write_text("x")
    (files / "f20").write_text("x" * 99)
    told = shown(moves(store, *((f"f{n}", f"to/f{n}") for n in range(30))))
    assert "Odd:\n  21: move f20 → to/f20  99 B  (largest)\n" in told
    assert "longest name" not in told
    (files / "f0").write_text("x" * 1000)
    assert "Odd" not in shown(moves(store, *((f"f{n}", f"to/f{n}") for n in range(30))))


@pytest.mark.skipif(os.geteuid() != 0, reason="makes another user's files")
def test_a_folder_that_keeps_files_for_their_owners(store, tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    os.chmod(tmp_path / "tmp", 0o1777)
    for name in ("a", "b"):
        (tmp_path / "tmp" / name).write_text("x")
    intent = moves(store, ("tmp/a", "tmp/new"), ("tmp/b", "b"))
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    os.chown(tmp_path / "tmp" / "b", NOBODY, NOBODY)
    found = intent.preview()
    assert [(problem.n, problem.kind) for problem in found.problems] == [(1, "permission")]
    assert "another user's" in found.problems[0].text
