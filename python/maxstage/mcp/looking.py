"""Looking through items for a client: opening them, what is looked for, and what must be told of it."""

from maxstage.query.inputs import ItemInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from maxstage.mcp.tools.tool import Call
    from maxstage.query.search import Looked, Query
    from maxstage.store.reading import OpenItem


class Items:
    """Items that are looked through; closed when they are left."""

    def __init__(self, call: "Call", arguments: "dict[str, Any]") -> None:
        kind = "csv" if arguments.get("csv") else None
        self._opened: list[_Watched] = []
        try:
            for token in arguments["token"].split() or [""]:
                opened = call.access.open_item(token)
                self._opened.append(_Watched(call, opened, kind))
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> "list[_Watched]":
        return self._opened

    def __exit__(self, *_: object) -> None:
        for one in self._opened:
            one.close()


class _Watched(ItemInput):
    """An item that is looked through for a client, who is told of progress and may cancel it."""

    def __init__(self, call: "Call", opened: "OpenItem", kind: str | None) -> None:
        super().__init__(opened, kind)
        self._call = call

    def look(self, scan: "Any", start: int = 0, lines: int = 0) -> "Iterator[int]":
        """Show it to a scan. See `Input.look`."""
        for size in super().look(scan, start, lines):
            self._call.progress(size, self.size)
            yield size


def query_of(arguments: "dict[str, Any]", **more: "Any") -> "Query":
    """Return what is looked for.

    Raises:
        InvalidQuery: It can't be understood.
    """
    from maxstage.query.search import Query

    filters = [arguments["filter"]] if "filter" in arguments else []
    return Query(filters=filters, pattern=arguments.get("pattern"), regex=arguments.get("regex"), **more)


def note_of(looked: "Looked") -> str:
    """Return what must be told of records that could not be read; empty where there are none."""
    note = looked.note()
    return "" if note is None else f"; {note}"
