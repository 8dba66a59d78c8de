"""The fields of records as a table, for people and models."""

from maxstage.humanize import counted, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from maxstage.query.schema import Schema

_NAME, _VALUE = 40, 24
"""Characters that are shown of a name, and of a value."""


def table_of(found: "Schema") -> str:
    """Return how many records there are, and a line for each of their fields."""
    head = ("field", "type", "present", "distinct", "least", "greatest", "examples")
    rows = [
        (
            printable(field.name, _NAME) or "(record)",
            "|".join(name for name in field.types if name != "null" or len(field.types) == 1)
            + ("?" if "null" in field.types and len(field.types) > 1 else ""),
            f"{field.share:.0%}" if field.share in {0, 1} else f"{field.share:.1%}",
            f"{'' if field.is_exact else '~'}{field.distinct:,}" if field.distinct else "",
            printable(field.least or "", _VALUE),
            printable(field.greatest or "", _VALUE),
            ", ".join(printable(one, _VALUE) for one in field.examples),
        )
        for field in found.fields
    ]
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    lines = [_line(row, widths) for row in (head, *rows)]
    more = ["... and more fields; the counts of some of these may be too low"] if found.more else []
    return "\n".join([counted(found.records, "record"), "", *lines, *more])


def _line(cells: "Sequence[str]", widths: "Sequence[int]") -> str:
    return "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
