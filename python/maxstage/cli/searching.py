"""Searching and counting, once the options are known; without the command-line library, as in `fast_path.py`."""

from maxstage.cli.printing import print_json, tell, warn, write_all, write_out
from maxstage.errors import Error, InvalidQuery
from maxstage.query.inputs import open_inputs
from maxstage.query.plan import MOST
from maxstage.query.search import LIMIT, Looked, Page, Query, check_limit, read_all, read_page
from maxstage.query.sources import Sources

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from maxstage.query.counting import Group
    from maxstage.query.inputs import Input
    from maxstage.query.states import State
    from maxstage.store.store import Store

FORMATS = ("text", "json", "ndjson", "csv")
STDOUT = "<stdout>"


class Inputs:
    """What is searched, opened; closed when it is left."""

    def __init__(
        self,
        names: "Sequence[str]",
        stores: "Stores",
        kind: str | None,
        type: str | None = None,  # noqa: A002 - it is the option's name
    ) -> None:
        sources = Sources(stores.sources, stores.find, type)
        self.opened, self.left = open_inputs(names, stores.find, kind, sources)
        self.type = None if sources.took_type else type
        """The type that is still to be looked for: a source may have seen to that."""

    def __enter__(self) -> "list[Input]":
        return self.opened

    def __exit__(self, *exc: object) -> None:
        for one in self.opened:
            one.close()

    def query(self, said: "Mapping[str, Any]") -> Query:
        """Return what is looked for: what the options say, and the name that is no input, which is a pattern."""
        return Query(pattern=self.left[0] if self.left else None, **{**said, "type": self.type})


class Stores:
    """The store, opened when it is needed: searching a file needs none."""

    def __init__(self, folder: str | None) -> None:
        self._folder = folder
        self._store: Store | None = None
        self._sources: Mapping[str, dict[str, Any]] | None = None

    def find(self) -> "Store":
        """Return it. Raises as `Store.find` does."""
        if self._store is None:
            from maxstage.cli.process import open_store

            self._store = open_store(self._folder)
        return self._store

    def sources(self) -> "Mapping[str, dict[str, Any]]":
        """Return what the settings of the project say of sources; there need be none."""
        if self._sources is None:
            from maxstage.store.store import Store

            store = self._store or Store.find_or_none(self._folder)
            self._sources = {} if store is None else store.settings.sources
        return self._sources

    def scratch_if_any(self) -> str | None:
        """Return a folder for what is written and not kept, if there is a project; None for the system's."""
        from maxstage.store.store import Store

        store = self._store or Store.find_or_none(self._folder)
        return None if store is None else store.layout.base

    def scratch(self) -> str | None:
        """Return a folder for what is written and not kept; None for the system's."""
        return None if self._store is None else self._store.layout.root


def search(
    names: "Sequence[str]",
    folder: str | None = None,
    *,
    output: str = "text",
    limit: int | None = None,
    offset: int = 0,
    everything: bool = False,
    numbered: bool = False,
    csv: bool = False,
    state: str | None = None,
    stage: bool = False,
    filters: "Sequence[str]" = (),
    type: str | None = None,  # noqa: A002 - it is the option's name
    regex: str | None = None,
    fields: str | None = None,
    sort: str | None = None,
    strict: bool = False,
) -> None:
    """Print the records that match; the options are those of ``max search``.

    Raises:
        InvalidQuery: An option can't be understood, or does not go with another.
        Error, OSError: Something can't be read.
    """
    check_limit(LIMIT if limit is None else limit, offset)
    stores = Stores(folder)
    columns = _columns(fields)
    said: dict[str, Any] = {
        "filters": list(filters),
        "type": type,
        "regex": regex,
        "fields": columns,
        "sort": sort,
        "strict": strict,
    }
    if state is not None:
        if everything or offset or stage or csv:
            raise InvalidQuery(
                "--state goes on where a search was; it takes no --all, --offset, --stage or --csv"
            )
        _go_on(stores, state, names, said, output, limit, numbered=numbered)
        return
    if not names:
        raise InvalidQuery('nothing to search; for example: max search max:a1b2c3d4 -f "age >= 18"')
    inputs = Inputs(names, stores, "csv" if csv else None, type)
    with inputs as opened:
        query = inputs.query(said)
        _check_together(opened, query, output, numbered=numbered)
        if stage:
            _stage(stores, opened, query, limit, offset)
        elif everything:
            _print_all(stores, opened, query, output, offset, limit, numbered=numbered)
        else:
            page = read_page(opened, query, offset=offset, limit=limit or LIMIT, numbered=numbered)
            _print_page(stores, opened, query, page, output, "csv" if csv else None, numbered=numbered)
            tell_bad(page.looked)


