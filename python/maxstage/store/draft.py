"""Writing an item: claim a token, let the data in, publish it whole or leave nothing behind."""

import os
import stat
import time

from maxstage._backend import core
from maxstage.errors import QuotaExceeded
from maxstage.files import remove, write_all
from maxstage.interrupts import Deferred
from maxstage.store.layout import CLAIM, EXPIRED, LEAVING, PART, UPDATE, Layout
from maxstage.store.metadata import Item, check_extra
from maxstage.store.quota import STEP, Quota
from maxstage.store.tokens import new_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, BinaryIO

    from maxstage.settings import Settings
    from maxstage.store.metadata import ContentType

    Data = bytes | bytearray | memoryview | str | os.PathLike[str] | int | BinaryIO | Iterable[bytes]
    Progress = Callable[[int], None]

_READ = 256 * 1024
"""Bytes read at a time from a Python file object."""

_FILE_STEP = 64 * 1024 * 1024
"""Bytes taken from a file at a time: a copy inside the kernel is fastest undisturbed, and these take some 20 ms."""

_TRIES = 100
"""Ids tried before giving up: with 8 digits, a store of 40 million items still has 99 free of 100."""


class Draft:
    """An item that is being written. Nobody sees it until `publish`; `discard` leaves nothing.

    Used as a context manager it discards itself unless it was published. Its first and its last step are whole whatever
    signal comes; who must not lose it between its making and the ``with`` puts both within `Deferred`.

    Args:
        layout: The store.
        settings: Its settings.
        compress: Whether to gzip it.
        sync: Whether it must survive power loss once it is published.
        items: How many items its data is cut into later, of which each may take what one may; None: any number.
    """

    def __init__(
        self, layout: Layout, settings: "Settings", *, compress: bool, sync: bool, items: int | None = 1
    ) -> None:
        self._layout = layout
        self._quota = Quota(layout, settings, items)
        self._compress = compress
        self._sync = sync
        self._data = ""
        self._is_ours = True
        with Deferred():
            self.id, self._claim_fd, self._part_fd = _claim(layout, settings.token_bytes)
            self.part = layout.hidden(self.id, PART)
            codec = "gzip" if compress else "none"
            self.writer = core.Writer(self._part_fd, self.part, codec=codec, sync=sync)

    def __enter__(self) -> "Draft":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._is_ours:
            self.discard()

    def fill(self, data: "Data", progress: "Progress | None" = None) -> None:
        """Take in all of `data`: bytes, a path, a file descriptor, a binary file object, or an iterable of bytes."""
        if isinstance(data, bytes | bytearray | memoryview):
            self.write(bytes(data))
        elif isinstance(data, int):
            self.copy_from(data, "<stdin>" if data == 0 else f"<descriptor {data}>", progress=progress)
        elif isinstance(data, str | os.PathLike):
            with open(data, "rb", buffering=0) as file:
                self.copy_from(file.fileno(), os.fspath(data), progress=progress)
        else:
            for chunk in _chunks(data):
                if not isinstance(chunk, bytes | bytearray | memoryview):
                    raise TypeError(
                        f"data must be bytes, not {type(chunk).__name__}; open text files in binary mode"
                    )
                self.write(bytes(chunk))
                if progress is not None:
                    progress(len(chunk))

    def write(self, data: bytes) -> None:
        """Take `data` in.

        Raises:
            QuotaExceeded: The item or the store would be too large.
        """
        for at in range(0, len(data), STEP):
            chunk = data[at : at + STEP]
            if self._quota.lease(self.writer, len(chunk), compress=self._compress) < len(
                chunk
            ) and not self._quota.make_room(self.writer, more=len(chunk)):
                raise self._quota.exceeded(self.writer, len(chunk))
            self.writer.write(chunk)
            self._quota.spend(len(chunk))

    def copy_from(
        self, fd: int, name: str, *, length: int | None = None, progress: "Progress | None" = None
    ) -> None:
        """Take in what `fd` has, to its end or `length` bytes.

        Args:
            fd: A readable file descriptor.
            name: What to call it in an error.
            length: Bytes to take; None for all.
            progress: Called now and then with the bytes taken since.

        Raises:
            QuotaExceeded: The item or the store would be too large.
        """
        end = False
        left = length
        # A pipe may be slow, and progress is told between two steps.
        wanted = _FILE_STEP if self._quota.unlimited and stat.S_ISREG(os.fstat(fd).st_mode) else STEP
        while not end and left != 0:
            leased = self._quota.lease(self.writer, wanted, compress=self._compress)
            # Near a limit one byte more than fits is asked for: data that just fits is not refused.
            step = leased if leased == wanted else leased + 1
            step = step if left is None else min(step, left)
            before = self.writer.byte_size
            end = self.writer.copy_from(fd, step, name)
            taken = self.writer.byte_size - before
            # What was taken beyond is on the disk by now; of what is compressed, one byte more must fit.
            if taken <= leased:
                self._quota.spend(taken)
            elif not self._quota.make_room(self.writer, more=int(self._compress)):
                raise self._quota.exceeded(self.writer)
            left = None if left is None else left - taken
            if progress is not None:
                progress(taken)

    def check_quota(self) -> None:
        """Look whether what was written, by whomever, is within the quota.

        Raises:
            QuotaExceeded: It is not.
        """
        self._quota.check(self.writer)

    def publish(
        self,
        *,
        ttl_minutes: float | None,
        content_type: "ContentType | None" = None,
        source: "str | Callable[[bytes, ContentType], str | None] | None" = None,
        labels: dict[str, str] | None = None,
        extra: "dict[str, Any] | None" = None,
    ) -> Item:
        """Make the item visible, whole: its metadata is renamed into place last, and that is the commit.

        If the draft was made with `sync`, it survives power loss from then on.

        Args:
            ttl_minutes: Minutes until it expires; None pins it.
            content_type: What it holds; None tells it from the data.
            source: Where it came from, or how to tell that from the first bytes and the content type.
            labels: Labels.
            extra: More keys for the metadata.
        """
        item = self.settle(ttl_minutes, content_type, source, labels, extra)
        self.sync()
        self.commit()
        return item

    def settle(
        self,
        ttl_minutes: float | None,
        content_type: "ContentType | None" = None,
        source: "str | Callable[[bytes, ContentType], str | None] | None" = None,
        labels: dict[str, str] | None = None,
        extra: "dict[str, Any] | None" = None,
    ) -> Item:
        """Write all that there is to write, data and metadata; the first step of `publish`, with its arguments."""
        writer = self.writer
        if extra:
            check_extra(extra)
        writer.finish()
        self._quota.check(writer)
        with Deferred():  # short, and what is raised while a module is imported may be dropped
            now = time.time_ns()
            kind = content_type or writer.content_type
            block, newlines = writer.line_index
            item = Item(
                id=self.id,
                created_ns=now,
                expires=None if ttl_minutes is None else now // 10**9 + ttl_minutes * 60,
                record_count=writer.line_count,
                byte_size=writer.byte_size,
                stored_size=writer.stored_size,
                source=source(writer.prefix, kind) if callable(source) else source,
                content_type=kind,
                compressed=self._compress,
                crc32=writer.crc32,
                labels=labels,
                line_index=(block, newlines) if len(newlines) > 1 and not self._compress else None,
                extra=extra,
            )
            write_all(self._claim_fd, item.to_json(), self._layout.meta(self.id))
            self._data = self._layout.path(item.file_name)
        return item

    def sync(self) -> None:
        """Wait until what was written is on the disk, if it must survive power loss."""
        if self._sync:
            self.flush()

    def flush(self) -> None:
        """Wait until what was written is on the disk."""
        os.fdatasync(self._part_fd)
        os.fsync(self._claim_fd)

    def commit(self) -> None:
        """Make the settled item visible.

        Raises:
            QuotaExceeded: Somebody else has taken the room.
        """
        layout = self._layout
        renames = [(self.part, self._data), (layout.hidden(self.id, CLAIM), layout.meta(self.id))]
        with Deferred() as signals:
            if self._quota.of_store:
                from maxstage.store.locking import PATIENCE, Locked

                # One after the other: of two for whom there is room alone, but not together, one gets it.
                with Locked(layout, PATIENCE):
                    self._quota.check_published(self.writer)
                    core.rename(renames)
            else:
                core.rename(renames)
            if self._sync:
                sync_directory(layout.root)
            self._close()
            with signals.open():
                pass  # a signal that has waited: nobody will learn of the item, so it is discarded
            self._is_ours = False

    def discard(self) -> None:
        """Leave nothing behind, however far it got.

        Raises:
            OSError: Something can't be deleted; the rest is.
        """
        layout = self._layout
        # The id is ours alone until the claim is gone, so that comes last.
        names = [
            layout.meta(self.id),
            self._data,
            layout.hidden(self.id, PART),
            layout.hidden(self.id, CLAIM),
        ]
        problem: OSError | None = None
        with Deferred():
            for name in filter(None, names):
                try:
                    remove(name)
                except OSError as error:
                    problem = error
            self._is_ours = False
            self._close()
        if problem is not None:
            raise problem

    def _close(self) -> None:
        fds = self._part_fd, self._claim_fd
        self._part_fd = self._claim_fd = -1
        for fd in fds:
            if fd >= 0:
                os.close(fd)


