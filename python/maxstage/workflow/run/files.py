"""The files that a workflow names: which paths data may produce, and writing files atomically.

Literal parts of a path are the author's choice, including ``../shared/x`` or a symbolic link. The value of a reference
stays within the folder written before it: ``out/{{ item }}`` never leads out of ``out``, whatever the item is. A file
that is only read may be anywhere if its whole path is an input, or a variable, given by whoever runs the workflow.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import threading
from typing import TYPE_CHECKING, NamedTuple

from maxstage.errors import WorkflowError
from maxstage.replacement import Replacement
from maxstage.workflow.format.references import PATTERN, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from maxstage.workflow.run.scope import Scope


_DIGITS = 32
"""The digits of a digest: enough that nobody can construct two paths with the same one."""


class Located(NamedTuple):
    """The location of a path in a workflow file.

    Attributes:
        root: The folder that the path must stay in, without symbolic links.
        parts: The names below it, none of them ``..``.
    """

    root: str
    parts: tuple[str, ...]

    @property
    def path(self) -> str:
        """The whole path."""
        return os.path.join(self.root, *self.parts)

    @property
    def digest(self) -> str:
        """A digest for the state of a run, since the path may contain a secret, or bytes that are not UTF-8."""
        return hashlib.sha256(os.fsencode(self.path)).hexdigest()[:_DIGITS]


def locate(folder: str, text: str, render: Callable[[str], str]) -> Located:
    """Fill in the references of a path.

    Args:
        folder: Where relative paths start.
        text: The path as the workflow file has it.
        render: Replaces references.

    Raises:
        WorkflowError: The value of a reference leads out of the folder before it, or is not a valid path.
    """
    rendered = _good(render(text))
    path = os.path.realpath(os.path.join(folder, rendered))
    reference = PATTERN.search(text)
    if reference is None:
        return Located(os.path.dirname(path), (os.path.basename(path),) if path != "/" else ())
    root = os.path.realpath(os.path.join(folder, os.path.dirname(text[: reference.start()])))
    absolute = any(one.start() and render(one[0]).startswith("/") for one in PATTERN.finditer(text))
    inside = os.path.relpath(path, root)
    parts = () if inside == "." else tuple(inside.split("/"))
    # ``out//etc/x`` would be harmless, but the value is an absolute path.
    if parts[:1] == ("..",) or absolute:
        raise WorkflowError(f"{rendered!r} is outside {root}: the value of {reference[0]} must stay below it")
    return Located(root, parts)


def locate_to_read(folder: str, text: str, scope: Scope) -> str:
    """Return the path of a file that is only read, which may be anywhere if whoever runs the workflow gave it.

    Args:
        folder: Where relative paths start.
        text: The path as the workflow file has it.
        scope: What its references name.

    Raises:
        WorkflowError: The value of a reference leads out of the folder before it, or is not a valid path.
    """
    if _is_given(text, scope):
        return os.path.realpath(os.path.join(folder, _good(scope.render(text))))
    return locate(folder, text, scope.render).path


def below(text: str, rendered: str) -> str:
    """Return a path, or a pattern of paths, if it stays below the folder where it starts.

    Args:
        text: The path as the workflow file has it.
        rendered: The same with its references filled in.

    Raises:
        WorkflowError: It leads out of it, or is not a valid path.
    """
    path = os.path.normpath(_good(rendered))
    if path.startswith("/") or path.split("/")[0] == "..":
        raise WorkflowError(f"{text!r} must stay below the folder of the run; it is {rendered!r}")
    return path


def _is_given(text: str, scope: Scope) -> bool:
    """Return whether a path is entirely an input or an environment variable, which no data has influenced."""
    match = PATTERN.fullmatch(text)
    return match is not None and scope.is_given(resolve(match[0]))


def open_to_read(folder: str, text: str, scope: Scope) -> tuple[str, int]:
    """Open a file that a workflow file names; return its path and a descriptor.

    Args:
        folder: Where relative paths start.
        text: The path as the workflow file has it.
        scope: What its references name.

    Raises:
        OSError: It can't be opened.
        WorkflowError: The value of a reference leads out of the folder before it, or is not a valid path.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC
    if PATTERN.search(text) is None or _is_given(text, scope):
        path = os.path.join(folder, _good(scope.render(text)))
        return path, _no_folder(os.open(path, flags), path)
    located = locate(folder, text, scope.render)
    with _parent(located, make=False) as parent, _named(located):
        # Don't follow a link that has been put there in the meantime.
        name = located.parts[-1] if located.parts else "."
        opened = os.open(name, flags | os.O_NOFOLLOW, dir_fd=parent)
        return located.path, _no_folder(opened, located.path)


