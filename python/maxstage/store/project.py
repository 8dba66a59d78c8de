"""The project: the folder that holds ``.max``. Finds it, and makes sure that it belongs to the user."""

import os
import stat

from maxstage.errors import Corrupt, NoProject, wrong_type
from maxstage.files import is_trusted

PROJECT = ".max"
STAGING = "staging"
CONFIG = "config.toml"

NO_PROJECT = 'Not in a Max project. Run "max init" first.'


class Layout:
    """The paths of one project.

    Args:
        project: The folder that holds ``.max``, absolute.

    Attributes:
        project: The folder that holds ``.max``.
        base: The path of ``.max``.
        root: The path of ``.max/staging``, where the local storage keeps the items.
    """

    __slots__ = ("base", "project", "root")

    def __init__(self, project: str) -> None:
        self.project = project
        self.base = os.path.join(project, PROJECT)
        self.root = f"{self.base}/{STAGING}"

    @property
    def config(self) -> str:
        """The path of the settings."""
        return f"{self.base}/{CONFIG}"

    @property
    def runs(self) -> str:
        """The path of the folder of runs."""
        return f"{self.base}/runs"


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
        TypeError: It is neither text nor a path.
    """
    name = getattr(folder, "__fspath__", lambda: folder)()
    if not isinstance(name, str | None):
        raise wrong_type("folder", folder, "text or a path")
    if name == "":
        raise NoProject("The name of the folder is empty; name the folder that holds .max")
    try:
        return os.getcwd() if name is None else os.path.abspath(name)
    except FileNotFoundError:
        raise NoProject("The working directory does not exist any more; change to another") from None


def find_project(start: str) -> str:
    """Return the first folder at or above `start`, an absolute path, that holds ``.max``, whoever owns it.

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
    """Return the layout of a project that belongs to the user; create its ``staging`` if missing.

    Args:
        project: The folder that holds ``.max``, absolute.
        named: The name that the user gave, for errors.

    Raises:
        NoProject: `project` holds no ``.max``.
        Untrusted: It belongs to another user.
        Corrupt: ``staging`` is not a directory.
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
    _check_owner(status, root, project)
    if not stat.S_ISDIR(status.st_mode):
        raise no_directory(root)
    return layout


def no_directory(root: str) -> Corrupt:
    """Return the error for a ``staging`` that is not a directory."""
    return Corrupt(f"{root} is not a directory (a symbolic link is refused); remove it and run max init")


def is_trusted_directory(path: str, project: str) -> bool:
    """Return whether this is a directory, or a symbolic link to one; then the owner of both is checked.

    Raises:
        Untrusted: It belongs to another user.
    """
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            _check_owner(status, path, project)
            status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    _check_owner(status, path, project)
    return stat.S_ISDIR(status.st_mode)


def _check_owner(status: os.stat_result, path: str, project: str) -> None:
    if not is_trusted(status):
        from maxstage.trust import check_owner

        check_owner(status, path, project)


def _no_project(project: str, named: str) -> str:
    if not os.path.isdir(project):
        why = "is not a directory" if os.path.lexists(project) else "does not exist"
        return f"{named} {why}; name the folder that holds {PROJECT}"
    if os.path.lexists(f"{project}/{PROJECT}"):
        return f"{named} is not a Max project: its {PROJECT} is not a directory"
    import shlex

    return f'{named} is not a Max project. Run "max init {shlex.quote(project)}" first.'
