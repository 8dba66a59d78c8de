"""Telling how much a line matters; the rules are told in ``rust/src/summary/rating.rs``."""

import re

from maxstage._pure.summary.signals import (
    COUNTED,
    DETAILS,
    DOMAINS,
    ERROR,
    FATAL,
    FINE,
    LEVELS,
    LIBRARIES,
    MAYBE,
    MENTION,
    NEGATIONS,
    NOTHING,
    SIGNALS,
    STEMS,
    WARNING,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

LEVEL_WITHIN = 160
"""Bytes of a line in which its level stands."""
TEMPLATE_WITHIN, WORDS_OF_TEMPLATE = 400, 16
"""Bytes of a line, and words in them, by which sorts of lines are told apart."""


_EDGE_AFTER = b"(?![A-Za-z0-9_])"


def _tokens(pattern: str) -> list[bytes]:
    """Return what a pattern of the table is made of: an expression for each of its bytes, and for its end."""
    text = pattern.removeprefix("^").strip("~")
    tokens = [re.escape(bytes([byte])) for byte in text.encode()]
    if _is_word(text[0]) and not pattern.startswith(("^", "~")):
        # Behind the first byte: an expression that begins with a byte is looked for faster.
        tokens[0] += b"(?<![A-Za-z0-9_]%b)" % tokens[0]
    return [*tokens, _EDGE_AFTER] if _is_word(text[-1]) and not pattern.endswith("~") else tokens


def _tree(rows: "Iterable[list[bytes]]") -> bytes:
    """Return an expression for any of these; what they begin with in common stands once, so that it is found faster."""
    heads: dict[bytes, list[list[bytes]]] = {}
    for row in rows:
        if not row:
            return b""
        heads.setdefault(row[0], []).append(row[1:])
    branches = [head + _tree(rests) for head, rests in sorted(heads.items())]
    return branches[0] if len(branches) == 1 else b"(?:" + b"|".join(branches) + b")"


def _is_word(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char == "_")


def _any_of(patterns: "Iterable[str]") -> "list[Callable[[bytes], re.Match[bytes] | None]]":
    """Return how to look for the patterns: those at the beginning of a line, and those anywhere."""
    known = list(patterns)
    starts = [_tokens(pattern) for pattern in known if pattern.startswith("^")]
    others = [_tokens(pattern) for pattern in known if not pattern.startswith("^")]
    found: list[Callable[[bytes], re.Match[bytes] | None]] = []
    if starts:
        found.append(re.compile(rb"[ \t]*" + _tree(starts)).match)
    if others:
        found.append(re.compile(_tree(others)).search)
    return found


def _is_exact(pattern: str) -> bool:
    return pattern != pattern.lower()


_BY_CLASS = [
    (
        matters,
        _any_of(one for one in patterns if not _is_exact(one)),
        _any_of(one for one in patterns if _is_exact(one)),
    )
    for matters, patterns in SIGNALS.items()
]
_COUNTED = "|".join(sorted(COUNTED, key=len, reverse=True))
_NONE_OF = re.compile(
    rf"(?<![a-z0-9_.,-])(?:{'|'.join(NEGATIONS)}) (?:{_COUNTED})(?![a-z0-9_])"
    rf"|(?<![a-z0-9_])(?:{_COUNTED})(?:\(s\))?(?=(?: ?[:=] ?| )0(?![a-z0-9_.:/]))"
    r'|"err(?:or)?s?": ?(?:null|false|0|""|\[\]|{})'.encode()
)
_TALLY = re.compile(
    rf"(?<![a-z0-9_.:/#-])1 (?:[a-z]+ )?(?:{_COUNTED})(?![a-z0-9_])"
    rf"|(?<![a-z0-9_])(?:{_COUNTED})(?:\(s\))?(?: ?[:=] ?| )1(?![a-z0-9_.:/])".encode()
)
_LEVEL_OF = {word.encode(): matters for matters, words in LEVELS.items() for word in words}
_WORDS = "|".join(word.decode() for word in _LEVEL_OF)
_LEVEL = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    rf"(?:{_WORDS.upper()})"
    rf"|(?<=[\[<(=])(?:{_WORDS})"
    rf'|(?<=")(?:{_WORDS}|{_WORDS.upper()})(?="(?! ?:))'
    rf"|(?:\A|(?<=: ))(?:{_WORDS})(?=:)"
    rf"|(?:{_WORDS})(?= [A-Z]{{1,8}}[0-9]{{1,8}}:)"
    r")(?![A-Za-z0-9_])".encode()
)
_STEM = re.compile(_tree(_tokens(f"~{stem}~") for stem in STEMS))
_PLACE = re.compile(
    rb"\.(?!(?:"
    + "|".join(DOMAINS).encode()
    + rb")[^a-z])[a-z]{1,5}(?:[:(]|[\"']?, line | line |:line )[0-9]|file:[0-9]"
)
_LIBRARY = re.compile("|".join(re.escape(name) for name in LIBRARIES).encode())
_DETAIL = re.compile("|".join(re.escape(name) for name in DETAILS).encode())
_DIGITS = bytes.maketrans(b"23456789", b"11111111")
_HALVINGS = ((b"11", b"1"), (b"10", b"1"), (b"01", b"1"), (b"11", b"1"), (b"00", b"0"))
_FIELDS = re.compile(rb"(?<![^ \t,])[^ \t,0-9]+(?![^ \t,])")
_COMMON = re.compile(rb"(?<![^ \t])[^ \t0-9'\"`/=\\\x80-\xff]+(?![^ \t])")
_CODE = re.compile(rb"[ \t]*(?:[01][ \t]*\|(?:[ \t]|\Z)|[01][ \t]*[+-][ \t]|[+-][ \t]{4})")
_CODE_END = (b";", b"{", b"(", b"\\", b"):", b"&&", b"||")
_FINDING = re.compile(
    rb"[A-Z]{1,4}1:? [^ ]|[01][01 .:-]*[EF] [A-Za-z]"
    rb"|[ \t]*[^ \t:=(]*[a-z_/]\.[a-z]{1,5}(?::1(?::1)?:?(?: |\Z|in )|\(1(?:,1)?\))"
)
_QUOTED = re.compile(rb"['\"`][^'\"` \t]+['\"`]|\xe2\x80\x98[^ \t]+?\xe2\x80\x99")
_RULE_OF = re.compile(rb"[_*-]{4,}")
_NAME_OF_FINDING = re.compile(rb"[ \t]([(\[][A-Za-z_-]*[A-Za-z]-[A-Za-z][A-Za-z_-]*[)\]])[ \t]*\Z")
_TIME = re.compile(
    rb"[\[(<]?[0-9]{1,4}[-/:.][0-9]{1,2}[-/:.][0-9]|[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:|[DEFIVW][0-9]{4} [0-9]"
)
_FINE = tuple(sign.encode() for sign in FINE)
_FRAME = re.compile(rb"[ \t]+(?:at [^ ]+.*[(:]|from [^ ]+:1|File \")")
_HARMLESS_ENTRY = re.compile(rb"[DIVW]1 1:")


