"""Compression in independent frames: the twin of ``rust/src/codec``, which documents the formats.

A codec is a module of this package with the functions of `Codec`; `maxstage.codecs` lists them.
"""

from maxstage.codecs import NONE, codec_named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Codec(Protocol):
        """What the module of a codec provides."""

        HAS_TABLE: bool
        """Whether the file ends with a table of the frames' sizes."""

        def compress(self, data: bytes, /) -> bytes:
            """Compress at most `FRAME` bytes into a frame."""

        def inflate(self, packed: bytes, frame: "Frame", /) -> bytes:
            """Inflate a frame and verify its checksum. Raises `Corrupt`."""

        def read_index(self, fd: int, file_size: int, name: str, /) -> "list[Frame]":
            """Return the positions of the frames in a file. Raises `Corrupt`."""

        def trailer(self, sizes: "list[FrameSizes]", /) -> bytes:
            """Return the bytes that follow the last frame."""

    FrameSizes = tuple[int, int]  # bytes of a frame in the file, and of its data


FRAME = 1024 * 1024
"""Bytes of data in one frame."""

DAMAGED = "the compressed data is damaged"


def codec_of(name: str) -> "Codec | None":
    """Return a codec; None for ``none``.

    Raises:
        ValueError: There is no codec of this name.
        MissingDependency: It needs a package that is not installed.
    """
    if codec_named(name) == NONE:
        return None
    codec: Codec = __import__(f"maxstage._pure.codec.{name}", fromlist=[name])
    return codec


class Frame:
    """The position of a frame in the file and in the data.

    Attributes:
        file_offset: Where it begins in the file.
        file_len: Its length in the file.
        offset: Where its data begins in all of the data.
        len: The length of its data.
        newlines: The newlines in its data; None if the file doesn't record them.
    """

    __slots__ = ("file_len", "file_offset", "len", "newlines", "offset")

    def __init__(
        self, file_offset: int, file_len: int, offset: int, length: int, newlines: int | None
    ) -> None:
        self.file_offset = file_offset
        self.file_len = file_len
        self.offset = offset
        self.len = length
        self.newlines = newlines
