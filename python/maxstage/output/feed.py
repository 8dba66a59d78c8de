"""What a command reads on its stdin."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading

from maxstage.errors import wrong_type
from maxstage.files import write_all
from maxstage.store.reading import OpenItem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

    from maxstage.store.store import Store

    Stdin = bytes | str | os.PathLike[str] | int | IO[bytes] | OpenItem | None


_NAME = "<stdin of the command>"
"""Its name in errors."""


class Feed:
    """What the command reads: a descriptor, and for our own data a thread that writes it."""

    def __init__(self, fd: int, write: Callable[[int], None] | None = None, ours: int = -1) -> None:
        self.fd = fd
        self._write = write
        self._ours = ours
        self._problem: Exception | None = None
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin to write, now that the command has been started."""
        if self._write is not None:
            os.close(self.fd)
            self.fd = -1
            # A daemon: a grandchild that holds the pipe but never reads must not keep us alive.
            threading.Thread(target=self._run, args=(self._write,), daemon=True).start()

    def _run(self, write: Callable[[int], None]) -> None:
        # It is not an error if a command doesn't read all of its input.
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
        """Raise the error that kept the data from the command.

        Raises:
            Corrupt, OSError: The staged data is damaged, or can't be read.
        """
        if self._problem is not None:
            raise self._problem

    def close(self) -> None:
        """Close the pipe: the command has ended, or was never started."""
        self._ended.set()
        if self.fd >= 0 and self._write is not None:
            os.close(self.fd)
            os.close(self._ours)


@contextlib.contextmanager
def open_stdin(stdin: Stdin, store: Store | None) -> Iterator[Feed]:
    """Open what a command is to read; see `maxstage.run`."""
    if stdin is None:
        yield Feed(subprocess.DEVNULL)
    elif isinstance(stdin, int):
        yield Feed(stdin)
    elif isinstance(stdin, bytes):
        yield _pipe_from(lambda fd: write_all(fd, stdin, _NAME))
    elif isinstance(stdin, str) and stdin.lower().startswith("max:"):
        from maxstage.store.store import Store

        yield _from_item((store or Store.find()).open_item(stdin))
    elif isinstance(stdin, str | os.PathLike):
        with open(stdin, "rb") as file:
            yield Feed(file.fileno())
    elif isinstance(stdin, OpenItem):
        yield _from_item(stdin)
    elif hasattr(stdin, "fileno"):
        yield Feed(stdin.fileno())
    else:
        raise wrong_type("stdin", stdin, "bytes, a path, a token, a descriptor, an open file or None")


def _from_item(opened: OpenItem) -> Feed:
    # Closed by the thread that reads it, which may outlive the command for a moment.
    def copy(fd: int) -> None:
        with opened:
            opened.copy_to(fd, _NAME)

    return _pipe_from(copy)


def _pipe_from(write: Callable[[int], None]) -> Feed:
    theirs, ours = os.pipe()
    return Feed(theirs, write, ours)
