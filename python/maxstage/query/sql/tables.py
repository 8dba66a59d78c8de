"""What a query names, as tables: items, files and sources.

DuckDB reads a plain file of records itself. Anything else is first written to a file without a name: what is
compressed, arrays, lines of text, what programs print, and records that DuckDB would refuse.
"""

import contextlib
import json
import math
import os
import re
import tempfile

from maxstage._backend import core
from maxstage.query import scratch
from maxstage.query.inputs import MOST_RECORD, open_inputs
from maxstage.query.plan import Plan
from maxstage.query.search import Looked, Query, read_all
from maxstage.query.sql.columns import BROKEN, TWICE, columns_of, is_whole, literal, tree_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from maxstage.query.inputs import Input, Named
    from maxstage.query.sql.columns import Field
    from maxstage.store.store import Store

PREFIX = ".sql."
"""What the names of temporary files and folders begin with."""

_HALF = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
"""An escape: a pair of surrogates, half of one, or any other."""


class Tables:
    """The tables of a query; used as a context manager, it closes them.

    Args:
        store: Returns the store, where a token is named.
        sources: What else is known by a name.
        folder: Where temporary files go; None for the system's place.
        strict: Whether a record that is no JSON is an error.
        opens: Opens what is named; None for tokens, files and sources.

    Attributes:
        names: What was named.
        notes: What is to be told of the data.
        paths: The files that DuckDB may read.
    """

    def __init__(
        self,
        store: "Callable[[], Store]",
        sources: "Named",
        folder: str | None,
        *,
        strict: bool = False,
        opens: "Callable[[str], Input] | None" = None,
    ) -> None:
        self.names: list[str] = []
        self.notes: list[str] = []
        self.paths: list[str] = []
        self._store = store
        self._sources = sources
        self._folder = folder
        self._strict = strict
        self._opens = opens
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "Tables":
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def view_of(self, name: str) -> str:
        """Open what is named; return the statement that makes it a table.

        Raises:
            InvalidToken, NotFound, Expired, Corrupt, NotRecords, OSError: It can't be read.
        """
        if self._opens is not None:
            one = self._opens(name)
            self._open.callback(one.close)
            expression = self._expression(one)
        elif name.lower().endswith(".parquet") and os.path.exists(name):
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
            self._open.callback(os.close, fd)
            expression = f"read_parquet({self._path(fd)})"
        else:
            opened, _ = open_inputs([name], self._store, None, self._sources)
            self._open.callback(opened[0].close)
            name = opened[0].origin
            expression = self._expression(opened[0])
        self.names.append(name)
        return expression

    def _expression(self, one: "Input") -> str:
        if one.kind == "csv":
            return f"read_csv({self._path(self._file_of(one))}, header=true, sample_size=-1)"
        fd = one.descriptor() if one.kind == "ndjson" else None
        if fd is None:
            fd, root, more, looked = self._spooled(one, Query(strict=self._strict))
        else:
            root, more, looked = self._looked_at(one)
        is_twice, is_broken = root.has(TWICE), root.has(BROKEN)
        if is_broken:
            self.notes.append(f"{one.name}: bytes that are no UTF-8 are read as U+FFFD")
        if looked.bad or is_twice or is_broken:
            mend = _mended_twice if is_twice else _mended if is_broken else None
            fd, root, more, _ = self._spooled(one, Query(), mend)
        note = looked.note()
        if note is not None:
            self.notes.append(note)
        return self._records(fd, root, more=more)

    def _looked_at(self, one: "Input") -> "tuple[Field, bool, Looked]":
        """Find out what records of a file have."""
        looked = Looked()
        scan = core.Scan(Plan(wanted="kinds"))
        for _ in looked.follow(one, scan, strict=self._strict):
            pass
        more, described = scan.take_kinds()
        return tree_of(described), more, looked

    def _spooled(
        self, one: "Input", query: Query, mend: "Callable[[bytes], bytes] | None" = None
    ) -> "tuple[int, Field, bool, Looked]":
        """Write the records to a file of our own, a line each, and find out what they have."""
        looked = Looked()
        if not one.is_json:
            query.fields = ["line"]
        file = self._temporary()
        scan = core.Scan(Plan(wanted="kinds"))
        for text in read_all([one], query, looked):
            data = text if mend is None else mend(text)
            scan.feed(data)
            scratch.write(file, data, self._folder)
        scan.finish()
        more, described = scan.take_kinds()
        return file.fileno(), tree_of(described), more, looked

    def _file_of(self, one: "Input") -> int:
        """Return a file that holds the bytes of an input."""
        fd = one.descriptor()
        if fd is not None:
            return fd
        file = self._temporary()
        for data in one.pieces():
            scratch.write(file, data, self._folder)
        return file.fileno()

    def _temporary(self) -> "IO[bytes]":
        file: IO[bytes] = tempfile.TemporaryFile(dir=self._folder, prefix=PREFIX, buffering=0)  # noqa: SIM115
        self._open.callback(file.close)
        return file

    def _path(self, fd: int) -> str:
        """Return a path that names an open file, whatever becomes of its name, and has no wildcards."""
        path = f"/dev/fd/{self._without_name(fd)}"
        self.paths.append(path)
        return literal(path)

    def _without_name(self, fd: int) -> int:
        """Return the same file, opened by a name that is gone: DuckDB refuses a file whose name goes meanwhile."""
        if self._folder is None or not os.fstat(fd).st_nlink:
            return fd
        path = f"{self._folder}/{PREFIX}{os.urandom(8).hex()}"
        try:
            os.link(f"/dev/fd/{fd}", path, follow_symlinks=True)
        except OSError:
            return fd  # in another file system, or somebody else's: it is read by its own name
        try:
            linked = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.unlink(path)
        self._open.callback(os.close, linked)
        return linked

    def _records(self, fd: int, root: "Field", *, more: bool) -> str:
        columns = columns_of(root, more=more)
        told = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in columns.items())
        return (
            f"read_json({self._path(fd)}, format='newline_delimited', auto_detect=false, "
            f"records='{'false' if is_whole(columns) else 'true'}', columns={{{told}}}, "
            f"maximum_object_size={MOST_RECORD})"
        )


def _mended(data: bytes) -> bytes:
    """Return records with U+FFFD for what is no character."""
    text = data.decode("utf-8", "replace").encode()
    return _HALF.sub(lambda match: rb"\ufffd" if match[1] else match[0], text)


def _mended_twice(data: bytes) -> bytes:
    """Return records in which each key comes once, the last one, as well."""
    return b"".join([_once(line) + b"\n" for line in _mended(data).split(b"\n")[:-1]])


def _once(line: bytes) -> bytes:
    try:
        record = json.loads(line, parse_float=_number)
    except RecursionError:
        return line  # it is refused when it is read
    return json.dumps(record, ensure_ascii=False).encode()


def _number(text: str) -> float | str:
    """Return a number, or what no number holds as it is written."""
    number = float(text)
    return number if math.isfinite(number) else text
