"""Flushing many uploads at once."""

import os

from maxstage._backend import core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maxstage.store.storage.local.layout import ItemLayout
    from maxstage.store.storage.protocol import Upload

_ERRORS_ARE_TOLD = (5, 8)
"""The first Linux version whose ``syncfs`` reports write errors."""


class Batch:
    """The context manager that `Storage.batch` returns."""

    __slots__ = ("_directory",)

    def __init__(self, layout: "ItemLayout") -> None:
        # Open before anything is written: errors are reported for writes since the directory was opened.
        self._directory = os.open(layout.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> "Callable[[Sequence[Upload]], None]":
        return self._flush

    def __exit__(self, *_: object) -> None:
        os.close(self._directory)

    def _flush(self, uploads: "Sequence[Upload]") -> None:
        if not _sync_file_system(self._directory):
            for upload in uploads:
                upload.flush()


def _sync_file_system(directory: int) -> bool:
    """Wait until everything written to a file system is on disk; return false if the system can't do that."""
    system = os.uname()
    numbers = system.release.split(".")[:2]
    if system.sysname != "Linux" or not all(map(str.isdigit, numbers)):
        return False
    return tuple(map(int, numbers)) >= _ERRORS_ARE_TOLD and core.sync_file_system(directory)
