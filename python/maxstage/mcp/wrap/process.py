"""A server that we start, with a pipe to its stdin and one from its stdout; its stderr is ours."""

import os
import select
import subprocess
import threading
import time

from maxstage.humanize import signal_name
from maxstage.mcp.wrap.body import pieces
from maxstage.mcp.wrap.channel import READ, Bell, Splitter
from maxstage.mcp.wrap.gateway import Ended
from maxstage.output.group import DRAIN, Group, steps_from
from maxstage.output.guard import Guard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.mcp.waiting import Waiting
    from maxstage.mcp.wrap.channel import Out
    from maxstage.mcp.wrap.gateway import Asked, Gateway, Passed

_SHORTEST, _LONGEST = 0.005, 0.2
"""Seconds between two looks whether anybody is left: more and more."""

_LAST_WORDS = 5.0
"""Seconds for what the server has said at its end to be passed on: a client may not read."""

_BY_SIGNAL = 128
"""What the exit code of a program that a signal ended begins with, as shells have it."""


class Process:
    """A server that we start.

    Args:
        argv: The program and its arguments.
        folder: Where files for long messages go; None for the system's own place.
        warn: Takes a line for whoever has started us.
    """

    def __init__(self, argv: "list[str]", folder: str | None, warn: "Callable[[str], object]") -> None:
        self._argv = argv
        self._folder = folder
        self._warn = warn
        self._exited = Bell()
        self.over = Bell()

    def start(self, gateway: "Gateway", out: "Out", waiting: "Waiting") -> None:
        """Start it. A session of its own makes it a group, and a guard ends that if we are killed.

        Raises:
            OSError: It can't be started.
        """
        self._gateway = gateway
        self._out = out
        self._waiting = waiting
        ours, theirs = os.pipe()
        self._stdout = ours
        try:
            self._guard = Guard(ours)
            try:
                self._process = subprocess.Popen(
                    self._argv, stdin=subprocess.PIPE, stdout=theirs, bufsize=0, start_new_session=True
                )
            except BaseException:
                self._guard.close()
                raise
            self._guard.watch(self._process.pid)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self._group = Group(self._process)
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        self._stdin = self._process.stdin.fileno()
        os.set_blocking(self._stdin, False)
        self._has_input = True
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        threading.Thread(target=self._wait, daemon=True).start()

    # What it is told

    def send(self, passed: "Passed") -> None:
        """Pass on a message of the client."""
        if passed.message is None:
            return
        if self._has_input:
            for piece in pieces(passed.message):
                self._write(piece)
            self._write(b"\n")
        if not self._has_input:
            # Beside all else: the client may not read.
            threading.Thread(target=self._refuse, args=(passed.requests,), daemon=True).start()

    def _refuse(self, requests: "list[Asked]") -> None:
        for request in requests:
            self._gateway.answer_for(request.id, "the server reads nothing any more")

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        events = {self._stdin: select.POLLOUT, self.over.fd: select.POLLIN}
        while rest and self._has_input:
            ready = self._waiting.wait_for(events)
            if self.over.fd in ready:
                self._has_input = False
            elif self._stdin in ready:
                try:
                    rest = rest[os.write(self._stdin, rest) :]
                except BlockingIOError:
                    continue
                except OSError:
                    self._has_input = False  # it has closed its end

    def close_input(self) -> None:
        """Close its stdin."""
        self._has_input = False
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        self._process.stdin.close()

    # What it says

    def _read(self) -> None:
        try:
            self._pass_on()
        except Ended:
            return
        except OSError as error:
            self._warn(f"a message of the server can't be passed on: {error}")
        finally:
            # How it ended is known a moment after its pipe is closed.
            select.select([self._exited.fd], [], [], DRAIN)
            self._gateway.answer_all(f"{self._how_it_ended()} before it answered")
            self.over.ring()

    def _pass_on(self) -> None:
        splitter = Splitter(self._folder)
        poll = select.poll()
        poll.register(self._stdout, select.POLLIN)
        poll.register(self._exited.fd, select.POLLIN)
        patience = None
        try:
            while not self._out.is_gone:
                ready = [fd for fd, _ in poll.poll(patience)]
                if self._exited.fd in ready:
                    # What it has started may still hold the pipe.
                    poll.unregister(self._exited.fd)
                    patience = DRAIN * 1000
                elif not ready:
                    break
                if self._stdout not in ready:
                    continue
                data = os.read(self._stdout, READ)
                for body, problem in splitter.feed(data) if data else splitter.finish():
                    with body:
                        if problem is None:
                            self._gateway.from_server(body)
                        else:
                            self._gateway.refuse(body, problem)
                if not data:
                    break
        finally:
            splitter.close()

    def _wait(self) -> None:
        self._process.wait()
        self._exited.ring()

    def _how_it_ended(self) -> str:
        code = self._process.returncode
        if code is None:
            return "the server closed its output"
        how = f"was ended by {signal_name(-code)}" if code < 0 else f"ended with exit status {code}"
        return f"the server {how}"

    # The end

    def end(self, number: int) -> int:
        """End all of its group that is left, first with this signal; return its exit code."""
        for step, patience in steps_from(number):
            if not self._group.lives() or not self._group.signal(step) or self._is_gone(patience):
                break
        self._process.wait()
        self._reader.join(_LAST_WORDS)
        self._guard.close()
        code = self._process.returncode
        return _BY_SIGNAL - code if code < 0 else code

    def _is_gone(self, patience: float) -> bool:
        """Wait so many seconds for all of its group to end; return whether they have."""
        until = time.monotonic() + patience
        pause = _SHORTEST
        while self._group.lives():
            if time.monotonic() > until:
                return False
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST)
        return True
