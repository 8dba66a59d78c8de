"""Takes in what is written to a pipe, and uploads it meanwhile if it is large."""

import os
import threading

from maxstage._backend import core
from maxstage.errors import QuotaExceeded
from maxstage.store.storage.object.client import PART
from maxstage.store.storage.object.frames import Gathering
from maxstage.store.storage.object.layout import INLINE, data_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.store.storage.object.client import Client

_WIDE = 1024 * 1024
"""Bytes that the pipe holds: what Linux allows everybody."""

_PIECE = 1024 * 1024
"""Bytes handed over at a time; obstore makes parts of them."""

_PREFIX = 64 * 1024
"""Bytes by which data is told apart."""

_ENDINGS = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}
"""How compressed data begins, and the ending of its object: so `gunzip` and `zstd -d` know it."""

_PLAIN = {"ndjson": ".ndjson", "json": ".json", "text": ".txt"}


_MOST = 10_000 * PART
"""The most bytes of an object: servers allow so many parts."""

_PATIENCE = 5.0
"""Seconds that whoever gives up waits for a request that is on its way. What it writes after that is swept, in time."""


class GivenUp(Exception):
    """The upload is not wanted any more."""


class Pump:
    """A pipe whose other end a thread reads. What fits into an item is kept; what doesn't is uploaded as it comes.

    Args:
        client: Where it goes.
        nonce: Names the data.

    Attributes:
        fd: The end that is written to.
        size: Bytes that have arrived.
        inline: The data, if it fits into an item.
        key: The name of the data's object, if it doesn't.
        index: What is known of compressed data, once all has arrived.
    """

    def __init__(self, client: "Client", nonce: str) -> None:
        self._client = client
        self._nonce = nonce
        self._problem: BaseException | None = None
        self._is_given_up = False
        self.size = 0
        self.inline: bytes | None = None
        self.key: str | None = None
        self.index = Gathering()
        source, self.fd = os.pipe2(os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        _widen(self.fd)
        self._thread = threading.Thread(target=self._run, args=(source,), daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Close the pipe, and wait until all that was written has arrived at the server.

        Raises:
            Unreachable: It could not be uploaded.
        """
        self.close()
        self._thread.join()
        if self._problem is not None:
            raise self._problem

    def give_up(self) -> None:
        """Stop the upload: nothing of it remains, as far as the server can be reached."""
        self._is_given_up = True
        self.close()
        self._thread.join(_PATIENCE)

    def close(self) -> None:
        """Close the end that is written to."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _run(self, source: int) -> None:
        try:
            self._take(source)
        except BaseException as error:  # noqa: BLE001 - the thread that writes must hear of it
            self._problem = error
        finally:
            os.close(source)  # and from now on, writing fails

    def _take(self, source: int) -> None:
        first = self._read(source, bytearray(INLINE + 1))
        if len(first) <= INLINE:
            self.inline = bytes(first)
            return
        buffer = bytearray(PART)
        buffer[: len(first)] = first
        first = self._read(source, buffer, len(first))
        del buffer
        key = data_key(self._nonce, _ending(bytes(first[:_PREFIX])))
        if len(first) < PART:
            if not self._is_given_up:
                self._client.put(key, first)
        else:
            begin = [first]
            del first
            self._client.upload(key, self._parts(source, begin))
        self.key = key

    def _parts(self, source: int, begin: list[memoryview]) -> "Iterator[memoryview]":
        part = begin.pop()
        while part:
            if self._is_given_up:
                raise GivenUp
            yield part
            if self.size > _MOST:
                raise QuotaExceeded(
                    f"an item on a server has at most {_MOST:,} bytes; nothing was staged; use --split"
                )
            # Each piece has its own memory: those before are still on their way.
            part = self._read(source, bytearray(_PIECE))
        if self._is_given_up:
            raise GivenUp

    def _read(self, source: int, buffer: bytearray, filled: int = 0) -> memoryview:
        """Fill a buffer, or read up to the end; return the part of it that is filled."""
        view = memoryview(buffer)
        while filled < len(view) and (count := os.readv(source, [view[filled:]])):
            self.index.add(view[filled : filled + count])
            filled += count
            self.size += count
        return view[:filled]


def _widen(fd: int) -> None:
    import fcntl

    setting = getattr(fcntl, "F_SETPIPE_SZ", None)
    if setting is not None:
        try:
            fcntl.fcntl(fd, setting, _WIDE)
        except OSError:
            return  # the user's pipes take too much already: it stays as wide as it is


def _ending(prefix: bytes) -> str:
    for magic, ending in _ENDINGS.items():
        if prefix.startswith(magic):
            return ending
    return _PLAIN[core.content_type(prefix, whole=False, lines=2, last_nonblank=None)]
