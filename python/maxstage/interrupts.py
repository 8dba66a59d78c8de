"""Running code atomically, although Python may run a signal handler, which may raise, between any two steps."""

# The C module behind `signal`: importing `signal` itself takes as long as staging does.
import _signal  # type: ignore[import-not-found]
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any


class Terminated(BaseException):
    """Raised for SIGTERM and SIGHUP, so that everything is cleaned up on the way out, as with `KeyboardInterrupt`.

    Attributes:
        number: The signal.
        output: The output so far (a `TaskOutput`) of the command that was running; None if none was.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.output: Any = None


_SIGNALS = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)
"""The signals that ask a process to end."""


class _State:
    """The one state of the process: handlers belong to the process and run in its main thread, its only user.

    Attributes:
        inside: Whether a `Deferred` has been entered.
        waiting: Whether signals are currently deferred.
        handlers: The handlers that `_take` replaces.
        came: The deferred signals.
        raised: The signal whose handler raised last. Python drops exceptions raised within some callbacks; if an
            `open` block then ends without an exception, the signal is deferred again.
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
    """Defers signals that ask the process to end until it is left, except inside `open`.

    Once a handler has raised inside `open`, further signals are deferred again, so that cleanup isn't interrupted.
    It can be nested. In other threads than the main one it does nothing, since no handlers run there.
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
        """Stop deferring, and handle deferred signals now. Calling it twice does nothing."""
        active, self._active = self._active, False
        if active and self._outermost:
            _end()
        elif active and not self._before:
            _handle()

    @property
    def is_pending(self) -> bool:
        """Whether a signal has been deferred, and not been handled yet."""
        return self._active and bool(_state.came)

    def open(self) -> "_Open":
        """Return a context in which signals are handled as they arrive, deferred ones first: for slow operations."""
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
    """Replace all handlers; return false if there are none."""
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
            return False  # in a subinterpreter, for instance: only the main one can
        _restore()
        raise
    _state.inside = True
    return True


def _end() -> None:
    """Restore the handlers, and handle deferred signals."""
    # Do this first, while nothing can raise: whatever happens next, the next `Deferred` is the outermost one.
    _state.inside = False
    _restore()
    _handle()


def _restore() -> None:
    try:
        for number, handler in _state.handlers.items():
            if _is_ours(number):
                _signal.signal(number, handler)
    except BaseException:
        _restore()  # a restored handler has raised: restore the others as well
        raise


def _is_ours(number: int) -> bool:
    return _signal.getsignal(number) is _take


def _handle() -> None:
    """Handle deferred signals, then stop deferring, unless a handler raises."""
    while _state.came:
        number, _ = _state.came.pop(0)
        # The frame in which the signal arrived no longer runs.
        _state.handlers[number](number, None)
    _state.waiting = False


def _take(number: int, frame: "FrameType | None") -> None:
    """Handle or defer a signal, in place of its handler."""
    if _state.waiting:
        _state.came.append((number, frame))
        return
    # If the handler raises, further signals must not interrupt the cleanup.
    _state.waiting = True
    _state.raised = number, frame
    _state.handlers[number](number, frame)
    _state.raised = None
    _state.waiting = False
