"""Making an intent: records and templates become a plan, in which every operation is written out."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from maxstage import exact
from maxstage.errors import Error
from maxstage.intent import folder
from maxstage.intent.identity import identity, look
from maxstage.intent.journal import Maker, Row
from maxstage.intent.operations import OPERATIONS
from maxstage.intent.operations.run import check_words
from maxstage.intent.paths import Refused
from maxstage.intent.templates import Fault, Template, TemplateError
from maxstage.interrupts import Deferred
from maxstage.store.schedule import expect_expiry
from maxstage.store.tokens import new_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from maxstage.store.store import Store

_AT_ONCE = 2000
"""Operations that are added at a time."""


class NoOperations(Error):
    """There are no records to do anything with."""


def parse_templates(kind: str, texts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the templates of an operation.

    Args:
        kind: The operation.
        texts: The text of each template, by its name in `Operation.templates`; a list for ``argv``.

    Raises:
        TemplateError: One can't be understood, is missing, or is of no use here.
    """
    operation = OPERATIONS.get(kind)
    if operation is None or operation.fill is None:
        raise TemplateError(f"{kind!r} is no operation; there are copy, move, delete, write and run")
    given = {name for name, text in texts.items() if text is not None}
    for name in operation.templates:
        if name not in given:
            raise TemplateError(f"{kind} needs a template for {name}")
    for name in sorted(given - set(operation.templates)):
        raise TemplateError(f"{kind} has no use for {name}; it takes {', '.join(operation.templates)}")
    parsed: dict[str, Any] = {}
    for name in operation.templates:
        parsed[name] = check_words(texts[name]) if name == "argv" else Template(texts[name])
    return parsed


class Planner:
    """Makes the plan of one intent.

    Args:
        store: Where it is kept.
        root: The folder that no operation leaves.

    Raises:
        OSError: The root can't be opened.
        Error: The root is in a store.
    """

    def __init__(self, store: Store, root: str) -> None:
        self._store = store
        self._root = os.path.realpath(root)
        folder.check_root(self._root)
        self._folders = folder.open_root(store, os.fsencode(self._root))

    def make(
        self,
        kind: str,
        texts: Mapping[str, Any],
        lines: Iterable[bytes],
        *,
        is_json: bool = True,
        ttl: float,
        sources: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        task: str | None = None,
    ) -> str:
        """Make an intent of one kind, an operation a record; return its id.

        Args:
            kind: The operation: a name in `OPERATIONS`.
            texts: Its templates, as for `parse_templates`.
            lines: The records, many at a time, each with a newline at its end.
            is_json: Whether records are JSON; else each is a text, which has the field ``line``.
            ttl: Minutes in which it must be begun.
            sources: Where the records come from.
            labels: Labels that its results get.
            task: The task of a run that makes it; None as a rule.

        Raises:
            TemplateError: A template can't be understood.
            MissingField: A record has no such field.
            NoOperations: There are no records.
        """
        templates = parse_templates(kind, texts)
        facts = {
            "kind": kind,
            "templates": dict(texts),
            "sources": list(sources),
            "labels": dict(labels or {}),
            "task": task,
        }
        return self.publish(self._rows(kind, templates, lines, is_json=is_json), ttl=ttl, **facts)

    def publish(self, rows: Iterable[Row], *, ttl: float, **facts: Any) -> str:
        """Make an intent of operations; return its id.

        Args:
            rows: The operations, in their order.
            ttl: Minutes in which it must be begun.
            facts: What else is to be known of it.
        """
        now = time.time()
        intent_id, path = self._new_path()
        status = self._folders.status
        with Deferred() as signals:
            maker = Maker(path)
            try:
                with signals.open():
                    count = self._add(maker, rows)
                    if not count:
                        raise NoOperations("no records, so there is nothing to do")
                maker.publish(
                    {
                        **facts,
                        "root": os.fsencode(self._root).decode("latin-1"),
                        "rootIdentity": [status.st_dev, status.st_ino],
                        "created": now,
                        "expires": now + ttl * 60,
                        "count": count,
                    }
                )
            except BaseException:
                maker.discard()
                raise
            finally:
                self._folders.close()
        # A sweep deletes it then, if it was not begun.
        expect_expiry(self._store.storage, now + ttl * 60)
        return intent_id

    def _new_path(self) -> tuple[str, str]:
        while True:
            intent_id = new_id(self._store.settings.token_bytes)
            path = folder.path_of(self._store, intent_id)
            if not os.path.lexists(path):
                return intent_id, path

    @staticmethod
    def _add(maker: Maker, rows: Iterable[Row]) -> int:
        count, batch = 0, []
        for row in rows:
            batch.append(row)
            if len(batch) == _AT_ONCE:
                maker.add(batch)
                count += len(batch)
                batch = []
        maker.add(batch)
        return count + len(batch)

    def _rows(
        self, kind: str, templates: Mapping[str, Any], lines: Iterable[bytes], *, is_json: bool
    ) -> Iterator[Row]:
        fill = OPERATIONS[kind].fill
        assert fill is not None  # noqa: S101 - parse_templates has checked it
        for number, line in enumerate(_lines(lines), 1):
            record = _record(line, number) if is_json else {"line": line.decode("utf-8", "surrogateescape")}
            kept = line if is_json else exact.dumps(record).encode("utf-8", "surrogateescape")
            try:
                filled = fill(templates, record, number)
            except Fault as fault:
                yield Row(number, kind, None, None, None, kept, str(fault), None, None)
                continue
            if filled.source is not None and filled.source == filled.target:
                fault_text = "source and target are the same"
                yield Row(number, kind, filled.source, filled.target, None, kept, fault_text, None, None)
                continue
            yield Row(number, kind, *filled, kept, None, self._seen(filled.source), None)

    def _seen(self, source: bytes | None) -> str | None:
        """Return what a source is now; "" if it isn't there."""
        if source is None:
            return None
        if self._folders.is_crowded:
            self._folders.forget()
        try:
            status = look(self._folders, source)
        except Refused:
            return ""  # the preview tells why
        return "" if status is None else identity(status)


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield from piece.splitlines(keepends=False) if b"\r" not in piece else piece.split(b"\n")[:-1]


def _record(line: bytes, number: int) -> Any:
    try:
        return exact.loads(line.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise Error(f"record {number:,} is not JSON: {exact.why_no_json(error)}") from None
