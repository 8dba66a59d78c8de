"""``max exec --diff``: what has changed since the last run of the same command."""

import contextlib
import os

from maxstage.cli.printing import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from maxstage.output.changes import Changes
    from maxstage.output.task_output import TaskOutput
    from maxstage.redaction import Redact
    from maxstage.store.metadata import Item
    from maxstage.store.store import Store

LABEL = "exec"
"""The label of the kept outputs: they are found by it."""
_DIGITS = 16
"""Hexadecimal digits of a digest: more than one store's commands need."""
_READ = 1024 * 1024
"""Bytes read at a time."""
_LAST = 500
"""Bytes of the last line that are shown."""


class Comparison:
    """Finds what the last run of a command printed, and compares.

    Attributes:
        labels: What the output of this run is to be labelled with.

    Args:
        store: Where outputs are kept.
        argv: The command.
        max_bytes: What is shown, at most.
        redact: Whether to mask what looks like a credential; None for the setting of the store.
    """

    def __init__(
        self, store: "Store", argv: "Sequence[str]", max_bytes: int, redact: "Redact | None"
    ) -> None:
        self._store = store
        self._redact = store.settings.redact if redact is None else redact
        self._max_bytes = max_bytes
        self.labels = {LABEL: digest(argv, _folder())}
        self._last = self._find()

    def _find(self) -> "Item | None":
        # Of all times: one that has expired and was not swept yet is told of.
        wanted = self.labels[LABEL]
        items, _ = self._store.storage.newest(0.0, lambda item: item.labels.get(LABEL) == wanted, 1)
        return items[0] if items else None

    def with_last(self, done: "TaskOutput") -> "tuple[Changes | None, str]":
        """Compare the output of this run with that of the last.

        Returns:
            What has changed, and what that is compared with; or nothing, and why.
        """
        import time

        from maxstage.errors import Corrupt, Expired, NotFound
        from maxstage.humanize import format_duration
        from maxstage.output.changes import compare

        token = done.token or (None if done.original_size else self._keep_nothing(done.task_id))
        if token is None:
            return (
                None,
                "the output of this run could not be kept: there is nothing to compare the next one with",
            )
        if self._last is None:
            return None, (
                "this is the first run of this command here, or what the last one printed has expired: "
                "the next one is compared with this one"
            )
        ago = format_duration(time.time() - self._last.created)
        try:
            changes = compare(self._parts(self._last.token), self._parts(token))
        except (NotFound, Expired):
            return None, f"what the run {ago} ago printed has expired: the next one is compared with this one"
        except Corrupt as error:
            return None, f"what the run {ago} ago printed can't be read ({error})"
        return changes, f"since the run {ago} ago ({self._last.token})"

    def pass_over(self, done: "TaskOutput") -> None:
        """Let the next run be compared with the last complete one, not with this one, which was interrupted."""
        if done.token is None:
            return
        from maxstage.store.tokens import parse_token

        def change(item: "Item") -> None:
            item.labels = {**item.labels, LABEL: f"{self.labels[LABEL]} interrupted"}

        with contextlib.suppress(KeyError):  # somebody has deleted it
            self._store.storage.replace(parse_token(done.token), change, sync=False)

    def _keep_nothing(self, task_id: str) -> str | None:
        """Keep that a command printed nothing, which a capture does not; return None where that is not possible."""
        from maxstage.errors import Error
        from maxstage.humanize import printable

        try:
            return self._store.stage(b"", source=printable(task_id), labels=self.labels).token
        except (OSError, Error):
            return None  # which the caller tells

    def _parts(self, token: str) -> "Iterator[bytes]":
        from maxstage.redaction import Redaction

        redaction = Redaction(self._redact)
        # What is kept may be as it came.
        redactor = redaction.redactor() if redaction else None
        with self._store.open_item(token) as opened:
            for at in range(0, opened.item.byte_size, _READ):
                part = opened.read(at, min(at + _READ, opened.item.byte_size))
                yield part if redactor is None else redactor.feed(part)
        if redactor is not None:
            yield redactor.finish()

    def to_dict(self, changes: "Changes | None", told: str) -> "dict[str, Any]":
        """Return a comparison as JSON shows it; `since` is null where there was nothing to compare with."""
        if changes is None or self._last is None:
            return {"since": None, "added": [], "gone": [], "note": told}
        from datetime import UTC, datetime

        return {
            "since": datetime.fromtimestamp(self._last.created, UTC).isoformat(),
            "ref": self._last.token,
            "added": list(changes.added),
            "gone": list(changes.gone),
            "more_added": changes.more_added,
            "more_gone": changes.more_gone,
            "partial": changes.is_partial,
        }

    def show(self, changes: "Changes", told: str, done: "TaskOutput") -> None:
        """Print what has changed, within the limit, and the last line of the output."""
        from maxstage.output.truncation import truncate

        last = last_line_of(done.content)
        end = b"last line: " + last + b"\n" if last else b""
        room = max(1, self._max_bytes - len(end))
        text = "\n".join([*_described(changes, told), ""]).encode("utf-8", "replace")
        hint = None if done.token is None else f"max retrieve {done.token}"
        cut = truncate(text, room, "summary", hint=hint).content
        write_all(1, cut + end, "<stdout>")


def _described(changes: "Changes", told: str) -> "Iterator[str]":
    if not changes.added and not changes.gone:
        yield f"nothing has changed {told}"
    else:
        yield f"changed {told}:"
    for sign, what, lines, more in (
        ("-", "gone", changes.gone, changes.more_gone),
        ("+", "new", changes.added, changes.more_added),
    ):
        if lines:
            yield f"{what} ({len(lines) + more:,}):"
            yield from (f"{sign} {line}" for line in lines)
        if more:
            yield f"{sign} ... {more:,} more"
    if changes.is_partial:
        yield "(there are too many different lines: the rest was not compared)"


def _folder() -> str:
    from maxstage.errors import Error

    try:
        return os.getcwd()
    except FileNotFoundError:
        raise Error("The folder where you are was deleted; --diff needs one: change to another") from None


def last_line_of(content: bytes) -> bytes:
    """Return the last line that says something, clipped."""
    lines = content.rstrip().rsplit(b"\n", 1)
    return lines[-1].strip()[:_LAST]


def digest(argv: "Sequence[str]", folder: str) -> str:
    """Return what stands for a command in a folder, in the label: neither is to be read there."""
    import hashlib

    words = b"\0".join(os.fsencode(word) for word in (folder, *argv))
    return hashlib.sha256(words).hexdigest()[:_DIGITS]
