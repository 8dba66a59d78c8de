"""Where intents lie in a project: their files, their trash, and which of them there are."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Any

from maxstage.errors import Corrupt, Error, NotFound
from maxstage.files import remove
from maxstage.intent.journal import Journal, Lock, lock_of, open_journal
from maxstage.intent.paths import Folders
from maxstage.intent.tokens import format_intent
from maxstage.store.project import PROJECT
from maxstage.store.tokens import is_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.store.store import Store

_INTENTS, _TRASH = "intents", "trash"
_SIDES = (".db-wal", ".db-shm", ".db", ".lock")
"""The files of an intent; the lock is the last that goes."""

UNFINISHED_SECONDS = 24 * 3600
"""How long an intent that was begun and not finished is kept after it was last worked on: it must be possible to go on
with it, and to take it back."""
_NEW_SECONDS = 3600
"""How old an unfinished plan must be to be taken for that of a process that was killed."""


def intents_folder(store: Store) -> str:
    """Return the folder of the intents' files; it is made if it is missing.

    Raises:
        Corrupt: It is not a folder of ours.
    """
    folder = f"{store.layout.base}/{_INTENTS}"
    os.makedirs(folder, mode=0o700, exist_ok=True)
    if os.path.islink(folder) or os.stat(folder).st_uid != os.stat(store.layout.base).st_uid:
        raise Corrupt(f"{folder} is not a folder of this project; remove it")
    return folder


def check_root(root: str) -> None:
    """Refuse a root in which a store lies around the files.

    Raises:
        Error: It is in one.
    """
    if any(part.lower() == PROJECT for part in root.split("/")):
        raise Error(f"{root} is in a store, which no intent changes")


def open_root(store: Store, root: bytes, identity: tuple[int, int] | None = None) -> Folders:
    """Return the folders below a root; those of the store are closed. Raises as `Folders`."""
    base = os.stat(store.layout.base)
    return Folders(root, identity, (base.st_dev, base.st_ino))


def path_of(store: Store, intent_id: str) -> str:
    """Return the file of an intent."""
    return f"{intents_folder(store)}/{intent_id}.db"


def trash_of(store: Store, intent_id: str) -> str:
    """Return the folder in which lies what an intent deleted or replaced; it need not be there."""
    return f"{store.layout.base}/{_TRASH}/{intent_id}"


def make_trash(store: Store, intent_id: str) -> str:
    """Return the same, made."""
    folder = trash_of(store, intent_id)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder


def open_intent(store: Store, intent_id: str, *, write: bool = False) -> Journal:
    """Open the file of an intent.

    Raises:
        NotFound: There is none.
        Corrupt: It is damaged.
    """
    try:
        return open_journal(path_of(store, intent_id), write=write)
    except FileNotFoundError:
        raise NotFound(f'No such intent: {format_intent(intent_id)}; "max intent list" lists them') from None


def intent_ids(store: Store) -> list[str]:
    """Return the ids of all intents."""
    names = os.listdir(intents_folder(store))
    return [name[:-3] for name in names if name.endswith(".db") and is_id(name[:-3])]


def all_facts(store: Store) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the intents with what is known of each, newest first; damaged ones are left out."""
    found = []
    for intent_id in intent_ids(store):
        try:
            with open_intent(store, intent_id) as journal:
                facts = journal.facts()
                found.append((intent_id, {**facts, "statuses": journal.counts()}))
        except (Error, OSError):
            continue  # deleted meanwhile, or damaged, which its own commands tell
    found.sort(key=lambda one: one[1].get("created", 0), reverse=True)
    yield from found


def is_expired(facts: dict[str, Any], now: float) -> bool:
    """Return whether an intent may not be begun any more. One that was begun may be finished."""
    return "begun" not in facts and facts.get("expires", 0) <= now


def result_is_kept(store: Store, facts: dict[str, Any]) -> bool:
    """Return whether a result of an intent is still there."""
    for item_id in facts.get("results", ()):
        try:
            item = store.storage.head(item_id)
        except (KeyError, Corrupt, OSError):
            continue
        if not item.is_expired(time.time()):
            return True
    return False


def _is_over(store: Store, facts: dict[str, Any], now: float) -> bool:
    """Return whether nobody needs an intent, and its trash, any more."""
    if "begun" not in facts:
        return is_expired(facts, now)
    if result_is_kept(store, facts):
        return False
    if facts.get("finished") or facts.get("cancelled"):
        return True
    return float(facts.get("worked", facts["begun"])) + UNFINISHED_SECONDS <= now


def sweep(store: Store) -> list[str]:
    """Delete the intents that are over, with their trash; return their ids. Those being executed are left alone."""
    if not os.path.isdir(f"{store.layout.base}/{_INTENTS}"):
        return []
    now = time.time()
    swept = []
    for intent_id in intent_ids(store):
        try:
            with open_intent(store, intent_id) as journal:
                facts = journal.facts()
            if _is_over(store, facts, now):
                delete(store, intent_id)
                swept.append(intent_id)
        except (Error, OSError):
            continue  # damaged, being executed, or gone: the next sweep looks again
    _sweep_new(store, now)
    return swept


def _sweep_new(store: Store, now: float) -> None:
    """Delete the plans that killed processes were making."""
    folder = intents_folder(store)
    for name in os.listdir(folder):
        path = f"{folder}/{name}"
        try:
            if ".db.new" in name and os.lstat(path).st_mtime < now - _NEW_SECONDS:
                os.unlink(path)
        except OSError:
            continue


def delete(store: Store, intent_id: str) -> None:
    """Delete an intent, with its trash.

    Raises:
        Error: It is being executed.
        OSError: It can't be deleted.
    """
    path = path_of(store, intent_id)
    with Lock(path, format_intent(intent_id)):
        # The trash first: as long as the intent is there, the next sweep goes on.
        trash = trash_of(store, intent_id)
        if os.path.lexists(trash):
            shutil.rmtree(trash)
        for side in _SIDES[:-1]:
            remove(path.removesuffix(".db") + side)
        remove(lock_of(path))
