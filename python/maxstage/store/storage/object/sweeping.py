"""Who sweeps, and when: a lease in the object ``sweep``, and the time of the next sweep, on this machine, too.

Nothing breaks if two sweep at once, since each step is conditional: the lease only saves requests.
"""

import os
import time

from maxstage import light_json
from maxstage.store.storage.object.layout import NEWEST, SWEEP, new_nonce

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.store.storage.object.client import Client

_LEASE = 60
"""Seconds that a sweeper has, if it does not say that it is done."""


class Schedule:
    """When the next sweep is worthwhile, and who does it.

    A command must not ask the server for that each time: the time is also that of a file on this machine.

    Args:
        client: The server.
        path: The file; None to remember it in this process alone.

    Attributes:
        is_held: Whether this process has the lease.
        cursor: The marker at which the last sweep stopped, for want of time; None if it came to the end.
    """

    def __init__(self, client: "Client", path: str | None) -> None:
        self._client = client
        self._path = path
        self._time: float | None = None
        self._is_asked = False
        self.is_held = False
        self.cursor: str | None = None

    def time(self) -> float | None:
        """Return when the next sweep is worthwhile; None if there was none yet."""
        if self._path is not None:
            try:
                return os.stat(self._path, follow_symlinks=False).st_mtime
            except FileNotFoundError:
                pass
        if self._time is None and not self._is_asked:
            self._is_asked = True
            said = self._read()[0]
            due = said.get("due")
            self._time = float(due) if isinstance(due, int | float) else None
        return self._time

    def set_time(self, when: float) -> None:
        """Record when the next sweep is worthwhile."""
        self._time = when
        if self._path is not None:
            try:
                os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
                os.utime(self._path, (when, when), follow_symlinks=False)
            except OSError:
                self._path = None  # a read-only folder, for instance: this process remembers it

    def _read(self) -> "tuple[dict[str, Any], dict[str, str] | None]":
        got = self._client.get(SWEEP)
        if got is None:
            return {}, None
        try:
            said = light_json.loads(got.content.decode())
        except (ValueError, RecursionError):
            said = {}
        return said if isinstance(said, dict) else {}, got.version

    def take(self) -> str | None:
        """Try to become the only sweeper; return what gives the lease back, or None."""
        if self.is_held:
            return None
        said, version = self._read()
        until, now = said.get("until"), time.time()
        # One that ends later than any we give was written by a clock that is wrong.
        if isinstance(until, int | float) and now < until <= now + 2 * _LEASE:
            return None
        by = new_nonce()
        content = light_json.dumps({**said, "by": by, "until": now + _LEASE}).encode()
        if self._write(content, by, version):
            self.is_held = True
            cursor = said.get("cursor")
            self.cursor = cursor if isinstance(cursor, str) and cursor.startswith(f"{NEWEST}/") else None
            return by
        return None

    def give_back(self, by: str) -> None:
        """End the lease, and tell others when the next sweep is worthwhile."""
        self.is_held = False
        said, version = self._read()
        if said.get("by") == by and version is not None:
            done = {"by": by, "until": 0, "cursor": self.cursor, "due": self._time}
            self._write(light_json.dumps(done).encode(), by, version)

    def _write(self, content: bytes, by: str, version: "dict[str, str] | None") -> bool:
        def is_ours() -> bool:
            return bool(self._read()[0].get("by") == by)

        if version is None:
            return self._client.create(SWEEP, content, is_ours)
        return self._client.update(SWEEP, content, version, is_ours)


class Sweeping:
    """The context manager that `Storage.sweeping` returns."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._by: str | None = None

    def __enter__(self) -> bool:
        self._by = self._schedule.take()
        return self._by is not None

    def __exit__(self, *_: object) -> None:
        if self._by is not None:
            self._schedule.give_back(self._by)