def _good(text: str) -> str:
    """Reject text that the system would not accept as a path."""
    try:
        if b"\0" in os.fsencode(text):
            raise WorkflowError(f"{text!a} can't be a path: it has a NUL in it")
    except UnicodeEncodeError:
        raise WorkflowError(f"{text!a} can't be a path: it is not valid Unicode") from None
    return text


def _no_folder(fd: int, path: str) -> int:
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    return fd


class Writers:
    """Which task wrote which file in a run: two must not write the same one, since only the last would remain.

    Args:
        before: The tasks that wrote files in earlier starts of the run, each with the digest of its file.
    """

    def __init__(self, before: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._of = {digest: task for task, digest in before.items()}

    def check(self, located: Located, task: str) -> None:
        """Refuse a file that another task wrote.

        Raises:
            WorkflowError: Another task wrote it.
        """
        self._refuse(located, task, self._of.get(located.digest, task))

    def claim(self, located: Located, task: str) -> None:
        """Record that a task writes a file.

        Raises:
            WorkflowError: Another task wrote it.
        """
        with self._lock:
            first = self._of.setdefault(located.digest, task)
        self._refuse(located, task, first)

    def give_up(self, located: Located, task: str) -> None:
        """Record that a task could not write the file after all."""
        with self._lock:
            if self._of.get(located.digest) == task:
                del self._of[located.digest]

    def _refuse(self, located: Located, task: str, first: str) -> None:
        if first != task:
            raise WorkflowError(
                f"{located.path} was already written by {first}; give each its own output, with "
                "{{ item }} or {{ iteration }} in a loop"
            )


def write(located: Located, fill: Callable[[int], None]) -> None:
    """Write a file atomically; if it replaces another, it keeps that one's owner and mode.

    Args:
        located: Where to write; missing folders are created.
        fill: Writes the content to a descriptor.

    Raises:
        OSError: It can't be written.
        WorkflowError: Something that is not a regular file is in its place.
    """
    if not located.parts:
        raise WorkflowError(f"{located.root} is a folder; the output must name a file")
    os.makedirs(located.root, exist_ok=True)
    name = located.parts[-1]
    with _parent(located, make=True) as folder:
        before = _status_there(located, folder)
        with _named(located):
            new = Replacement(name, before, dir_fd=folder)
        try:
            fill(new.fd)
            with _named(located):
                new.publish()
        finally:
            new.discard()


def _status_there(located: Located, folder: int) -> os.stat_result | None:
    """Return the status of the file to be replaced; None if there is none."""
    try:
        with _named(located):
            known = os.stat(located.parts[-1], dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(known.st_mode):
        kind = "a folder" if stat.S_ISDIR(known.st_mode) else "not a regular file"
        raise WorkflowError(f"{located.path} is {kind}; the output must name a file")
    return known


@contextlib.contextmanager
def _parent(located: Located, *, make: bool) -> Iterator[int]:
    """Open the folder of a file step by step, to avoid following links that were put there in the meantime."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    with _named(located):
        fd = os.open(located.root, flags)
    try:
        for name in located.parts[:-1]:
            with _named(located):
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, dir_fd=fd)
                inner = os.open(name, flags, dir_fd=fd)
            os.close(fd)
            fd = inner
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def _named(located: Located) -> Iterator[None]:
    """Make errors of the system name the whole path, not one step of it."""
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, error.strerror, located.path) from None
