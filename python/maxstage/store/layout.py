"""Where the files of a store lie, who owns each, and how they are opened.

``.max/staging/`` holds, for the item with id ``a1b2c3d4``::

    a1b2c3d4.ndjson         the data (.json, .txt; .gz at the end where compressed)
    a1b2c3d4.meta.json      its metadata; the item exists exactly as long as this file does

and for a while, or after the item's end::

    .a1b2c3d4.claim         made first, exclusively: the id is taken. Its writer holds a lock (flock) on it
                            as long as it lives. Becomes the metadata by rename: that is the commit.
    .a1b2c3d4.part          the data while it is written
    .a1b2c3d4.update        new metadata of an item that is renewed, before it is renamed over the old
    .a1b2c3d4.leaving       the metadata of an item whose data is being deleted
    .a1b2c3d4.expired.json  the metadata of an item that was swept: says for 24 hours that it expired
    .lock                   held (flock) by whoever changes or deletes metadata
    .sweep                  its time of change is when the next sweep is worth while

and beside it, in a store of many items, ``.max/index.sqlite3``: see `maxstage.store.index`.
"""

import os
import stat

from maxstage.errors import Corrupt, NoProject
from maxstage.trust import check_owner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = ".max"
STAGING = "staging"
META = ".meta.json"
CLAIM = ".claim"
PART = ".part"
UPDATE = ".update"
LEAVING = ".leaving"
EXPIRED = ".expired.json"
LOCK = ".lock"
SWEEP = ".sweep"
INDEX = "index.sqlite3"

NO_PROJECT = 'Not in a Max project. Run "max init" first.'

_READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_READ = 64 * 1024
"""Bytes of metadata that are read at once: all of it, many labels apart."""


class Layout:
    """The paths of one project.

    Args:
        project: The folder that holds ``.max``, absolute.

    Attributes:
        project: That folder.
        base: ``.max`` in it.
        root: ``.max/staging``, where the items are.
    """

    __slots__ = ("base", "project", "root")

    def __init__(self, project: str) -> None:
        self.project = project
        self.base = os.path.join(project, PROJECT)
        self.root = f"{self.base}/{STAGING}"

    def path(self, name: str) -> str:
        """Return the path of a file of the store."""
        return f"{self.root}/{name}"

    @property
    def index(self) -> str:
        """The path of the index: beside the staging directory, whose time of change it must not touch."""
        return f"{self.base}/{INDEX}"

    @property
    def config(self) -> str:
        """The path of the settings."""
        return f"{self.base}/config.toml"

    @property
    def runs(self) -> str:
        """The path of the folder of runs."""
        return f"{self.base}/runs"

    def meta(self, item_id: str) -> str:
        """Return the path of an item's metadata."""
        return self.path(item_id + META)

    def hidden(self, item_id: str, suffix: str) -> str:
        """Return the path of a file of an item that is coming or going."""
        return self.path(f".{item_id}{suffix}")


def project_around(path: str) -> str:
    """Return the project that an absolute path in its ``.max`` belongs to.

    >>> project_around("/a/b/.max/staging/a1b2c3d4.txt"), project_around("/.max/runs")
    ('/a/b', '/')
    """
    return path.rpartition(f"/{PROJECT}/")[0] or "/"


def absolute(folder: "str | os.PathLike[str] | None" = None) -> str:
    """Return the absolute path of a folder, by default of the working directory.

    Raises:
        NoProject: The name is empty, or the working directory, which it starts from, was deleted.
    """
    if folder is not None and not os.fspath(folder):
        raise NoProject("An empty --dir names no folder; name the one that holds .max")
    try:
        return os.getcwd() if folder is None else os.path.abspath(folder)
    except FileNotFoundError:
        raise NoProject("The working directory does not exist any more; change to another") from None


def find_project(start: str) -> str:
    """Return the first folder at or above `start`, an absolute path, that holds ``.max``, whoever owns that.

    Raises:
        NoProject: There is none.
    """
    folder = start
    while not os.path.isdir(f"{folder}/{PROJECT}"):
        above = os.path.dirname(folder)
        if above == folder:
            raise NoProject(NO_PROJECT)
        folder = above
    return folder


def open_layout(project: str, named: str) -> Layout:
    """Return the layout of the store in a project; make ``staging`` if missing.

    Args:
        project: The folder that holds ``.max``, absolute.
        named: What the user calls it, for the error.

    Raises:
        NoProject: `project` holds no ``.max``.
        Untrusted: It belongs to another user.
        Corrupt: ``staging`` is no directory.
    """
    layout = Layout(project)
    root = layout.root
    if not is_trusted_directory(layout.base, project):
        raise NoProject(_no_project(project, named))
    try:
        status = os.lstat(root)
    except FileNotFoundError:
        os.makedirs(root, mode=0o700, exist_ok=True)
        status = os.lstat(root)
    check_owner(status, root, project)
    if not stat.S_ISDIR(status.st_mode):
        raise Corrupt(f"{root} is not a directory (a symbolic link is refused); remove it and run max init")
    return layout


def is_trusted_directory(path: str, project: str) -> bool:
    """Whether this is a directory. A symbolic link may lead to it; the owner of both counts.

    Raises:
        Untrusted: It belongs to another user.
    """
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            check_owner(status, path, project)
            status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    check_owner(status, path, project)
    return stat.S_ISDIR(status.st_mode)


def _no_project(project: str, named: str) -> str:
    if not os.path.isdir(project):
        why = "is not a directory" if os.path.lexists(project) else "does not exist"
        return f"{named} {why}; name the folder that holds {PROJECT}"
    if os.path.lexists(f"{project}/{PROJECT}"):
        return f"{named} is not a Max project: its {PROJECT} is not a directory"
    import shlex

    return f'{named} is not a Max project. Run "max init {shlex.quote(project)}" first.'


def open_regular(path: str) -> int:
    """Open a file of the store for reading.

    Whatever somebody planted there, nothing else is followed, waited for or read.

    Raises:
        Corrupt: It is a symbolic link or anything else but a regular file.
        FileNotFoundError: It is not there.
    """
    try:
        fd = os.open(path, _READING)
    except OSError as error:
        import errno

        # ELOOP: a symbolic link; ENXIO: a socket.
        if error.errno in (errno.ELOOP, errno.ENXIO):
            raise Corrupt(f"{path} is not a regular file; it is refused") from None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Corrupt(f"{path} is not a regular file; it is refused")
    return fd


def read_small(path: str, most: int) -> bytes:
    """Return the content of a file, or of a larger one more than `most` bytes. Raises as `open_regular` does."""
    fd = open_regular(path)
    try:
        content = b""
        while len(content) <= most and (more := os.read(fd, _READ)):
            content += more
        return content
    finally:
        os.close(fd)


def names_with(layout: Layout, suffix: str) -> "Iterator[str]":
    """Give what stands before `suffix` in the names of files: ids, and whatever else somebody has put there.

    Metadata is what does not begin with a dot; everything else that belongs to an id does.
    """
    hidden = suffix != META
    with os.scandir(layout.root) as entries:
        for entry in entries:
            name = entry.name
            if name.endswith(suffix) and name.startswith(".") == hidden:
                yield name.removesuffix(suffix).removeprefix(".")
