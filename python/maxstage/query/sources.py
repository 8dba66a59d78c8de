"""Sources: what can be searched by a name, besides items and files.

``files`` is built in: the files below the working directory. Others are named in the settings: programs
that print records, and queries for DuckDB::

    [sources.hubspot]
    command = ["my-exporter", "{type}"]
    type = "contact"
    cache_minutes = 15

    [sources.sales]
    sql = "SELECT * FROM 'sales/*.parquet'"

A Python package adds one by an entry point of the group ``maxstage.sources``: a function that takes what ``--type``
says, or None, and gives records, as dictionaries or lines of JSON.
"""

import os

from maxstage.errors import Error
from maxstage.query.inputs import Input, ItemInput, read_much

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from importlib.metadata import EntryPoint
    from typing import Any

    from maxstage._backend import core
    from maxstage.store.store import Store

FILES = "files"
ABOUT_FILES = "the files below the working directory: path, name, extension, size, modified, type"
TYPE = "{type}"
"""Stands in a command for what ``--type`` says."""

GROUP = "maxstage.sources"
"""The entry points that packages add sources by."""

LABEL = "maxstage-source"
"""The label of items that keep what a source has given."""

_ROWS = 2000
"""Files that are told of at a time."""

_SILENT_SECONDS = 300
"""How long a program may print nothing, unless ``timeout_seconds`` says otherwise."""

_END_SECONDS = 5
"""How long a program may take to end once it is asked to."""


class SourceFailed(Error):
    """A source could not be read: its program failed, or printed nothing for long."""


class Sources:
    """The sources that there are.

    Args:
        settings: Returns what the settings say of sources.
        find: Returns the store, for what is kept.
        type: What ``--type`` says, for the commands that ask for it.

    Attributes:
        took_type: Whether one of them was opened that took the type: then it is no filter.
    """

    def __init__(
        self,
        settings: "Callable[[], Mapping[str, dict[str, Any]]]",
        find: "Callable[[], Store]",
        type: str | None = None,  # noqa: A002 - it is the option's name
    ) -> None:
        self._settings = settings
        self._find = find
        self._type = type
        self.took_type = False

    def has(self, name: str) -> bool:
        """Whether this is the name of a source."""
        return name == FILES or name in self._settings()

    def offers(self, name: str) -> bool:
        """Whether a package adds a source of this name; looking takes longer than most searches."""
        return any(one.name == name for one in offered())

    def open(self, name: str) -> Input:
        """Open a source.

        Raises:
            SourceFailed: Its program can't be started, or failed where its answer is kept.
        """
        if name == FILES:
            return FilesInput()
        if name not in self._settings():
            self.took_type = self._type is not None
            return PackageInput(name, next(one for one in offered() if one.name == name), self._type)
        said = self._settings()[name]
        kind: str | None = None
        if "sql" in said:
            return self._opened(name, said, said["sql"], lambda: SqlInput(name, said["sql"]))
        command = [str(word) for word in said["command"]]
        if any(TYPE in word for word in command):
            kind = self._type or said.get("type")
            if kind is None:
                raise SourceFailed(f"source {name} needs --type: its command has {TYPE}")
            command = [word.replace(TYPE, kind) for word in command]
            self.took_type = True
        silent = said.get("timeout_seconds", _SILENT_SECONDS)
        return self._opened(name, said, command, lambda: CommandInput(name, command, silent, kind))

    def _opened(
        self,
        name: str,
        said: "dict[str, Any]",
        asked: "list[str] | str",
        begin: "Callable[[], _LinesInput]",
    ) -> Input:
        """Open what is read anew each time, or the item that keeps it."""
        if not said.get("cache_minutes"):
            return begin()
        store = self._find()
        import json
        import zlib

        key = f"{name}-{zlib.crc32(json.dumps(asked).encode('utf-8', 'surrogateescape')):08x}"
        items = store.list(labels={LABEL: key}, limit=1)
        if not items:
            one = begin()
            try:
                # Nothing is published if the program fails.
                items = [
                    store.stage(
                        one.pieces(), ttl=said["cache_minutes"], source=one.origin, labels={LABEL: key}
                    )
                ]
            finally:
                one.close()
        return ItemInput(store.open_item(items[0].token), "ndjson")


def _with_type(name: str, kind: str | None) -> str:
    return name if kind is None else f"{name}/{kind}"


def offered() -> "list[EntryPoint]":
    """Return the sources that packages add."""
    from importlib.metadata import entry_points

    return sorted(entry_points(group=GROUP), key=lambda one: one.name)


class _LinesInput(Input):
    """Records, a line each, that come as pieces."""

    kind = "ndjson"

    def _lines(self, scan: "core.Scan", start: int) -> "Iterator[int]":
        del start  # there is no going on in what can't be read again
        for data in self.pieces():
            scan.feed(data)
            yield len(data)


class FilesInput(_LinesInput):
    """The files below the working directory, in the order of their names; symbolic links are told of, not followed."""

    name = FILES

    def pieces(self) -> "Iterator[bytes]":
        """Give a record for each file, directory and link."""
        import json

        rows = []
        for record in _walk("."):
            rows.append(json.dumps(record, ensure_ascii=False) + "\n")
            if len(rows) == _ROWS:
                yield "".join(rows).encode("utf-8", "surrogateescape")
                rows = []
        yield "".join(rows).encode("utf-8", "surrogateescape")


