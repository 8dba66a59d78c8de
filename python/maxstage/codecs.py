"""The codecs that can compress an item's data. Each format can be read with a common program.

To add one, add a line here, ``rust/src/codec/NAME.rs`` with a line in ``mod.rs``, and ``_pure/codec/NAME.py``.
"""

NONE = "none"

DEFAULT = "gzip"
"""What "compress" means if no codec is named: every machine has gunzip."""


class Codec:
    """The properties of a codec.

    Attributes:
        extension: The suffix of its data files.
        tells_lines: Whether the file records its newlines; otherwise the item's metadata has an index of them.
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
    """Return the name of the codec that a setting or an option asks for.

    Args:
        value: A codec's name; true for the default one; false or None for none.

    Raises:
        ValueError: There is no codec of this name.
        TypeError: `value` is not a name.

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
