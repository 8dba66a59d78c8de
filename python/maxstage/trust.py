"""Which projects are trusted: as in git, those of the user and of root, and those that the user has listed as safe.

Settings name programs that are run, so a ``.max`` planted by another user must not be obeyed or given our data. The
list of exceptions comes from the environment and from the user's own settings, never from the project.
"""

import os

from maxstage.errors import ConfigError, Untrusted
from maxstage.files import is_trusted
from maxstage.user_settings import SAFE_DIRECTORIES, name_of, read_user_settings, user_config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ENVIRONMENT = "MAX_SAFE_DIRECTORY"


def check_owner(status: os.stat_result, path: str, project: str) -> None:
    """Refuse a file that belongs to another user.

    Args:
        status: The status of the file.
        path: Its name, for the error.
        project: The folder that holds ``.max``, absolute.

    Raises:
        Untrusted: It belongs neither to the user nor to root, and the project is not listed as safe.
        ConfigError: The list of safe directories can't be read.
    """
    if is_trusted(status) or any(_covers(entry, project) for entry in _safe_directories()):
        return
    raise Untrusted(
        f"{path} belongs to {name_of(status.st_uid)}, not to you or root, and is not used. "
        f"If you trust it, add {project} to {SAFE_DIRECTORIES} in {user_config() or 'your own settings'} "
        f"or to {ENVIRONMENT}"
    )


def check_path(path: str, project: str) -> None:
    """Refuse a file or directory that belongs to another user; for a symbolic link, check it and its target.

    A missing one is accepted. Raises as `check_owner` does.
    """
    try:
        check_owner(os.lstat(path), path, project)
        check_owner(os.stat(path), path, project)
    except FileNotFoundError:
        return


def _covers(entry: str, project: str) -> bool:
    if entry == "*":
        return True
    path = os.path.expanduser(entry)
    if not os.path.isabs(path):
        raise ConfigError(f"{entry!r} in {SAFE_DIRECTORIES} or {ENVIRONMENT} is not an absolute path")
    below = path.endswith("/*")
    path = os.path.normpath(path[:-1] if below else path)
    # Don't resolve the project's path: another user may be able to change a link in it.
    return any(
        project.startswith(f"{folder.rstrip('/')}/") if below else project == folder
        for folder in (path, os.path.realpath(path))
    )


def _safe_directories() -> "Iterator[str]":
    yield from filter(None, os.environ.get(ENVIRONMENT, "").split(":"))
    yield from _listed_by_user()


def _listed_by_user() -> list[str]:
    config = read_user_settings()
    if config is None or SAFE_DIRECTORIES not in config.table:
        return []
    from maxstage.config_file import show

    entries = config.table[SAFE_DIRECTORIES]
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise config.error(
            [SAFE_DIRECTORIES], f"{SAFE_DIRECTORIES} must be a list of directories, not {show(entries)}"
        )
    return entries
