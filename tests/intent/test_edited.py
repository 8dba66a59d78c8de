"""A plan and a journal that somebody has edited: they are refused, or lead nowhere."""

import contextlib
import sqlite3

import pytest

from maxstage import Error, Intent
from maxstage.intent.telling import lines_of

EDITS = [
    "UPDATE facts SET value = '\"../../etc\"' WHERE name = 'root'",
    "UPDATE facts SET value = '9' || substr(hex(zeroblob(300)), 1, 400) WHERE name = 'created'",
    "UPDATE facts SET value = '1e999' WHERE name = 'expires'",
    "DELETE FROM facts WHERE name = 'rootIdentity'",
    "INSERT INTO facts VALUES ('undoes', '\"../../../x\"')",
    "INSERT INTO facts VALUES ('results', '[\"../x\"]')",
    "UPDATE facts SET value = x'ff' WHERE name = 'kind'",
    "UPDATE ops SET op = 'format'",
    "UPDATE ops SET op = 'restore', target = x'61'",
    "UPDATE ops SET source = NULL",
    "UPDATE ops SET source = 'text'",
    "UPDATE ops SET op = 'run', body = x'5b315d'",
    "INSERT INTO journal (n, status) VALUES (1, 'x')",
    "INSERT INTO journal (n, status, made) VALUES (1, 'acting', x'00')",
]


@pytest.mark.parametrize("edit", EDITS)
def test_a_plan_that_somebody_has_edited(store, tmp_path, edit):
    (tmp_path / "a").write_text("a")
    intent = Intent.plan(store, "delete", [{}], root=tmp_path, from_="a")
    with contextlib.closing(sqlite3.connect(tmp_path / ".max" / "intents" / f"{intent.id}.db")) as db, db:
        db.execute(edit)
    for work in (
        lambda: list(lines_of(intent.id, intent.facts(), intent.preview(), "fail")),
        intent.execute,
        lambda: Intent.undo(store, intent.token),
    ):
        with pytest.raises(Error, match=r"damaged|has done nothing"):
            work()
    assert (tmp_path / "a").exists()


def test_an_edited_plan_does_not_lead_out(store, tmp_path, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    for path in (
        f"../{outside.name}/x",
        f"{outside}/x",
        f"a/../../{outside.name}/x",
        f"./../{outside.name}/x",
    ):
        intent = Intent.plan(store, "write", [{}], root=tmp_path, to="here", content="x")
        with contextlib.closing(sqlite3.connect(tmp_path / ".max" / "intents" / f"{intent.id}.db")) as db, db:
            db.execute("UPDATE ops SET target = ?", (path.encode(),))
        assert not intent.execute().ok
    assert not list(outside.iterdir())
