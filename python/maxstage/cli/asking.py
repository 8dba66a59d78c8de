"""Asking by SQL, once the options are known."""

import json

from maxstage.cli.printing import tell, warn, write_out
from maxstage.cli.searching import STDOUT, Stores, csv_line, csv_rows, print_array
from maxstage.errors import InvalidQuery
from maxstage.files import write_all
from maxstage.humanize import printable
from maxstage.query.inputs import names_something
from maxstage.query.search import LIMIT
from maxstage.query.sources import Sources
from maxstage.query.sql.database import Database
from maxstage.query.sql.tables import Tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CELL = 100
"""Characters that are shown of a value in a table."""


def sql(
    query: str,
    folder: str | None = None,
    *,
    output: str = "text",
    limit: int | None = None,
    everything: bool = False,
    stage: bool = False,
    strict: bool = False,
    type: str | None = None,  # noqa: A002 - it is the option's name
) -> None:
    """Print the rows that a query asks for; the options are those of ``max sql``.

    Raises:
        InvalidQuery: The query or an option can't be understood.
        Error, OSError: Something can't be read.
    """
    if limit is not None and (everything or stage):
        raise InvalidQuery("--limit is for what is printed page by page; write LIMIT into the query")
    stores = Stores(folder)
    sources = Sources(stores.sources, stores.find, type)
    scratch = stores.scratch_if_any()
    with Database(scratch) as database, Tables(stores.find, sources, scratch, strict=strict) as tables:
        names = database.names(query)
        database.add(
            tables, names, lambda name: sources.has(name) or names_something(name) or sources.offers(name)
        )
        for note in tables.notes:
            warn(note)
        rows = database.rows(query)
        if stage:
            from maxstage.query.staging import stage_derived

            data = (b"".join([row + b"\n" for row in batch]) for batch in rows)
            write_out(stage_derived(stores.find(), tables.names, {"sql": query}, data, "ndjson").token)
        elif everything:
            _print_all(rows, output, database, query)
        else:
            _print_some(rows, output, limit or LIMIT, database, query)


def _print_all(batches: "Iterator[list[bytes]]", output: str, database: Database, query: str) -> None:
    if output == "json":
        print_array(b"".join([row + b"\n" for row in batch]) for batch in batches)
        return
    if output == "ndjson":
        for batch in batches:
            _write([*batch, b""])
        return
    columns = database.columns(query)
    if output == "csv":
        _write([csv_line(columns), b""])
        for batch in batches:
            _write([*csv_rows(iter(batch)), b""])
        return
    # A table needs the width of all its cells: of each batch by itself, so that any number of rows has room.
    for batch in batches:
        _write([*_table(columns, batch), b""])


def _print_some(
    batches: "Iterator[list[bytes]]", output: str, limit: int, database: Database, query: str
) -> None:
    rows: list[bytes] = []
    for batch in batches:
        rows += batch
        if len(rows) > limit:
            break
    more = len(rows) > limit
    rows = rows[:limit]
    if output == "json":
        page = {"offset": 0, "limit": limit, "total": None if more else len(rows), "hasMore": more}
        data = b",\n    ".join(rows)
        body = b"[\n    " + data + b"\n  ]" if rows else b"[]"
        _write([b'{\n  "pagination": ' + json.dumps(page).encode() + b',\n  "data": ' + body + b"\n}", b""])
    elif output == "ndjson":
        _write([*rows, b""])
    elif output == "csv":
        _write([csv_line(database.columns(query)), *csv_rows(iter(rows)), b""])
    else:
        count = f"Results 1-{len(rows):,} of {'more' if more else f'{len(rows):,}'}" if rows else "No results"
        _write([count.encode(), *(_table(database.columns(query), rows) if rows else []), b""])
    if more:
        tell(
            f"More results than {limit:,}. Give --limit N, --all or --stage; or let the query say LIMIT and OFFSET"
        )


def _table(columns: "Sequence[str]", rows: "Sequence[bytes]") -> list[bytes]:
    """Return rows as lines of a table under the names of their columns."""
    cells = [[_cell(value) for value in json.loads(row).values()] for row in rows]
    names = [printable(name, _CELL) for name in columns]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    lines = [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [names, *cells]
    ]
    return [line.encode("utf-8", "replace") for line in lines]


def _cell(value: object) -> str:
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _CELL)


def _write(lines: "Sequence[bytes]") -> None:
    write_all(1, b"\n".join(lines), STDOUT)