def _is_code(kind: bytes) -> bool:
    """Whether a line is a line of a program: shown beside its number, or as a change, or ending as they do."""
    if _CODE.match(kind):
        return True
    return kind[:1] in (b" ", b"\t", b"+", b"-") and kind.rstrip(b" \t").endswith(_CODE_END)


def kinds_of(text: bytes) -> bytes:
    """Return the text with each number one digit: 0 where it is nothing else, or 1."""
    text = text.translate(_DIGITS)
    for double, single in _HALVINGS:
        while double in text:
            text = text.replace(double, single)
    return text


def template(kind: bytes) -> bytes:
    """Return the words of a line that lines of its sort have in common: none with a number, a quote or a path.

    Where there are no such words (in JSON, say), these are the fields without a number; and a line without such a field
    is a sort of its own. Rules (``-----``) are no words, and a finding is of the sort whose name it ends with.
    """
    if kind.rstrip(b" \t").endswith((b")", b"]")) and _FINDING.match(kind):
        name = _NAME_OF_FINDING.search(kind)
        if name:
            return name[1]
    within = kind[:TEMPLATE_WITHIN]
    words = _COMMON.findall(within)
    if _RULE_OF.search(within):
        words = [word for word in words if not _RULE_OF.fullmatch(word)]
    words = words or _FIELDS.findall(within) or [within]
    return b" ".join(words[:WORDS_OF_TEMPLATE])


