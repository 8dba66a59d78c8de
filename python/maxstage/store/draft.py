"""Writing an item: take in data, then publish it whole or leave nothing behind."""

import os
import stat
import time

from maxstage._backend import core
from maxstage.codecs import CODECS
from maxstage.errors import wrong_type
from maxstage.files import read_some
from maxstage.interrupts import Deferred
from maxstage.store.clock import check_clock
from maxstage.store.metadata import Item, check_extra

TYPE_CHECKING = False
if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, BinaryIO

    from maxstage.settings import Settings
    from maxstage.store.metadata import ContentType
    from maxstage.store.quota import Quota as _Quota
    from maxstage.store.storage.protocol import Storage, Upload

    Data = bytes | bytearray | memoryview | str | os.PathLike[str] | int | BinaryIO | Iterable[bytes]
    Progress = Callable[[int], None]

_STEP = 8 * 1024 * 1024
"""Bytes written between two checks of the quota: rare enough to cost nothing, frequent enough that concurrent
writers overshoot the store's limit only slightly before they notice."""

_READ = 256 * 1024
"""Bytes read at a time from a Python file object."""

_FILE_STEP = 64 * 1024 * 1024
"""Bytes taken from a file at a time: copies inside the kernel are fastest in large steps; this takes about 20 ms."""


_WANTED = "bytes, a path, a descriptor, a binary file or an iterable of bytes"
"""What `Data` may be, for error messages."""