def _columns(fields: str | None) -> "list[str] | None":
    if fields is None:
        return None
    names = [name.strip() for name in _split(fields)]
    if not all(names):
        raise InvalidQuery(f"--fields {fields!r} names an empty field; separate them by commas, like a,b.c")
    return names


def _split(text: str) -> "list[str]":
    """Split at commas that are not quoted."""
    parts, quote = [""], ""
    for char in text:
        if char == "," and not quote:
            parts.append("")
            continue
        if char in {'"', "'"}:
            quote = "" if quote == char else quote or char
        parts[-1] += char
    return parts


def _check_together(inputs: "Sequence[Input]", query: Query, output: str, *, numbered: bool) -> None:
    if query.fields is None and not all(one.is_json for one in inputs) and output != "text":
        # What else a line of text could be in JSON or a table.
        query.fields = ["line"]
    if output == "csv" and query.fields is None:
        raise InvalidQuery("-o csv needs --fields, which are its columns, like --fields name,address.city")
    if numbered and query.sort is not None:
        raise InvalidQuery("-n numbers lines in the order of the data; it does not go with --sort")
    if numbered and not all(one.is_lines for one in inputs):
        raise InvalidQuery("-n numbers lines; the records of a JSON array or of CSV are none")


def _go_on(
    stores: Stores,
    token: str,
    names: "Sequence[str]",
    said: "dict[str, Any]",
    output: str,
    limit: int | None,
    *,
    numbered: bool,
) -> None:
    from maxstage.query.states import load_state

    state = load_state(stores.find(), token)
    query = Query.from_dict(state.query)
    inputs = Inputs(state.what, stores, state.kind)
    with inputs as opened:
        state.check_inputs(opened)
        _check_said(state, names, said)
        _check_together(opened, query, output, numbered=numbered)
        page = read_page(
            opened,
            query,
            offset=state.offset,
            limit=state.limit if limit is None else limit,
            numbered=numbered,
            start=state.position,
            total=state.total,
        )
        _print_page(stores, opened, query, page, output, state.kind, numbered=numbered)
        if not page.has_more:
            tell(f"Complete ({page.total:,} results).")


def _check_said(state: "State", names: "Sequence[str]", said: "dict[str, Any]") -> None:
    """Refuse what is said beside a state, unless it is the query that the state is of."""
    if not names and not any(said.values()):
        return
    what = list(names)
    pattern = what.pop() if len(what) == len(state.what) + 1 else None
    state.check_query(Query(pattern=pattern, **said), what or state.what)


# Printing


def _print_page(
    stores: Stores,
    inputs: "Sequence[Input]",
    query: Query,
    page: Page,
    output: str,
    kind: str | None,
    *,
    numbered: bool,
) -> None:
    if output == "json":
        _write(_json_page(page, numbered=numbered))
    else:
        lines = [_numbered(line, record) if numbered else record for line, record in page.records]
        if output == "csv":
            lines = [_header(query), *csv_rows(record for _, record in page.records)]
        elif output == "text":
            first = (
                f"Results {page.offset + 1:,}-{page.end:,} of {page.total:,}" if lines else _no_results(page)
            )
            lines.insert(0, first.encode())
        _write(b"".join([line + b"\n" for line in lines]))
    if page.has_more:
        token = _state_token(stores, inputs, query, page, kind)
        go_on = f"--offset {page.end}" if token is None else f"--state={token}"
        tell(f"More results ({page.end:,} of {page.total:,}). Continue: {go_on}")


def _no_results(page: Page) -> str:
    return f"No results after the first {page.total:,}" if page.total else "No results"


