"""Durations, sizes and text, formatted for people."""

# A unit is used from two of it on: "90 min" says more than "1 h".
_UNITS = ((60, 60, "s"), (120, 60, "min"), (48, 24, "h"))


_SPACES = frozenset("\xa0\u1680\u202f\u205f\u3000").union(map(chr, range(0x2000, 0x200B)))
"""Spaces that `str.isprintable` rejects although terminals show them."""


def is_harmless(char: str) -> bool:
    """Return whether a terminal only displays a character: no control or bidirectional characters, no surrogates."""
    return char.isprintable() or char in _SPACES


def printable(text: str, most: int | None = None) -> str:
    """Return text that is safe to print on a terminal: on one line, with control characters escaped.

    Args:
        text: Untrusted text: data, names, labels.
        most: The most characters to show; None for all.

    >>> printable("a\\x1b[31mred\\n", 6), printable("a\\tb")
    ('a\\\\x1b[31m...', 'a b')
    """
    shown = text[:most]
    if not shown.isprintable():
        shown = "".join(char if is_harmless(char) else _escape(char) for char in shown)
    return shown if most is None or len(text) <= most else shown + "..."


def _escape(char: str) -> str:
    return " " if char in "\t\n" else char.encode("unicode_escape").decode()


def cells(text: str) -> int:
    """Return how many columns a text takes on a terminal: wide characters take two, combining ones none.

    >>> cells("abc"), cells("宽字"), cells("e\u0301")
    (3, 4, 1)
    """
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def fitted(text: str, most: int) -> str:
    """Return a text that takes at most `most` columns: its middle is left out, since names often differ at their ends.

    >>> fitted("compile-the-frontend", 12), fitted("short", 12)
    ('compil…ntend', 'short')
    """
    if cells(text) <= most:
        return text
    tail = _head_of(text[::-1], (most - 1) // 2)[::-1]
    return f"{_head_of(text, most - 1 - (most - 1) // 2)}…{tail}"


def _head_of(text: str, most: int) -> str:
    used = 0
    for number, char in enumerate(text):
        used += _cells_of(char)
        if used > most:
            return text[:number]
    return text


def _cells_of(char: str) -> int:
    if char.isascii():
        return 1
    from unicodedata import category, east_asian_width

    if category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if east_asian_width(char) in "WF" else 1


def name_bytes(text: str) -> str:
    """Return text with the bytes of file names that are not UTF-8 as ``\\xff``, which shells accept in ``$'…'``.

    >>> name_bytes("a\\udcffb")
    'a\\\\xffb'
    """
    return "".join(f"\\x{ord(char) - 0xDC00:x}" if "\udc80" <= char <= "\udcff" else char for char in text)


def quoted_bytes(quoted: str) -> str:
    """Return the result of `repr` or `ascii` with the bytes of file names as `name_bytes` shows them.

    >>> quoted_bytes(repr("a\\udcffb"))
    "'a\\\\xffb'"
    """
    import re

    # A backslash in the text itself has been doubled.
    return re.sub(r"(?<!\\)\\udc([89a-f][0-9a-f])", r"\\x\1", quoted)


def counted(count: int, noun: str) -> str:
    """Return a number of things: ``1 record``, ``12,345 records``.

    >>> counted(1, "record"), counted(12345, "byte")
    ('1 record', '12,345 bytes')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def format_duration(seconds: float) -> str:
    """Return a duration in whole units of a suitable size.

    >>> format_duration(7), format_duration(150), format_duration(5400), format_duration(200000)
    ('7 s', '2 min', '90 min', '2 d')
    """
    amount = max(0, int(seconds))
    for upto, size, unit in _UNITS:
        if amount < upto:
            return f"{amount} {unit}"
        amount //= size
    return f"{amount} d"


def format_seconds(seconds: float) -> str:
    """Return a duration as text: ``0.25 s``, ``12.3 s``, ``3 m 05 s``, ``2 h 05 m``."""
    if seconds < 10:  # noqa: PLR2004 - below this a second decimal is useful
        return f"{seconds:.2f} s"
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} m {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} m"  # noqa: PLR2004


def format_size(count: int) -> str:
    """Return a size in decimal units, like those on a disk's label.

    >>> format_size(12_400_000), format_size(94_200), format_size(999)
    ('12.4 MB', '94.2 KB', '999 B')
    """
    if count < 1000:  # noqa: PLR2004
        return f"{count} B"
    amount = float(count)
    for unit in ("B", "KB", "MB", "GB", "TB"):
        # 999.95 would be shown as 1000.0, so use the next unit.
        if amount < 999.95:  # noqa: PLR2004
            return f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} PB"


def signal_name(number: int) -> str:
    """Return the name of a signal, as `kill -l` has it; realtime signals between the first and the last have none.

    >>> signal_name(9), signal_name(40)
    ('SIGKILL', 'signal 40')
    """
    from signal import Signals

    try:
        return Signals(number).name
    except ValueError:
        return f"signal {number}"
