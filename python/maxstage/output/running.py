"""A running command: its capture, and how it ends."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from datetime import UTC, datetime

from maxstage._backend import core
from maxstage.interrupts import Terminated
from maxstage.output.group import DRAIN, Group, steps_from
from maxstage.output.task_output import CANCELLED, TaskOutput
from maxstage.output.view import RESET, with_colours_closed

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from typing import Any

    from maxstage.output.feed import Feed
    from maxstage.output.full_output import FullOutputs
    from maxstage.output.guard import Guard
    from maxstage.output.limits import Limits
    from maxstage.output.task_output import OutputType
    from maxstage.output.view import View
    from maxstage.redaction import Redaction

_TICK_MS = 250
"""Milliseconds between checks for cancellation and of the quota."""
_POLL_MS = 20
"""Milliseconds between checks of the process if the system can't report its end (no pidfd)."""
_SHORTEST, _LONGEST = 0.005, 0.2
"""Seconds between checks of a group that was asked to end: growing, so that a stubborn one costs little."""

_IN_PIPES = 2 * 1024 * 1024
"""Bytes that may be left in the pipes when a command ends: more than they hold."""

_MARKER = 512
"""The most bytes of a marker, unless its path is very long."""

_FOLLOWED = 2 * 1024 * 1024
"""Bytes that may wait for a follower who is shown all: more than one read, and what is held back to be masked."""

