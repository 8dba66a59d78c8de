"""What is searched: staged items, files and standard input, as records a line."""

import os

from maxstage._backend import core
from maxstage.errors import Corrupt, Error, InvalidQuery, describe
from maxstage.store.tokens import PREFIX, is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Protocol

    from maxstage.store.reading import OpenItem
    from maxstage.store.store import Store

    class Named(Protocol):
        """What is searched by a name: see `maxstage.query.sources`."""

        def has(self, name: str, /) -> bool:
            """Whether this is the name of a source."""

        def offers(self, name: str, /) -> bool:
            """Whether it is one if it names nothing else: finding that out takes longer."""

        def open(self, name: str, /) -> "Input":
            """Open a source."""


STEP = 8 * 1024 * 1024
"""Bytes that are looked at between two looks at what was found: enough for all cores, and little to hold."""

MOST_RECORD = 16 * 1024 * 1024
"""Bytes of one record: what is longer is hardly one. The core says the same."""

STDIN = "-"

_SAMPLE = 64 * 1024
"""Bytes that tell what a file is."""

KINDS = {
    "ndjson": "JSON, a record a line",
    "json": "one JSON array",
    "csv": "CSV with a header",
    "text": "plain lines",
}
"""What data may be, and the records that it has."""

_BY_NAME = {".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json", ".csv": "csv"}
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


class NotRecords(Error):
    """Data is not what it is read as."""


class Input:
    """What is searched, one of several.

    Attributes:
        name: What it was called.
        kind: What it is, by its name in `KINDS`.
        is_json: Whether its records are JSON: all but plain lines.
        is_lines: Whether its records are its lines, so that they have numbers and a place to go on from.
        identity: What tells whether it is still the same; None for what can't be read twice.
        size: Its bytes; None where they are not known.
    """

    name: str
    kind: str
    identity: str | None = None
    size: int | None = None

    @property
    def origin(self) -> str:
        """Return what an item that is made of it says: its name, and the type that a source was asked for."""
        return self.name

    @property
    def is_json(self) -> bool:
        """Whether its records are JSON."""
        return self.kind != "text"

    @property
    def is_lines(self) -> bool:
        """Whether its records are its lines."""
        return self.kind in {"ndjson", "text"}

    def close(self) -> None:
        """Let go of it."""

    def look(self, scan: "core.Scan", start: int = 0, lines: int = 0) -> "Iterator[int]":
        """Show it to a scan, bit by bit; give how many bytes were shown each time.

        Args:
            scan: What looks.
            start: Where to begin, for lines.
            lines: How many lines lie before.

        Raises:
            Corrupt, NotRecords, OSError: It can't be read, or is not what it is read as.
        """
        scan.begin(start, lines)
        for size in self._steps(scan, start):
            yield size
            if scan.full:
                return
        scan.finish()
        yield 0

    def _steps(self, scan: "core.Scan", start: int) -> "Iterator[int]":
        if self.is_lines:
            yield from self._lines(scan, start)
        else:
            feed = _elements if self.kind == "json" else _rows
            try:
                for data in feed(self.pieces()):
                    scan.feed(data)
                    yield len(data)
            except ValueError as error:
                raise NotRecords(f"{self.name} is not {KINDS[self.kind]}: {error}") from None

    def _lines(self, scan: "core.Scan", start: int) -> "Iterator[int]":
        raise NotImplementedError

    def pieces(self) -> "Iterator[bytes]":
        """Give its bytes, uncompressed, bit by bit."""
        raise NotImplementedError

    def descriptor(self) -> int | None:
        """Return the open file that holds its bytes as they are; None where no file does. It stays the input's."""
        return None


class ItemInput(Input):
    """A staged item."""

    def __init__(self, opened: "OpenItem", kind: str | None) -> None:
        item = opened.item
        self._opened = opened
        self.name = item.token
        self.kind = kind or item.content_type
        self.identity = f"{item.id}:{item.created_ns}"
        self.size = item.byte_size

    def close(self) -> None:
        """Close the item."""
        self._opened.close()

    def _lines(self, scan: "core.Scan", start: int) -> "Iterator[int]":
        for at in range(start, self._opened.item.byte_size, STEP):
            upto = min(at + STEP, self._opened.item.byte_size)
            self._opened.scan(scan, at, upto)
            yield upto - at

    def descriptor(self) -> int | None:
        """Return the file of an item that is not compressed."""
        return self._opened.descriptor()

    def pieces(self) -> "Iterator[bytes]":
        """Give the data of the item."""
        for at in range(0, self._opened.item.byte_size, STEP):
            yield self._opened.read(at, min(at + STEP, self._opened.item.byte_size))


