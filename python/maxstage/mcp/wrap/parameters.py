"""Arguments of a tool that its server wants in headers of HTTP too (`x-mcp-header`, since 2026-07-28)."""

import re

from maxstage.light_json import loads
from maxstage.mcp.headers import encode_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Wanted = dict[tuple[str, ...], str]
    """The names of headers, by where in the arguments their values are."""

_KEY = "x-mcp-header"

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

_MOST_HEADERS = 32

_DEEPEST = 8
"""Objects within each other in the arguments: with more, and with more headers, servers would refuse the request."""


def wanted_in(schema: bytes) -> "Wanted":
    """Return the headers that the schema of a tool's arguments asks for.

    >>> wanted_in(b'{"properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}')
    {('region',): 'Mcp-Param-Region'}
    """
    if _KEY.encode() not in schema:
        return {}
    try:
        value = loads(schema.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    found: Wanted = {}
    _look(value, (), found)
    return found


def _look(schema: "Any", path: tuple[str, ...], found: "Wanted") -> None:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or len(path) == _DEEPEST:
        return
    for name, one in properties.items():
        header = one.get(_KEY) if isinstance(one, dict) else None
        if isinstance(header, str) and _NAME.fullmatch(header) and len(found) < _MOST_HEADERS:
            found[(*path, name)] = f"Mcp-Param-{header}"
        _look(one, (*path, name), found)


def rendered(value: "Any") -> str | None:
    """Return a value as a header has it; None for what no header has.

    >>> rendered(True), rendered(5), rendered("é"), rendered(None)
    ('true', '5', '=?base64?w6k=?=', None)
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return encode_value(str(value)) if isinstance(value, str | int | float) else None
