"""The arguments of the tools that look through items: which records are meant."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILTERS: "dict[str, dict[str, Any]]" = {
    "token": {"type": "string", "description": "The token, like max:a1b2c3d4; several separated by blanks."},
    "filter": {
        "type": "string",
        "description": 'What holds for a record: company = "Hooli" and amount > 1000, name ~= Jo*, a.b in (1, 2), x is '
        "null. The only field of lines of text is line.",
    },
    "pattern": {"type": "string", "description": "A text that a record holds, as it is written."},
    "regex": {"type": "string", "description": "A regular expression that a record matches somewhere."},
    "csv": {"type": "boolean", "description": "The data is CSV with a header."},
}
