"""Doing something whole although Python may run a signal handler, and raise from it, between any two steps."""

import signal
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a program to end."""


class Deferred:
    """Within it, handlers of signals that ask to end wait; they run when it ends.

    The compiled module needs none of this: it runs handlers between two chunks. What is done within must not
    block.
    """

    def __enter__(self) -> None:
        self._came: list[tuple[int, FrameType | None]] = []
        self._handlers: dict[int, Any] = {}
        # Only the main thread runs handlers, and only it may set them.
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._note)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        for number, frame in self._came:
            self._handlers[number](number, frame)

    def _note(self, number: int, frame: "FrameType | None") -> None:
        self._came.append((number, frame))
