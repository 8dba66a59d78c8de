"""The store, as Python programs and the command line use it."""

import os
import time

from maxstage.codecs import NONE, codec_named
from maxstage.errors import Error, Expired, NoProject, NotFound, wrong_type
from maxstage.interrupts import Deferred
from maxstage.settings import Settings, load_settings
from maxstage.store.arguments import check_count, check_flag, minutes_of
from maxstage.store.clock import check_clock
from maxstage.store.project import NO_PROJECT, Layout, absolute, find_project, open_layout
from maxstage.store.schedule import expect_expiry, is_due
from maxstage.store.storage import open_storage
from maxstage.store.tokens import parse_token

# Modules that only some commands need are imported inside functions: reading an item takes less time than they all.

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import timedelta
    from typing import Any, BinaryIO, Protocol, TypeVar, overload

    from maxstage._backend import core
    from maxstage.store.draft import Data, Draft, Progress
    from maxstage.store.metadata import ContentType, Item
    from maxstage.store.reading import OpenItem
    from maxstage.store.storage.protocol import Storage
    from maxstage.store.sweep import Swept
    from maxstage.store.upkeep import Upkeep

    class _OpensStore(Protocol):
        def __call__(self, folder: "str | os.PathLike[str]") -> "Store": ...

    class _OpensData(Protocol):
        def __call__(self, token: str) -> BinaryIO: ...

    Result = TypeVar("Result")
    Items = list[Item]  # inside the class, `list` is a method
    Ids = list[str]


class _Open:
    """`Store.open`: on the class it opens a store, on an instance an item."""

    if TYPE_CHECKING:

        @overload
        def __get__(self, store: None, cls: "type[Store]") -> "_OpensStore": ...
        @overload
        def __get__(self, store: "Store", cls: "type[Store]") -> "_OpensData": ...

    def __get__(self, store: "Store | None", cls: "type[Store]") -> "_OpensStore | _OpensData":
        return cls._open_store if store is None else store._open_data  # noqa: SLF001 - this is their public name


