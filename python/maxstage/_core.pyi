"""The compiled module. Its pure-Python twin is `maxstage._pure`; use both through `maxstage._backend`.

File descriptors are borrowed: the caller keeps them open for the length of the call and closes them.
File names are only used in the `OSError` raised for them. All sizes and offsets are in bytes. Long operations release
the GIL and let signal handlers run.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, final

__all__ = [
    "Capture",
    "Elements",
    "Event",
    "Plain",
    "Reader",
    "RedactionRules",
    "Redactor",
    "Scan",
    "StreamLimits",
    "Truncated",
    "Truncator",
    "Writer",
    "__version__",
    "claim",
    "content_type",
    "count_newlines",
    "crc32",
    "rename",
    "rename_new",
    "sync_file_system",
    "truncate",
    "truncate_ends",
]

__version__: str

_Codec: TypeAlias = str
_Row: TypeAlias = tuple[str, list[str], list[str], bool, str, str, int, str, bool]
_ContentType: TypeAlias = Literal["ndjson", "json", "text"]

def crc32(data: bytes, crc: int = 0, /) -> int:
    """Return `crc`, the CRC-32 of earlier data, updated with `data`, as `zlib.crc32` does."""

def claim(claim: str, part: str, holders: Sequence[str], /) -> tuple[int, int] | None:
    """Create a claim exclusively, lock it (flock), and create the part, both private to the user.

    Args:
        claim: The file that reserves the id.
        part: The file for the data.
        holders: Files whose existence shows that the id is in use.

    Returns:
        The descriptors of the claim and of the part, for reading and writing; None if the id is taken.

    Raises:
        OSError: One of them could not be created; neither is left.
    """

def rename(pairs: Sequence[tuple[str, str]], /) -> None:
    """Rename each pair, in order.

    Raises:
        OSError: One could not be renamed; those before it were.
    """

def rename_new(moves: Sequence[tuple[int, bytes, int, bytes]], /, *, stop: bool = False) -> list[int]:
    """Rename files, in order, each only if nothing has the new name; never replace anything.

    Args:
        moves: For each the descriptor of the folder that it is in, its name, the descriptor of the folder that it
            gets into, and its new name.
        stop: Whether to leave all that come after the first that fails; ``EXDEV`` is no failure.

    Returns:
        An errno for each that was tried: 0 where it was renamed, ``EEXIST`` where something has the name.

    Raises:
        OSError: A descriptor is none; nothing was renamed.
        ValueError: A name holds a null byte; nothing was renamed.
    """

def sync_file_system(fd: int, /) -> bool:
    """Wait until everything written to the file system of a descriptor is on disk.

    Returns:
        False if the system, or this backend, can't do that; then it doesn't wait.

    Raises:
        OSError: Something could not be written since the descriptor was opened.
    """

def count_newlines(data: bytes, /) -> int:
    """Count the ``\\n`` bytes in `data`."""

def content_type(prefix: bytes, /, *, whole: bool, lines: int, last_nonblank: int | None) -> _ContentType:
    """Detect ``ndjson``, ``json`` or ``text`` from the first bytes of the data.

    Args:
        prefix: The first bytes.
        whole: Whether `prefix` is all of the data.
        lines: How many lines all of the data has.
        last_nonblank: The last byte of all of the data that is not white space.
    """

@final
class Writer:
    """Writes one item to a file descriptor in constant memory, and counts, checksums and samples it on the way.

    Args:
        fd: Where to write.
        name: What to call it in an error.
        codec: How to compress: ``none``, ``gzip`` or ``zstd``.
        sync: Whether the caller will wait for the disk; then writing to disk starts early.
    """

    def __new__(cls, fd: int, name: str, /, *, codec: _Codec = "none", sync: bool = False) -> Writer: ...
    def write(self, data: bytes, /) -> None:
        """Write `data`."""

    def copy_from(self, source: int, limit: int, name: str, /) -> bool:
        """Copy from a descriptor up to its end, or `limit` bytes; return whether the end was reached."""

    def finish(self) -> None:
        """Write what is pending; nothing may be written afterwards."""

    @property
    def byte_size(self) -> int:
        """The number of bytes taken in."""

    @property
    def stored_size(self) -> int:
        """The number of bytes written out: the compressed size if the item is compressed."""

    @property
    def line_count(self) -> int:
        """The number of lines, including an unterminated last one."""

    @property
    def crc32(self) -> int:
        """The CRC-32 (as in gzip) of the bytes taken in."""

    @property
    def prefix(self) -> bytes:
        """The first bytes, at most 64 KiB."""

    @property
    def line_index(self) -> tuple[int, list[int]]:
        """Bytes in a block, and the newlines of each block; at most 1,024 blocks."""

    @property
    def content_type(self) -> _ContentType:
        """The detected content type."""

@final
class Reader:
    """Reads one item from a file descriptor. Offsets refer to the data as it was staged.

    Args:
        fd: What to read; it must allow reading at an offset.
        name: What to call it in an error.
        file_size: The size of the file.
        codec: How `Writer` compressed it.
        line_index: The writer's `line_index`; not needed for gzip files, which contain it.

    Raises:
        Corrupt: The file doesn't match the arguments; the methods may raise this, too.
    """

    def __new__(
        cls,
        fd: int,
        name: str,
        /,
        *,
        file_size: int,
        codec: _Codec = "none",
        line_index: tuple[int, list[int]] | None = None,
    ) -> Reader: ...
    @property
    def size(self) -> int:
        """The size of the data."""

    def line_offset(self, number: int, /) -> int:
        """Return where line `number` begins (1 is the first); the end of the data if there are fewer lines."""

    def tail_offset(self, count: int, /) -> int:
        """Return where the last `count` lines begin."""

    def read(self, start: int, end: int, /) -> bytes:
        """Return the bytes from `start` up to `end`, or to the end of the data."""

    def copy_to(self, target: int, start: int, end: int, name: str, /, *, crc: int = 0) -> int:
        """Write the bytes from `start` up to `end` to `target`; return `crc` updated with them."""

    def measure(self, start: int, end: int, block: int, /, *, crc: int = 0) -> tuple[int, list[int]]:
        """Return `crc` updated with the bytes from `start` up to `end`, and the newlines in each `block` bytes."""

class _Plan(Protocol):
    """What `maxstage.query.plan.Plan` has: its attributes say what each is."""

    @property
    def is_json(self) -> bool: ...
    @property
    def fields(self) -> Sequence[tuple[bytes | int, ...]]: ...
    @property
    def test(self) -> tuple[Any, ...] | None: ...
    @property
    def contains(self) -> Sequence[bytes]: ...
    @property
    def regex(self) -> str | None: ...
    @property
    def needles(self) -> Sequence[bytes]: ...
    @property
    def escapes(self) -> bool: ...
    @property
    def wanted(self) -> str: ...
    @property
    def field(self) -> int: ...
    @property
    def columns(self) -> Sequence[tuple[bytes, int]] | None: ...
    @property
    def skip(self) -> int: ...
    @property
    def most(self) -> int: ...
    @property
    def count_rest(self) -> bool: ...
    @property
    def numbered(self) -> bool: ...

@final
class Scan:
    """Looks through records, lines that is, that come bit by bit; what matches is given in the order of the data.

    Feed it data in any pieces, `begin` and `finish` each source, and take what it found after each piece: until then it
    is held.

    Args:
        plan: What is looked for, and what is wanted of it.

    Raises:
        ValueError: The plan's regular expression can't be understood.
    """

    def __new__(cls, plan: _Plan, /) -> Scan: ...
    def begin(self, offset: int = 0, lines: int = 0, /) -> None:
        """Begin with other data, at a byte of it, before which so many lines lie."""

    def feed(self, data: bytes, /) -> None:
        """Look at more data."""

    def read(self, reader: Reader, start: int, end: int, /) -> None:
        """Look at the data of a reader from `start` to before `end`, on all cores."""

    def finish(self) -> None:
        """Look at a last line that nothing ends."""

    def take(self) -> list[tuple[int, int, bytes]]:
        """Take the records given since: the number of the line of each, where it begins, and the record."""

    def take_sorted(self) -> list[tuple[bytes, bytes]]:
        """Take the records given since, sorted: what each is sorted by, and the record."""

    def take_text(self) -> bytes:
        """Take the records given since, each with a newline."""

    def take_groups(self) -> list[tuple[str, bytes, int]]:
        """Take what was counted by value since: ``text``, ``number``, ``json`` or ``null``, the text, and the count."""

    def take_shapes(
        self,
    ) -> tuple[
        bool,
        list[
            tuple[
                list[bytes],
                list[int],
                tuple[bytes, bytes] | None,
                tuple[bytes, bytes] | None,
                int,
                bytes,
                list[bytes],
            ]
        ],
    ]:
        """Take what was described since.

        Whether there were more fields than are told apart, and of each its names from outside in (none for the whole
        record); how many values are null, bools, numbers, texts, objects and arrays; the least and the greatest
        number, and text; how many values differ, or where those are many the registers of a HyperLogLog sketch; the
        first values that differ, as JSON.
        """

    def take_kinds(self) -> tuple[bool, list[tuple[list[bytes | None], int]]]:
        """Take the kinds of values that were seen since.

        Whether there were more fields than are told apart, and of each its names from outside in (none for the whole
        record, None for the elements of an array), with a bit for each kind: those of `maxstage.query.sql.columns`.
        """

    @property
    def group_bytes(self) -> int:
        """Bytes that counting by value takes, about."""

    @property
    def matched(self) -> int:
        """Records that match."""

    @property
    def bad(self) -> int:
        """Records that are no JSON, of those that were looked at."""

    @property
    def first_bad(self) -> int | None:
        """The line of the first of them, if lines are numbered."""

    @property
    def given(self) -> int:
        """Records given."""

    @property
    def resume(self) -> tuple[int, int]:
        """Where the line after the last record that was given begins, and how many lines lie before it."""

    @property
    def full(self) -> bool:
        """Whether nothing more is wanted."""

@final
class Elements:
    """Takes a JSON array apart that comes bit by bit; any other value is one record.

    The methods raise `ValueError` where it is no array; whether its elements are JSON is for who reads them.
    """

    def __new__(cls) -> Elements: ...
    def feed(self, data: bytes, /) -> bytes:
        """Return what `data` has of the elements, each with a newline at its end and none within."""

    def finish(self) -> bytes:
        """End it; return what was left."""

@final
class RedactionRules:
    """What a credential looks like, ready to be matched.

    Args:
        rows: A row for each, as `maxstage.redaction_rules.Rule.row` has it: name, anchors, before, edge, lead, secret,
            tail, check, block.

    Raises:
        ValueError: A pattern or a check is no good.
    """

    def __new__(cls, rows: Sequence[_Row], /) -> RedactionRules: ...

@final
class Redactor:
    """Masks secrets in a text that streams by, in bounded memory. How the text is cut makes no difference.

    Args:
        literals: Texts to mask, as they are.
        rules: What else is masked.

    Raises:
        ValueError: A text is empty.
    """

    def __new__(cls, literals: Sequence[bytes], rules: RedactionRules | None = None, /) -> Redactor: ...
    def feed(self, data: bytes, /) -> bytes:
        """Take in the next part of the text; return what is decided of it, masked."""

    def finish(self) -> bytes:
        """Return the rest, masked: the text is at its end."""

    @property
    def counts(self) -> dict[str, int]:
        """How much was masked, by the names of the rules; the texts are counted as ``secret``."""

@final
class Truncated:
    """A text after truncation, whether it was cut or short enough."""

    @property
    def content(self) -> bytes:
        """The text, marker included."""

    @property
    def original_size(self) -> int:
        """The size before truncation."""

    @property
    def truncated(self) -> bool:
        """Whether anything was dropped."""

    @property
    def dropped_bytes(self) -> int:
        """The number of bytes dropped."""

    @property
    def dropped_lines(self) -> int:
        """The number of lines whose end was dropped."""

@final
class Truncator:
    """Truncates a streamed text, holding no more than about three times the limit, and some MiB.

    Args:
        strategy: A name in `maxstage.output.strategies.STRATEGIES`.
        max_bytes: The most bytes to keep, marker included.
        max_lines: The most lines to keep, for the two line strategies.
    """

    def __new__(cls, strategy: str, max_bytes: int, max_lines: int, /) -> Truncator: ...
    def feed(self, data: bytes, /) -> None:
        """Take in the next part of the text."""

    def render(self, max_bytes: int, hint: str | None = None, /) -> Truncated:
        """Return the text so far, cut to `max_bytes`, which is at most the truncator's own.

        Args:
            max_bytes: Bytes at most, marker included.
            hint: How to get the whole, for the marker.
        """

    @property
    def size(self) -> int:
        """Bytes taken in."""

    @property
    def is_over(self) -> bool:
        """Whether `render` will drop something."""

def truncate(
    data: bytes, strategy: str, max_bytes: int, max_lines: int, hint: str | None = None, /
) -> Truncated:
    """Truncate a text that is in memory. The arguments are as for `Truncator`."""

def truncate_ends(
    head: bytes,
    tail: bytes,
    size: int,
    lines: int,
    strategy: str,
    max_bytes: int,
    max_lines: int,
    hint: str | None = None,
    /,
) -> Truncated:
    """Truncate a text whose two ends are known; not for ``summary``.

    Args:
        head: The first bytes: `max_bytes` and 4 more, or all there are.
        tail: The last bytes: `max_bytes` and 4 more, or all there are.
        size: The size of the whole text.
        lines: The number of lines of the whole text.
        strategy: As for `Truncator`.
        max_bytes: The most bytes to keep, marker included.
        max_lines: The most lines to keep, for the strategies that count lines.
        hint: How to get the full text, for the marker.
    """

@final
class Plain:
    """Makes a streamed text plain: removes ANSI escape sequences, and applies `\\r` and `\\b`.

    At most 64 KiB of a line are held back, since they may be overwritten.
    """

    def __new__(cls) -> Plain: ...
    def feed(self, data: bytes, /) -> bytes:
        """Take the next part of the text; return what is final."""

    def finish(self) -> bytes:
        """Return what was held back of the last line; more text continues that line."""

@final
class StreamLimits:
    """How much of one stream to hold.

    Args:
        strategy: As for `Truncator`.
        max_bytes: The most bytes to keep, marker included.
        max_lines: The most lines to keep, for the two line strategies.
        keep_above: The size above which the stream is kept in full even if it was not cut; None for never.
        plain: Whether the text that is cut and shown is made plain, as by `Plain`; the full output never is.
    """

    def __new__(
        cls, strategy: str, max_bytes: int, max_lines: int, keep_above: int | None, /, *, plain: bool = False
    ) -> StreamLimits: ...

@final
class Event:
    """Why `Capture.pump` returned."""

    END: ClassVar[Event]
    """Both streams have ended."""
    KEEP_STDOUT: ClassVar[Event]
    """stdout must be kept in full: call `Capture.keep` or `Capture.never_keep`."""
    KEEP_STDERR: ClassVar[Event]
    """stderr must be kept in full: call `Capture.keep` or `Capture.never_keep`."""
    EXITED: ClassVar[Event]
    """The process has ended; something that it started may still hold its streams open."""
    TIMEOUT: ClassVar[Event]
    """The time is up."""
    DATA: ClassVar[Event]
    """There is new data that is followed live."""
    def __int__(self) -> int: ...

@final
class Capture:
    """Captures the output of one process, both streams at once, within bounds.

    A stream is cut to its limits; once it must be kept whole, `pump` asks for a writer, which gets all of it
    from the first byte.

    Args:
        stdout: The reading end of a pipe.
        stderr: Another, or -1.
        exit_fd: Readable once the process has ended (a pidfd), or -1.
        stdout_limits: What may be held of stdout.
        stderr_limits: What may be held of stderr.
        max_combined: Bytes that both may have kept together; above, both are kept whole.
        live: Bytes of the beginning of each stream that `pump` comes back for as they come.
    """

    def __new__(
        cls,
        stdout: int,
        stderr: int,
        exit_fd: int,
        stdout_limits: StreamLimits,
        stderr_limits: StreamLimits,
        max_combined: int,
        /,
        *,
        live: int = 0,
    ) -> Capture: ...
    def mask(self, literals: Sequence[bytes], rules: RedactionRules | None, /, *, everywhere: bool) -> None:
        """Mask secrets in what is read from now on.

        Args:
            literals: Texts that are masked in what is shown and in what is kept.
            rules: What else is masked.
            everywhere: Whether that is masked in what is kept, too.
        """

    def close(self) -> None:
        """Note that no more is read. What was held back comes with the next `pump`."""

    def pump(self, timeout_ms: int, /) -> Event:
        """Read until something happens, at most `timeout_ms` milliseconds; return what.

        Raises:
            OSError: A writer failed. Nothing that was read is lost; answer with `never_keep` and go on.
        """

    def keep(self, stream: int, writer: Writer, /) -> None:
        """Give a stream a writer: it gets all of it from the first byte. Raises as `Writer.write`."""

    def never_keep(self, stream: int, /) -> None:
        """Note that a stream won't be kept whole."""

    def render(self, stream: int, max_bytes: int, hint: str | None = None, /) -> Truncated:
        """Return the text of a stream so far, cut to `max_bytes`, which is at most its limit."""

    def size(self, stream: int, /) -> int:
        """Return the bytes of a stream so far, as they came."""

    def redacted(self, stream: int, /, *, kept: bool = False) -> dict[str, int]:
        """Return how much of a stream was masked, as `Redactor.counts`; with `kept`, in what is kept whole."""

    def take(self, stream: int, /) -> bytes:
        """Return the bytes of a stream that have come since the last call, as they are shown: masked, made plain.

        Called after each `Event.DATA`, and once at the end, it leaves none out, if `live` is a MiB or more.
        """

    def head(self, stream: int, start: int, end: int, /) -> bytes:
        """Return the first bytes of a stream from `start` to before `end`, as far as they have come; `live` at most."""
