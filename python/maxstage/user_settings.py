"""The user's own settings, for all projects and outside them: ``$XDG_CONFIG_HOME/maxstage/config.toml``.

These settings can't be in a project's file, nor a project's settings in this one.
"""

import os

from maxstage.errors import Untrusted
from maxstage.files import is_trusted, read_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.config_file import ConfigFile

SAFE_DIRECTORIES = "safe_directories"
"""Projects of other users that are used nevertheless: see `maxstage.trust`."""

USER_STORE = "user_store"
"""Whether there is a store for use outside projects: see `maxstage.store.user`."""

_KEYS = [SAFE_DIRECTORIES, USER_STORE]


def user_config() -> str | None:
    """Return the path of the user's own settings; None if the environment gives no absolute path.

    A relative path could lead into the very folder whose trust is in question.
    """
    home = os.environ.get("XDG_CONFIG_HOME") or ""
    if not os.path.isabs(home):
        home = os.path.expanduser("~/.config")
    return f"{home}/maxstage/config.toml" if os.path.isabs(home) else None


def read_user_settings() -> "ConfigFile | None":
    """Read the user's own settings; None if there are none.

    Raises:
        Untrusted: The file belongs to another user.
        ConfigError: It is invalid, or has an unknown key.
    """
    path = user_config()

    def check(status: os.stat_result) -> None:
        if not is_trusted(status):
            raise Untrusted(
                f"{path} belongs to {name_of(status.st_uid)}, not to you or root, and is not read"
            )

    content = None if path is None else read_settings(path, check)
    if path is None or content is None:
        return None
    from maxstage.config_file import ConfigFile, unknown

    config = ConfigFile(path, content)
    for key in config.table:
        if key not in _KEYS:
            raise config.error([key], unknown("setting", key, _KEYS))
    return config


def name_of(uid: int) -> str:
    """Return a user's name for errors."""
    import pwd

    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