STDOUT, STDERR = 0, 1


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while a command was running: it was ended, and `output` is what it had printed."""

    def __init__(self, output: TaskOutput) -> None:
        super().__init__()
        self.output = output


class Running:
    """A running command, and its capture."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        limits: Limits,
        full_outputs: FullOutputs,
        feed: Feed,
        redaction: Redaction,
        *,
        combine: bool,
        cancel: threading.Event | None,
        on_output: Callable[[int, bytes], None] | None,
        follow: Callable[[int, bytes], None] | None = None,
        guard: Guard | None = None,
        view: View = "raw",
    ) -> None:
        self._process = process
        self._guard = guard
        self._limits = limits
        self._full_outputs = full_outputs
        self._feed = feed
        self._combine = combine
        self._cancel = cancel
        self._on_output = on_output
        self._follow = follow
        self._shown = [0, 0]
        self._warnings: list[str] = []
        self._timed_out = False
        self._group = Group(process)
        self._exit_fd = _open_pidfd(process.pid)
        first = (
            min(limits.max_stdout_bytes, limits.max_combined_bytes) if combine else limits.max_stdout_bytes
        )
        self._max_bytes = (first, limits.max_stderr_bytes)
        self._live = self._shown_live() if on_output is not None else (0, 0)
        # What is shown live is the beginning: so use a strategy that keeps it, unless another was asked for.
        asked = on_output is None or "truncation_strategy" in limits.given
        strategy = limits.truncation_strategy if asked else "both"
        above = full_outputs.above
        assert process.stdout is not None  # noqa: S101 - it was asked for
        self._core = core.Capture(
            process.stdout.fileno(),
            -1 if process.stderr is None else process.stderr.fileno(),
            self._exit_fd,
            core.StreamLimits(strategy, first, limits.max_lines, above, plain=view == "plain"),
            core.StreamLimits(
                strategy, limits.max_stderr_bytes, limits.max_lines, above, plain=view == "plain"
            ),
            limits.max_combined_bytes,
            live=max(self._live) if follow is None else _FOLLOWED,
        )
        redaction.mask(self._core)
        self._strategy = strategy
        self._view = view

    def finish(
        self, deadline: float | None, task_id: str, started: float, begun: Callable[[], None]
    ) -> TaskOutput:
        """Capture to the end, and return what was printed.

        Args:
            deadline: When to end the command, by the monotonic clock in seconds; None for never.
            task_id: The name of the output.
            started: When it was started, by that clock.
            begun: Called as soon as anything that it raises ends the command.

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
            # Anything else that a signal handler raises is passed on, with what was captured.
            interrupted.output = output  # type: ignore[attr-defined]
            raise interrupted
        return output

    def _capture(self, deadline: float | None, begun: Callable[[], None]) -> BaseException | None:
        """Capture to the end; return the exception that interrupted it, if any."""
        interrupted: BaseException | None = None
        try:
            begun()
            self._pump(deadline)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the command must not outlive us
            interrupted = error
            self._end_for(error)
        self._process.wait()
        if self._guard is not None:
            self._guard.close()
        if interrupted is None:
            self._feed.check()
        return interrupted

    def _pump(self, deadline: float | None) -> None:
        """Capture until the command has ended, by itself or because it had to."""
        closed = False
        while not self._had_to_end(deadline):
            wait = _TICK_MS
            if deadline is not None:
                wait = max(0, min(wait, int((deadline - time.monotonic()) * 1000) + 1))
            if closed:
                if self._has_ended_within(wait):
                    return
                continue
            event = self._step(wait if self._exit_fd >= 0 else min(wait, _POLL_MS))
            # A command may close its output and keep running.
            closed = event == core.Event.END
            if event == core.Event.EXITED or (self._exit_fd < 0 and self._process.poll() is not None):
                self._drain()
                return

    def _had_to_end(self, deadline: float | None) -> bool:
        """End the command if it has timed out or was cancelled."""
        self._feed.check()
        if deadline is not None and time.monotonic() >= deadline:
            self._timed_out = True
        elif self._cancel is not None and self._cancel.is_set():
            self._warnings.append(CANCELLED)
        else:
            return False
        self._end(signal.SIGTERM)
        return True

    def _has_ended_within(self, wait_ms: int) -> bool:
        if self._exit_fd < 0:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(wait_ms / 1000)
        elif self._process.poll() is None:
            poll = select.poll()
            poll.register(self._exit_fd, select.POLLIN)
            poll.poll(wait_ms)
        return self._process.poll() is not None

    def _step(self, wait_ms: int) -> core.Event | None:
        """Let the capture continue; do what it asks for. Returns what happened; None if a writer failed."""
        event = self._full_outputs.step(self._core, wait_ms)
        if event == core.Event.DATA:
            self._show()
        return event

    def _shown_live(self) -> tuple[int, int]:
        """Return how many bytes of each stream may be shown before its end is known, since they will be kept.

        Of what a stream may keep at least, half is its head and half its tail, once the marker is taken off.
        """
        of_stderr = min(self._max_bytes[STDERR], self._limits.max_combined_bytes)
        of_stdout = min(self._max_bytes[STDOUT], self._limits.max_combined_bytes - of_stderr)
        if self._combine:
            of_stdout = self._max_bytes[STDOUT]
        return max(0, of_stdout - _MARKER) // 4, max(0, of_stderr - _MARKER) // 4

    def _show(self) -> None:
        if self._follow is not None:
            for stream in (STDOUT, STDERR):
                data = self._core.take(stream)
                if data:
                    self._follow(stream, data)
            return
        for stream in (STDOUT, STDERR):
            data = self._core.head(stream, self._shown[stream], self._live[stream])
            if data and self._on_output is not None:
                self._shown[stream] += len(data)
                self._on_output(stream, data)

    def _drain(self) -> None:
        """Read the rest of the output of a command that has ended.

        What is in the pipes is read however long that takes; the time limit applies only while they are silent, or
        another process keeps printing.
        """
        before = self._came()
        most = before + _IN_PIPES
        until = time.monotonic() + DRAIN
        while True:
            left = until - time.monotonic()
            if left <= 0:
                came = self._came()
                if came > most:
                    break
                # The end of the pipes may come last: one call finds it, and the next one reports it.
                if came == before and core.Event.END in (self._step(0), self._step(0)):
                    return
                if self._came() == before:
                    break
                before, left = came, DRAIN
                until = time.monotonic() + left
            if self._step(int(left * 1000) + 1) == core.Event.END:
                return
        self._warnings.append(
            "the command has ended, but something that it started still holds its output; "
            "what that prints from now on is not captured"
        )

    def _came(self) -> int:
        return self._core.size(STDOUT) + self._core.size(STDERR)

    def _end_for(self, error: BaseException) -> None:
        """End the command because of an error, or of a signal, which is passed on to it."""
        first = signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM
        try:
            self._end(error.number if isinstance(error, Terminated) else first)
        except BaseException as again:
            # A second signal: kill it now. What was captured is still kept.
            self._group.signal(signal.SIGKILL)
            self._process.wait()
            if isinstance(again, Exception):
                raise
            self._drain()

    def _end(self, first: int) -> None:
        """End the command and what it started: politely at first, then by SIGKILL. What they still print is captured.

        Args:
            first: The signal to begin with.
        """
        for number, patience in steps_from(first):
            if not self._group.signal(number) or self._await_end(patience):
                break
        self._process.wait()
        self._drain()

    def _await_end(self, patience: float) -> bool:
        """Capture until no process of the group is left, or time is up; return whether none is left."""
        until = time.monotonic() + patience
        pause = _SHORTEST
        closed = False
        while (left := until - time.monotonic()) > 0:
            wait = min(left, pause)
            # Don't wait for a stream that is at its end: this would be a busy loop.
            if closed:
                time.sleep(wait)
            else:
                closed = self._step(int(wait * 1000) + 1) == core.Event.END
            if not self._group.lives():
                return True
            pause = min(2 * pause, _LONGEST)
        return False

    def result(self, *, task_id: str, duration: float) -> TaskOutput:
        """Return what was captured; if the full output is kept, it is published first."""
        code = self._process.returncode
        ended_by = -code if code < 0 else None
        self._full_outputs.end(self._core)
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
        """Return how many bytes of each stream may be kept: within both limits, and stderr is cut last."""
        if self._combine:
            return self._max_bytes
        combined = self._limits.max_combined_bytes
        of_stderr = min(self._core.size(STDERR), self._max_bytes[STDERR], combined)
        return min(self._max_bytes[STDOUT], combined - of_stderr), min(self._max_bytes[STDERR], combined)

    def _output(self, stream: int, kind: OutputType, max_bytes: int, common: dict[str, Any]) -> TaskOutput:
        full = self._full_outputs.of(stream)
        hint = None if full is None else full.hint
        cut = self._core.render(stream, max_bytes, hint)
        shown = self._core.head(stream, 0, self._shown[stream])
        if not cut.content.startswith(shown):
            # The strategy does not keep what was shown live: both together are within the limit.
            max_bytes = max(1, max_bytes - len(shown) - len(RESET) - 1)
            cut = self._core.render(stream, max_bytes, hint)
        content = cut.content
        if self._view == "screen":
            cut, content = with_colours_closed(
                cut, max_bytes, lambda room: self._core.render(stream, room, hint)
            )
        return TaskOutput(
            output_type=kind,
            content=content,
            original_size=self._core.size(stream),
            truncated=cut.truncated,
            truncation_strategy=self._strategy if cut.truncated else None,
            dropped_bytes=cut.dropped_bytes,
            dropped_lines=cut.dropped_lines,
            external_path=None if full is None else full.path,
            token=None if full is None else full.token,
            store=None if full is None else full.project,
            redacted=self._core.redacted(stream),
            **common,
        )

    def close(self) -> None:
        """Close our ends of the pipes, and dismiss the guard."""
        if self._guard is not None:
            self._guard.close()
        for file in (self._process.stdout, self._process.stderr):
            if file is not None:
                file.close()
        if self._exit_fd >= 0:
            os.close(self._exit_fd)


def _open_pidfd(pid: int) -> int:
    """Return a descriptor that is readable once the process has ended; -1 if the system has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1
