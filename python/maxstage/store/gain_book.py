"""What was kept out of prompts, as counters: ``.max/gain.sqlite3``, into which the log (`maxstage.store.gain`) goes.

One process at a time moves the log, under a lock: it is renamed, so that others begin a new one, and deleted once its
lines are counted, in one transaction with its name, which keeps a killed process from counting twice.
"""

import contextlib
import os
import sqlite3
import time

from maxstage.files import remove, try_lock, wait_for_lock
from maxstage.store.gain import AGAIN, CUT, LOG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

BOOK = "gain.sqlite3"
_LOCK = "gain.lock"
_MOVING = "gain.moving"

_KEPT_DAYS = 400
"""How long counters are kept: a year, and what it is compared with."""

_ITEM_DAYS = 60
"""How long it is remembered which command an item comes from; hardly any lives longer."""

_DAY = 24 * 3600

KEYS = ("day", "command", "source", "client")
"""What is counted apart."""

COUNTS = ("outputs", "original", "shown", "again", "again_bytes")
"""What is counted: outputs that were cut, their bytes, the bytes that were left, how many were read again, and how much
of them."""

_TABLES = f"""
CREATE TABLE IF NOT EXISTS gain ({", ".join(f"{key} TEXT" for key in KEYS)},
    {", ".join(f"{count} INTEGER NOT NULL DEFAULT 0" for count in COUNTS)}, PRIMARY KEY ({", ".join(KEYS)}));
CREATE TABLE IF NOT EXISTS item (id TEXT PRIMARY KEY, {", ".join(f"{key} TEXT" for key in KEYS)}, again INTEGER);
CREATE TABLE IF NOT EXISTS moved (name TEXT PRIMARY KEY, day TEXT);
"""


class Book:
    """The counters of one store.

    Args:
        base: The path of ``.max``.
    """

    def __init__(self, base: str) -> None:
        self._base = base

    def move(self) -> None:
        """Move the log into the counters unless somebody else does. Never fails, never waits."""
        try:
            self._move(wait=False)
        except (OSError, sqlite3.Error):
            return  # the next sweep tries again, and the log's size is bounded

    def sums(self, by: "Sequence[str]", days: int | None = None) -> "list[tuple[Any, ...]]":
        """Return the sums of all counters, the largest gain first.

        Args:
            by: For which of `KEYS` apart; none of them for one sum of all.
            days: Of the last so many days, today included; None for all.

        Raises:
            sqlite3.Error: The counters are damaged.
            OSError: They can't be written.
        """
        if not any(os.path.lexists(self._path(name)) for name in (LOG, _MOVING, BOOK)):
            return []
        self._move(wait=True)
        wanted = ", ".join([*by, *(f"sum({count})" for count in COUNTS)])
        since = "" if days is None else _day(time.time() - (days - 1) * _DAY)
        grouped = f" GROUP BY {', '.join(by)}" if by else " HAVING count(*) > 0"
        with contextlib.closing(self._open()) as book:
            return book.execute(
                f"SELECT {wanted} FROM gain WHERE day >= ?{grouped} ORDER BY sum(original - shown) DESC",  # noqa: S608
                (since,),
            ).fetchall()

    def _path(self, name: str) -> str:
        return f"{self._base}/{name}"

    def _open(self) -> sqlite3.Connection:
        book = sqlite3.connect(self._path(BOOK), timeout=10, isolation_level=None)
        book.executescript(_TABLES)
        os.chmod(self._path(BOOK), 0o600)
        return book

    def _move(self, *, wait: bool) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        lock = os.open(self._path(_LOCK), flags, 0o600)
        try:
            if wait:
                wait_for_lock(lock)
            elif not try_lock(lock):
                return
            moving = self._path(_MOVING)
            # Left by a process that was killed, perhaps after it had counted it.
            if os.path.lexists(moving):
                self._count(moving)
            try:
                os.rename(self._path(LOG), moving)
            except FileNotFoundError:
                return
            self._count(moving)
        finally:
            os.close(lock)

    def _count(self, path: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            status = os.fstat(fd)
            name = f"{status.st_ino} {status.st_ctime_ns}"
            with contextlib.closing(self._open()) as book:
                book.execute("BEGIN IMMEDIATE")
                if book.execute("SELECT 1 FROM moved WHERE name = ?", (name,)).fetchone() is None:
                    for fields in _lines(file):
                        _add(book, *fields)
                    _forget_old(book)
                    book.execute("INSERT INTO moved VALUES (?, ?)", (name, _day(time.time())))
                book.execute("COMMIT")
        remove(path)


def _lines(file: "Iterator[bytes]") -> "Iterator[list[str]]":
    """Yield the fields of each line; a line that is not ours, or half of one, is passed over."""
    for line in file:
        fields = line.decode("utf-8", "replace").rstrip("\n").split("\t")
        length, numbers = _FORMS.get(fields[1] if len(fields) > 1 else "", (0, slice(0)))
        if len(fields) == length and all(map(_is_number, [fields[0], *fields[numbers]])):
            yield fields


_FORMS = {CUT: (8, slice(3, 5)), AGAIN: (4, slice(3, 4))}
"""How many fields a line of each kind has, and which of them, after the time, are numbers."""

_DIGITS = 12
"""Digits of a number: more than any output has bytes, and a time that calendars know."""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS


def _add(book: sqlite3.Connection, when: str, what: str, item_id: str, *rest: str) -> None:
    if what == CUT:
        original, shown, command, client, source = rest
        keys = (_day(int(when)), command, source, client)
        _count_up(book, keys, outputs=1, original=int(original), shown=int(shown))
        book.execute("INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?, ?, 0)", (item_id, *keys))
        return
    found = book.execute("SELECT * FROM item WHERE id = ?", (item_id,)).fetchone()
    if found is not None:
        _count_up(book, found[1:5], again=0 if found[5] else 1, again_bytes=int(rest[0]))
        book.execute("UPDATE item SET again = 1 WHERE id = ?", (item_id,))


def _count_up(book: sqlite3.Connection, keys: "Sequence[str]", **counts: int) -> None:
    names = ", ".join(counts)
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in counts)
    book.execute(
        f"INSERT INTO gain ({', '.join(KEYS)}, {names}) VALUES ({', '.join('?' * (len(KEYS) + len(counts)))}) "  # noqa: S608
        f"ON CONFLICT ({', '.join(KEYS)}) DO UPDATE SET {added}",
        (*keys, *counts.values()),
    )


def _forget_old(book: sqlite3.Connection) -> None:
    now = time.time()
    book.execute("DELETE FROM gain WHERE day < ?", (_day(now - _KEPT_DAYS * _DAY),))
    book.execute("DELETE FROM item WHERE day < ?", (_day(now - _ITEM_DAYS * _DAY),))
    book.execute("DELETE FROM moved WHERE day < ?", (_day(now - _DAY),))


def _day(when: float) -> str:
    """Return the day, by the machine's clock, like ``2026-11-21``."""
    return time.strftime("%Y-%m-%d", time.localtime(when))
