"""Paths below the root: what may be one, and reaching its folder without ever following a symbolic link."""

import errno
import os

from maxstage.intent.templates import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""A folder that may only be passed through, not listed, is opened as well, where the system can do that."""

_MANY = 200
"""Folders that may be kept open; a process may have 1,024 files open, and other things need some."""

_STORE = b".max"
PART = ".max-intent-"
"""How the names of unfinished files begin. Others don't take files of this name for leftovers of theirs."""


def relative(text: str, what: str) -> bytes:
    """Return a path below the root, as the file system has it: without ``.`` and empty parts.

    Args:
        text: The path.
        what: What errors call it.

    Raises:
        Fault: It could lead out of the root, into a store, or is no path of a file.
    """
    try:
        path = os.fsencode(text)
    except UnicodeEncodeError:
        raise Fault(f"{what} has half of a character, which no file name has") from None
    parts = path.split(b"/")
    is_odd = b"" in parts or b"." in parts or b".." in parts or b"\0" in path
    if is_odd or _STORE in path.lower():
        return _checked(path, parts, what)
    return path


def _checked(path: bytes, parts: list[bytes], what: str) -> bytes:
    if not path:
        raise Fault(f"{what} is empty")
    if path.startswith(b"/"):
        raise Fault(f"{what} {shown(path)} is absolute; paths are below the root")
    if b".." in parts:
        raise Fault(f"{what} {shown(path)} has .., which could lead out of the root")
    if b"\0" in path:
        raise Fault(f"{what} {shown(path)} has a null character, which no file name has")
    # Some file systems don't tell capitals apart.
    if any(part.lower() == _STORE for part in parts):
        raise Fault(f"{what} {shown(path)} is in a store, which no intent changes")
    if parts[-1] in {b"", b"."}:
        raise Fault(f"{what} {shown(path)} names a folder, not a file")
    if b"" in parts:
        raise Fault(f"{what} {shown(path)} has an empty folder name")
    return b"/".join(part for part in parts if part != b".")


def shown(path: bytes, most: int = 200) -> str:
    """Return a path as messages have it: on one line, bytes that are not UTF-8 as ``\\xff``.

    >>> shown(b"a/\\xff\\n")
    'a/\\\\xff\\\\n'
    """
    from maxstage.humanize import name_bytes, printable

    # A space would be another name.
    text = name_bytes(os.fsdecode(path)).replace("\n", "\\n").replace("\t", "\\t")
    return printable(text, most)


class Refused(Exception):
    """A path can't be reached: it isn't there, it may not be, or it is not what it should be."""

    def __init__(self, message: str, *, missing: bool = False, denied: bool = False) -> None:
        super().__init__(message)
        self.missing = missing
        self.denied = denied


def refusal(error: OSError, path: bytes) -> Refused:
    """Return the error of a path that the system does not let be reached."""
    denied = error.errno in {errno.EACCES, errno.EPERM}
    return Refused(f"{error.strerror}: {shown(path)}", denied=denied)