class Store:
    """The staged items of one project. Safe to share between threads.

    Args:
        layout: The paths of the project.
        storage: Where the items are kept.
        settings: The settings in force.

    >>> import tempfile
    >>> store = Store.init(tempfile.mkdtemp())
    >>> item = store.stage(b'{"id": 1}\\n{"id": 2}\\n', source="example")
    >>> item.record_count, item.content_type
    (2, 'ndjson')
    >>> with store.open(item.token) as file:
    ...     file.readline()
    b'{"id": 1}\\n'
    >>> store.unstage(item.token)
    True
    """

    def __init__(self, layout: Layout, storage: "Storage", settings: Settings) -> None:
        self.layout = layout
        self.storage = storage
        self.settings = settings

    @classmethod
    def find(cls, start: "str | os.PathLike[str] | None" = None) -> "Store":
        """Find the project: ``MAX_DIR`` if set, else the first ``.max`` at or above `start` (the working directory).

        Raises:
            NoProject: There is none.
            Untrusted: It belongs to another user.
            ConfigError: Its settings are invalid.
        """
        folder = os.environ.get("MAX_DIR") if start is None else None
        if folder:
            return cls._open(folder, f"MAX_DIR={folder}")
        return cls._open(find_project(absolute(start)))

    @classmethod
    def find_or_none(cls, folder: "str | os.PathLike[str] | None" = None) -> "Store | None":
        """Find a project, or return None if there is none and none was named.

        Args:
            folder: The folder that holds ``.max``; None to search as `find` does.

        Raises:
            NoProject: `folder` or ``MAX_DIR`` is not a project.
            Untrusted: The project belongs to another user.
            ConfigError: Its settings are invalid.
        """
        if folder is not None:
            return cls.open(folder)
        try:
            return cls.find()
        except NoProject:
            if os.environ.get("MAX_DIR"):
                raise
            return None

    @classmethod
    def user(cls) -> "Store":
        """Open the user's own store, which is used outside projects; create it if it is missing.

        Raises:
            NoProject: It is turned off (``MAX_USER_STORE``, ``user_store``), has no location or can't be created.
            Untrusted: It belongs to another user.
            ConfigError: The settings are invalid.
        """
        from maxstage.store.user import is_turned_on, make_user_folder

        if not is_turned_on():
            raise NoProject(NO_PROJECT)
        return cls._open(make_user_folder())

    @classmethod
    def user_or_none(cls) -> "Store | None":
        """Open the user's own store if it is turned on and exists; never create it. Raises as `user` does."""
        from maxstage.store.user import existing_user_folder, is_turned_on

        folder = existing_user_folder() if is_turned_on() else None
        return None if folder is None else cls._open(folder)

    @classmethod
    def nearest(cls) -> "Store":
        """Find the project; outside any project, open the user's own store. Raises as `find` and `user` do."""
        try:
            return cls.find()
        except NoProject:
            from maxstage.store.user import is_turned_on

            if os.environ.get("MAX_DIR") or not is_turned_on():
                raise
        return cls.user()

    @classmethod
    def _open_store(cls, folder: "str | os.PathLike[str]") -> "Store":
        """Open the store of the project in `folder`, which holds ``.max``. Raises as `find` does."""
        return cls._open(folder)

    @classmethod
    def _open(cls, folder: "str | os.PathLike[str]", named: str | None = None) -> "Store":
        project = absolute(_named(folder))
        layout = open_layout(project, named or os.fspath(folder))
        if project.endswith("/maxstage"):
            from maxstage.store.user import load_settings_of

            settings = load_settings_of(layout)
        else:
            settings = load_settings(layout.config, project)
        return cls(layout, open_storage(layout, settings), settings)

    def at(self, project: str | None) -> "Store":
        """Return the store of a project: this one if `project` is its own, or None. Raises as `find` does."""
        return self if project in {None, self.layout.project} else type(self).open(str(project))

    @classmethod
    def init(cls, folder: "str | os.PathLike[str]" = ".") -> "Store":
        """Create a project in `folder` if there is none, and open its store."""
        from maxstage.store.project_setup import init_project

        init_project(_named(folder))
        return cls.open(folder)

    # Staging

    def stage(
        self,
        data: "Data",
        *,
        ttl: "timedelta | float | str | None" = None,
        pin: bool = False,
        source: str | None = None,
        content_type: "ContentType | None" = None,
        labels: "Mapping[str, str] | None" = None,
        compress: bool | str | None = None,
        sync: bool | None = None,
        progress: "Progress | None" = None,
        redact: bool | None = None,
        secrets: "Iterable[str | bytes]" = (),
    ) -> "Item":
        """Stage data. It is published when this returns; if it fails, nothing is left behind.

        Args:
            data: Bytes, a path (a string is a path), a file descriptor, a binary file object, or an iterable of bytes.
            ttl: Time until the item expires, a timedelta or minutes (at least 1); None for the setting.
            pin: Whether the item never expires.
            source: Where the data came from; None to detect it from the first record.
            content_type: ``ndjson``, ``json`` or ``text``; None to detect it from the data.
            labels: Labels to find the item by.
            compress: The codec, ``gzip`` or ``zstd``; true means ``gzip``, false no compression; None for the
                setting.
            sync: Whether the item must survive power loss; None for the setting.
            progress: Called from time to time with the number of bytes read since the last call.
            redact: Whether to mask what looks like a credential before it is stored. None masks only if the
                setting is ``all``.
            secrets: Values to mask, in encoded form too.

        Raises:
            InvalidMetadata: The source or a label is not printable, or is too large.
            QuotaExceeded: The item, or the store with it, would be larger than the settings allow.
            OSError: The data can't be read or written.
        """
        settings = self._publication(ttl, pin, source, content_type, labels)
        redactor = self.settings.redactor(redact, secrets)
        with Deferred() as signals, self.draft(compress, sync, redactor=redactor) as draft:
            with signals.open():
                draft.fill(data, progress)
                item = draft.finalize(**settings)
                draft.sync()
            draft.commit()
        expect_expiry(self.storage, item.expires)
        return item

    def stage_many(
        self,
        data: "Iterable[Data]",
        *,
        ttl: "timedelta | float | str | None" = None,
        pin: bool = False,
        source: str | None = None,
        content_type: "ContentType | None" = None,
        labels: "Mapping[str, str] | None" = None,
        compress: bool | str | None = None,
        sync: bool | None = None,
    ) -> "Items":
        """Stage each element of `data` as an item. Either all of them are published or none.

        With `sync` they are flushed to disk together, in a fraction of the time that one by one would take.

        Args:
            data: What to stage, each element as for `stage`; an iterator is consumed in batches.
            ttl: Time until they expire, a timedelta or minutes; None for the setting.
            pin: Whether they never expire.
            source: Where they came from; None to detect it from the first record of each.
            content_type: ``ndjson``, ``json`` or ``text``; None to detect it from the data of each.
            labels: Labels to find them by.
            compress: The codec, as for `stage`.
            sync: Whether they must survive power loss; None for the setting.

        >>> import tempfile
        >>> store = Store.init(tempfile.mkdtemp())
        >>> [item.record_count for item in store.stage_many([b"1\\n", b"1\\n2\\n"])]
        [1, 2]
        """
        from maxstage.store.batch import publish_many

        settings = self._publication(ttl, pin, source, content_type, labels)
        items = publish_many(
            self.storage,
            data,
            lambda: self.draft(compress, sync=False, redactor=self.settings.redactor()),
            lambda draft: draft.finalize(**settings),
            sync=self._synced(sync),
        )
        # They all expire at the same time.
        for item in items[:1]:
            expect_expiry(self.storage, item.expires)
        return items

    def split(
        self,
        data: "Data",
        *,
        parts: int | None = None,
        lines: int | None = None,
        ttl: "timedelta | float | str | None" = None,
        source: str | None = None,
        content_type: "ContentType | None" = None,
        labels: "Mapping[str, str] | None" = None,
        compress: bool | str | None = None,
        sync: bool | None = None,
        progress: "Progress | None" = None,
        redact: bool | None = None,
        secrets: "Iterable[str | bytes]" = (),
    ) -> "Items":
        """Stage data as several items, split between lines. Either all of them are published or none.

        Args:
            data: As for `stage`.
            parts: Split into this many items of about equal size, at most 10,000; some are empty if there are
                fewer lines.
            lines: Split into items of this many lines; at most 10,000 items.
            ttl: Time until they expire, a timedelta or minutes; None for the setting.
            source: Where they came from; None to detect it from the first record of each.
            content_type: ``ndjson``, ``json`` or ``text``; None to detect it from the data of each.
            labels: Labels to find them by.
            compress: The codec, as for `stage`.
            sync: Whether they must survive power loss; None for the setting.
            progress: Called from time to time with the number of bytes read since the last call.
            redact: As for `stage`; `Item.redacted` of each counts what was masked in all of them.
            secrets: Values to mask.

        Raises:
            Error: `lines` would make too many items. Also raises as `stage` does.
        """
        for name, number in (("parts", parts), ("lines", lines)):
            check_count(name, number, least=1)
        if (parts is None) == (lines is None):
            raise ValueError("give either parts or lines")
        from maxstage.store import split as splitting

        if parts is not None and parts > splitting.MOST_PARTS:
            raise ValueError(f"parts must be at most {splitting.MOST_PARTS:,}")

        settings = self._publication(ttl, False, source, content_type, labels)
        cutter = splitting.by_size(parts) if parts is not None else splitting.by_lines(lines or 0)
        redactor = self.settings.redactor(redact, secrets)
        items = splitting.publish_parts(
            self.storage,
            data,
            lambda: self.draft(compress=False, sync=False, items=parts, spool=True, redactor=redactor),
            cutter,
            lambda: self.draft(compress, sync),
            settings,
            progress,
            is_masked=redactor is not None,
        )
        for item in items:
            expect_expiry(self.storage, item.expires)
        return items

    def _publication(
        self,
        ttl: "timedelta | float | str | None",
        pin: bool,
        source: str | None,
        content_type: str | None,
        labels: "Mapping[str, str] | None",
    ) -> "dict[str, Any]":
        """Check the caller's metadata, and return it as keyword arguments for `Draft.finalize`."""
        if content_type not in (None, "ndjson", "json", "text"):
            raise ValueError(f"content_type must be ndjson, json or text, not {content_type!r}")
        from maxstage.store.draft import source_in
        from maxstage.store.metadata import check_said

        check_said(source, {} if labels is None else labels)
        check_flag("pin", pin)

        return {
            "ttl_minutes": None if pin else self._minutes(ttl),
            "content_type": content_type,
            "source": source_in if source is None else source,
            "labels": dict(labels or {}),
        }

    def draft(
        self,
        compress: bool | str | None = None,
        sync: bool | None = None,
        *,
        items: int | None = 1,
        spool: bool = False,
        redactor: "core.Redactor | None" = None,
    ) -> "Draft":
        """Begin an item that is written piece by piece, and is invisible until `Draft.publish`.

        Args:
            compress: The codec, as for `stage`.
            sync: Whether it must survive power loss once it is published; None for the setting.
            items: How many items its data is split into later, for ``max_item_bytes``; None for any number.
            spool: Whether it is only read back, never published.
            redactor: Masks secrets in the data that `Draft.fill` takes.
        """
        from maxstage.store.draft import Draft

        settings = self.settings
        return Draft(
            self.storage,
            settings,
            codec=codec_named(settings.compress if compress is None else compress),
            sync=self._synced(sync),
            items=items,
            spool=spool,
            redactor=redactor,
        )

    def _synced(self, sync: bool | None) -> bool:
        if sync is None:
            return self.settings.sync
        check_flag("sync", sync)
        return sync

    def _minutes(self, ttl: "timedelta | float | str | None") -> float:
        return self.settings.ttl_minutes if ttl is None else minutes_of(ttl)

    # Reading

    open = _Open()

    def _open_data(self, token: str) -> "BinaryIO":
        """Open the data of an item as a binary file, seekable, uncompressed.

        The checksum is verified when the file is read from start to end.

        Raises:
            InvalidToken, NotFound, Expired: There is nothing to open.
            Corrupt: The data is not what was staged; reading may raise this too.
        """
        import io

        from maxstage.store.item_file import BUFFER, ItemFile

        return io.BufferedReader(ItemFile(self.open_item(token)), BUFFER)

    def open_item(self, token: str) -> "OpenItem":
        """Open an item to read slices of lines or bytes. Raises as `open` does."""
        from maxstage.store.reading import OpenItem

        return OpenItem(self.storage, self.info(token))

    def open_item_or_own(self, token: str) -> "OpenItem":
        """Open an item of this store or, failing that, of the user's own, which keeps what is staged outside projects.

        Raises as `open` does.
        """
        return self.here_or_own(lambda store: store.open_item(token))

    def here_or_own(self, action: "Callable[[Store], Result]") -> "Result":
        """Return what `action` returns for this store or, if that raises `NotFound`, for the user's own store."""
        try:
            return action(self)
        except Expired:
            raise
        except NotFound as error:
            try:
                own = type(self).user_or_none()
            except Error:
                own = None  # unusable, so report the item as not found
            if own is None or own.layout.root == self.layout.root:
                raise
            try:
                return action(own)
            except Expired:
                raise
            except NotFound:
                raise error from None

    def info(self, token: str) -> "Item":
        """Return the metadata of an item. Raises as `open` does."""
        from maxstage.store.finding import read_item

        return read_item(self.storage, parse_token(token))

    def list(
        self,
        *,
        source: str | None = None,
        labels: "Mapping[str, str | None] | None" = None,
        limit: int | None = None,
    ) -> "Items":
        """Return the items that have not expired, newest first; those with damaged metadata are left out.

        Args:
            source: A shell pattern that the source must match.
            labels: Labels that the item must have; a value of None matches any.
            limit: The maximum number of items; None for all.
        """
        return self.scan(source=source, labels=labels, limit=limit)[0]

    def scan(
        self,
        *,
        source: str | None = None,
        labels: "Mapping[str, str | None] | None" = None,
        limit: int | None = None,
    ) -> "tuple[Items, Ids]":
        """Return what `list` returns, and what is damaged: ids of items, and names of files that belong to no item."""
        check_count("limit", limit, least=0)
        if source is not None and not isinstance(source, str):
            raise wrong_type("source", source, "a shell pattern or None")
        if not hasattr(labels, "items") and labels is not None:
            raise wrong_type("labels", labels, 'a mapping like {"job": "42"}')
        from maxstage.store.listing import scan

        return scan(self.storage, source, labels or {}, limit)

    def ids(self) -> "Ids":
        """Return the ids of all items in the store, including expired and damaged ones."""
        return self.storage.ids()

    def strays(self) -> "Ids":
        """Return the names of entries in the store that aren't items, such as files whose names are not ids."""
        return self.storage.strays()

    def path(self, token: str, *, progress: "Progress | None" = None) -> str:
        """Return the path of an item's data for programs that open it themselves; raises as `open` and `Cache.path` do.

        It is the data file, which must not be written to, or of compressed data a copy: see `maxstage.store.cache`.
        """
        with self.open_item(token) as opened:
            path = self.storage.path(opened.item) if opened.item.codec == NONE else None
            return path or self._upkeep().cache.path(opened, progress)

    def _upkeep(self) -> "Upkeep":
        from maxstage.store.upkeep import Upkeep

        return Upkeep(self.layout, self.settings, self.storage)

    def verify(self, token: str, *, progress: "Progress | None" = None) -> "Item":
        """Read all of an item and check it. Raises as `open` does."""
        with self.open_item(token) as opened:
            opened.verify(progress=progress)
            return opened.item

    # Changing

    def renew(self, token: str, ttl: "timedelta | float | str | None" = None) -> "Item":
        """Make an item expire `ttl` from now (a timedelta or minutes; None for the setting). Raises as `info` does."""
        minutes = self._minutes(ttl)
        now = time.time()
        check_clock(now)
        return self._set_expiry(token, int(now) + minutes * 60)

    def pin(self, token: str) -> "Item":
        """Keep an item from ever expiring. Raises as `info` does."""
        return self._set_expiry(token, None)

    def unpin(self, token: str, ttl: "timedelta | float | str | None" = None) -> "Item":
        """Make a pinned item expire again, `ttl` from now; an item that isn't pinned stays as it is."""
        item = self.info(token)
        return self.renew(token, ttl) if item.pinned else item

    def _set_expiry(self, token: str, expires: float | None) -> "Item":
        from maxstage.store.finding import expired, missing

        item_id = parse_token(token)

        def change(item: "Item") -> None:
            if item.is_expired(time.time()):
                raise expired(item)
            item.expires = expires

        try:
            item = self.storage.replace(item_id, change, sync=self.settings.sync)
        except KeyError:
            raise missing(self.storage, item_id) from None
        expect_expiry(self.storage, expires)
        return item

    def unstage(self, token: str) -> bool:
        """Delete an item, even a damaged one; return whether it existed.

        Raises:
            InvalidToken: `token` is not a token.
        """
        item_id = parse_token(token)
        deleted = self.storage.delete(item_id)
        self._upkeep().cache.forget(item_id)
        return deleted

    def take_back(self, items: "Iterable[Item]") -> None:
        """Delete items that were staged a moment ago and whose tokens were never reported.

        Raises:
            OSError: Some could not be deleted; the others were.
        """
        self.storage.take_back(items)

    def sweep_is_due(self) -> bool:
        """Return whether `sweep_if_due` would sweep."""
        return is_due(self.storage)

    def sweep_if_due(self) -> None:
        """Sweep, unless it is too soon, nothing can have expired, or another process is sweeping. Never fails."""
        if is_due(self.storage):
            from maxstage.store.sweep import sweep_if_due

            sweep_if_due(self.storage, self._upkeep())

    def cleanup(self, *, dry_run: bool = False) -> "Swept":
        """Remove expired items and files left behind by dead writers."""
        from maxstage.store.sweep import DEAD_SECONDS, sweep

        swept = sweep(self.storage, dry_run=dry_run, orphan_seconds=DEAD_SECONDS)
        self._upkeep()(swept, dry_run=dry_run)
        return swept


def _named(folder: "str | os.PathLike[str]") -> "str | os.PathLike[str]":
    if folder is None:  # which `absolute` takes for the working directory
        raise wrong_type("folder", folder, "text or a path")
    return folder
