"""Running a command with its output within bounds, and none of it lost.

The command gets a session of its own, so that what it starts can be ended with it: on a timeout, on Ctrl-C
and on cancellation its whole process group gets SIGTERM, and SIGKILL if that is not enough. What was
captured until then is kept.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import time
from datetime import UTC, datetime

from maxstage._backend import core
from maxstage.interrupts import Deferred
from maxstage.output.feed import Feed, open_stdin
from maxstage.output.full_output import FullOutputs
from maxstage.output.limits import Limits
from maxstage.output.task_output import TaskOutput

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from maxstage.output.feed import Stdin
    from maxstage.output.strategies import Keep
    from maxstage.output.task_output import OutputType
    from maxstage.store.store import Store

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL: enough to flush and remove temporary files."""
DRAIN = 0.5
"""Seconds that are waited for the rest of the output once the command has ended, while somebody that it
started still holds the pipe."""
_TICK_MS = 250
"""Milliseconds between two looks at cancellation and the quota."""
_POLL_MS = 20
"""Milliseconds between two looks at the process where the system can't tell when it ends (no pidfd)."""

_MARKER = 512
"""Bytes that a marker takes at most, unless its path is very long."""

STDOUT, STDERR = 0, 1


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while a command ran: it was ended, and `output` is what it had printed."""

    def __init__(self, output: TaskOutput) -> None:
        super().__init__()
        self.output = output


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    limits: Limits | Mapping[str, Any] | None = None,
    stdin: Stdin = None,
    timeout: float | None = None,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    store: Store | None = None,
    keep: Keep = "truncated",
    combine: bool = False,
    cancel: threading.Event | None = None,
    on_output: Callable[[int, bytes], None] | None = None,
    task_id: str | None = None,
    owner: str | None = None,
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
        store: Where whole outputs go; None is the project's store, if there is a project.
        keep: When the whole is kept: ``always``; ``truncated``, if it was cut or is above the threshold; ``never``.
        combine: Capture stderr with stdout, in the order in which it is printed. The limits of stdout hold then.
        cancel: Once it is set, the command is ended.
        on_output: Called with the stream (0 or 1) and the first bytes of it as they come, up to a quarter of its limit.
        task_id: What to call it; None is the program's name.
        owner: Who owns the kept items: they are pinned then, and the owner unstages them. Else they expire as any item.

    Returns:
        The output of stdout, with that of stderr as its ``stderr``.

    Raises:
        OSError: The program can't be started: not found, not executable.
        Interrupted: Ctrl-C; the command was ended, and the error has what it printed.
        TypeError, ValueError, LimitsError, InvalidToken, NotFound, Expired: An argument is no good.
        Corrupt: The staged data for stdin is damaged; the command was ended before it saw the end of it.

    >>> output = run(["sh", "-c", "seq 100000; echo done >&2"], limits={"max_stdout_bytes": "1KiB"}, keep="never")
    >>> output.truncated, output.original_size, len(output.content) <= 1024, output.exit_code
    (True, 588895, True, 0)
    >>> output.stderr.text
    'done\\n'
    """
    words = _words(argv)
    deadline_after = _seconds(timeout)
    limits = _limits(limits)
    with open_stdin(stdin, store) as feed:
        # Not preexec_fn: it forks the slow way. A session of its own makes a process group of its own.
        started = time.monotonic()
        try:
            full_outputs = FullOutputs(
                limits, store, keep=keep, source=f"exec/{os.path.basename(words[0])}", owner=owner
            )
            # A signal right after the start must find the capture, which ends the command: until then it waits.
            with Deferred() as signals:
                process = subprocess.Popen(
                    words,
                    stdin=feed.fd,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT if combine else subprocess.PIPE,
                    cwd=cwd,
                    env=env,
                    start_new_session=True,
                )
                feed.start()
                running = _Running(
                    process, limits, full_outputs, feed, combine=combine, cancel=cancel, on_output=on_output
                )
                deadline = None if deadline_after is None else started + deadline_after
                name = task_id or os.path.basename(words[0])
                return running.finish(deadline, name, started, signals.release)
        finally:
            feed.close()


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
    with Deferred() as signals:
        running = _Running(
            process,
            _limits(limits),
            full_outputs,
            Feed(subprocess.DEVNULL),
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
    words = [os.fspath(word) for word in argv]
    if not words:
        raise ValueError("argv must name a program: it is empty")
    return words


def _seconds(timeout: float | None) -> float | None:
    """Return how many seconds a command may take; None where nothing limits them."""
    if timeout is None:
        return None
    if not isinstance(timeout, int | float):
        raise TypeError(f"timeout must be a number of seconds or None, not {type(timeout).__name__}")
    if not timeout >= 0:
        raise ValueError(f"timeout must be at least 0 seconds, not {timeout}")
    return None if timeout == math.inf else timeout


def _limits(limits: Limits | Mapping[str, Any] | None) -> Limits:
    return limits if isinstance(limits, Limits) else Limits.parse(limits or {})


class _Running:
    """A command that runs, and its capture."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        limits: Limits,
        full_outputs: FullOutputs,
        feed: Feed,
        *,
        combine: bool,
        cancel: threading.Event | None,
        on_output: Callable[[int, bytes], None] | None,
    ) -> None:
        self._process = process
        self._limits = limits
        self._full_outputs = full_outputs
        self._feed = feed
        self._combine = combine
        self._cancel = cancel
        self._on_output = on_output
        self._shown = [0, 0]
        self._warnings: list[str] = []
        self._timed_out = False
        # Somebody else's process may be in our group: then it alone is ended.
        self._has_group = _is_leader(process.pid)
        self._exit_fd = _open_pidfd(process.pid)
        first = (
            min(limits.max_stdout_bytes, limits.max_combined_bytes) if combine else limits.max_stdout_bytes
        )
        self._max_bytes = (first, limits.max_stderr_bytes)
        self._live = self._shown_live() if on_output is not None else (0, 0)
        strategy = "both" if on_output is not None else limits.truncation_strategy
        above = full_outputs.above
        assert process.stdout is not None  # noqa: S101 - it was asked for
        self._core = core.Capture(
            process.stdout.fileno(),
            -1 if process.stderr is None else process.stderr.fileno(),
            self._exit_fd,
            core.StreamLimits(strategy, first, limits.max_lines, above),
            core.StreamLimits(strategy, limits.max_stderr_bytes, limits.max_lines, above),
            limits.max_combined_bytes,
            live=max(self._live),
        )
        self._strategy = strategy

    def finish(
        self, deadline: float | None, task_id: str, started: float, begun: Callable[[], None]
    ) -> TaskOutput:
        """Capture to the end, and return what was printed.

        Args:
            deadline: When to end the command, by the monotonic clock in seconds; None for never.
            task_id: What to call it.
            started: When it was started, by that clock.
            begun: Called once whatever it raises ends the command.

        Raises:
            Interrupted: Ctrl-C.
        """
        with contextlib.ExitStack() as stack:
            stack.callback(self._full_outputs.discard)
            stack.callback(self.close)
            interrupted = self._capture(deadline, begun)
            if isinstance(interrupted, Exception):
                raise interrupted
            output = self.result(task_id=task_id, duration=time.monotonic() - started)
        if isinstance(interrupted, KeyboardInterrupt):
            raise Interrupted(output) from None
        if interrupted is not None:
            # What else a handler of signals raises goes on as it is, and says what was captured.
            interrupted.output = output  # type: ignore[attr-defined]
            raise interrupted
        return output

    def _capture(self, deadline: float | None, begun: Callable[[], None]) -> BaseException | None:
        """Capture to the end; return what interrupted it, if anything did."""
        interrupted: BaseException | None = None
        try:
            begun()
            self._pump(deadline)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the command must not outlive us
            interrupted = error
            try:
                self._end_group()
            except BaseException:
                # Ctrl-C a second time: no more patience.
                self._signal(signal.SIGKILL)
                raise
        self._process.wait()
        if interrupted is None:
            self._feed.check()
        return interrupted

    def _pump(self, deadline: float | None) -> None:
        while True:
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                self._timed_out = True
                self._end_group()
                return None
            self._feed.check()
            if self._cancel is not None and self._cancel.is_set():
                self._warnings.append("cancelled")
                self._end_group()
                return None
            wait = _TICK_MS if deadline is None else min(_TICK_MS, int((deadline - now) * 1000) + 1)
            event = self._step(wait if self._exit_fd >= 0 else min(wait, _POLL_MS))
            if event == core.Event.END:
                return self._await_exit(deadline)
            if event == core.Event.EXITED or (self._exit_fd < 0 and self._process.poll() is not None):
                return self._drain()

    def _step(self, wait_ms: int) -> core.Event | None:
        """Let the capture go on; do what it asks for. Returns what happened; None where a writer failed."""
        event = self._full_outputs.step(self._core, wait_ms)
        if event == core.Event.DATA:
            self._show()
        return event

    def _shown_live(self) -> tuple[int, int]:
        """Return how many bytes of each stream may be shown before its end is known: all of them will be kept.

        Of what a stream may keep at least, half is its head and half its tail, once the marker is taken off.
        """
        of_stderr = min(self._max_bytes[STDERR], self._limits.max_combined_bytes)
        of_stdout = min(self._max_bytes[STDOUT], self._limits.max_combined_bytes - of_stderr)
        if self._combine:
            of_stdout = self._max_bytes[STDOUT]
        return max(0, of_stdout - _MARKER) // 4, max(0, of_stderr - _MARKER) // 4

    def _show(self) -> None:
        for stream in (STDOUT, STDERR):
            data = self._core.head(stream, self._shown[stream], self._live[stream])
            if data and self._on_output is not None:
                self._shown[stream] += len(data)
                self._on_output(stream, data)

    def _await_exit(self, deadline: float | None) -> None:
        """Wait for a command that has closed its output and goes on."""
        while True:
            left = _TICK_MS / 1000 if deadline is None else min(_TICK_MS / 1000, deadline - time.monotonic())
            try:
                self._process.wait(max(0.0, left))
            except subprocess.TimeoutExpired:
                over = deadline is not None and time.monotonic() >= deadline
                if over or (self._cancel is not None and self._cancel.is_set()):
                    self._timed_out = over
                    self._end_group()
                    return
            else:
                return

    def _drain(self) -> None:
        """Read what is still to come from a command that has ended."""
        until = time.monotonic() + DRAIN
        while (left := until - time.monotonic()) > 0:
            if self._step(int(left * 1000) + 1) == core.Event.END:
                return
        self._warnings.append(
            "the command has ended, but something that it started still holds its output; "
            "what that prints from now on is not captured"
        )

    def _end_group(self) -> None:
        """End the command and what it started: politely, then for certain. What they still print is captured."""
        for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, DRAIN)):
            if not self._signal(number):
                break
            until = time.monotonic() + patience
            while (left := until - time.monotonic()) > 0:
                if (
                    self._step(min(_POLL_MS, int(left * 1000) + 1)) == core.Event.END
                    and self._process.poll() is not None
                ):
                    return
                if self._process.poll() is not None and not _group_lives(self._process.pid):
                    break
        self._process.wait()

    def _signal(self, number: int) -> bool:
        """Send a signal to the group; false where nobody is left in it."""
        try:
            if self._has_group:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def result(self, *, task_id: str, duration: float) -> TaskOutput:
        """Return what was captured; the whole, where it is kept, is published first."""
        code = self._process.returncode
        ended_by = -code if code < 0 else None
        self._show()
        self._full_outputs.publish()
        sizes = self._share()
        common: dict[str, Any] = {
            "task_id": task_id,
            "completed_at": datetime.now(UTC),
            "exit_code": 128 + ended_by if ended_by is not None else code,
            "signal": ended_by,
            "duration": duration,
            "timed_out": self._timed_out,
        }
        warnings = (*self._warnings, *self._full_outputs.problems)
        stderr = None if self._combine else self._output(STDERR, "stderr", sizes[STDERR], common)
        kind: OutputType = "combined" if self._combine else "stdout"
        return self._output(STDOUT, kind, sizes[STDOUT], common | {"warnings": warnings, "stderr": stderr})

    def _share(self) -> tuple[int, int]:
        """Return how many bytes each stream may keep: within both limits, and stderr is cut last."""
        if self._combine:
            return self._max_bytes
        combined = self._limits.max_combined_bytes
        of_stderr = min(self._core.size(STDERR), self._max_bytes[STDERR], combined)
        return min(self._max_bytes[STDOUT], combined - of_stderr), min(self._max_bytes[STDERR], combined)

    def _output(self, stream: int, kind: OutputType, max_bytes: int, common: dict[str, Any]) -> TaskOutput:
        full = self._full_outputs.of(stream)
        cut = self._core.render(stream, max_bytes, None if full is None else full.hint)
        return TaskOutput(
            output_type=kind,
            content=cut.content,
            original_size=cut.original_size,
            truncated=cut.truncated,
            truncation_strategy=self._strategy if cut.truncated else None,
            dropped_bytes=cut.dropped_bytes,
            dropped_lines=cut.dropped_lines,
            external_path=None if full is None else full.path,
            token=None if full is None else full.token,
            store=None if full is None else full.project,
            **common,
        )

    def close(self) -> None:
        """Close our ends of the pipes."""
        for file in (self._process.stdout, self._process.stderr):
            if file is not None:
                file.close()
        if self._exit_fd >= 0:
            os.close(self._exit_fd)


def _open_pidfd(pid: int) -> int:
    """Return a descriptor that is readable once the process has ended; -1 where the system has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1


def _is_leader(pid: int) -> bool:
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return True  # it has ended: any process left would be in its group


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
