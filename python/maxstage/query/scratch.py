"""Writing what is too much for memory into a file without a name."""

import tempfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO


def write(file: "IO[bytes]", data: bytes, folder: str | None) -> None:
    """Write all of some data to an unbuffered file.

    Args:
        file: The file.
        data: What it is given.
        folder: The folder that it is in; None for the system's.

    Raises:
        OSError: With the folder as its name, since the file has none: it tells where there is no room.
    """
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise OSError(error.errno, error.strerror, folder or tempfile.gettempdir()) from None
