"""Creating a project: the ``.max`` directory and its contents."""

import errno
import os

from maxstage.settings import SETTINGS, Setting
from maxstage.store.project import Layout, absolute, no_directory
from maxstage.trust import check_path

_GITIGNORE = "# Staged data is nobody's source: keep all of it out of git.\n*\n"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_HEAD = """\
# Settings of this Max project. An option on the command line comes first, then the environment
# (MAX_TTL_MINUTES, MAX_SYNC, ...), then this file, then the default.
"""

_LIMITS = """
# Limits of output, for max exec and max truncate.
# [limits]
# max_stdout_bytes = "1MiB"
# truncation_strategy = "tail"
"""


def init_project(
    folder: "str | os.PathLike[str]", defaults: "Mapping[str, Any] | None" = None, url: str | None = None
) -> bool:
    """Create ``folder/.max``, private to the user; what exists already stays as it is.

    Args:
        folder: The project.
        defaults: The defaults of its settings that differ from `SETTINGS`.
        url: Where its items lie, if not in the folder: a setting that its file then has.

    Returns:
        Whether anything was created.

    Raises:
        Untrusted: What exists already belongs to another user.
        Corrupt: ``staging`` exists and is not a directory.
        OSError: It can't be created.
    """
    layout = Layout(absolute(folder))
    made = _make_directory(layout.base)
    if os.path.lexists(layout.root) and (os.path.islink(layout.root) or not os.path.isdir(layout.root)):
        raise no_directory(layout.root)
    for path in (layout.base, layout.root, layout.config):
        check_path(path, layout.project)
    made |= _make_directory(layout.root)
    made |= _make_file(f"{layout.base}/.gitignore", _GITIGNORE)
    return _make_file(layout.config, _config(defaults or {}, url)) or made


def _config(defaults: "Mapping[str, Any]", url: str | None) -> str:
    """Return a settings file in which every setting is commented out, except for the store's URL."""
    shown = (
        _said(one, url) if one.key == "store.url" and url else _shown(one, defaults.get(one.key, one.default))
        for one in SETTINGS
    )
    return _HEAD + "".join(shown) + _LIMITS


def _said(setting: Setting, value: str) -> str:
    return f'\n# {setting.doc}.\n{setting.key} = "{value}"\n'


def _shown(setting: Setting, default: object) -> str:
    if default is None:
        return (
            f"\n# {setting.doc}. There is none by default; to set one:\n# {setting.key} = {setting.example}\n"
        )
    return f"\n# {setting.doc}.\n# {setting.key} = {setting.example or _toml(default)}\n"


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _make_directory(path: str) -> bool:
    if os.path.isdir(path):
        return False
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not os.path.isdir(path):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None
        return False  # another process has just created it
    return True


def _make_file(path: str, content: str) -> bool:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    try:
        with open(fd, "w", encoding="utf-8") as file:
            file.write(content)
    except OSError as error:
        os.unlink(path)  # half a file would stay forever, since existing files are left alone
        raise type(error)(error.errno, error.strerror, path) from None
    return True
