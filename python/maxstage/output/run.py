"""Running a command with its output within bounds, and none of it lost.

The command gets a session of its own, so that what it starts can be ended with it: on a timeout, on Ctrl-C
and on cancellation its whole process group gets SIGTERM, and SIGKILL if that is not enough. What was
captured until then is kept.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Literal

from maxstage._backend import core
from maxstage.errors import Error
from maxstage.output.external import External, store_for
from maxstage.output.limits import Limits
from maxstage.output.task_output import OutputType, TaskOutput
from maxstage.store.reading import OpenItem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from maxstage.store.store import Store

    Stdin = bytes | str | os.PathLike[str] | int | IO[bytes] | OpenItem | None

Keep = Literal["always", "truncated", "never"]

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
        timeout: Seconds until it is ended.
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
        LimitsError, InvalidToken, NotFound, Expired: An argument is no good.
        Corrupt: The staged data for stdin is damaged; the command was ended before it saw the end of it.

    >>> output = run(["sh", "-c", "seq 100000; echo done >&2"], limits={"max_stdout_bytes": "1KiB"}, keep="never")
    >>> output.truncated, output.original_size, len(output.content) <= 1024, output.exit_code
    (True, 588895, True, 0)
    >>> output.stderr.text
    'done\\n'
    """
    limits = limits if isinstance(limits, Limits) else Limits.parse(limits or {})
    words = [os.fspath(word) for word in argv]
    with contextlib.ExitStack() as stack:
        feed = stack.enter_context(_open_stdin(stdin, store))
        stack.callback(feed.close)
        externals = Externals(
            limits, store, keep=keep, source=f"exec/{os.path.basename(words[0])}", owner=owner
        )
        stack.callback(externals.discard)
        started = time.monotonic()
        # Not preexec_fn: it forks the slow way. A session of its own makes a process group of its own.
        process = subprocess.Popen(
            words,
            stdin=feed.fd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if combine else subprocess.PIPE,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
        running = _Running(
            process, limits, externals, feed, combine=combine, cancel=cancel, on_output=on_output
        )
        stack.callback(running.close)
        feed.start()
        interrupted = running.capture(None if timeout is None else started + timeout)
        if interrupted is not None and not isinstance(interrupted, KeyboardInterrupt):
            raise interrupted
        output = running.result(
            task_id=task_id or os.path.basename(words[0]), duration=time.monotonic() - started
        )
    if interrupted is not None:
        raise Interrupted(output) from None
    return output


class _Running:
    """A command that runs, and its capture."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        limits: Limits,
        externals: Externals,
        feed: _Feed,
        *,
        combine: bool,
        cancel: threading.Event | None,
        on_output: Callable[[int, bytes], None] | None,
    ) -> None:
        self._process = process
        self._limits = limits
        self._externals = externals
        self._feed = feed
        self._combine = combine
        self._cancel = cancel
        self._on_output = on_output
        self._shown = [0, 0]
        self._warnings: list[str] = []
        self._timed_out = False
        self._exit_fd = _open_pidfd(process.pid)
        first = (
            min(limits.max_stdout_bytes, limits.max_combined_bytes) if combine else limits.max_stdout_bytes
        )
        self._max_bytes = (first, limits.max_stderr_bytes)
        self._live = self._shown_live() if on_output is not None else (0, 0)
        strategy = "both" if on_output is not None else limits.truncation_strategy
        above = externals.above
        assert process.stdout is not None  # noqa: S101 - it was asked for
        self._core = core.Capture(
            process.stdout.fileno(),
            -1 if process.stderr is None else process.stderr.fileno(),
            self._exit_fd,
            (strategy, first, limits.max_lines, above),
            (strategy, limits.max_stderr_bytes, limits.max_lines, above),
            limits.max_combined_bytes,
            live=max(self._live),
        )
        self._strategy = strategy

    def capture(self, deadline: float | None) -> BaseException | None:
        """Capture to the end; return what interrupted it, if anything did."""
        interrupted: BaseException | None = None
        try:
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
            if event == "end":
                return self._await_exit(deadline)
            if event == "exited" or (self._exit_fd < 0 and self._process.poll() is not None):
                return self._drain()

    def _step(self, wait_ms: int) -> str:
        """Let the capture go on; do what it asks for."""
        event = self._externals.step(self._core, wait_ms)
        if event == "data":
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
            if self._step(int(left * 1000) + 1) == "end":
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
                    self._step(min(_POLL_MS, int(left * 1000) + 1)) == "end"
                    and self._process.poll() is not None
                ):
                    return
                if self._process.poll() is not None and not _group_lives(self._process.pid):
                    break
        self._process.wait()

    def _signal(self, number: int) -> bool:
        """Send a signal to the group; false where nobody is left in it."""
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def result(self, *, task_id: str, duration: float) -> TaskOutput:
        """Return what was captured; the whole, where it is kept, is published first."""
        code = self._process.returncode
        ended_by = -code if code < 0 else None
        self._show()
        self._externals.publish()
        sizes = self._share()
        common: dict[str, Any] = {
            "task_id": task_id,
            "completed_at": datetime.now(UTC),
            "exit_code": 128 + ended_by if ended_by is not None else code,
            "signal": ended_by,
            "duration": duration,
            "timed_out": self._timed_out,
        }
        warnings = (*self._warnings, *self._externals.problems)
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
        external = self._externals.of(stream)
        cut = self._core.render(stream, max_bytes, None if external is None else external.hint)
        return TaskOutput(
            output_type=kind,
            content=cut.content,
            original_size=cut.original_size,
            truncated=cut.truncated,
            truncation_strategy=self._strategy if cut.truncated else None,
            dropped_bytes=cut.dropped_bytes,
            dropped_lines=cut.dropped_lines,
            external_path=None if external is None else external.path,
            token=None if external is None else external.token,
            **common,
        )

    def close(self) -> None:
        """Close our ends of the pipes."""
        for file in (self._process.stdout, self._process.stderr):
            if file is not None:
                file.close()
        if self._exit_fd >= 0:
            os.close(self._exit_fd)


class Externals:
    """The whole outputs of both streams of a capture, as far as they must be kept.

    Attributes:
        above: Above how many bytes a stream is kept whole even if it was not cut; None: never.
        problems: What could not be kept, and why.
    """

    def __init__(
        self, limits: Limits, store: Store | None, *, keep: Keep, source: str, owner: str | None
    ) -> None:
        threshold = limits.external_storage_threshold
        self._store = None if keep == "never" or threshold is None else store_for(limits, store)
        self._missing = self._store is None and keep != "never" and threshold is not None
        if self._missing and keep == "always":
            raise Error('There is no store to keep the output in. Run "max init" first.')
        self.above = None if keep == "never" or threshold is None else 0 if keep == "always" else threshold
        self._limits = limits
        self._source = source
        self._owner = owner
        self._streams: dict[int, External] = {}
        self.problems: list[str] = []

    def pump(self, capture: core.Capture) -> None:
        """Let a capture go on to the end of its streams."""
        while self.step(capture, _TICK_MS) != "end":
            pass

    def step(self, capture: core.Capture, wait_ms: int) -> str:
        """Let a capture go on until something happens; give it the writers that it asks for."""
        try:
            event, stream = capture.pump(wait_ms)
        except OSError as error:
            # A writer failed. The capture has all that was read, and goes on without it.
            failed = self.fail(error)
            if not failed:
                raise
        else:
            failed = self._keep(capture, stream) if event == "keep" else []
            failed += self.check_quota() if event == "timeout" else []
        for stream in failed:
            capture.never_keep(stream)
        return "failed" if failed else event

    def _keep(self, capture: core.Capture, stream: int) -> list[int]:
        """Keep a stream whole from now on; return it where that is not possible."""
        if self._store is None:
            if self._missing and not self.problems:
                self.problems.append(
                    'the whole output was not kept: not in a Max project; run "max init" first'
                )
            return [stream]
        external = External(self._store, self._limits, source=self._source, owner=self._owner)
        self._streams[stream] = external
        try:
            capture.keep(stream, external.open())
        except (OSError, Error) as error:
            return self.fail(error, stream)
        return []

    def of(self, stream: int) -> External | None:
        """Return the whole output of a stream, if it is kept."""
        return self._streams.get(stream)

    def fail(self, error: Exception, stream: int | None = None) -> list[int]:
        """Give up the item of a stream, or of all that write; return which."""
        failed = [number for number in self._streams if stream in (None, number)]
        for number in failed:
            external = self._streams.pop(number)
            external.fail(error)
            self.problems.append(external.problem or "")
        return failed

    def check_quota(self) -> list[int]:
        """Give up what grew beyond the quota; return which streams that are."""
        failed = []
        for stream, external in list(self._streams.items()):
            try:
                external.check_quota()
            except Error as error:
                failed += self.fail(error, stream)
        return failed

    def publish(self) -> None:
        """Make visible what is kept."""
        for stream, external in list(self._streams.items()):
            external.publish()
            if external.problem is not None:
                self.problems.append(external.problem)
                del self._streams[stream]

    def discard(self) -> None:
        """Leave nothing behind of what was not published."""
        for external in self._streams.values():
            external.discard()


class _Feed:
    """What the command reads: a descriptor, and for data of ours a thread that writes it."""

    def __init__(self, fd: int, write: Callable[[int], None] | None = None, ours: int = -1) -> None:
        self.fd = fd
        self._write = write
        self._ours = ours
        self._problem: Exception | None = None
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin to write, now that the command is there to read."""
        if self._write is not None:
            os.close(self.fd)
            self.fd = -1
            # A daemon: a grandchild that holds the pipe and never reads must not keep us alive.
            threading.Thread(target=self._run, args=(self._write,), daemon=True).start()

    def _run(self, write: Callable[[int], None]) -> None:
        # A command that reads no more than it wants is no error.
        try:
            with contextlib.suppress(BrokenPipeError):
                write(self._ours)
        except Exception as error:  # noqa: BLE001 - it is raised in `check`, where somebody can catch it
            # The pipe stays open: the command must not take the end of damaged data for the end of all of it.
            self._problem = error
            self._ended.wait()
        finally:
            os.close(self._ours)

    def check(self) -> None:
        """Raise what kept the data from the command.

        Raises:
            Corrupt, OSError: The staged data is damaged, or can't be read.
        """
        if self._problem is not None:
            raise self._problem

    def close(self) -> None:
        """Let go of the pipe: the command has ended, or never began."""
        self._ended.set()
        if self.fd >= 0 and self._write is not None:
            os.close(self.fd)
            os.close(self._ours)


@contextlib.contextmanager
def _open_stdin(stdin: Stdin, store: Store | None) -> Iterator[_Feed]:
    if stdin is None:
        yield _Feed(subprocess.DEVNULL)
    elif isinstance(stdin, int):
        yield _Feed(stdin)
    elif isinstance(stdin, bytes):
        yield _pipe_from(lambda fd: _write_all(fd, stdin))
    elif isinstance(stdin, str) and stdin.lower().startswith("max:"):
        from maxstage.store.store import Store

        yield _from_item((store or Store.find()).open_item(stdin))
    elif isinstance(stdin, str | os.PathLike):
        with open(stdin, "rb") as file:
            yield _Feed(file.fileno())
    elif isinstance(stdin, OpenItem):
        yield _from_item(stdin)
    else:
        yield _Feed(stdin.fileno())


def _from_item(opened: OpenItem) -> _Feed:
    # Closed by the thread that reads it: that may outlast the command for a moment.
    def copy(fd: int) -> None:
        with opened:
            opened.copy_to(fd, "<stdin of the command>")

    return _pipe_from(copy)


def _pipe_from(write: Callable[[int], None]) -> _Feed:
    theirs, ours = os.pipe()
    return _Feed(theirs, write, ours)


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _open_pidfd(pid: int) -> int:
    """Return a descriptor that is readable once the process has ended; -1 where the system has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