class FileInput(Input):
    """A file that is no item; or standard input, or what a program prints.

    Args:
        fd: The file, which is ours from now on.
        name: What it is called.
        kind: What it is; None: told by its name or its beginning.
    """

    def __init__(self, fd: int, name: str, kind: str | None) -> None:
        self._fd = fd
        self.name = name
        status = os.fstat(fd)
        self._begun = b""
        self._is_packed = False
        import stat

        self._is_regular = stat.S_ISREG(status.st_mode)
        if stat.S_ISDIR(status.st_mode):
            os.close(fd)
            raise IsADirectoryError(21, os.strerror(21), name)
        if self._is_regular and name != STDIN:
            self.size = status.st_size
            self.identity = f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
        if self._is_regular:
            self._begun = os.pread(fd, _SAMPLE, os.lseek(fd, 0, os.SEEK_CUR))
        else:
            while len(self._begun) < _SAMPLE and (more := os.read(fd, _SAMPLE - len(self._begun))):
                self._begun += more
        if self._begun[:4] == _ZSTD:
            os.close(fd)
            raise NotRecords(f"{name} is compressed by zstd: read it by zstd -dc {name} | max search -")
        self._is_packed = self._begun[:2] == _GZIP
        self.kind = kind or self._told_kind()

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _told_kind(self) -> str:
        root, extension = os.path.splitext(self.name)
        if extension == ".gz":
            extension = os.path.splitext(root)[1]
        by_name = _BY_NAME.get(extension.lower())
        if by_name is not None:
            # Many a file called .json holds a record a line.
            return "ndjson" if by_name == "json" and self._by_content() == "ndjson" else by_name
        return self._by_content()

    def _by_content(self) -> str:
        begun = self._begun
        if self._is_packed:
            begun = next(self.pieces(), b"")[:_SAMPLE]
        whole = len(begun) < _SAMPLE
        blank = begun.lstrip()
        closing = {b"{": ord("}"), b"[": ord("]")}.get(blank[:1])
        last = begun.rstrip()[-1:]
        kind = core.content_type(
            begun,
            whole=whole,
            lines=begun.count(b"\n") + (not begun.endswith(b"\n") and bool(begun)),
            last_nonblank=(last[0] if last else None) if whole else closing,
        )
        return "ndjson" if kind == "text" and _begins_with_record(blank) else kind

    def _lines(self, scan: "core.Scan", start: int) -> "Iterator[int]":
        if not self._is_regular or self._is_packed or self.name == STDIN:
            yield from self._stream(scan, start)
            return
        size = os.fstat(self._fd).st_size
        if not size:
            # Some have no size and can be read all the same: those of /proc.
            yield from self._stream(scan, start)
            return
        reader = core.Reader(self._fd, self.name, file_size=size)
        for at in range(start, size, STEP):
            try:
                scan.read(reader, at, min(at + STEP, size))
            except Corrupt:
                raise NotRecords(f"{self.name} became shorter while it was read") from None
            yield min(at + STEP, size) - at

    def _stream(self, scan: "core.Scan", start: int) -> "Iterator[int]":
        for data in self.pieces():
            cut = min(start, len(data))
            start -= cut
            if cut < len(data):
                scan.feed(data[cut:] if cut else data)
            yield len(data)

    def descriptor(self) -> int | None:
        """Return the file, if it is one that has a size and is not compressed."""
        return self._fd if self.size and not self._is_packed else None

    def pieces(self) -> "Iterator[bytes]":
        """Give what the file holds."""
        if self._is_packed:
            yield from self._unpacked()
        elif self._is_regular:
            at = 0 if self.name != STDIN else os.lseek(self._fd, 0, os.SEEK_CUR)
            while data := os.pread(self._fd, STEP, at):
                at += len(data)
                yield data
        else:
            data = self._begun
            while data:
                yield data
                data = read_much(self._fd)

    def _unpacked(self) -> "Iterator[bytes]":
        import zlib

        inflate = zlib.decompressobj(31)
        is_between = False
        try:
            for packed in self._packed():
                rest = packed
                while rest:
                    if is_between:
                        # One gzip member may follow another, or zeros that fill a block: gzip passes over them.
                        rest = rest.lstrip(b"\0")
                        if not rest:
                            break
                        inflate = zlib.decompressobj(31)
                    data = inflate.decompress(rest, STEP)
                    yield data
                    is_between = inflate.eof
                    rest = inflate.unused_data if is_between else inflate.unconsumed_tail
        except zlib.error as error:
            raise NotRecords(f"{self.name} is not gzip: {error}") from None
        if not is_between:
            raise NotRecords(f"{self.name} is only a part: its gzip data ends before its end")

    def _packed(self) -> "Iterator[bytes]":
        if not self._is_regular:
            yield self._begun
            while data := read_much(self._fd):
                yield data
            return
        at = 0
        while data := os.pread(self._fd, 1024 * 1024, at):
            at += len(data)
            yield data


