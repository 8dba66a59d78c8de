"""Naming the file in errors of the system: what is written to a descriptor fails without a name."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os


class Naming:
    """Lets an `OSError` out of its block name this file, whatever it named before.

    Args:
        path: The file as the user knows it.
    """

    __slots__ = ("_path",)

    def __init__(self, path: "str | os.PathLike[str]") -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, OSError) and error.errno is not None:
            raise type(error)(error.errno, error.strerror, self._path) from None