class Draft:
    """An item that is being written. It is invisible until `publish`; `discard` leaves nothing behind.

    Used as a context manager, it discards itself unless it was published. Signals can't interrupt its creation or
    its publication; to keep one from arriving between the creation and the ``with``, put both inside `Deferred`.

    Args:
        storage: Where the item goes.
        settings: The settings of the store.
        codec: The codec that compresses it: a name in `maxstage.codecs`.
        sync: Whether it must survive power loss once it is published.
        items: How many items its data is split into later, each with the quota of one item; None for any number.
        spool: Whether it is only read back by `Upload.detach`, never published.
        redactor: Masks secrets in the data that `fill` takes; None to take it as it is.

    Attributes:
        redacted: How many secrets were masked in its data, by rule name.
    """

    def __init__(
        self,
        storage: "Storage",
        settings: "Settings",
        *,
        codec: str,
        sync: bool,
        items: int | None = 1,
        spool: bool = False,
        redactor: core.Redactor | None = None,
    ) -> None:
        self.redacted: dict[str, int] = {}
        self._redactor = redactor
        self._quota: _Quota | None = None
        if settings.max_item_bytes is not None or settings.max_store_bytes is not None:
            from maxstage.store.quota import Quota

            self._quota = Quota(storage, settings, _STEP, items)
        self._codec = codec
        self._sync = sync
        self._is_ours = True
        with Deferred():
            begin = storage.spool if spool else storage.create
            self.upload: Upload = begin(settings.token_bytes)
            try:
                self.writer = core.Writer(self.upload.fd, self.upload.name, codec=codec, sync=sync)
            except BaseException:  # the codec is not installed, for instance
                self.upload.discard()
                raise

    @property
    def id(self) -> str:
        """The id that the item will have."""
        return self.upload.id

    @property
    def _compress(self) -> bool:
        return CODECS[self._codec].extension != ""

    def __enter__(self) -> "Draft":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._is_ours:
            self.discard()

    def fill(self, data: "Data", progress: "Progress | None" = None) -> None:
        """Write all of `data`: bytes, a path, a file descriptor, a binary file object, or an iterable of bytes."""
        if self._redactor is not None:
            self._fill_masked(data, self._redactor, progress)
        elif isinstance(data, bytes | bytearray | memoryview):
            self.write(bytes(data))
        elif isinstance(data, bool):  # bool is a subclass of int
            raise wrong_type("data", data, _WANTED)
        elif isinstance(data, int):
            self.copy_from(data, "<stdin>" if data == 0 else f"<descriptor {data}>", progress=progress)
        elif isinstance(data, str | os.PathLike):
            with open(data, "rb", buffering=0) as file:
                self.copy_from(file.fileno(), os.fspath(data), progress=progress)
        else:
            for chunk in _chunks(data):
                self.write(chunk)
                if progress is not None:
                    progress(len(chunk))

    def _fill_masked(self, data: "Data", redactor: core.Redactor, progress: "Progress | None") -> None:
        import contextlib

        with contextlib.ExitStack() as stack:
            for chunk in _chunks_of(data, stack):
                self.write(redactor.feed(chunk))
                if progress is not None:
                    progress(len(chunk))
            self.write(redactor.finish())
        self.redacted = redactor.counts

    def write(self, data: bytes) -> None:
        """Write `data`.

        Raises:
            QuotaExceeded: The item or the store would be too large.
        """
        quota = self._quota
        for at in range(0, len(data), _STEP):
            chunk = data[at : at + _STEP]
            if quota is None:
                self._feed(chunk)
                continue
            leased = quota.lease(self.writer, len(chunk), compress=self._compress)
            if leased < len(chunk) and not quota.make_room(self.writer, more=len(chunk)):
                raise quota.exceeded(self.writer, len(chunk))
            self._feed(chunk)
            quota.spend(len(chunk))

    def _feed(self, chunk: bytes) -> None:
        try:
            self.writer.write(chunk)
        except BrokenPipeError:
            self.upload.received()  # raises the reason why the storage takes no more
            raise

    def _feed_from(self, fd: int, most: int, name: str) -> bool:
        try:
            return self.writer.copy_from(fd, most, name)
        except BrokenPipeError:
            self.upload.received()
            raise

    def copy_from(
        self, fd: int, name: str, *, length: int | None = None, progress: "Progress | None" = None
    ) -> None:
        """Write the data read from `fd`, up to its end or `length` bytes.

        Args:
            fd: A readable file descriptor.
            name: What to call it in an error.
            length: The number of bytes; None for all.
            progress: Called from time to time with the number of bytes read since the last call.

        Raises:
            QuotaExceeded: The item or the store would be too large.
        """
        end = False
        left = length
        # Progress is reported after each step, and a pipe may be slow: its steps are small.
        wanted = _FILE_STEP if self._quota is None and stat.S_ISREG(os.fstat(fd).st_mode) else _STEP
        while not end and left != 0:
            before = self.writer.byte_size
            if self._quota is None:
                end = self._feed_from(fd, wanted if left is None else min(wanted, left), name)
            else:
                end = self._copy_within(self._quota, fd, left, name)
            taken = self.writer.byte_size - before
            left = None if left is None else left - taken
            if progress is not None:
                progress(taken)

    def _copy_within(self, quota: "_Quota", fd: int, left: int | None, name: str) -> bool:
        """Write one step of the data from `fd`, at most `left` bytes; return whether it was the last."""
        leased = quota.lease(self.writer, _STEP, compress=self._compress)
        # Near a limit, ask for one byte more than fits: only data that has that byte is too large.
        step = leased if leased == _STEP else leased + 1
        before = self.writer.byte_size
        end = self._feed_from(fd, step if left is None else min(step, left), name)
        taken = self.writer.byte_size - before
        # The extra byte has been written by now. Compressed data may not have grown: there must be room for one more.
        if taken <= leased:
            quota.spend(taken)
        elif not quota.make_room(self.writer, more=int(self._compress)):
            raise quota.exceeded(self.writer)
        return end

    def check_quota(self) -> None:
        """Check that the item and the store are within the quota.

        Raises:
            QuotaExceeded: One of them is not.
        """
        if self._quota is not None:
            self._quota.check(self.writer)

    def publish(
        self,
        *,
        ttl_minutes: float | None,
        content_type: "ContentType | None" = None,
        source: "str | Callable[[bytes, ContentType], str | None] | None" = None,
        labels: dict[str, str] | None = None,
        owner: str | None = None,
        extra: "dict[str, Any] | None" = None,
    ) -> Item:
        """Make the item visible, atomically.

        If the draft was made with `sync`, the item survives power loss from then on.

        Args:
            ttl_minutes: Minutes until it expires; None pins it.
            content_type: The type of its data; None to detect it.
            source: Where it came from, or a function that detects this from the first bytes and the content type.
            labels: Its labels.
            owner: What it belongs to; the owner unstages it.
            extra: More keys for the metadata.
        """
        item = self.finalize(ttl_minutes, content_type, source, labels, owner, extra)
        self.sync()
        self.commit()
        return item

    def finalize(
        self,
        ttl_minutes: float | None,
        content_type: "ContentType | None" = None,
        source: "str | Callable[[bytes, ContentType], str | None] | None" = None,
        labels: dict[str, str] | None = None,
        owner: str | None = None,
        extra: "dict[str, Any] | None" = None,
    ) -> Item:
        """Finish writing data and metadata: the first step of `publish`, with the same arguments."""
        writer = self.writer
        if extra:
            check_extra(extra)
        self._finish()
        self.check_quota()
        with Deferred():  # short; and an exception raised while a module is being imported may get lost
            now = time.time_ns()
            check_clock(now / 10**9)
            kind = content_type or writer.content_type
            block, newlines = writer.line_index
            is_indexed = len(newlines) > 1 and not CODECS[self._codec].tells_lines
            item = Item(
                id=self.id,
                created_ns=now,
                expires=None if ttl_minutes is None else now // 10**9 + ttl_minutes * 60,
                record_count=writer.line_count,
                byte_size=writer.byte_size,
                stored_size=writer.stored_size,
                source=source(writer.prefix, kind) if callable(source) else source,
                content_type=kind,
                codec=self._codec,
                crc32=writer.crc32,
                labels=labels,
                line_index=(block, newlines) if is_indexed else None,
                owner=owner,
                redacted=self.redacted,
                extra=extra,
            )
            self.upload.put_metadata(item)
        return item

    def _finish(self) -> None:
        try:
            self.writer.finish()
        except BrokenPipeError:
            self.upload.received()
            raise
        self.upload.received()

    def sync(self) -> None:
        """Wait until everything written is on disk, if the item must survive power loss."""
        if self._sync:
            self.flush()

    def flush(self) -> None:
        """Wait until everything written is on disk."""
        self.upload.flush()

    def commit(self) -> None:
        """Make the finalized item visible.

        Raises:
            QuotaExceeded: Another writer has used up the space.
            OSError: It can't be made visible; `discard` it.
        """
        quota = self._quota
        check = (lambda: quota.check_published(self.writer)) if quota is not None and quota.of_store else None
        with Deferred() as signals:
            self.upload.publish(sync=self._sync, check=check)
            with signals.open():
                pass  # a pending signal is raised here: the caller won't get the item, so it is discarded
            self._is_ours = False

    def discard(self) -> None:
        """Delete everything that was written.

        Raises:
            OSError: Something can't be deleted; the rest was.
        """
        with Deferred():
            self._is_ours = False
            self.upload.discard()


