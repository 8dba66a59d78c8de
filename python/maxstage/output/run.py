"""Running a command with its output within bounds, and none of it lost.

The command gets a session of its own, so that what it starts can be ended with it: on a timeout, on Ctrl-C
and on cancellation its whole process group is asked to end, and gets SIGKILL if that is not enough; where we are killed
ourselves, a guard does it. What was captured until then is kept.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import time

from maxstage.errors import wrong_type
from maxstage.interrupts import Deferred
from maxstage.output.feed import Feed, open_stdin
from maxstage.output.full_output import FullOutputs, redaction_of
from maxstage.output.guard import Guard
from maxstage.output.limits import Limits
from maxstage.output.running import Running
from maxstage.output.view import VIEWS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from maxstage.output.feed import Stdin
    from maxstage.output.strategies import Keep
    from maxstage.output.task_output import TaskOutput
    from maxstage.output.view import View
    from maxstage.redaction import Redact
    from maxstage.store.store import Store


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    limits: Limits | Mapping[str, Any] | None = None,
    stdin: Stdin = None,
    timeout: float | None = None,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    store: Store | Callable[[], Store] | None = None,
    keep: Keep = "truncated",
    combine: bool = False,
    cancel: threading.Event | None = None,
    on_output: Callable[[int, bytes], None] | None = None,
    follow: Callable[[int, bytes], None] | None = None,
    task_id: str | None = None,
    owner: str | None = None,
    labels: Mapping[str, str] | None = None,
    redact: Redact | None = None,
    secrets: Iterable[str | bytes] = (),
    view: View = "raw",
) -> TaskOutput:
    """Run a command and return what it printed, within the limits.

    Memory stays within the limits whatever is printed. Where text is cut, or longer than the threshold, all of
    it is kept in the store, under the token that the marker names.

    Args:
        argv: The program and its arguments.
        limits: Limits, or a mapping of them.
        stdin: What the command reads: None is nothing; bytes; a path; a token like ``max:a1b2c3d4``, whose data
            is streamed; an item that is open, which is closed then; an open binary file or a descriptor (0 is
            our own stdin).
        timeout: Seconds until it is ended; None and infinity are no limit.
        cwd: Its working directory.
        env: Its environment; None is ours.
        store: Where whole outputs go; a function is called for it once something is to be kept; None is the project's
            store, if there is a project.
        keep: When the whole is kept: ``always``; ``truncated``, if it was cut or is above the threshold; ``never``.
        combine: Capture stderr with stdout, in the order in which it is printed. The limits of stdout hold then.
        cancel: Once it is set, the command is ended.
        on_output: Called with the stream (0 or 1) and the first bytes of it as they come, up to a quarter of its limit.
            Unless `limits` name a strategy, it is ``both`` then. Where theirs doesn't keep the first bytes, what is
            returned leaves room for them: they and it are within the limit together.
        follow: Called with the stream and all that is printed, as it comes and as it is shown: with secrets masked. It
            changes nothing about what is returned; while it is busy, the command waits. Not together with `on_output`.
        task_id: What to call it; None is the program's name.
        owner: Who owns the kept items: they are pinned then, and the owner unstages them. Else they expire as any item.
        labels: Labels of the kept items, to find them by.
        redact: Whether to mask what looks like a credential: true or ``shown``, in the result; ``all``, in what is kept
            whole as well; None for the setting of the store.
        secrets: Values to mask in both, also where they are encoded.
        view: What is shown: ``raw``, as it came; ``screen``, with the colours closed that a cut leaves open; ``plain``,
            without ANSI escape sequences, and of a line that was written over what was written last. The limits are
            of what is shown; what is kept whole is as it came.

    Returns:
        The output of stdout, with that of stderr as its ``stderr``.

    Raises:
        OSError: The program can't be started: not found, not executable.
        Interrupted: Ctrl-C; the command was ended, and the error has what it printed.
        TypeError, ValueError, LimitsError, InvalidToken, NotFound, Expired: An argument is no good; of the secrets one
            that is too short to be masked (`maxstage.redaction.SHORTEST`).
        Corrupt: The staged data for stdin is damaged; the command was ended before it saw the end of it.

    >>> output = run(["sh", "-c", "seq 100000; echo done >&2"], limits={"max_stdout_bytes": "1KiB"}, keep="never")
    >>> output.truncated, output.original_size, len(output.content) <= 1024, output.exit_code
    (True, 588895, True, 0)
    >>> output.stderr.text
    'done\\n'
    """
    words = _words(argv)
    if view not in VIEWS:
        raise ValueError(f"view must be one of: {', '.join(VIEWS)}; not {view!r}")
    if follow is not None and on_output is not None:
        raise ValueError("use only one of on_output and follow")
    deadline_after = _seconds(timeout)
    limits = _limits(limits)
    with open_stdin(stdin, None if callable(store) else store) as feed:
        started = time.monotonic()
        try:
            full_outputs = FullOutputs(
                limits,
                store,
                keep=keep,
                source=f"exec/{os.path.basename(words[0])}",
                owner=owner,
                labels=labels,
            )
            redaction = redaction_of(redact, secrets, store, full_outputs)
            # A signal right after the start must find the capture, which ends the command: until then it waits.
            with Deferred() as signals:
                process, guard = _start(words, feed.fd, combine=combine, cwd=cwd, env=env)
                feed.start()
                try:
                    running = Running(
                        process,
                        limits,
                        full_outputs,
                        feed,
                        redaction,
                        combine=combine,
                        cancel=cancel,
                        on_output=on_output,
                        follow=follow,
                        guard=guard,
                        view=view,
                    )
                except BaseException:
                    # No descriptor left for the capture, say: nobody would end it.
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    guard.close()
                    raise
                deadline = None if deadline_after is None else started + deadline_after
                name = task_id or os.path.basename(words[0])
                return running.finish(deadline, name, started, signals.release)
        finally:
            feed.close()


def _start(
    words: list[str],
    stdin: int,
    *,
    combine: bool,
    cwd: str | os.PathLike[str] | None,
    env: Mapping[str, str] | None,
) -> tuple[subprocess.Popen[bytes], Guard]:
    """Start a command, watched by a guard from its first instant."""
    ours, theirs = os.pipe()
    try:
        guard = Guard(ours)
        try:
            # Not preexec_fn: it forks the slow way. A session of its own makes a process group of its own.
            process = subprocess.Popen(
                words,
                stdin=stdin,
                stdout=theirs,
                stderr=subprocess.STDOUT if combine else subprocess.PIPE,
                cwd=cwd,
                env=env,
                start_new_session=True,
            )
        except BaseException:
            guard.close()
            raise
        guard.watch(process.pid)
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    process.stdout = open(ours, "rb", 0)  # noqa: SIM115 - whoever captures closes it
    return process, guard


def capture(
    process: subprocess.Popen[bytes],
    *,
    limits: Limits | Mapping[str, Any] | None = None,
    timeout: float | None = None,
    store: Store | None = None,
    keep: Keep = "truncated",
    cancel: threading.Event | None = None,
    on_output: Callable[[int, bytes], None] | None = None,
    task_id: str | None = None,
    owner: str | None = None,
    redact: Redact | None = None,
    secrets: Iterable[str | bytes] = (),
) -> TaskOutput:
    """Capture the output of a process that was started elsewhere, to its end, as `run` does.

    Args:
        process: A process whose stdout is a pipe, and whose stderr may be. Started with ``start_new_session=True``
            what it starts can be ended with it; else it alone is ended.
        limits: Limits, or a mapping of them.
        timeout: Seconds from now.
        store: Where full outputs go; None is the project's store, if there is a project.
        keep: When a full output is kept: ``always``; ``truncated``, if it was cut or is above the threshold; ``never``.
        cancel: Once it is set, the process is ended.
        on_output: Called with the stream (0 or 1) and the first bytes of it as they come, up to a quarter of its limit.
        task_id: What to call it; None is the program's name.
        owner: Who owns the kept items: they are pinned then, and the owner unstages them.
        redact: Whether to mask what looks like a credential, as for `run`.
        secrets: Values to mask, as for `run`.

    Returns:
        The output of stdout, with that of stderr, where that is a pipe, as its ``stderr``.

    Raises:
        ValueError: Its stdout is no pipe.
        Interrupted: Ctrl-C; the process was ended, and the error has what it printed.
        LimitsError: A limit is no good.

    >>> import subprocess
    >>> process = subprocess.Popen(["seq", "100000"], stdout=subprocess.PIPE, start_new_session=True)
    >>> output = capture(process, limits={"max_stdout_bytes": "1KiB"}, keep="never")
    >>> output.original_size, len(output.content) <= 1024
    (588895, True)
    """
    if process.stdout is None:
        raise ValueError("the process has no pipe for its stdout; start it with stdout=subprocess.PIPE")
    seconds = _seconds(timeout)
    words = process.args if isinstance(process.args, list | tuple) else [process.args]
    name = task_id or os.path.basename(os.fsdecode(words[0]))  # type: ignore[arg-type]
    started = time.monotonic()
    full_outputs = FullOutputs(_limits(limits), store, keep=keep, source=f"exec/{name}", owner=owner)
    redaction = redaction_of(redact, secrets, store, full_outputs)
    with Deferred() as signals:
        running = Running(
            process,
            _limits(limits),
            full_outputs,
            Feed(subprocess.DEVNULL),
            redaction,
            combine=False,
            cancel=cancel,
            on_output=on_output,
        )
        deadline = None if seconds is None else started + seconds
        return running.finish(deadline, name, started, signals.release)


def _words(argv: Sequence[str | os.PathLike[str]]) -> list[str]:
    if isinstance(argv, str | bytes):
        raise TypeError(
            'argv must be a list like ["echo", "hi"]; for a shell command line ["sh", "-c", "echo hi"]'
        )
    if not hasattr(argv, "__iter__"):
        raise wrong_type("argv", argv, 'a list like ["echo", "hi"]')
    words = []
    for word in argv:
        if not isinstance(word, str | os.PathLike):
            raise wrong_type("each word of argv", word, "text or a path")
        words.append(os.fspath(word))
    if not words:
        raise ValueError("argv must name a program: it is empty")
    return words


def _seconds(timeout: float | None) -> float | None:
    """Return how many seconds a command may take; None where nothing limits them."""
    if timeout is None:
        return None
    if not isinstance(timeout, int | float):
        raise TypeError(f"timeout must be a number of seconds or None, not {type(timeout).__name__}")
    # The comparison is also false for "nan".
    if not 0 <= timeout < math.inf:
        raise ValueError(f"timeout must be at least 0 seconds, not {timeout}; None is no limit")
    return timeout


def _limits(limits: Limits | Mapping[str, Any] | None) -> Limits:
    if limits is not None and not isinstance(limits, Limits) and not hasattr(limits, "items"):
        raise wrong_type("limits", limits, "Limits, a mapping of them, or None")
    return limits if isinstance(limits, Limits) else Limits.parse(limits or {})
