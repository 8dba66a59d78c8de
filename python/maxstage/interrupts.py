"""Doing something whole although Python may run a signal handler, and raise from it, between any two steps."""

# The C module behind `signal`, whose own import takes as long as staging does.
import _signal  # type: ignore[import-not-found]
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any


class Terminated(BaseException):
    """A signal that asks us to end, other than Ctrl-C: everything is cleaned up on the way out, as for that.

    Attributes:
        number: The signal.
        output: What a command had printed (a `TaskOutput`) that ran when it came; None where none did.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.output: Any = None


_SIGNALS = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)
"""The signals that ask a program to end."""


class _State:
    """Handlers belong to the process and run in its main thread: there is one state, and that thread alone uses it.

    Attributes:
        inside: Whether a `Deferred` is entered.
        waiting: Whether a signal that comes now waits.
        handlers: The handlers that `_take` stands in for.
        came: The signals that wait.
        raised: The signal whose handler has raised last. Python drops what is raised within some callbacks; where what
            was open ends without an exception, the signal waits again.
    """

    inside = False
    waiting = False
    handlers: "dict[int, Any]"
    came: "list[tuple[int, FrameType | None]]"
    raised: "tuple[int, FrameType | None] | None" = None


_state = _State()
_state.handlers = {}
_state.came = []


class Deferred:
    """Within it, signals that ask to end wait, except within `open`; they are handled when it ends.

    After the first one that is handled within `open` the next ones wait again: what was begun is cleaned up in peace.
    One may lie within another. In other threads than the main one it does nothing, for no handler runs there.
    """

    __slots__ = ("_active", "_before", "_outermost")

    def __enter__(self) -> "Deferred":
        self._outermost = False
        self._before = _state.waiting
        self._active = _in_main_thread()
        if self._active and not _state.inside:
            self._active = self._outermost = _begin()
        elif self._active:
            _state.waiting = True
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """End the waiting, and handle what has waited, here. A second time this does nothing."""
        active, self._active = self._active, False
        if active and self._outermost:
            _end()
        elif active and not self._before:
            _handle()

    def open(self) -> "_Open":
        """Within it, signals are handled as they come, those that have waited first: for what may take long."""
        return _Open(active=self._active)


class _Open:
    __slots__ = ("_active",)

    def __init__(self, *, active: bool) -> None:
        self._active = active

    def __enter__(self) -> None:
        if self._active:
            _handle()

    def __exit__(self, kind: "type[BaseException] | None", *_: object) -> None:
        if self._active:
            _state.waiting = True
            if kind is None and _state.raised is not None:
                _state.came.insert(0, _state.raised)
            _state.raised = None


def _in_main_thread() -> bool:
    threading = sys.modules.get("threading")
    return threading is None or threading.get_ident() == threading.main_thread().ident


def _begin() -> bool:
    """Stand in for all handlers; false where there are none."""
    handlers = {number: _signal.getsignal(number) for number in _SIGNALS}
    _state.handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    if not _state.handlers:
        return False
    _state.came.clear()
    _state.raised = None
    _state.waiting = True
    try:
        for number in _state.handlers:
            _signal.signal(number, _take)
    except BaseException as error:
        if isinstance(error, ValueError) and not any(_is_ours(number) for number in handlers):
            return False  # another interpreter of this process, say: only the main one may
        _restore()
        raise
    _state.inside = True
    return True


def _end() -> None:
    """Put the handlers back, and handle what came meanwhile."""
    # First, while nothing can raise: whatever happens from here on, the next `Deferred` is the outermost one.
    _state.inside = False
    _restore()
    _handle()


def _restore() -> None:
    try:
        for number, handler in _state.handlers.items():
            if _is_ours(number):
                _signal.signal(number, handler)
    except BaseException:
        _restore()  # one that is back has raised: the others must be back as well
        raise


def _is_ours(number: int) -> bool:
    return _signal.getsignal(number) is _take


def _handle() -> None:
    """Handle what has waited; from then on nothing waits, unless a handler raised."""
    while _state.came:
        number, _ = _state.came.pop(0)
        # Where it came is over; it is handled here.
        _state.handlers[number](number, None)
    _state.waiting = False


def _take(number: int, frame: "FrameType | None") -> None:
    """Stand in for a handler."""
    if _state.waiting:
        _state.came.append((number, frame))
        return
    # What it raises ends what is being done, and the next signal must not disturb that.
    _state.waiting = True
    _state.raised = number, frame
    _state.handlers[number](number, frame)
    _state.raised = None
    _state.waiting = False
