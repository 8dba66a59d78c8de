"""Limits for data that doesn't come from a command of ours, by the same rules."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING

from maxstage._backend import core
from maxstage.output.full_output import FullOutputs, redaction_of
from maxstage.output.task_output import TaskOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from maxstage.output.limits import Limits
    from maxstage.output.strategies import Keep
    from maxstage.redaction import Redact
    from maxstage.store.store import Store


_READ = "<output of the command>"
"""The name that errors of a capture give to what it reads."""


def bound(
    fd: int,
    limits: Limits,
    store: Store | Callable[[], Store] | None,
    *,
    keep: Keep = "truncated",
    task_id: str,
    owner: str | None = None,
    name: str = "<stdin>",
    redact: Redact | None = None,
    secrets: Iterable[str | bytes] = (),
    cut_to: int | None = None,
) -> TaskOutput:
    """Read a descriptor to its end; return the text within the limits of stdout, and keep the full output if needed.

    Args:
        fd: What is read.
        limits: The limits.
        store: Where the full output goes, or a function that opens the store when it is needed; None for the
            project's store, if there is a project.
        keep: When the full output is kept.
        task_id: The name of the output.
        owner: The owner of the kept item, which is then pinned.
        name: The name of the descriptor in errors.
        redact: Whether to mask what looks like a credential, as for `maxstage.run`.
        secrets: Values to mask, as for `maxstage.run`.
        cut_to: The size in bytes of a text that is over the limit, if the full text is kept; None for the limit.
    """
    full_outputs = FullOutputs(limits, store, keep=keep, source=task_id, owner=owner)
    size = limits.max_stdout_bytes
    stream = core.StreamLimits(limits.truncation_strategy, size, limits.max_lines, full_outputs.above)
    capture = core.Capture(fd, -1, -1, stream, stream, size)
    redaction_of(redact, secrets, store, full_outputs).mask(capture)
    with contextlib.ExitStack() as stack:
        stack.callback(full_outputs.discard)
        try:
            full_outputs.pump(capture)
        except OSError as error:
            if error.filename != _READ:
                raise
            raise type(error)(error.errno, error.strerror, name) from None
        full_outputs.end(capture)
        full_outputs.publish()
    full = full_outputs.of(0)
    hint = None if full is None else full.hint
    cut = capture.render(0, size, hint)
    if cut.truncated and full is not None and cut_to is not None and cut_to < size:
        cut = capture.render(0, cut_to, hint)
    return TaskOutput(
        task_id,
        "stdout",
        cut.content,
        capture.size(0),
        truncated=cut.truncated,
        truncation_strategy=limits.truncation_strategy if cut.truncated else None,
        dropped_bytes=cut.dropped_bytes,
        dropped_lines=cut.dropped_lines,
        external_path=None if full is None else full.path,
        token=None if full is None else full.token,
        store=None if full is None else full.project,
        redacted=capture.redacted(0),
        warnings=tuple(full_outputs.problems),
    )


def spooled(content: bytes) -> int:
    """Return a descriptor that reads what is in memory, for `bound`: a file without a name. The caller closes it."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        return os.dup(file.fileno())
