"""Compression in independent frames: the twin of ``rust/src/codec``, which tells the formats.

A codec is a file beside this one, with the functions of `Codec`; `maxstage.codecs` lists them.
"""

from maxstage.codecs import NONE, codec_named

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Codec(Protocol):
        """What the file of a codec has."""

        HAS_TABLE: bool
        """Whether the file ends with a table of the frames' sizes."""

        def compress(self, data: bytes, /) -> bytes:
            """Compress at most `FRAME` bytes into a frame."""

        def inflate(self, packed: bytes, frame: "Frame", /) -> bytes:
            """Inflate a frame, checking its checksum. Raises `Corrupt`."""

        def read_index(self, fd: int, file_size: int, name: str, /) -> "list[Frame]":
            """Tell where the frames of a file lie. Raises `Corrupt`."""

        def trailer(self, sizes: "list[FrameSizes]", /) -> bytes:
            """Return what is written behind the last frame."""

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
    """Where a frame lies: in the file, and its data in the whole.

    Attributes:
        file_offset: Where it begins in the file.
        file_len: How long it is there.
        offset: Where its data begins in the whole.
        len: How long its data is.
        newlines: Newlines in its data; None where the file does not tell.
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
