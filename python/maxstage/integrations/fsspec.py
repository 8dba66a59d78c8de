"""``max://TOKEN`` for everything that opens files by fsspec: pandas, pyarrow, DuckDB, UPath, dask.

Needs the extra ``maxstage[fsspec]``. fsspec finds this module by itself, through an entry point.
"""

import errno
import io
from collections.abc import Callable
from datetime import datetime
from typing import Any, BinaryIO, NoReturn, TypeVar

from fsspec.spec import AbstractFileSystem

from maxstage.errors import InvalidToken, NoProject, NotFound
from maxstage.store.item_file import BUFFER, ItemFile
from maxstage.store.metadata import Item
from maxstage.store.project import NO_PROJECT
from maxstage.store.reading import OpenItem
from maxstage.store.store import Store

Result = TypeVar("Result")


class MaxFileSystem(AbstractFileSystem):
    """The items of a store as files in one folder, named by the digits of their tokens. It can only be read.

    Items are read in place, at any offset; what is compressed is decompressed from the nearest block on. Whoever reads
    one from start to end has its checksum verified (`maxstage.Corrupt` is raised).

    Args:
        folder: The folder that holds ``.max``; None for the project around the working directory. Outside any, and
            for tokens that it doesn't have, the user's own store.
        options: What fsspec passes to each file system.

    Raises:
        NoProject: There is no store.

    >>> import fsspec, tempfile
    >>> store = Store.init(tempfile.mkdtemp())
    >>> item = store.stage(b"one\\ntwo\\n", compress=True)
    >>> fs = fsspec.filesystem("max", folder=store.layout.project)
    >>> fs.cat_file(item.token, start=4)
    b'two\\n'
    >>> fs.info(item.token)["size"]
    8
    """

    protocol = "max"
    # The working directory, and with it the project, may change between two calls.
    cachable = False

    def __init__(self, folder: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        store = Store.find_or_none(folder) or Store.user_or_none()
        if store is None:
            raise NoProject(NO_PROJECT)
        self._store = store
        self._options = options

    def __reduce__(self) -> Any:
        # By its project: another process may have another working directory.
        return _again, (type(self), self._store.layout.project, self._options)

    @property
    def _fs_token(self) -> str:
        """What makes two of them equal."""
        return f"{self.protocol}:{self._store.layout.root}"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        stripped = super()._strip_protocol(path)
        return stripped if isinstance(stripped, list) else stripped.removeprefix("max:").strip("/")

    def _find(self, path: str, action: Callable[[Store, str], Result]) -> Result:
        """Return what `action` returns for the store that has an item, and its token."""
        token = self._strip_protocol(path)
        try:
            return self._store.here_or_own(lambda store: action(store, token))
        except (NotFound, InvalidToken) as error:
            raise FileNotFoundError(errno.ENOENT, str(error), path) from None

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return what is known of an item: ``name``, ``size``, ``type``, ``created`` as fsspec has them, and more."""
        if self._strip_protocol(path) == "":
            return {"name": "", "size": 0, "type": "directory"}
        return _info(self._find(path, Store.info))

    def ls(self, path: str = "", detail: bool = True, **_: Any) -> list[Any]:
        """Return the items, newest first; for the path of an item, that item."""
        root = self._strip_protocol(path) == ""
        found = [_info(item) for item in self._store.list()] if root else [self.info(path)]
        return found if detail else [one["name"] for one in found]

    def _open(self, path: str, mode: str = "rb", **_: Any) -> BinaryIO:
        if mode != "rb":
            self._refuse(path)
        if self._strip_protocol(path) == "":
            raise IsADirectoryError(errno.EISDIR, "The items are in it; name one by its token", path)
        return _File(self._find(path, Store.open_item))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """Return the bytes of an item from `start` to `end`; negative numbers count from its end."""
        if start is None and end is None:
            with self._open(path) as file:
                return file.read()
        with self._find(path, Store.open_item) as opened:
            first, last, _step = slice(start, end).indices(opened.item.byte_size)
            return opened.read(first, max(first, last))

    def created(self, path: str) -> datetime:
        """Return when an item was staged."""
        return self._find(path, Store.info).created_at

    # An item never changes.
    modified = created

    def _refuse(self, *args: Any, **_: Any) -> NoReturn:
        raise OSError(errno.EROFS, "Staged data can only be read; max stage makes new items", args[0])

    mkdir = makedirs = rmdir = touch = _refuse
    rm = rm_file = _rm = mv = copy = cp_file = put = put_file = pipe = pipe_file = _refuse


def _again(cls: type[MaxFileSystem], folder: str, options: dict[str, Any]) -> MaxFileSystem:
    return cls(folder=folder, **options)


class _File(io.BufferedReader):
    """As `Store.open` returns it, with the size that fsspec's files have."""

    def __init__(self, opened: OpenItem) -> None:
        super().__init__(ItemFile(opened), BUFFER)
        self.size = opened.item.byte_size


def _info(item: Item) -> dict[str, Any]:
    return {
        "name": item.id,
        "size": item.byte_size,
        "type": "file",
        "created": item.created_at,
        "mtime": item.created_at,
        "token": item.token,
        "contentType": item.content_type,
        "recordCount": item.record_count,
        "source": item.source,
        "labels": item.labels,
    }
