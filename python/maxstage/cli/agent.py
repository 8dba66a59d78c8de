"""The agent's profile of ``max exec``: what a model reads, in few bytes, with how it ended as the last line."""

from maxstage.humanize import signal_name
from maxstage.output.full_output import retrieving
from maxstage.output.limits import Limits
from maxstage.settings import value_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.output.task_output import TaskOutput
    from maxstage.store.store import Store

NAME = "agent"
LIMITS = Limits(max_stdout_bytes=16 * 1024, truncation_strategy="summary")
"""The limits of the profile; options win over them, and they over the project's settings."""
_LAST_LINE = 256
"""Bytes that the last line is left of the limit."""


_NOT_KEPT = ("the full output was not kept: ", "the full output could not be kept: ")
"""What a warning begins with that says why there is no token."""


def is_asked_for(flag: bool | None, store: "Store | Callable[[], Store] | None") -> bool:
    """Whether the profile holds: by the option, the environment or the settings, in this order.

    Raises:
        ConfigError: The environment names a profile that is none.
    """
    if flag is not None:
        return flag
    # Without a project nobody has read the environment yet.
    profile = value_of("exec.profile") if store is None or callable(store) else store.settings.exec_profile
    return bool(profile == NAME)


def with_room(limits: Limits) -> Limits:
    """Return the limits less the room of the last line."""
    most = limits.max_stdout_bytes
    return limits.replace(max_stdout_bytes=max(1, most - min(_LAST_LINE, most // 2)))


def last_line(done: "TaskOutput", code: int, *, interrupted: bool, elsewhere: str | None = None) -> bytes:
    """Return the line that says how a command ended, how long it took, and where its whole output is.

    Args:
        done: What it printed.
        code: What we exit with.
        interrupted: Whether a signal to us ended it.
        elsewhere: The directory that the whole is kept in, where that was named.
    """
    how = f"exit {code}"
    if done.timed_out:
        how += ", timed out"
    elif interrupted:
        how += ", interrupted"
    elif done.signal is not None:
        how += f", {signal_name(done.signal)}"
    parts = [how, f"{done.duration or 0:.1f} s"]
    if done.token is not None:
        parts.append(f"whole output: {retrieving(done.token, elsewhere)}")
    elif done.truncated:
        why = [
            text.removeprefix(start)
            for text in done.warnings
            for start in _NOT_KEPT
            if text.startswith(start)
        ]
        parts.append("nothing is kept whole" + "".join(f": {text}" for text in why[:1]))
    return f"[{' · '.join(parts)}]\n".encode("utf-8", "replace")


def is_in_last_line(done: "TaskOutput", warning: str) -> bool:
    """Whether the last line says what a warning says."""
    return done.truncated and done.token is None and warning.startswith(_NOT_KEPT)
