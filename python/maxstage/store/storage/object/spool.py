"""Data that is only read back: in a file without a name, on this machine."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.store.metadata import Item


class Spool:
    """An upload that is never published. See `Storage.spool`.

    Args:
        folder: A folder on this machine; None for that of temporary files.
    """

    __slots__ = ("_folder", "fd", "id", "name")

    def __init__(self, folder: str | None) -> None:
        import tempfile

        self.id = ""
        self._folder = folder or tempfile.gettempdir()
        self.name = f"{self._folder}/(spool)"
        with tempfile.TemporaryFile(dir=self._folder, buffering=0) as file:
            self.fd = os.dup(file.fileno())

    def received(self) -> None:
        """Do nothing: it is a file."""

    def put_metadata(self, item: "Item") -> None:  # noqa: ARG002
        """Raise an error: it has none."""
        raise ValueError("a spool is not published")

    def flush(self) -> None:
        """Do nothing: nobody needs it after power loss."""

    def publish(self, *, sync: bool, check: "Callable[[], None] | None" = None) -> None:  # noqa: ARG002
        """Raise an error: it is only read back."""
        raise ValueError("a spool is not published")

    def discard(self) -> None:
        """Close it, which frees its space."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def detach(self) -> int:
        """Return its descriptor."""
        fd, self.fd = self.fd, -1
        return fd
