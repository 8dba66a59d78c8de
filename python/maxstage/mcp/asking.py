"""A query over items, in a process of its own: what it takes and does, however much, is over with it.

``python -m maxstage.mcp.asking`` reads from stdin what `ask` takes, and prints what it returns, or one line that says
what is wrong. DuckDB's own limit does not hold for a single value: one query took all the memory of the machine.
"""

import sys

from maxstage.errors import Error, describe
from maxstage.light_json import dumps, loads
from maxstage.mcp.access import Access
from maxstage.query.inputs import ItemInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_MEMORY = 4 * 1024**3
"""Bytes that the process may have: DuckDB takes one gibibyte of them for its data."""

_FOOTER = 400
"""Bytes that the last line takes at most, but for what it tells of the data."""

_SHOWN = 100
"""Characters of a name that an error repeats."""


class NoToken(Error):
    """A query names something else than items."""


def request(query: str, limit: int, max_bytes: int, project: str, scope: dict[str, str]) -> bytes:
    """Return what the process is told: the arguments of `ask`."""
    return dumps([query, limit, max_bytes, project, scope]).encode("utf-8", "replace")


def ask(query: str, limit: int, max_bytes: int, project: str, scope: dict[str, str]) -> str:
    """Return rows of a query, a line of JSON each, and a last line that says whether there are more.

    Args:
        query: The query, whose tables are tokens and nothing else.
        limit: Rows at most.
        max_bytes: Bytes of text at most.
        project: The folder of the store.
        scope: Labels of the items that may be seen.

    Raises:
        Error: It can't be answered.
    """
    from maxstage.query.sources import Sources
    from maxstage.query.sql.database import Database
    from maxstage.query.sql.tables import Tables
    from maxstage.store.store import Store

    access = Access(lambda: Store.open(project), scope)
    store = access.store
    folder = store.layout.base
    tables = Tables(
        lambda: store,
        Sources(dict, lambda: store),
        folder,
        opens=lambda name: ItemInput(access.open_item(name), None),
    )
    with Database(folder) as database, tables:
        names = database.names(query)
        for name in names:
            _check_token(name)
        database.add(tables, names, lambda _: True)
        rows = (row for batch in database.rows(query) for row in batch)
        return _told(rows, limit, max_bytes, tables.notes)


def _check_token(name: str) -> None:
    """Refuse a table that is no token: neither files nor sources are for whoever asks here."""
    from maxstage.store.tokens import PREFIX, is_id

    if not name.lower().startswith(PREFIX) and not is_id(name.lower()):
        raise NoToken(f"sql: tables are tokens, as in FROM 'max:a1b2c3d4', not {name[:_SHOWN]!r}")


def _told(rows: "Iterator[bytes]", limit: int, max_bytes: int, notes: list[str]) -> str:
    note = "".join(f"; {one}" for one in notes)[:_FOOTER]
    room = max_bytes - _FOOTER - len(note.encode())
    lines: list[str] = []
    more = False
    for row in rows:
        shown = row.decode("utf-8", "replace")
        size = len(shown.encode()) + 1
        if len(lines) == limit or size > room:
            more = True
            if not lines:
                note = f"; it is cut: it has {len(row):,} bytes, so ask for less of it{note}"
                lines.append(shown.encode()[: room - 1].decode("utf-8", "ignore"))
            break
        room -= size
        lines.append(shown)
    if not lines:
        return f"[no rows{note}]"
    told = f"rows 1-{len(lines):,}"
    told += " of more; go on with LIMIT and OFFSET in the query" if more else f" of {len(lines):,}"
    return "\n".join([*lines, f"[{told}{note}]"])


def main() -> int:
    """Answer what stdin says; return the exit code."""
    _limit_memory()
    try:
        told, code = ask(*loads(sys.stdin.buffer.read())), 0
    except (Error, OSError) as error:
        told, code = describe(error), 1
    except MemoryError:
        told, code = "the query needs too much memory", 1
    sys.stdout.buffer.write(told.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()
    return code


def _limit_memory() -> None:
    """Limit what we may have, where the system can."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = _MOST_MEMORY if most == resource.RLIM_INFINITY else min(_MOST_MEMORY, most)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    except (OSError, ValueError):
        return  # macOS knows no such limit


if __name__ == "__main__":
    sys.exit(main())
