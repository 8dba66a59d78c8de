"""The user's own settings, which hold in all projects and outside of any: ``$XDG_CONFIG_HOME/maxstage/config.toml``.

A project can't say what stands here, and this file can't say what a project does.
"""

import os

from maxstage.errors import Untrusted
from maxstage.files import is_trusted, read_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.config_file import ConfigFile

SAFE_DIRECTORIES = "safe_directories"
"""Projects of other users that are used all the same: see `maxstage.trust`."""

USER_STORE = "user_store"
"""Whether there is a store outside of projects: see `maxstage.store.user`."""

_KEYS = [SAFE_DIRECTORIES, USER_STORE]


def user_config() -> str | None:
    """Return the path of the user's own settings; None where the environment gives no absolute one.

    A relative path would lead into the very folder that is in question.
    """
    home = os.environ.get("XDG_CONFIG_HOME") or ""
    if not os.path.isabs(home):
        home = os.path.expanduser("~/.config")
    return f"{home}/maxstage/config.toml" if os.path.isabs(home) else None


def read_user_settings() -> "ConfigFile | None":
    """Read the user's own settings; None where they say nothing.

    Raises:
        Untrusted: The file belongs to somebody else.
        ConfigError: It is at fault, or has a key that is unknown.
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
    """Return a user as an error names them."""
    import pwd

    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"