def subject(kind: bytes) -> bytes:
    """Return what stands in quotes in a line, the last of it: what an error is about."""
    found = _QUOTED.findall(kind[:TEMPLATE_WITHIN])
    return found[-1] if found else b""


def has_stem(low: bytes) -> bool:
    """Whether there may be a signal in a line in lower case, or a frame."""
    return _STEM.search(b"\n" + low) is not None


def rate(kind: bytes) -> tuple[int, bool, int]:
    """Return how much a line matters, whether it is a tally, and where the word is that says so."""
    low = kind.lower()
    if not has_stem(low):
        return NOTHING, False, 0
    if _NONE_OF.search(low):
        low = _NONE_OF.sub(_blank, low)
        kind = bytes(b if c != 1 else 1 for b, c in zip(kind, low, strict=True))
    matters, at = _by_words(kind, low)
    if matters <= ERROR and _is_code(kind):
        return min(matters, MENTION), False, at
    if is_fine(low):
        return min(matters, MENTION), False, at
    tally = _TALLY.search(low)
    level = _LEVEL.search(kind[:LEVEL_WITHIN])
    if level:
        matters = _at_level(matters, _LEVEL_OF[level[0].lower()])
    if tally is None or matters <= WARNING:
        return matters, False, at
    return matters, True, tally.start()


def is_finding(kind: bytes) -> bool:
    """Whether a line without any of the words is what a linter found: it begins with its code, or a place."""
    return _FINDING.match(kind) is not None and not _HARMLESS_ENTRY.match(kind)


def is_frame(kind: bytes) -> bool:
    """Whether a line is a frame of a stack: the line before the first says what happened."""
    return _FRAME.match(kind) is not None and has_stem(kind.lower())


def _blank(found: "re.Match[bytes]") -> bytes:
    return b"\x01" * len(found[0])


def _by_words(kind: bytes, low: bytes) -> tuple[int, int]:
    for matters, loose, exact in _BY_CLASS:
        ways = [(look, low) for look in loose] + [(look, kind) for look in exact]
        places = [found.start() for found in (look(text) for look, text in ways) if found]
        if places:
            return matters, min(places)
    return NOTHING, 0


def _at_level(matters: int, level: int) -> int:
    """Return how much a line matters whose level is written on it."""
    if level == ERROR:
        return max(matters, ERROR)
    if level == WARNING:
        return MAYBE if matters >= ERROR else WARNING
    if matters == FATAL:
        return MAYBE
    return min(matters, MENTION)


def has_place(low: bytes) -> bool:
    """Whether a line in lower case names a file and a line of it."""
    return _PLACE.search(low) is not None


def is_library(low: bytes) -> bool:
    """Whether a frame is in somebody else's code."""
    return _LIBRARY.search(low) is not None


def is_detail(low: bytes) -> bool:
    """Whether a line says what was expected, or found."""
    return _DETAIL.search(low) is not None


def begins_with_time(line: bytes) -> bool:
    """Whether a line is an entry of a log, by the date or time that it begins with."""
    return _TIME.match(line) is not None


def is_fine(low: bytes) -> bool:
    """Whether a line in lower case says that a test passed."""
    text = low.strip(b" \t")
    return text.endswith(b"... ok") or text.startswith(_FINE)


def starts_entry(line: bytes) -> bool:
    """Whether a line has a level of its own, and so is no part of an error before it."""
    level = _LEVEL.search(line[:LEVEL_WITHIN])
    return level is not None and level[0].lower() not in (b"note", b"help")
