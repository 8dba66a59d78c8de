"""A command as a process: signals, standard streams, errors as one line, exit codes, and the stores that it uses.

Stores are opened here, so that each can be swept, if due, once the command has finished its output.
"""

# The C module behind `signal`: importing `signal` makes enums of all signals, 4 ms, as long as staging takes.
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
"""What a shell adds to a signal's number for the exit code."""

_IMPORTER = "<frozen importlib._bootstrap>"
"""The file name in the code objects of the import system."""

_MOST_RAISED = 2

_MOMENT = 0.002
"""Seconds: about as long as importing one of our modules takes."""

_ENDING = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)
"""The signals that ask the process to end."""

closed_at_start: set[int] = set()
"""Which of the descriptors 0, 1 and 2 the parent process had closed."""

_used: "list[Store]" = []
"""The stores that the command opened."""


class _Ending:
    """How far a signal has got in ending the process.

    Attributes:
        raised: How many signals were raised as exceptions. The first ends the command, the second makes it stop
            waiting while it cleans up; further ones would only interfere and are ignored.
        over: Whether nothing is left to clean up, so that the next signal ends the process directly.
        postponed: The signal that arrived during an import and is to be raised again, or None.
    """

    raised = 0
    over = False
    postponed: int | None = None


_ending = _Ending()


def run(command: "Command", args: list[str]) -> int:
    """Call `command` with `args`; return the exit code, whatever it raises."""
    _ending.raised, _ending.over, _ending.postponed = 0, False, None
    try:
        try:
            return _attempt(command, args)
        finally:
            _ending.over = True
            _release_signals()
            _raise_postponed()
    except (KeyboardInterrupt, Terminated) as error:  # another signal, while the first was being handled
        _ending.over = True
        return code_of(error)


def catch_signals() -> None:
    """Make Ctrl-C, SIGTERM and SIGHUP raise exceptions from now on, so that unfinished work is cleaned up.

    Call it after all imports and before any work: until then a signal ends the process directly. It also turns on
    garbage collection, except for the objects made by imports, which are never garbage.
    """
    gc.freeze()
    gc.enable()
    for number in _ENDING:
        if _signal.getsignal(number) == _signal.SIG_DFL:
            _signal.signal(number, _terminate)


def _release_signals() -> None:
    """Let signals end the process directly again: nothing is left to clean up."""
    for number in _ENDING:
        # Under nohup SIGHUP is ignored, and stays so.
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, _signal.SIG_DFL)


def finish(code: int) -> int:
    """Do what comes after the command's output, as the last step of the process; return the exit code.

    A signal ends it at once, which does no harm.
    """
    _sweep_used()
    return code


def open_store(folder: str | None) -> "Store":
    """Open the store of the project in `folder`; None: as `Store.nearest`. Raises as that does."""
    from maxstage.store.store import Store

    return _use(Store.nearest() if folder is None else Store.open(folder))


def open_project(folder: str | None) -> "Store":
    """Open the store of the project in `folder`; None: as `Store.find`. Raises as that does."""
    from maxstage.store.store import Store

    return _use(Store.find() if folder is None else Store.open(folder))


def open_project_or_none(folder: str | None) -> "Store | None":
    """Open the store of a project, if there is one. Behaves and raises as `Store.find_or_none`."""
    from maxstage.store.store import Store

    store = Store.find_or_none(folder)
    return None if store is None else _use(store)


def open_store_or_later(folder: str | None) -> "Store | Callable[[], Store] | None":
    """Open the store that `open_store` would, or return a function that does so if that has to create it.

    Returns None if there is no project and the user's own store is turned off. Raises as `open_store` does.
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
        store = None  # it has no location, which is reported once a store is needed
    return (lambda: open_store(None)) if store is None else _use(store)


def _use(store: "Store") -> "Store":
    _used.append(store)
    return store


def spare() -> None:
    """Don't sweep after this command: it was interrupted, or only reported what a sweep would do."""
    _used.clear()


def _sweep_used() -> None:
    """Sweep the stores that are due, after releasing stdout and stderr, since readers may wait for their end."""
    for store in _used:
        if store.sweep_is_due():
            try:
                _let_go()
                sweep_intents(store)
                store.sweep_if_due()
            except (OSError, ImportError):
                return  # out of descriptors, or our own files can't be read any more: the next command sweeps


def sweep_intents(store: "Store") -> None:
    """Delete intents that are over, with their trash. Never fails; where there are none, nothing is imported."""
    if os.path.isdir(f"{store.layout.base}/intents"):
        from maxstage.intent.folder import sweep

        try:
            sweep(store)
        except (Error, OSError):
            return  # the next command tries again; this one has succeeded


def _attempt(command: "Command", args: list[str]) -> int:
    _plug_closed_streams()
    try:
        if 1 in closed_at_start:
            return _fail("Standard output is closed: there is nowhere to write to", FAILED)
        return command(args)
    except BrokenPipeError:
        # The reader has what it needed: `max retrieve … | head` is not an error.
        _forget(1)
        return OK
    except (Error, OSError, ImportError) as error:
        # ImportError: a wrong MAXSTAGE_BACKEND, or a compiled module of another version.
        wrong = isinstance(error, InvalidToken | InvalidMetadata | InvalidQuery)
        code = _fail(describe(error), USAGE if wrong else FAILED)
        try:
            sys.stdout.flush()
        except OSError:
            _forget(1)  # the disk is full, for instance, which was reported
        return code
    except (KeyboardInterrupt, Terminated) as error:
        spare()
        _forget(1)
        return code_of(error)


def code_of(error: BaseException) -> int:
    """Return the exit code of a process that a signal ended."""
    return _BY_SIGNAL + (error.number if isinstance(error, Terminated) else _signal.SIGINT)


def _terminate(number: int, frame: "FrameType | None") -> None:
    if _is_importing(frame):
        # Python drops exceptions raised within some callbacks of an import and prints a traceback, so try again later.
        _ending.postponed = number
        _signal.signal(_signal.SIGALRM, _raise_postponed)
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


def _raise_postponed(*_: object) -> None:
    """Raise the signal that arrived during an import, if one did: a moment later, or when the command is done."""
    number, _ending.postponed = _ending.postponed, None
    if number is None:
        return
    _signal.setitimer(_signal.ITIMER_REAL, 0)
    if _ending.over:
        _flush()  # the signal ends the process, and the answer must be out
    _signal.raise_signal(number)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except OSError:
                return  # there is nobody left to tell


def _is_importing(frame: "FrameType | None") -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTER:
            return True
        frame = frame.f_back
    return False


def _plug_closed_streams() -> None:
    """Open /dev/null for each closed standard stream, or the next file opened would take its place."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            closed_at_start.add(fd)
            os.open(os.devnull, os.O_RDWR)


def _let_go() -> None:
    """Release stdout and stderr: the output is complete, and readers must not wait for the sweep."""
    _forget(1)
    _forget(2)


def _forget(fd: int) -> None:
    """Replace a stream by /dev/null, or the interpreter's last flush would fail on a pipe that nobody reads."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, fd)
    os.close(null)


def _fail(message: str, code: int) -> int:
    warn(message)
    return code