def _begins_with_record(begun: bytes) -> bool:
    """Whether the first line is an object: then a line that is none is a record that is damaged, which is told."""
    line = begun.split(b"\n", 1)[0]
    twice = line + b"\n" + line
    return (
        line[:1] == b"{"
        and core.content_type(twice, whole=True, lines=2, last_nonblank=twice[-1]) == "ndjson"
    )


def read_much(fd: int) -> bytes:
    """Read what comes, up to a step: a pipe gives little at a time, and a piece is shared between all cores."""
    parts: list[bytes] = []
    size = 0
    while size < STEP // 4 and (data := os.read(fd, 1024 * 1024)):
        parts.append(data)
        size += len(data)
    return b"".join(parts)


def _elements(pieces: "Iterator[bytes]") -> "Iterator[bytes]":
    elements = core.Elements()
    for data in pieces:
        yield elements.feed(data)
    yield elements.finish()


def _rows(pieces: "Iterator[bytes]") -> "Iterator[bytes]":
    from maxstage.query.csv_rows import rows

    return rows(pieces, STEP)


def open_inputs(
    names: "Sequence[str]",
    store: "Callable[[], Store]",
    kind: str | None = None,
    sources: "Named | None" = None,
) -> "tuple[list[Input], list[str]]":
    """Open what is named, all of it before any is read; return it, and the words that name nothing.

    Args:
        names: Tokens, files and ``-``. What names nothing is returned if it is the last of several.
        store: Returns the store, where a token is named.
        kind: What the data is, by its name in `KINDS`; None: told by each.
        sources: What else is known by a name.

    Raises:
        InvalidToken, NotFound, Expired, Corrupt, OSError: Something can't be opened.
        InvalidQuery: Nothing is named, or standard input twice.
    """
    inputs: list[Input] = []
    left: list[str] = []
    try:
        for at, name in enumerate(names):
            if sources is not None and sources.has(name):
                inputs.append(sources.open(name))
            elif at and at == len(names) - 1 and not names_something(name):
                left.append(name)
            elif sources is not None and not names_something(name) and sources.offers(name):
                inputs.append(sources.open(name))
            else:
                inputs.append(_open(name, store, kind))
        if [one.name for one in inputs].count(STDIN) > 1:
            raise InvalidQuery("- is standard input, which can be read once")
    except BaseException:
        for one in inputs:
            one.close()
        raise
    return inputs, left


def names_something(name: str) -> bool:
    """Whether a word names a token, a file that is there, or standard input."""
    return name == STDIN or name.lower().startswith(PREFIX) or is_id(name.lower()) or os.path.exists(name)


def _open(name: str, store: "Callable[[], Store]", kind: str | None) -> Input:
    if name == STDIN:
        return FileInput(os.dup(0), STDIN, kind)
    is_token = name.strip().lower().startswith(PREFIX)
    if not is_token and is_id(name.lower()):
        is_token = not os.path.exists(name)
    if is_token:
        return ItemInput(store().open_item_or_own(name), kind)
    try:
        return FileInput(os.open(name, os.O_RDONLY | os.O_CLOEXEC), name, kind)
    except FileNotFoundError as error:
        raise Error(f"{describe(error)}; name a token, a file, a source, or - for standard input") from None