class Folders:
    """The folders below a root, by descriptors: each step is opened from the one before, and never a link.

    Args:
        root: The root: an absolute path, without links.
        identity: Device and inode that it must have; None for any.
        closed: A folder that is never passed through, by device and inode, whatever it is called; None for none.

    Raises:
        OSError: The root can't be opened.
        Refused: It is another folder than it was.
    """

    def __init__(
        self,
        root: bytes,
        identity: "tuple[int, int] | None" = None,
        closed: "tuple[int, int] | None" = None,
    ) -> None:
        self.root = root
        self._closed = closed
        self._open: dict[bytes, int] = {}
        try:
            self._root = os.open(root, _FOLDER)
        except NotADirectoryError:
            raise NotADirectoryError(
                errno.ENOTDIR, "Not a directory, or a symbolic link", os.fsdecode(root)
            ) from None
        self.status = os.fstat(self._root)
        if identity is not None and identity != (self.status.st_dev, self.status.st_ino):
            self.close()
            raise Refused(f"{shown(root)} is another folder than the one that the intent was made for")

    def close(self) -> None:
        """Close all descriptors."""
        self.forget()
        os.close(self._root)

    def forget(self) -> None:
        """Close the folders below the root: what has changed since is seen again."""
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()

    @property
    def is_crowded(self) -> bool:
        """Whether so many are open that it is time to `forget` them."""
        return len(self._open) >= _MANY

    def of(self, path: bytes) -> tuple[int, bytes]:
        """Return the folder of a file, by a descriptor that is good until `forget`, and its name there.

        Raises:
            Refused: A step is missing, no folder, or a symbolic link.
        """
        folder, _, name = path.rpartition(b"/")
        if not folder:
            return self._root, name
        fd = self._open.get(folder)
        return (self._walk(folder) if fd is None else fd), name

    def known(self, path: bytes) -> tuple[int, bytes] | None:
        """Return the folder of a file, and its name there, if that folder is open; else None."""
        folder, _, name = path.rpartition(b"/")
        fd = self._open.get(folder) if folder else self._root
        return None if fd is None else (fd, name)

    def _walk(self, folder: bytes) -> int:
        fd = self._root
        for upto in _steps(folder):
            known = self._open.get(upto)
            if known is None:
                known = self._step(fd, upto)
                self._open[upto] = known
            fd = known
        return fd

    def _step(self, fd: int, path: bytes) -> int:
        name = path.rpartition(b"/")[2]
        if name in {b"", b".", b".."}:
            # No plan has such a path, unless somebody has edited it.
            raise Refused(f"{shown(path)} is no path below the root")
        try:
            found = os.open(name, _FOLDER, dir_fd=fd)
        except FileNotFoundError:
            raise Refused(f"there is no folder {shown(path)}", missing=True) from None
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                is_link = _is_link(fd, name)
                what = "a symbolic link, which is not followed" if is_link else "no folder"
                raise Refused(f"{shown(path)} is {what}") from None
            raise refusal(error, path) from None
        if self._closed is not None:
            status = os.fstat(found)
            if (status.st_dev, status.st_ino) == self._closed:
                os.close(found)
                raise Refused(f"{shown(path)} is a store, which no intent changes")
        return found

    def missing(self, path: bytes) -> list[bytes]:
        """Return the folders that must be made for a file, outermost first.

        Raises:
            Refused: A step is there and is no folder.
        """
        folder = path.rpartition(b"/")[0]
        if not folder or folder in self._open:
            return []
        steps = list(_steps(folder))
        for at, upto in enumerate(steps):
            try:
                self._walk(upto)
            except Refused as error:
                if not error.missing:
                    raise
                return steps[at:]
        return []

    def make(self, folder: bytes) -> None:
        """Make a folder, unless it is there.

        Raises:
            Refused: It can't be made.
        """
        fd, name = self.of(folder)
        try:
            os.mkdir(name, dir_fd=fd)
        except FileExistsError:
            return
        except OSError as error:
            raise Refused(f"{error.strerror}: {shown(folder)}") from None

    def remove_empty(self, folder: bytes) -> bool:
        """Remove a folder that is empty; return whether it was."""
        try:
            fd, name = self.of(folder)
            os.rmdir(name, dir_fd=fd)
        except (Refused, OSError):
            return False
        known = self._open.pop(folder, None)
        if known is not None:
            os.close(known)
        return True

    def nearest(self, path: bytes) -> int:
        """Return the innermost folder of a file's that is there.

        Raises:
            Refused: A step is there and is no folder.
        """
        missing = self.missing(path)
        return self.of(missing[0] if missing else path)[0]


def _steps(folder: bytes) -> "Iterator[bytes]":
    at = folder.find(b"/")
    while at >= 0:
        yield folder[:at]
        at = folder.find(b"/", at + 1)
    yield folder


def _is_link(fd: int, name: bytes) -> bool:
    import stat

    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
    except OSError:
        return False
