"""A command as a process: signals, standard streams, errors as one line, exit codes, and the stores that it uses.

The stores are found here, so that all of them are swept after the answer, if that is due.
"""

# The C module behind `signal`, whose own import makes enums of all signals: 4 ms, as long as staging takes.
import _signal  # type: ignore[import-not-found]
import gc
import os
import sys

from maxstage.cli.printing import describe, warn
from maxstage.errors import Error, InvalidMetadata, InvalidQuery, InvalidToken, NoProject
from maxstage.interrupts import Terminated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from maxstage.store.store import Store

    Command = Callable[[list[str]], int]

OK, FAILED, USAGE = 0, 1, 2
_BY_SIGNAL = 128
"""What a shell adds to a signal's number for its exit code."""

_IMPORTER = "<frozen importlib._bootstrap>"
"""The file that the code of an import is said to be of."""

_MOST_RAISED = 2

_MOMENT = 0.002
"""Seconds: about what a module of ours takes to be imported."""

_ENDING = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)
"""The signals that ask us to end."""

closed_at_start: set[int] = set()
"""Which of the descriptors 0, 1, 2 our parent had closed."""

_used: "list[Store]" = []
"""The stores that the command has opened."""


class _Ending:
    """How far a signal has ended us.

    Attributes:
        raised: How many signals were raised as exceptions. The first ends the command, the second its patience while it
            cleans up; further ones would only disturb that.
        over: Whether nothing is left to clean up: what comes now ends us by itself.
    """

    raised = 0
    over = False


_ending = _Ending()


def run(command: "Command", args: list[str]) -> int:
    """Call `command` with `args`; return the exit code, whatever it raises."""
    _ending.raised, _ending.over = 0, False
    try:
        try:
            return _attempt(command, args)
        finally:
            _ending.over = True
            _release_signals()
    except (KeyboardInterrupt, Terminated) as error:  # one more, while the first was dealt with
        _ending.over = True
        return code_of(error)


def catch_signals() -> None:
    """Let Ctrl-C, SIGTERM and SIGHUP raise exceptions from now on, so that what was begun is cleaned up.

    To be called when all is imported and before anything is begun: until then a signal ends us by itself. From now on
    there may be garbage as well; what was imported is none, and is not looked at.
    """
    gc.freeze()
    gc.enable()
    for number in _ENDING:
        if _signal.getsignal(number) == _signal.SIG_DFL:
            _signal.signal(number, _terminate)


def _release_signals() -> None:
    """Let signals end us by themselves again: nothing is left to clean up."""
    for number in _ENDING:
        # Under nohup SIGHUP is ignored, and stays so.
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, _signal.SIG_DFL)


def finish(code: int) -> int:
    """Do what comes after the answer, as the last thing of this process; return the exit code.

    A signal ends it at once, which does no harm.
    """
    _sweep_used()
    return code


def open_store(folder: str | None) -> "Store":
    """Open the store of the project in `folder`; None: found as `Store.nearest` does it, and raises."""
    from maxstage.store.store import Store

    return _use(Store.nearest() if folder is None else Store.open(folder))


def open_project(folder: str | None) -> "Store":
    """Open the store of the project in `folder`; None: found as `Store.find` does it, and raises."""
    from maxstage.store.store import Store

    return _use(Store.find() if folder is None else Store.open(folder))


def open_project_or_none(folder: str | None) -> "Store | None":
    """Open the store of a project that need not be there, as `Store.find_or_none` does it, and raises."""
    from maxstage.store.store import Store

    store = Store.find_or_none(folder)
    return None if store is None else _use(store)


def open_store_or_later(folder: str | None) -> "Store | Callable[[], Store] | None":
    """Open the store that `open_store` would, but make none: what is returned does that, when it is called.

    None where there is nothing to make: the user wants no store of their own. Raises as `open_store` does.
    """
    store = open_project_or_none(folder)
    if store is not None:
        return store
    from maxstage.store.store import Store
    from maxstage.store.user import is_turned_on

    if not is_turned_on():
        return None
    try:
        store = Store.user_or_none()
    except NoProject:
        store = None  # there is no place for it, which is told when one is needed
    return (lambda: open_store(None)) if store is None else _use(store)


def _use(store: "Store") -> "Store":
    _used.append(store)
    return store


def spare() -> None:
    """Sweep nothing after this command: it was interrupted, or has only said what would be swept."""
    _used.clear()


def _sweep_used() -> None:
    """Sweep what was used and is due; before that let go of stdout and stderr, which somebody may wait for."""
    for store in _used:
        if store.sweep_is_due():
            try:
                _let_go()
            except OSError:
                return  # no descriptor to be had: the next command sweeps
            store.sweep_if_due()


def _attempt(command: "Command", args: list[str]) -> int:
    _plug_closed_streams()
    try:
        if 1 in closed_at_start:
            return _fail("Standard output is closed: there is nowhere to write to", FAILED)
        return command(args)
    except BrokenPipeError:
        # The reader has what it needs: `max retrieve … | head` is not an error.
        _forget(1)
        return OK
    except (Error, OSError, ImportError) as error:
        # ImportError: a wrong MAXSTAGE_BACKEND, or a compiled module of another version.
        wrong = isinstance(error, InvalidToken | InvalidMetadata | InvalidQuery)
        code = _fail(describe(error), USAGE if wrong else FAILED)
        try:
            sys.stdout.flush()
        except OSError:
            _forget(1)  # a full disk, which was told
        return code
    except (KeyboardInterrupt, Terminated) as error:
        spare()
        _forget(1)
        return code_of(error)


def code_of(error: BaseException) -> int:
    """Return what to exit with where a signal ended us."""
    return _BY_SIGNAL + (error.number if isinstance(error, Terminated) else _signal.SIGINT)


def _terminate(number: int, frame: "FrameType | None") -> None:
    if _is_importing(frame):
        # Python drops what is raised within some callbacks of an import, and shows a traceback: a moment later then.
        _signal.signal(_signal.SIGALRM, lambda *_: _signal.raise_signal(number))
        _signal.setitimer(_signal.ITIMER_REAL, _MOMENT)
        return
    if _ending.over:
        _signal.signal(number, _signal.SIG_DFL)
        _signal.raise_signal(number)
    _ending.raised += 1
    if _ending.raised > _MOST_RAISED:
        return
    if number == _signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated(number)


def _is_importing(frame: "FrameType | None") -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTER:
            return True
        frame = frame.f_back
    return False


def _plug_closed_streams() -> None:
    """Put /dev/null where a standard stream is closed: else the next file opened would take its place."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            closed_at_start.add(fd)
            os.open(os.devnull, os.O_RDWR)


def _let_go() -> None:
    """Let go of stdout and stderr: all is said, and who reads them to the end need not wait for us."""
    _forget(1)
    _forget(2)


def _forget(fd: int) -> None:
    """Put /dev/null in the place of a stream; else the interpreter's last flush fails on a pipe that nobody reads."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, fd)
    os.close(null)


def _fail(message: str, code: int) -> int:
    warn(message)
    return code
