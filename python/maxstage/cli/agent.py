"""The agent's profile of ``max exec``: what a model reads, in few bytes, with how it ended as the last line."""

import os
from signal import Signals

from maxstage.output.limits import Limits
from maxstage.settings import setting_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.output.task_output import TaskOutput
    from maxstage.store.store import Store

NAME = "agent"
LIMITS = Limits(max_stdout_bytes=16 * 1024, truncation_strategy="summary")
"""The limits of the profile; options win over them, and they over the project's settings."""
_LAST_LINE = 256
"""Bytes that the last line is left of the limit."""

_NOT_KEPT = ("the full output was not kept: ", "the full output could not be kept: ")
"""What a warning begins with that says why there is no token."""


def is_asked_for(flag: bool | None, store: "Store | None") -> bool:
    """Whether the profile holds: by the option, the environment or the settings, in this order.

    Raises:
        ConfigError: The environment names a profile that is none.
    """
    if flag is not None:
        return flag
    # Without a project nobody has read the environment yet.
    profile = setting_of("exec.profile", os.environ) if store is None else store.settings.exec_profile
    return profile == NAME


def with_room(limits: Limits) -> Limits:
    """Return the limits less the room of the last line."""
    most = limits.max_stdout_bytes
    return limits.replace(max_stdout_bytes=max(1, most - min(_LAST_LINE, most // 2)))


def last_line(done: "TaskOutput", code: int, *, interrupted: bool) -> bytes:
    """Return the line that says how a command ended, how long it took, and where its whole output is."""
    how = f"exit {code}"
    if done.timed_out:
        how += ", timed out"
    elif interrupted:
        how += ", interrupted"
    elif done.signal is not None:
        how += f", {Signals(done.signal).name}"
    parts = [how, f"{done.duration or 0:.1f} s"]
    if done.token is not None:
        parts.append(f"whole output: {done.retrieved_by}")
    elif done.truncated:
        why = [
            text.removeprefix(start)
            for text in done.warnings
            for start in _NOT_KEPT
            if text.startswith(start)
        ]
        parts.append("nothing is kept whole" + "".join(f": {text}" for text in why[:1]))
    newline = "" if done.content.endswith(b"\n") or not done.content else "\n"
    return f"{newline}[{' · '.join(parts)}]\n".encode("utf-8", "replace")


def other_warnings(done: "TaskOutput") -> "list[str]":
    """Return what the last line does not say."""
    return [text for text in done.warnings if not (done.truncated and text.startswith(_NOT_KEPT))]
