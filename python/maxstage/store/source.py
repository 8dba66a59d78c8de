"""Telling where data came from: the `source` that its first record names."""

from maxstage import light_json
from maxstage.store.metadata import MOST_SOURCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.metadata import ContentType


def detect_source(prefix: bytes, content_type: "ContentType") -> str | None:
    """Return what the first record says of its source.

    Where it is a JSON object with a string ``source``: that, followed by ``/`` and its string ``type`` where
    there is one. Otherwise, or where the record goes on beyond the prefix, or that is too long for a name, None.

    >>> detect_source(b'{"source": "hubspot", "type": "contact"}', "json")
    'hubspot/contact'
    """
    if content_type == "text":
        return None
    lines = prefix.lstrip().split(b"\n", 1)
    try:
        record = light_json.loads(lines[0] if content_type == "ndjson" else prefix)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or not _is_text(record.get("source")):
        return None
    source: str = record["source"]
    named = f"{source}/{record['type']}" if _is_text(record.get("type")) else source
    return named if len(named) <= MOST_SOURCE else None


def _is_text(value: object) -> bool:
    """Whether it is text that can be written as UTF-8: JSON may name half of a surrogate pair."""
    return (
        isinstance(value, str)
        and value.isprintable()
        and value != ""
        and value.encode("utf-8", "ignore").decode() == value
    )
