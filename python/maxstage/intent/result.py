"""The result of an intent: a staged item with a line for each operation, and how many ended in which way."""

from __future__ import annotations

from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any

from maxstage.intent.journal import STATUSES
from maxstage.intent.operations import OPERATIONS
from maxstage.intent.tokens import format_intent
from maxstage.interrupts import Deferred
from maxstage.store.schedule import expect_expiry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.intent.journal import Journal, Row
    from maxstage.store.metadata import Item
    from maxstage.store.store import Store

KEY = "intent"
"""The key in an item's metadata that tells of which intent it is the result."""

_LINES = 1000


def publish(
    store: Store,
    journal: Journal,
    intent_id: str,
    facts: dict[str, Any],
    counts: dict[str, int],
    ttl: float | None,
) -> Item:
    """Stage the result of an intent.

    Args:
        store: Where it goes.
        journal: What was done.
        intent_id: The intent.
        facts: What is known of it.
        counts: How many operations ended in which way.
        ttl: Minutes until it expires, and with it what it takes to take the intent back; None for the setting.

    Raises:
        QuotaExceeded, OSError: It can't be staged.
    """
    extra = {KEY: intent_id, "operations": facts["kind"], "statuses": counts}
    with Deferred() as signals, store.draft() as draft:
        with signals.open():
            draft.fill(_pieces(journal))
            item = draft.finalize(
                store.settings.ttl_minutes if ttl is None else ttl,
                "ndjson",
                source=f"{format_intent(intent_id)} ({facts['kind']})",
                labels=facts.get("labels", {}),
                extra=extra,
            )
            draft.sync()
        draft.commit()
    expect_expiry(store.storage, item.expires)
    return item


def counts_of(found: dict[str, int]) -> dict[str, int]:
    """Return how many operations ended in which way, with a number for each."""
    return {status: found.get(status, 0) for status in STATUSES}


def _pieces(journal: Journal) -> Iterator[bytes]:
    lines: list[bytes] = []
    for row in journal.ended():
        lines.append(_line(*row))
        if len(lines) == _LINES:
            yield b"".join(lines)
            lines = []
    yield b"".join(lines)


def _line(
    number: int,
    op: str,
    source: bytes | None,
    target: bytes | None,
    status: str,
    error: str | None,
    over: str | None,
    did: str | None,
    record: bytes | None,
) -> bytes:
    places = b""
    if source is not None and not OPERATIONS[op].uses_trash:
        places = b', "from": ' + _text(source)
    if target is not None:
        places += b', "to": ' + _text(target)
    if over is not None:
        places += b', "replaced": true'
    if did is not None:
        places += b", " + did[1:-1].encode("utf-8", "surrogateescape")
    # The record as it was read, byte for byte.
    return b'{"op": "%b", "number": %d, "status": "%b", "error": %b%b, "record": %b}\n' % (
        op.encode(),
        number,
        status.encode(),
        b"null" if error is None else _text(error.encode("utf-8", "surrogateescape")),
        places,
        record or b"null",
    )


def _text(text: bytes) -> bytes:
    return encode_basestring(text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def places(row: Row, target: bytes | None = None) -> dict[str, str]:
    """Return where an operation takes a file from, and where to, as JSON has names."""
    told = {}
    if row.source is not None and not OPERATIONS[row.op].uses_trash:
        told["from"] = row.source.decode("utf-8", "surrogateescape")
    if target is not None or row.target is not None:
        told["to"] = (target or row.target or b"").decode("utf-8", "surrogateescape")
    return told
