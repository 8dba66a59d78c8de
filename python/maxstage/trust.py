"""Whose projects are used: our own and root's, as git does it, and what the user has listed as safe.

Settings name programs that are run, so a ``.max`` that somebody else has put in our way must not be obeyed, nor our
data be put into it. The list of exceptions comes from the environment and from the user's own settings, never from
the project.
"""

import os

from maxstage.errors import ConfigError, Untrusted
from maxstage.files import is_trusted, read_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ENVIRONMENT = "MAX_SAFE_DIRECTORY"
SETTING = "safe_directories"


def check_owner(status: os.stat_result, path: str, project: str) -> None:
    """Refuse what belongs to somebody else.

    Args:
        status: The status of what is about to be used.
        path: Its name, for the error.
        project: The folder that holds ``.max``, absolute.

    Raises:
        Untrusted: It belongs neither to us nor to root, and the project is not listed as safe.
        ConfigError: The list of what is safe can't be read.
    """
    if is_trusted(status) or any(_covers(entry, project) for entry in _safe_directories()):
        return
    raise Untrusted(
        f"{path} belongs to {_name(status.st_uid)}, not to you or root, and is not used. "
        f"If you trust it, add {project} to {SETTING} in {user_config() or 'your own settings'} or to {ENVIRONMENT}"
    )


def check_path(path: str, project: str) -> None:
    """Refuse a file or directory that belongs to somebody else, a symbolic link as well as what it leads to.

    One that is missing is no matter. Raises as `check_owner` does.
    """
    try:
        check_owner(os.lstat(path), path, project)
        check_owner(os.stat(path), path, project)
    except FileNotFoundError:
        return


def user_config() -> str | None:
    """Return the path of the user's own settings; None where the environment gives no absolute one.

    A relative path would lead into the very folder that is in question.
    """
    home = os.environ.get("XDG_CONFIG_HOME") or ""
    if not os.path.isabs(home):
        home = os.path.expanduser("~/.config")
    return f"{home}/maxstage/config.toml" if os.path.isabs(home) else None


def _covers(entry: str, project: str) -> bool:
    if entry == "*":
        return True
    path = os.path.expanduser(entry)
    if not os.path.isabs(path):
        raise ConfigError(f"{entry!r} in {SETTING} or {ENVIRONMENT} is not an absolute path")
    below = path.endswith("/*")
    path = os.path.normpath(path[:-1] if below else path)
    # The project's own path is taken as it was given: a link in it that somebody else can change must not count.
    return any(
        project.startswith(f"{folder.rstrip('/')}/") if below else project == folder
        for folder in (path, os.path.realpath(path))
    )


def _safe_directories() -> "Iterator[str]":
    yield from filter(None, os.environ.get(ENVIRONMENT, "").split(":"))
    yield from _listed_by_user()


def _listed_by_user() -> list[str]:
    path = user_config()

    def check(status: os.stat_result) -> None:
        if not is_trusted(status):
            raise Untrusted(f"{path} belongs to {_name(status.st_uid)}, not to you or root, and is not read")

    content = None if path is None else read_settings(path, check)
    if path is None or content is None:
        return []
    from maxstage.config_file import ConfigFile, show, unknown

    config = ConfigFile(path, content)
    for key in config.table:
        if key != SETTING:
            raise config.error([key], unknown("setting", key, [SETTING]))
    entries = config.table[SETTING]
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise config.error([SETTING], f"{SETTING} must be a list of directories, not {show(entries)}")
    return entries


def _name(uid: int) -> str:
    import pwd

    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