def _claim(layout: Layout, token_bytes: int) -> tuple[str, int, int]:
    """Take an id that nobody has, had within the last day, or is taking; return it, the locked claim, and the part.

    Whoever holds an id shows it by one of four files, and each change from one to the next is a rename: claim
    to metadata, metadata to leaving or expired. So after the exclusive creation of the claim, a look at the
    other three, in that order, can't miss one.
    """
    for _ in range(_TRIES):
        item_id = new_id(token_bytes)
        holders = (layout.meta(item_id), layout.hidden(item_id, LEAVING), layout.hidden(item_id, EXPIRED))
        fds = core.claim(layout.hidden(item_id, CLAIM), layout.hidden(item_id, PART), holders)
        if fds is not None:
            return item_id, *fds
    raise QuotaExceeded(f"no free token found in {_TRIES} tries; set token_bytes to 8 in .max/config.toml")


def _chunks(data: "BinaryIO | Iterable[bytes]") -> "Iterable[bytes]":
    read = getattr(data, "read", None)
    return data if read is None else iter(lambda: read(_READ), b"")


def replace_metadata(layout: Layout, item: Item, *, sync: bool) -> None:
    """Write an item's metadata anew. The caller holds the store's lock."""
    from maxstage.store.index import changing

    update = layout.hidden(item.id, UPDATE)
    fd = os.open(update, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, item.to_json(), layout.meta(item.id))
        if sync:
            os.fsync(fd)
        with changing(layout, item.id):
            os.rename(update, layout.meta(item.id))
    except BaseException:
        remove(update)
        raise
    finally:
        os.close(fd)
    if sync:
        sync_directory(layout.root)


def sync_directory(path: str) -> None:
    """Wait until the names in a directory are on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
