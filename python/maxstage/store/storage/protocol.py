"""The interface between the store and the medium that keeps its items.

A storage has a few operations, each of them atomic: it reserves an id, takes in data that stays invisible, publishes
it, returns metadata and data, replaces metadata, lists and deletes. What an item is, when it expires, what a quota
allows and how errors are worded is decided above it, in `maxstage.store`, which knows no locks, renames or inodes.

A process may die during any call or between two. An item then exists whole or not at all, and `Storage.leftovers`
returns whatever else was left behind, once its writer is known to be dead. Of several items that were to be published
together some may exist, since a dead process can't take them back.

To add a storage, write a class with the methods of `Storage` in a file beside `local`, and add a line to
``__init__.py``. ``tests/storage`` is the conformance suite.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager
    from typing import Protocol

    from maxstage._backend import core
    from maxstage.store.metadata import Item

    class Upload(Protocol):
        """An item that is being written. Its id is reserved; it is invisible until `publish`.

        The calls come in this order: data is written to `fd`; then `put_metadata`, once; optionally `flush`; then
        `publish`. `detach` replaces all three. `discard` may follow any of them.

        Attributes:
            id: The id; one that is claimed only by `publish` may change then.
            fd: A descriptor that `core.Writer` writes the data to, sequentially. It may be a file, which the kernel
                copies into, or a pipe that the storage reads in a thread. The storage closes it.
            name: What errors call `fd`.
        """

        id: str
        fd: int
        name: str

        def received(self) -> None:
            """Wait until all that was written to `fd` has arrived; nothing is written to it afterwards.

            Signals may interrupt it. It is also called when `fd` takes no more (``EPIPE``), to raise the reason.

            Raises:
                OSError: It could not be taken in.
            """

        def put_metadata(self, item: "Item") -> None:
            """Write the metadata. The storage may change the id in it when it is published, and `id` with it."""

        def flush(self) -> None:
            """Wait until data and metadata survive power loss, except for the names that `publish` gives them."""

        def publish(self, *, sync: bool, check: "Callable[[], None] | None" = None) -> None:
            """Make the item visible, atomically.

            Args:
                sync: Whether the publication must survive power loss.
                check: Called right before, while nobody else can publish; it may call `Storage.usage`. If it raises,
                    the item stays unpublished and `publish` may be tried again.
            """

        def discard(self) -> None:
            """Delete everything that was written, even if it was published. Calling it twice does nothing.

            Raises:
                OSError: Something can't be deleted; the rest was.
            """

        def detach(self) -> int:
            """Return a descriptor that is all that remains of the upload, to read back what was written.

            The caller owns it. It can be read at an offset and is as long as the data: an unnamed file, for instance.
            """

    class ItemData(Protocol):
        """The open data of an item, which stays readable whatever happens to the item. Works like `core.Reader`.

        Large data on a server is an exception: once its item is deleted, reading raises `NotFound`.

        Reading may raise `Corrupt`, whose message says what is wrong without naming the token.
        """

        @property
        def size(self) -> int:
            """Bytes of data, as they were staged."""

        def line_offset(self, number: int, /) -> int:
            """Return where line `number` begins (1 is the first); the end of the data if there are fewer lines."""

        def tail_offset(self, count: int, /) -> int:
            """Return where the last `count` lines begin."""

        def read(self, start: int, end: int, /) -> bytes:
            """Return the bytes from `start` up to `end`, or to the end of the data."""

        def copy_to(self, target: int, start: int, end: int, name: str, /, *, crc: int = 0) -> int:
            """Write the bytes from `start` up to `end` to a descriptor; return `crc` updated with them."""

        def measure(self, start: int, end: int, block: int, /, *, crc: int = 0) -> tuple[int, list[int]]:
            """Return `crc` updated with the bytes from `start` up to `end`, and the newlines in each `block` bytes."""

        def scan(self, scan: "core.Scan", start: int, end: int, /) -> None:
            """Pass the bytes from `start` up to `end` to a scan."""

        def descriptor(self) -> int | None:
            """Return the open file that holds the data as it was staged; None where no file does. It stays ours."""

        def close(self) -> None:
            """Close the data. Calling it twice does nothing."""

    class Leftover(Protocol):
        """Something that a writer, or a restored backup, left behind and that belongs to no item.

        Attributes:
            name: What messages call it.
            is_orphan: Whether it is reported: a marker of ours that has served its time is not.
        """

        name: str
        is_orphan: bool

        def remove(self, *, dry_run: bool, patience: float | None) -> int | None:
            """Delete it, or with `dry_run` only check that it should be deleted; return the bytes freed.

            None if it stays: it is too young, its writer is alive, or it has been deleted since. `dry_run` also
            returns None for what is not reported.

            Raises:
                Busy: Another process holds a lock that this needs.
                OSError: It can't be deleted.
            """

    class Storage(Protocol):
        """Where the items of one store are kept. Safe to share between threads.

        Items are named by their ids. Methods raise `KeyError` for an item that doesn't exist and
        `maxstage.errors.Corrupt` for one that is damaged, which affects that item alone. The message comes from
        `maxstage.store.damage.damaged`, except for `open`, whose message only says what is wrong.

        Attributes:
            place: The location that messages name: a path, or a URL.
        """

        place: str

        # One item

        def create(self, id_bytes: int) -> Upload:
            """Reserve an id of `id_bytes` random bytes that is not in use, and was not within the last day."""

        def spool(self, id_bytes: int) -> Upload:
            """Begin an upload that is read back by `Upload.detach`, never published: data from a pipe, for instance."""

        def head(self, item_id: str) -> "Item":
            """Return the metadata of an item, expired or not."""

        def open(self, item: "Item") -> ItemData:
            """Open the data of an item that `head` returned.

            Raises:
                KeyError: The item is gone.
                Corrupt: Its data is missing, or not `Item.stored_size` bytes long; where that takes a request to the
                    server, the first read raises it.
            """

        def link(self, item: "Item", made: "Callable[[str], Item]", id_bytes: int) -> "Item":
            """Publish the data of an item once more, under an id of its own, without copying it.

            Each of the two stays whole if the other is deleted.

            Args:
                item: The item.
                made: Returns the new item's metadata, given its id.
                id_bytes: The number of random bytes in the id.

            Raises:
                KeyError: The item is gone.
                Corrupt: Its data is missing.
            """

        def replace(self, item_id: str, change: "Callable[[Item], None]", *, sync: bool) -> "Item":
            """Change the metadata of an item while nobody else can, or as if nobody else had.

            Args:
                item_id: The item.
                change: Changes it; if this raises, the item stays as it is. It may be called again, with the item as
                    somebody else has changed it.
                sync: Whether the change must survive power loss.
            """

        def delete(self, item_id: str) -> bool:
            """Delete an item, even a damaged one, leaving no tombstone; return whether it existed."""

        def take_back(self, items: "Iterable[Item]") -> None:
            """Delete items that were published a moment ago and whose tokens were never reported; some may be gone.

            Raises:
                OSError: Some can't be deleted; the others were.
            """

        def expire(self, item_id: str, now: float, *, patience: float | None = None) -> bool:
            """Remove an item if it has expired at Unix time `now`; a storage that clocks disagree on waits for longer.

            Returns false if it has not expired or was renewed, is damaged, or doesn't exist.

            From then on `tombstone` returns it, until `leftovers` removes the tombstone.

            Raises:
                Busy: Another process holds a lock for longer than `patience` seconds (None waits).
            """

        def tombstone(self, item_id: str) -> "Item":
            """Return the metadata that an expired item had."""

        def grant(self, item: "Item", seconds: float) -> str | None:
            """Return a URL by which anybody can read the data of an item, as it is stored; None if nobody can.

            Args:
                item: An item that `head` returned.
                seconds: How long, at most a day.
            """

        # All items

        def path(self, item: "Item") -> str | None:
            """Return the path of an item's data file; None if there is none that other programs can open."""

        def ids(self) -> "list[str]":
            """Return the ids of all items, including expired and damaged ones."""

        def strays(self) -> "list[str]":
            """Return the names of entries in `place` that look like items but aren't."""

        def newest(
            self, now: float, is_wanted: "Callable[[Item], bool] | None", limit: int | None
        ) -> "tuple[list[Item], list[str]]":
            """Return the items that have not expired, newest first, and what is damaged: ids, and names of strays.

            Args:
                now: Unix time.
                is_wanted: Whether to include an item; None for all.
                limit: The maximum number of items; None for all.
            """

        def expired(self, now: float, *, hurried: bool) -> "tuple[list[str], float]":
            """Return the ids of items that may have expired, and when the next one may (infinity: unknown, or never).

            The ids include every expired item, and possibly damaged and other items: the caller checks each.

            Args:
                now: Unix time.
                hurried: Don't wait for other processes.
            """

        def usage(self, *, published: bool = False) -> int:
            """Return the bytes that data takes as stored: all data, or only that of published items.

            For items being written, bytes still in a pipe may not be counted.
            """

        def free_space(self) -> int | None:
            """Return how many more bytes can be written, by any process; None if that is unknown."""

        def batch(self) -> "AbstractContextManager[Callable[[Sequence[Upload]], None]]":
            """Begin to write several items; yields a function that flushes them all at once, like `Upload.flush`."""

        def sync(self) -> None:
            """Wait until everything published survives power loss."""

        # Sweeping

        def leftovers(
            self, now: float, orphan_seconds: float, tombstone_seconds: float
        ) -> "list[list[Leftover]]":
            """Return what may be left behind, in groups that must be removed in this order.

            Args:
                now: Unix time.
                orphan_seconds: The age from which a leftover counts as abandoned.
                tombstone_seconds: How long a tombstone is kept.
            """

        def sweep_time(self) -> float | None:
            """Return when the next sweep is worthwhile, as Unix time; None if there was none yet."""

        def set_sweep_time(self, when: float) -> None:
            """Record when the next sweep is worthwhile; called within `sweeping`, or if `sweep_time` is not None."""

        def sweeping(self) -> "AbstractContextManager[bool]":
            """Try to become the only sweeper, without waiting; yields whether it worked. Ends if the process dies."""


class Busy(Exception):
    """Another process holds a lock, or the time is up: the next sweep continues."""
