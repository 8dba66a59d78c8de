"""Where items lie: the seam between what a store promises and the medium that keeps it.

A storage does a few things, each whole or not at all: it takes an id, lets data in that nobody sees, publishes it,
returns metadata and data, replaces metadata, lists and deletes. What an item is, when it expires, what a quota allows
and how things are told is decided above it, in `maxstage.store`, which knows no locks, renames or inodes.

A process may end within any call or between two. Then an item is there whole or not at all, and what else was left
behind is told by `Storage.leftovers` once its writer is known to be dead. Of several items that were to be published
together some may be there, since the dead take nothing back.

To add one, write a class with the methods of `Storage` in a file beside `local`, and a line in ``__init__.py``.
``tests/storage`` holds what each must pass.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager
    from typing import Protocol

    from maxstage._backend import core
    from maxstage.store.metadata import Item

    class Upload(Protocol):
        """An item that is being written. Its id is taken; nobody sees it before `publish`.

        The calls come in this order: data is written to `fd`; then `put_metadata`, once; `flush`, if at all; `publish`,
        or `detach` instead of all these. `discard` may follow any of them.

        Attributes:
            id: The id.
            fd: Where the data goes: a descriptor that `core.Writer` writes to, from the beginning to the end. It may be
                a file, which the kernel copies into, or a pipe that the storage reads meanwhile, in a thread. The
                storage closes it.
            name: What an error calls that.
        """

        id: str
        fd: int
        name: str

        def put_metadata(self, item: "Item") -> None:
            """Write what is known of the item; nothing is written to `fd` after it."""

        def flush(self) -> None:
            """Wait until data and metadata survive power loss, but for the names that `publish` gives them."""

        def publish(self, *, sync: bool, check: "Callable[[], None] | None" = None) -> None:
            """Make the item visible, whole.

            Args:
                sync: Whether that must survive power loss.
                check: Called right before, while nobody else may publish; it may ask for `Storage.usage`. What it
                    raises leaves the item unpublished: `publish` may be tried again.
            """

        def discard(self) -> None:
            """Leave nothing behind, however far it got, published or not; a second time it does nothing.

            Raises:
                OSError: Something can't be deleted; the rest is.
            """

        def detach(self) -> int:
            """Return a descriptor from which what was written can be read, and which is all that is left of it.

            It is the caller's, allows reading at an offset, and is as long as the data: a file without a name, say.
            """

    class ItemData(Protocol):
        """The data of an item, open: what happens to the item from now on does not matter. As `core.Reader`.

        Reading may raise `Corrupt`, which says what is wrong and names no token.
        """

        @property
        def size(self) -> int:
            """Bytes of data, as they were staged."""

        def line_offset(self, number: int, /) -> int:
            """Where line `number` begins (1 is the first); the end of the data where there are fewer."""

        def tail_offset(self, count: int, /) -> int:
            """Where the last `count` lines begin."""

        def read(self, start: int, end: int, /) -> bytes:
            """Return the bytes from `start` to before `end`, or to the end of the data."""

        def copy_to(self, target: int, start: int, end: int, name: str, /, *, crc: int = 0) -> int:
            """Write bytes to a descriptor; return `crc` carried on over them."""

        def measure(self, start: int, end: int, block: int, /, *, crc: int = 0) -> tuple[int, list[int]]:
            """Carry `crc` on over the bytes from `start` to before `end`, and count newlines in each `block` bytes."""

        def scan(self, scan: "core.Scan", start: int, end: int, /) -> None:
            """Show the bytes from `start` to before `end` to a scan."""

        def close(self) -> None:
            """Let go of the data; a second time it does nothing."""

    class Leftover(Protocol):
        """Something that a writer, or a reader of old backups, left behind and that belongs to no item.

        Attributes:
            name: What a person is told.
            is_orphan: Whether it is told of: a mark of our own that has served its time is not.
        """

        name: str
        is_orphan: bool

        def remove(self, *, dry_run: bool, patience: float | None) -> int | None:
            """Delete it, or look whether that would be right; return the bytes freed.

            None where nothing is to be deleted: it is too young, its writer lives, or it has been deleted since. A
            ``dry_run`` says None of what nobody is told of, too.

            Raises:
                Busy: Somebody holds a lock that it needs.
                OSError: It can't be deleted.
            """

    class Storage(Protocol):
        """Where the items of one store lie. One object may be used by many threads at once.

        An item is named by its id. What is asked of an item that is not there raises `KeyError`; of one that is
        damaged, `maxstage.errors.Corrupt`, which costs that item alone: the message is made by
        `maxstage.store.damage.damaged`, but for that of `open`, which says only what is wrong.

        Attributes:
            place: What a person is told: a path, or a URL.
        """

        place: str

        # One item

        def create(self, id_bytes: int) -> Upload:
            """Take an id of so many random bytes that nobody has, or had within the last day."""

        def spool(self, id_bytes: int) -> Upload:
            """Begin what is never published but read again, by `Upload.detach`: what a pipe brought, say."""

        def head(self, item_id: str) -> "Item":
            """Return what is known of an item, expired or not."""

        def open(self, item: "Item") -> ItemData:
            """Open the data of an item, which `head` returned.

            Raises:
                KeyError: The item is gone.
                Corrupt: Its data is missing, or not `Item.stored_size` bytes long.
            """

        def replace(self, item_id: str, change: "Callable[[Item], None]", *, sync: bool) -> "Item":
            """Change what is known of an item, while nobody else does.

            Args:
                item_id: The item.
                change: Changes it; what it raises leaves the item as it is.
                sync: Whether that must survive power loss.
            """

        def delete(self, item_id: str) -> bool:
            """Delete an item, a damaged one too, leaving no tombstone; false where there is none."""

        def take_back(self, items: "Iterable[Item]") -> None:
            """Delete items that were published a moment ago, and whose tokens nobody was told; some may be gone.

            Raises:
                OSError: Some can't be deleted; the others are.
            """

        def expire(self, item_id: str, now: float, *, patience: float | None = None) -> bool:
            """End an item if it has expired at Unix time `now`.

            False where it has not, or not any more; where it is damaged, and where there is none.

            From then on `tombstone` answers for it, as long as the rules of the store say.

            Raises:
                Busy: Somebody holds a lock for longer than `patience` seconds (None: it is waited for).
            """

        def tombstone(self, item_id: str) -> "Item":
            """Return what was known of an item that expired."""

        # All items

        def path(self, item: "Item") -> str | None:
            """Return the path of an item's data file; None where other programs can't open one."""

        def ids(self) -> "list[str]":
            """Return the ids of all items, expired and damaged ones too."""

        def strays(self) -> "list[str]":
            """Return the names of what lies in `place` as an item would and is none."""

        def newest(
            self, now: float, is_wanted: "Callable[[Item], bool] | None", limit: int | None
        ) -> "tuple[list[Item], list[str]]":
            """Return the items that have not expired, newest first, and what is damaged: ids, and names of strays.

            Args:
                now: Unix time.
                is_wanted: Which items; None: all.
                limit: How many; None: all.
            """

        def expired(self, now: float, *, hurried: bool) -> "tuple[list[str], float]":
            """Return the ids of what may have expired, and when the next item may (infinity: unknown, or none).

            All that has expired is among them, damaged items and others may be: the caller looks at each.

            Args:
                now: Unix time.
                hurried: Wait for nobody.
            """

        def usage(self, *, published: bool = False) -> int:
            """Return the bytes that data takes, as stored: all of it, or that of published items.

            Of what is being written, bytes that are on their way through a pipe may be missing.
            """

        def free_space(self) -> int | None:
            """Return the bytes that may still be written, by any process; None if that is unknown."""

        def batch(self) -> "AbstractContextManager[Callable[[Sequence[Upload]], None]]":
            """Begin to write several items; what it gives flushes all of them at once, as `Upload.flush` does."""

        def sync(self) -> None:
            """Wait until what was published survives power loss."""

        # Sweeping

        def leftovers(
            self, now: float, orphan_seconds: float, tombstone_seconds: float
        ) -> "list[list[Leftover]]":
            """Return what may be left behind, in groups: one is removed after the other.

            Args:
                now: Unix time.
                orphan_seconds: How old it must be to be nobody's.
                tombstone_seconds: How long it is told of an item that it expired.
            """

        def sweep_time(self) -> float | None:
            """Return when the next sweep is worth while, Unix time; None where there was none yet."""

        def set_sweep_time(self, when: float) -> None:
            """Note when the next sweep is worth while; called within `sweeping`, or where `sweep_time` is not None."""

        def sweeping(self) -> "AbstractContextManager[bool]":
            """Within it nobody else sweeps; it tells whether that is so, and never waits. The dead sweep no more."""


class Busy(Exception):
    """Somebody holds a lock, or the time is up: the next sweep goes on."""