def _state_token(
    stores: Stores, inputs: "Sequence[Input]", query: Query, page: Page, kind: str | None
) -> str | None:
    from maxstage.query.states import save_state

    if any(one.identity is None for one in inputs):
        return None  # standard input can't be read again
    try:
        return save_state(stores.find(), inputs, [one.name for one in inputs], kind, query, page)
    except (Error, OSError):
        return None  # without a store, or room in it, the offset is as good


def _numbered(line: int, record: bytes) -> bytes:
    return b"%d:%b" % (line, record)


def _json_page(page: Page, *, numbered: bool) -> bytes:
    from maxstage import light_json

    about = {"offset": page.offset, "limit": page.limit, "total": page.total, "hasMore": page.has_more}
    rows = [
        b'{"line": %d, "record": %b}' % (line, as_utf8(record)) if numbered else as_utf8(record)
        for line, record in page.records
    ]
    data = b"".join([(b",\n    " if at else b"\n    ") + row for at, row in enumerate(rows)])
    return b'{\n  "pagination": %b,\n  "data": [%b]\n}\n' % (
        light_json.dumps(about).encode(),
        data + b"\n  " if rows else b"",
    )


def as_utf8(record: bytes) -> bytes:
    """Return a record as every reader of JSON takes it: what is no UTF-8 is U+FFFD."""
    try:
        record.decode()
    except UnicodeDecodeError:
        return record.decode("utf-8", "replace").encode()
    return record


def _print_all(
    stores: Stores,
    inputs: "Sequence[Input]",
    query: Query,
    output: str,
    offset: int,
    limit: int | None,
    *,
    numbered: bool,
) -> None:
    if limit is not None:
        raise InvalidQuery("use either --all or --limit")
    if numbered:
        raise InvalidQuery("-n does not go with --all; use --limit")
    looked = Looked()
    pieces = read_all(inputs, query, looked, offset=offset, scratch=stores.scratch())
    if output == "json":
        print_array(pieces)
    else:
        if output == "csv":
            _write(_header(query) + b"\n")
        for text in pieces:
            rows = text if output != "csv" else b"\n".join([*csv_rows(iter(text.split(b"\n")[:-1])), b""])
            _write(rows)
    tell_bad(looked)


def print_array(pieces: "Iterator[bytes]") -> None:
    """Print records, which come as lines, as a JSON array."""
    before = b"[\n"
    for text in pieces:
        for record in text.split(b"\n")[:-1]:
            _write(before + as_utf8(record))
            before = b",\n"
    _write(b"\n]\n" if before != b"[\n" else b"[]\n")


def _header(query: Query) -> bytes:
    return csv_line(query.fields or [])


def csv_rows(records: "Iterator[bytes]") -> "list[bytes]":
    """Return records as rows of CSV; numbers as they are written.

    Raises:
        Error: One is nested too deeply.
    """
    import json

    rows = []
    for record in records:
        try:
            row = json.loads(
                record.decode("utf-8", "surrogateescape"), parse_int=_Written, parse_float=_Written
            )
            rows.append(csv_line([_cell(value) for value in row.values()]))
        except RecursionError:
            raise Error("a record is nested too deeply to be printed as CSV") from None
    return rows


class _Written(str):
    """A number as it is written."""

    __slots__ = ()


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _as_json(value)


def _as_json(value: object) -> str:
    """Return a value as JSON, with its numbers as they were written, however deep they are."""
    import json

    if isinstance(value, _Written):
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(_as_json, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_as_json(key)}: {_as_json(one)}' for key, one in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def csv_line(values: "list[str]") -> bytes:
    """Return a row of CSV, without its end."""
    import csv
    import io

    file = io.StringIO()
    csv.writer(file, lineterminator="").writerow(values)
    try:
        return file.getvalue().encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return file.getvalue().encode("utf-8", "backslashreplace")


def _write(data: bytes) -> None:
    write_all(1, data, STDOUT)


def tell_bad(looked: Looked) -> None:
    """Warn if records were skipped because they are not valid."""
    note = looked.note()
    if note is not None:
        warn(note)


# Staging what was found