def _walk(folder: str) -> "Iterator[dict[str, Any]]":
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return  # not ours to look into, or gone
    for entry in entries:
        record = _record(entry)
        if record is None:
            continue
        yield record
        # What is staged is no file of the project.
        if record["type"] == "directory" and entry.name != ".max":
            yield from _walk(entry.path)


def _record(entry: "os.DirEntry[str]") -> "dict[str, Any] | None":
    from datetime import UTC, datetime

    try:
        status = entry.stat(follow_symlinks=False)
        kind = (
            "link"
            if entry.is_symlink()
            else "directory"
            if entry.is_dir()
            else "file"
            if entry.is_file()
            else "other"
        )
    except OSError:
        return None  # gone meanwhile
    return {
        "path": entry.path.removeprefix("./"),
        "name": entry.name,
        "extension": os.path.splitext(entry.name)[1].removeprefix(".").lower(),
        "size": status.st_size,
        "modified": datetime.fromtimestamp(int(status.st_mtime), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "type": kind,
    }


class CommandInput(_LinesInput):
    """What a program prints.

    Args:
        name: The source.
        command: The program and its arguments; no shell reads them.
        silent: How many seconds it may print nothing.
        kind: The type that it is asked for; None for none.

    Raises:
        SourceFailed: It can't be started.
    """

    def __init__(self, name: str, command: list[str], silent: float, kind: str | None = None) -> None:
        import subprocess

        self.name = name
        self._silent = silent
        self._kind = kind
        try:
            # In a session of its own, so that what it starts ends with it.
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            raise SourceFailed(f"source {name}: {command[0]} can't be started: {error.strerror}") from None
        except ValueError as error:
            # A word with a NUL byte, which no program can be given.
            raise SourceFailed(f"source {name}: its command can't be started: {error}") from None

    @property
    def origin(self) -> str:
        """Return the source, with the type that it was asked for."""
        return _with_type(self.name, self._kind)

    def pieces(self) -> "Iterator[bytes]":
        """Give what it prints.

        Raises:
            SourceFailed: It fails, or prints nothing for long.
        """
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        fd = self._process.stdout.fileno()
        while self._wait(fd) and (data := read_much(fd)):
            yield data
        code = self._process.wait()
        if code:
            how = f"exited with {code}" if code > 0 else f"was ended by signal {-code}"
            raise SourceFailed(f"source {self.name}: its command {how}; what it printed may be a part")

    def _wait(self, fd: int) -> bool:
        import select

        ready, _, _ = select.select([fd], [], [], self._silent)
        if not ready:
            raise SourceFailed(
                f"source {self.name}: its command printed nothing for {self._silent:g} s and was ended; "
                "timeout_seconds in the settings gives it longer"
            )
        return True

    def close(self) -> None:
        """End the program, if it has not ended."""
        import signal
        import subprocess

        if self._process.stdout is not None:
            self._process.stdout.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                return
            os.killpg(self._process.pid, number)
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                continue


class SqlInput(_LinesInput):
    """What DuckDB answers to a query of the settings, which may read whatever it likes.

    Args:
        name: The source.
        query: The query.
    """

    def __init__(self, name: str, query: str) -> None:
        self.name = name
        self._query = query

    def pieces(self) -> "Iterator[bytes]":
        """Give the rows, a line of JSON each.

        Raises:
            SourceFailed: The query can't be run.
        """
        from maxstage.query.sql.database import Database

        try:
            with Database(None, trusted=True) as database:
                for rows in database.rows(self._query):
                    yield b"".join([row + b"\n" for row in rows])
        except Error as error:
            raise SourceFailed(f"source {self.name}: {error}") from None


class PackageInput(_LinesInput):
    """What a function of a package gives.

    Args:
        name: The source.
        entry: Where the function is.
        kind: What ``--type`` says.
    """

    def __init__(self, name: str, entry: "EntryPoint", kind: str | None) -> None:
        self.name = name
        self._entry = entry
        self._kind = kind

    @property
    def origin(self) -> str:
        """Return the source, with the type that it was asked for."""
        return _with_type(self.name, self._kind)

    def pieces(self) -> "Iterator[bytes]":
        """Give the records, a line of JSON each.

        Raises:
            SourceFailed: The function fails, or can't be imported.
        """
        rows: list[bytes] = []
        try:
            given: Iterable[object] = self._entry.load()(self._kind)
            for record in given:
                rows.append(_line_of(record))
                if len(rows) == _ROWS:
                    yield b"".join(rows)
                    rows = []
        # It is somebody else's code, which may raise anything.
        except Exception as error:
            raise SourceFailed(
                f"source {self.name}, of {self._entry.value}: {type(error).__name__}: {error}"
            ) from error
        yield b"".join(rows)


def _line_of(record: object) -> bytes:
    if isinstance(record, bytes):
        return record.rstrip(b"\n") + b"\n"
    if not isinstance(record, str):
        import json

        record = json.dumps(record, ensure_ascii=False)
    return record.rstrip("\n").encode("utf-8", "surrogateescape") + b"\n"
