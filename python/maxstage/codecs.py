"""The codecs: how an item's data may be compressed. Each is read by a program that everybody has.

A codec is a line here, ``rust/src/codec/NAME.rs`` with its line in ``mod.rs``, and ``_pure/codec/NAME.py``.
"""

NONE = "none"

DEFAULT = "gzip"
"""What "compress" means where no codec is named: every machine has gunzip."""


class Codec:
    """What is to be known of a codec, but for its code.

    Attributes:
        extension: What the name of a data file ends in that it made.
        tells_lines: Whether the file itself tells its newlines; else the item's metadata has an index of them.
        about: What it is, in a few words.
    """

    __slots__ = ("about", "extension", "tells_lines")

    def __init__(self, extension: str, about: str, *, tells_lines: bool = False) -> None:
        self.extension = extension
        self.about = about
        self.tells_lines = tells_lines


CODECS = {
    NONE: Codec("", "as it is"),
    "gzip": Codec(".gz", "level 1, read by gunzip", tells_lines=True),
    "zstd": Codec(".zst", "level 3, smaller and faster than gzip, read by zstd -d"),
}
"""All codecs, by name."""


def codec_named(value: "bool | str | None") -> str:
    """Return the codec that a setting or an option asks for.

    Args:
        value: A codec's name; true for the default one; false or None for none.

    Raises:
        ValueError: There is no codec of this name.
        TypeError: It is no name.

    >>> codec_named(True), codec_named(False), codec_named("zstd")
    ('gzip', 'none', 'zstd')
    """
    if value is None or isinstance(value, bool):
        return DEFAULT if value else NONE
    if not isinstance(value, str):
        raise TypeError(
            f"compress must be true, false or one of: {', '.join(CODECS)}; not {type(value).__name__}"
        )
    if value not in CODECS:
        raise ValueError(f'"{value}" is not a codec; use one of: {", ".join(CODECS)}')
    return value