def _chunks(data: "BinaryIO | Iterable[bytes]") -> "Iterator[bytes]":
    read = getattr(data, "read", None)
    if read is None and not hasattr(data, "__iter__"):
        raise wrong_type("data", data, _WANTED)
    for chunk in data if read is None else iter(lambda: read(_READ), b""):
        if not isinstance(chunk, bytes | bytearray | memoryview):
            raise TypeError(f"data must be bytes, not {type(chunk).__name__}; open text files in binary mode")
        yield bytes(chunk)


def _chunks_of(data: "Data", stack: "contextlib.ExitStack") -> "Iterator[bytes]":
    """Return the chunks of anything that `Draft.fill` takes; files opened for it are closed with `stack`."""
    if isinstance(data, bytes | bytearray | memoryview):
        return iter([bytes(data)])
    if isinstance(data, bool):  # bool is a subclass of int
        raise wrong_type("data", data, _WANTED)
    if isinstance(data, int):
        fd, name = data, "<stdin>" if data == 0 else f"<descriptor {data}>"
    elif isinstance(data, str | os.PathLike):
        file = stack.enter_context(open(data, "rb", buffering=0))  # noqa: SIM115 - closed with the stack
        fd, name = file.fileno(), os.fsdecode(data)
    else:
        return _chunks(data)
    return iter(lambda: read_some(fd, _READ, name), b"")


def source_in(prefix: bytes, content_type: "ContentType") -> str | None:
    """Return the source that the first record names; if it names none, as most do, nothing is imported."""
    # The key may be written with an escape.
    if content_type == "text" or not (b'"source"' in prefix or b"\\u" in prefix):
        return None
    from maxstage.store.source import detect_source

    return detect_source(prefix, content_type)
