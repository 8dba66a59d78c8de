"""Running a query by DuckDB, locked down: it reads what it names, and nothing else, and changes nothing."""

import contextlib
import importlib
import json
import os
import re
import shutil
import tempfile
import threading
import time

from maxstage.errors import Error, InvalidQuery
from maxstage.query.sql.columns import identifier, literal
from maxstage.query.sql.tables import PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    from maxstage.query.sql.tables import Tables

    T = TypeVar("T")

ROW = "max:row"
"""What the rows of a query are called while they become JSON: no column is likely to have this name."""

_BATCH = 2000
"""Rows that are fetched at a time."""

_MOST_THREADS = 8
_MOST_MEMORY = 1024**3
"""Bytes that DuckDB holds; what is more goes into a temporary folder."""

_PATIENCE = 10.0
"""Seconds that a query has to stop in once it is asked to."""

_MOMENT = 0.05
"""Seconds between two such requests."""

_MOST_SPILLED = "10GiB"
"""What DuckDB may write into its temporary folder: a query must not fill the disk."""

_OLD_SECONDS = 24 * 3600
"""After this a temporary folder belongs to nobody: its process was killed."""


class Database:
    """DuckDB in memory. Used as a context manager it ends with all that it wrote.

    Args:
        folder: Where what does not fit into memory goes; None for the system's place.
        trusted: Whether queries come from the settings: they may read anything, and DuckDB gets what that needs.

    Raises:
        Error: DuckDB is not installed.
    """

    def __init__(self, folder: str | None, *, trusted: bool = False) -> None:
        self._is_stuck = False
        self._unknown: set[str] = set()
        try:
            self._duckdb: Any = importlib.import_module("duckdb")
        except ImportError:
            raise Error('max sql needs DuckDB: pip install "maxstage[sql]"') from None
        if folder is None:
            folder = tempfile.mkdtemp(prefix=PREFIX)
            self._made = folder
        else:
            # DuckDB makes it, if it has to write.
            self._made = f"{folder}/{PREFIX}{os.urandom(8).hex()}"
            _sweep(folder)
        self._connection = self._connect(trusted=trusted)

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *exc: object) -> None:
        # A query that does not stop is left to the end of the process: closing would wait for it.
        if not self._is_stuck:
            self._connection.close()
        shutil.rmtree(self._made, ignore_errors=True)

    def _connect(self, *, trusted: bool) -> "Any":
        extensions = "true" if trusted else "false"
        return self._duckdb.connect(
            ":memory:",
            config={
                "threads": min(os.cpu_count() or 1, _MOST_THREADS),
                "memory_limit": f"{min(_MOST_MEMORY, _memory() // 2)}B",
                "temp_directory": self._made,
                "max_temp_directory_size": _MOST_SPILLED,
                "autoinstall_known_extensions": extensions,
                "autoload_known_extensions": extensions,
                "allow_community_extensions": "false",
                "allow_persistent_secrets": "false",
                "python_enable_replacements": "false",
            },
        )

    def names(self, query: str) -> list[str]:
        """Return the tables that a query names.

        Raises:
            InvalidQuery: It is none, or not one.
        """
        try:
            statements = self._connection.extract_statements(query)
            if len(statements) != 1 or statements[0].type.name != "SELECT":
                raise InvalidQuery(
                    "SQL: one query is expected: SELECT, FROM, WITH, VALUES, DESCRIBE, SUMMARIZE, or PIVOT with IN"
                )
            # What is no query can't be nested in one; neither can WITH, if it writes.
            self._connection.extract_statements(_wrapped(query))
            [(tree,)] = self._connection.execute("SELECT json_serialize_sql(?)", [_bare(query)]).fetchall()
        except self._duckdb.Error as error:
            raise self._failure(error) from None
        tables: set[str] = set()
        given: set[str] = set()
        _find_tables(json.loads(tree), tables, given)
        return sorted(tables - given)

    def add(self, tables: "Tables", names: "list[str]", is_known: "Callable[[str], bool]") -> None:
        """Make tables of what is named and known, and lock the door."""
        for name in names:
            if is_known(name):
                expression = tables.view_of(name)
                self._execute(f"CREATE VIEW {identifier(name)} AS FROM {expression}")
            elif not set(name) & set(":*?["):  # no address, and no pattern
                self._unknown.add(name)
        paths = ", ".join(literal(path) for path in tables.paths)
        for said in (
            "TimeZone='UTC'",
            "enable_progress_bar=false",
            f"allowed_paths=[{paths}]",
            "enable_external_access=false",
            "lock_configuration=true",
        ):
            self._connection.execute(f"SET {said}")

    def columns(self, query: str) -> list[str]:
        """Return the names of the columns of a query.

        Raises:
            Error: It can't be run.
        """
        cursor = self._execute(f"FROM (\n{_bare(query)}\n) LIMIT 0")
        return [str(column[0]) for column in cursor.description]

    def rows(self, query: str) -> "Iterator[list[bytes]]":
        """Give the rows of a query as JSON, many at a time; a number that JSON doesn't have is null.

        Raises:
            Error: It can't be run.
        """
        cursor = self._execute(_wrapped(query))
        while batch := self._run(lambda: cursor.fetchmany(_BATCH)):
            yield [_standard(row[0]).encode("utf-8", "replace") for row in batch]

    def _execute(self, statement: str) -> "Any":
        return self._run(lambda: self._connection.execute(statement))

    def _run(self, function: "Callable[[], T]") -> "T":
        """Call a function of DuckDB in a thread, since it looks at no signals; one that raises ends it.

        Raises:
            Error: What DuckDB says.
        """
        done: list[T] = []
        failed: list[BaseException] = []
        over = threading.Event()

        def call() -> None:
            try:
                done.append(function())
            except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for it
                failed.append(error)
            over.set()

        try:
            threading.Thread(target=call, name=ROW, daemon=True).start()
            # Not `join`, which takes a thread for ended once a signal has interrupted it.
            over.wait()
        except BaseException:
            # Once more and again: a query that is being understood hears of it only when it runs.
            until = time.monotonic() + _PATIENCE
            while not over.is_set() and time.monotonic() < until:
                self._connection.interrupt()
                over.wait(_MOMENT)
            self._is_stuck = not over.is_set()
            raise
        if failed:
            if isinstance(failed[0], self._duckdb.Error):
                raise self._failure(failed[0]) from None
            raise failed[0]
        return done[0]

    def _failure(self, error: Exception) -> Error:
        text = " ".join(str(error).split("\n\nLINE ")[0].split())
        kinds = self._duckdb.ParserException, self._duckdb.BinderException, self._duckdb.CatalogException
        if isinstance(error, kinds):
            return InvalidQuery(f"SQL: {text}")
        if isinstance(error, self._duckdb.PermissionException):
            missing = next((name for name in sorted(self._unknown) if f'"{name}"' in text), None)
            if missing is not None:
                return Error(f"No such file or directory: {missing}; name a token, a file or a source")
            return Error(f"SQL: a query reads what FROM names: tokens, files and sources. {text}")
        return Error(f"SQL: {text}")


