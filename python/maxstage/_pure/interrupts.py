"""Doing something whole although Python may run a signal handler, and raise from it, between any two steps."""

# The C module behind `signal`, whose own import takes as long as staging does.
import _signal  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_SIGNALS = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)
"""The signals that ask a program to end."""


class Deferred:
    """Within it, handlers of signals that ask to end wait; they run when it ends.

    The compiled module needs none of this: it runs handlers between two chunks. What is done within must not
    block.
    """

    def __enter__(self) -> "Deferred":
        self._came: list[tuple[int, FrameType | None]] = []
        self._handlers: dict[int, Any] = {}
        for number in _SIGNALS:
            handler = _signal.getsignal(number)
            if callable(handler):
                try:
                    _signal.signal(number, self._note)
                except ValueError:
                    return self  # only the main thread runs handlers, and only it may set them
                self._handlers[number] = handler
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """End the waiting: run the handlers of the signals that came, here. A second time this does nothing."""
        handlers, self._handlers = self._handlers, {}
        for number, handler in handlers.items():
            _signal.signal(number, handler)
        # Only now: until here one more may come.
        came, self._came = self._came, []
        for number, frame in came:
            handlers[number](number, frame)

    def _note(self, number: int, frame: "FrameType | None") -> None:
        self._came.append((number, frame))
