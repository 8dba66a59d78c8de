"""Describing records, once the options are known; without the command-line library, as in `fast_path.py`."""

from maxstage.cli.printing import print_json, write_out
from maxstage.cli.searching import Inputs, Stores, tell_bad
from maxstage.errors import InvalidQuery
from maxstage.query.search import Looked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from maxstage.query.schema import Field


def schema(
    names: "Sequence[str]",
    folder: str | None = None,
    *,
    output: str = "text",
    sample: int | None = None,
    csv: bool = False,
    filters: "Sequence[str]" = (),
    type: str | None = None,  # noqa: A002 - it is the option's name
    regex: str | None = None,
    strict: bool = False,
) -> None:
    """Print what fields the records have; the options are those of ``max schema``.

    Raises:
        InvalidQuery: An option can't be understood.
        Error, OSError: Something can't be read.
    """
    from maxstage.query.schema import describe
    from maxstage.query.schema_table import table_of

    if not names:
        raise InvalidQuery("nothing to describe; for example: max schema max:a1b2c3d4")
    stores, looked = Stores(folder), Looked()
    inputs = Inputs(names, stores, "csv" if csv else None, type)
    with inputs as opened:
        query = inputs.query({"filters": filters, "regex": regex, "strict": strict})
        found = describe(opened, query, looked, sample=sample)
    if output == "json":
        fields = [_json_field(field) for field in found.fields]
        print_json({"records": found.records, "fields": fields, "more": found.more})
    else:
        write_out(table_of(found))
    tell_bad(looked)


def _json_field(field: "Field") -> "dict[str, Any]":
    return {
        "name": field.name,
        "types": field.types,
        "present": field.present,
        "share": field.share,
        "distinct": field.distinct,
        "distinctIsExact": field.is_exact,
        "min": _value_of(field.least, is_json=field.is_number),
        "max": _value_of(field.greatest, is_json=field.is_number),
        "examples": [_value_of(one, is_json=True) for one in field.examples],
    }


def _value_of(text: str | None, *, is_json: bool) -> "Any":
    """Return JSON as the value that it is; as text where it was cut, or where Python has no such number."""
    if text is None or not is_json:
        return text
    import json

    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, float) and value - value != 0 else value