def _standard(row: str) -> str:
    """Return a row without the numbers that JSON doesn't have."""
    if "NaN" not in row and "Infinity" not in row:
        return row
    return _TEXT_OR_NO_NUMBER.sub(lambda found: found[0] if found[0][0] == '"' else "null", row)


_TEXT_OR_NO_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|-?(?:NaN|Infinity)', re.DOTALL)
"""A text, which stays, or what JSON has no number for. All else is as DuckDB wrote it: a decimal is no float."""


def _find_tables(tree: "Any", tables: set[str], given: set[str]) -> None:
    """Collect the names of tables in a query, as DuckDB tells its parts, and the names that WITH gives."""
    if isinstance(tree, list):
        for part in tree:
            _find_tables(part, tables, given)
    elif isinstance(tree, dict):
        if tree.get("type") == "BASE_TABLE":
            tables.add(str(tree.get("table_name")))
        for row in tree.get("cte_map", {}).get("map", ()):
            given.add(str(row.get("key")))
        for part in tree.values():
            _find_tables(part, tables, given)


def _bare(query: str) -> str:
    return query.strip().rstrip("; \t\r\n")


def _wrapped(query: str) -> str:
    # The query's text is all that is put together here, and `Database.names` has seen that it is one query.
    return (
        f"SELECT CAST(to_json({identifier(ROW)}) AS VARCHAR) FROM (\n{_bare(query)}\n) AS {identifier(ROW)}"  # noqa: S608
    )


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _sweep(folder: str) -> None:
    """Delete what processes left behind that were killed."""
    oldest = time.time() - _OLD_SECONDS
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.stat(follow_symlinks=False).st_mtime < oldest:
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(entry.path)
