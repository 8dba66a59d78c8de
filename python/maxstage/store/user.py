"""The user's own store, for what is staged outside any project: its location, and its creation on first use.

It is a project like any other, in ``$XDG_DATA_HOME/maxstage``, with other defaults: it has a quota, since nobody looks
after it, and items live longer, since they don't belong to a job that ends soon.
"""

import os

from maxstage.errors import Error, NoProject, describe
from maxstage.user_settings import USER_STORE, read_user_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.settings import Settings
    from maxstage.store.project import Layout

VARIABLE = "MAX_USER_STORE"

NAME = "maxstage"
"""The name of its folder: a project with another name is not the user's store."""

DEFAULTS = {"ttl_minutes": 24 * 60, "max_store_bytes": 10 * 10**9}
"""The settings that differ from those of a project, unless its ``config.toml`` says otherwise."""

_INSTEAD = 'run "max init" to make the folder where you are a project'


def is_turned_on() -> bool:
    """Return whether users want their own store: ``MAX_USER_STORE``, or ``user_store`` in the user's settings.

    Raises:
        ConfigError: The value is neither yes nor no.
        Untrusted: The settings belong to another user.
    """
    from maxstage.errors import ConfigError
    from maxstage.settings import parse_boolean

    text = os.environ.get(VARIABLE)
    if text:
        try:
            return parse_boolean(text)
        except ValueError as error:
            from maxstage.config_file import show

            raise ConfigError(f"{VARIABLE}={show(text)} {error}") from None
    config = read_user_settings()
    if config is None or USER_STORE not in config.table:
        return True
    try:
        return parse_boolean(config.table[USER_STORE])
    except ValueError as error:
        raise config.error([USER_STORE], f"{USER_STORE} {error}") from None


def user_folder() -> str:
    """Return the absolute path of the store's folder, whether it exists or not.

    Raises:
        NoProject: The environment gives no location for it.
    """
    data = os.environ.get("XDG_DATA_HOME") or ""
    if data and not os.path.isabs(data):
        from maxstage.config_file import show

        raise NoProject(
            f"XDG_DATA_HOME={show(data)} is not an absolute path, so your own store has no place; "
            f"set it to one, or {_INSTEAD}"
        )
    if not data:
        # With an empty HOME, the path would start at the root of the file system.
        home = os.path.expanduser("~") if os.environ.get("HOME", "~") else ""
        if not os.path.isabs(home):
            raise NoProject(
                "Neither XDG_DATA_HOME nor HOME is an absolute path, so your own store has no place; "
                f"set one of them, or {_INSTEAD}"
            )
        data = f"{home.rstrip('/')}/.local/share"
    return f"{os.path.normpath(data)}/{NAME}"


def existing_user_folder() -> str | None:
    """Return the store's folder if it holds a store, else None.

    Raises:
        NoProject: The environment gives no location for it.
        Untrusted: It belongs to another user.
    """
    folder = user_folder()
    if not os.path.isdir(f"{folder}/.max"):
        return None
    _check(folder, folder)
    return folder


def make_user_folder() -> str:
    """Create the store, private to the user, if it is missing; return its folder.

    Raises:
        NoProject: There is no location for it, or it can't be created.
        Untrusted: It, or the folder that it would be created in, belongs to another user.
        ConfigError: The user's settings are invalid.
    """
    folder = existing_user_folder()
    if folder is not None:
        return folder
    from maxstage.store.project_setup import init_project

    folder = user_folder()
    try:
        above = folder
        while not os.path.lexists(above):
            above = os.path.dirname(above)
        # As root with another user's HOME, we would create a folder that they can't use later.
        _check(above, folder)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        init_project(folder, DEFAULTS)
    except OSError as error:
        raise NoProject(
            f"Not in a Max project, and your own store can't be made ({describe(error)}); "
            f"{_INSTEAD}, or set XDG_DATA_HOME"
        ) from None
    return folder


def load_settings_of(layout: "Layout") -> "Settings":
    """Return the settings of a project that may be the user's own store. Raises as `load_settings` does."""
    from maxstage.settings import load_settings

    if not _is_user_folder(layout.project):
        return load_settings(layout.config, layout.project)
    settings = load_settings(layout.config, layout.project, defaults=DEFAULTS)
    settings.file = layout.config
    return settings


def _is_user_folder(project: str) -> bool:
    try:
        return os.path.samefile(project, user_folder())
    except (Error, OSError):
        return False


def _check(path: str, folder: str) -> None:
    from maxstage.trust import check_path

    check_path(path, folder)
