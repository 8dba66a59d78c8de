"""The build back end: maturin where cargo is, hatchling (a py3-none-any wheel) where it is not.

maturin can't make an extension optional, so this PEP 517 wrapper chooses between two back ends for one
tree. ``MAXSTAGE_BUILD_PURE=1`` chooses the pure wheel on a machine that has cargo.
"""

import os
import shutil
import subprocess
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

# maturin would try to download a toolchain where it finds none.
os.environ.setdefault("MATURIN_NO_INSTALL_RUST", "1")

PURE = os.environ.get("MAXSTAGE_BUILD_PURE") == "1" or shutil.which("cargo") is None
# click: the man pages are made from the commands.
REQUIRES = ["hatchling>=1.26,<2" if PURE else "maturin>=1.9,<2", "click>=8.2,<9"]

MAN_PAGES = "packaging/data/data/share/man/man1"
"""What is in there is installed as ``share/man/man1``, where `man` finds it."""


def _backend() -> ModuleType:
    return import_module("hatchling.build" if PURE else "maturin")


def _call(hook: str, *args: Any) -> Any:
    return getattr(_backend(), hook)(*args)


def _make_man_pages() -> None:
    """Make the man pages, in a process of its own, which imports the commands from the tree."""
    # Not by PYTHONPATH, of which pip leaves nothing in the environments that it builds in.
    code = "import sys; sys.path[:0] = ['python', 'packaging']; import man_pages; man_pages.write_pages(sys.argv[1])"
    environment = {**os.environ, "MAXSTAGE_BACKEND": "python"}
    subprocess.run([sys.executable, "-c", code, MAN_PAGES], check=True, env=environment)


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:  # noqa: ARG001
    """Return what building a wheel needs (PEP 517)."""
    return REQUIRES


def get_requires_for_build_sdist(config_settings: Any = None) -> list[str]:  # noqa: ARG001
    """Return what building a source distribution needs (PEP 517)."""
    return REQUIRES


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:  # noqa: ARG001
    """Return what an editable install needs (PEP 660)."""
    return REQUIRES


def build_wheel(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """Build a wheel (PEP 517)."""
    _make_man_pages()
    return str(_call("build_wheel", wheel_directory, config_settings, metadata_directory))


def build_editable(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """Build an editable wheel (PEP 660)."""
    _make_man_pages()
    return str(_call("build_editable", wheel_directory, config_settings, metadata_directory))


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    """Build a source distribution (PEP 517)."""
    return str(_call("build_sdist", sdist_directory, config_settings))