def _stage(
    stores: Stores,
    inputs: "Sequence[Input]",
    query: Query,
    limit: int | None,
    offset: int,
) -> None:
    from maxstage.query.staging import stage_results

    looked = Looked()
    most = MOST if limit is None else limit
    item = stage_results(
        stores.find(),
        inputs,
        query,
        read_all(inputs, query, looked, offset=offset, most=most),
        offset=offset,
        limit=limit,
    )
    write_out(item.token)
    tell_bad(looked)


# Counting


def count(
    names: "Sequence[str]",
    folder: str | None = None,
    *,
    output: str = "text",
    by: str | None = None,
    top: int | None = None,
    csv: bool = False,
    filters: "Sequence[str]" = (),
    type: str | None = None,  # noqa: A002 - it is the option's name
    regex: str | None = None,
    strict: bool = False,
) -> None:
    """Print how many records match, or how many for each value of a field; the options are those of ``max count``.

    Raises:
        InvalidQuery: An option can't be understood, or does not go with another.
        Error, OSError: Something can't be read.
    """
    from maxstage.query import counting

    if top is not None and by is None:
        raise InvalidQuery("--top needs --by FIELD")
    if not names:
        raise InvalidQuery("nothing to count; for example: max count max:a1b2c3d4 --by company --top 10")
    if by is None and output in {"ndjson", "csv"}:
        raise InvalidQuery(f"-o {output} needs --by FIELD; a count is one number")
    stores, looked = Stores(folder), Looked()
    inputs = Inputs(names, stores, "csv" if csv else None, type)
    with inputs as opened:
        query = inputs.query({"filters": filters, "regex": regex, "strict": strict})
        if by is None:
            number = counting.count(opened, query, looked)
            if output == "json":
                print_json({"count": number}, indent=None)
            else:
                write_out(str(number))
        else:
            groups = counting.count_by(opened, query, by, looked, top=top, scratch=stores.scratch())
            _print_groups(groups, by, output, looked)
    tell_bad(looked)


def _print_groups(groups: "Iterator[Group]", by: str, output: str, looked: Looked) -> None:
    from itertools import islice

    shape = _SHAPES[output]
    first = next(groups, None)
    rows = [] if first is None else [first]
    if output == "json":
        rows += groups
        data = b",".join([b"\n    " + shape(group, 0) for group in rows])
        head = b'{\n  "count": %d,\n  "by": %b,\n  "groups": [' % (looked.matched, _json_text(by.encode()))
        _write(head + data + (b"\n  ]" if rows else b"]") + b"\n}\n")
        return
    if output == "csv":
        _write(b"value,count\n")
    # The first count is the largest, and so the widest.
    width = len(str(first.count)) if first is not None else 0
    while rows:
        _write(b"".join([shape(group, width) + b"\n" for group in rows]))
        rows = list(islice(groups, _ROWS))


_ROWS = 1000


def _json_text(text: bytes) -> bytes:
    from maxstage.cli.printing import to_json

    return to_json(text.decode("utf-8", "replace")).encode()


def _json_value(group: "Group") -> bytes:
    if group.kind == "text":
        try:
            return _json_text(group.text)
        except UnicodeDecodeError:
            return b'""'
    return b"null" if group.kind == "null" else as_utf8(group.text)


def _json_group(group: "Group", _width: int) -> bytes:
    return b'{"value": %b, "count": %d}' % (_json_value(group), group.count)


def _text_group(group: "Group", width: int) -> bytes:
    text = group.text.decode("utf-8", "replace")
    # As JSON where it would break the line, or be taken for something else.
    plain = group.kind != "text" or (text.isprintable() and text not in {"", "null"})
    value = text if plain else _json_text(group.text).decode()
    return f"{group.count:{width}}  {value if group.kind != 'null' else 'null'}".encode()


def _csv_group(group: "Group", _width: int) -> bytes:
    return csv_line([group.text.decode("utf-8", "replace"), str(group.count)])


_SHAPES: "dict[str, Callable[[Group, int], bytes]]" = {
    "text": _text_group,
    "json": _json_group,
    "ndjson": _json_group,
    "csv": _csv_group,
}
