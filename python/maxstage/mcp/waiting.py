"""Waiting for descriptors, and handling signals there and nowhere else.

An exception that a signal's handler raises inside the locks and threads of the standard library leaves them broken:
"release unlocked lock", "cannot join thread before it is started".
"""

# The C module behind `signal`, whose own import makes enums of all signals.
import _signal  # type: ignore[import-not-found]
import os
import select

from maxstage.interrupts import Deferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

_READ = 4096
"""Bytes read at once, one for each signal."""


class Waiting:
    """Defers signals until it is left, except in `wait` and `handle_signals`. Enter it in the main thread.

    Args:
        fds: The descriptors to wait for.
    """

    def __init__(self, *fds: int) -> None:
        self._signals = Deferred()
        self._poll = select.poll()
        for fd in fds:
            self._poll.register(fd, select.POLLIN)

    def __enter__(self) -> "Self":
        self._signals.__enter__()
        # A signal that comes right before a wait, or to another thread, would not interrupt it: it writes here.
        self._alarm, self._write = os.pipe()
        os.set_blocking(self._alarm, False)
        os.set_blocking(self._write, False)
        self._poll.register(self._alarm, select.POLLIN)
        self._before = _signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        _signal.set_wakeup_fd(self._before)
        os.close(self._alarm)
        os.close(self._write)
        self._signals.release()

    def wait(self) -> list[int]:
        """Return the descriptors that are ready, perhaps none; wait until one is, or a signal comes.

        Raises:
            BaseException: What a signal's handler raises.
        """
        return self._ready(self._poll, None)

    def wait_for(self, events: "Mapping[int, int]", seconds: float | None = None) -> list[int]:
        """Do the same for other descriptors, this once.

        Args:
            events: For each the events of `select.poll`.
            seconds: How long to wait; None for as long as it takes.

        Raises:
            BaseException: What a signal's handler raises.
        """
        poll = select.poll()
        for fd, event in events.items():
            poll.register(fd, event)
        poll.register(self._alarm, select.POLLIN)
        return self._ready(poll, None if seconds is None else seconds * 1000)

    def _ready(self, poll: "select.poll", milliseconds: float | None) -> list[int]:
        self.handle_signals()
        ready = [fd for fd, _ in poll.poll(milliseconds)]
        if self._alarm in ready:
            ready.remove(self._alarm)
            self._clear()
            self.handle_signals()
        return ready

    def handle_signals(self) -> None:
        """Handle the signals that have come. Raises what their handlers raise."""
        with self._signals.open():
            pass

    def signal_came(self) -> bool:
        """Return whether a signal waits to be handled: whoever sent it does not want to wait for long."""
        return self._signals.is_pending

    def _clear(self) -> None:
        try:
            os.read(self._alarm, _READ)
        except BlockingIOError:
            return
