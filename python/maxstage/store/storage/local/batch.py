"""Flushing many uploads at once."""

import os

from maxstage._backend import core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maxstage.store.storage.local.layout import ItemLayout
    from maxstage.store.storage.protocol import Upload

_ERRORS_ARE_TOLD = (5, 8)
"""The Linux from which on syncing a file system tells of what could not be written."""


class Batch:
    """What `Storage.batch` gives."""

    __slots__ = ("_directory",)

    def __init__(self, layout: "ItemLayout") -> None:
        # Opened before anything is written: it is told of what could not be written since.
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
    """Wait until all that was written to a file system is on the disk; false where the system can't."""
    system = os.uname()
    numbers = system.release.split(".")[:2]
    if system.sysname != "Linux" or not all(map(str.isdigit, numbers)):
        return False
    return tuple(map(int, numbers)) >= _ERRORS_ARE_TOLD and core.sync_file_system(directory)
