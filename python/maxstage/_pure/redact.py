"""Masking secrets in a text that streams by; the rules are told in ``rust/src/redact/``."""

import re
from itertools import pairwise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Row = tuple[str, list[str], list[str], bool, str, str, int, str, bool]
    Span = tuple[int, int, int, bool]  # start, end, number of the name, whether the word runs on

_MASK = b"***"
_SECRET = "secret"  # noqa: S105 - a name
_CONTEXT = 16
_LINE = 8 * 1024
_BLOCK = 16 * 1024
_CHECKS = ("any", "mixed", "literal", "value")

_LINE_END = re.compile(rb"[\r\n]")
_OF_WORD = re.compile(rb"[A-Za-z0-9+/=_.~%-]*")
_BEFORE_EDGE = re.compile(rb"[A-Za-z0-9_]")
_NOT_LITERAL = b"${<*"
_QUOTES = b"\"'`"
_HARMLESS = (b"max:", b"sha1", b"sha256", b"sha384", b"sha512", b"md5", b"$", b"*", b"%(")
_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_HEX = re.compile(rb"[0-9a-f]*")
_HANDLE = re.compile(rb"[0-9a-fA-F]*")
_LOWER, _UPPER, _DIGIT = re.compile(rb"[a-z]"), re.compile(rb"[A-Z]"), re.compile(rb"[0-9]")
_KIND = bytes(
    1 if chr(byte).islower() else 2 if chr(byte).isupper() else 3 if chr(byte).isdigit() else 0
    for byte in range(128)
) + bytes(128)
_OTHER = bytes(byte for byte in range(256) if not _KIND[byte])


class _Rule:
    def __init__(self, row: "Row", name: int) -> None:
        title, _, before, self._edge, lead, secret, self._tail, check, self.block = row
        if check not in _CHECKS:
            raise ValueError(f"unknown check {check}")
        if any(len(word.encode()) > _CONTEXT for word in before):
            raise ValueError(f"{title}: a word before the anchor has more than {_CONTEXT} bytes")
        self.name = name
        self._before = tuple(word.encode() for word in before)
        try:
            self._lead = re.compile(lead.encode())
            self._secret = re.compile(secret.encode())
        except re.error as error:
            raise ValueError(f"the pattern {error.pattern!r} is no good: {error}") from None
        self._check = check
        self.length = _BLOCK if self.block else _LINE

    def may_begin(self, text: "bytes | bytearray", start: int) -> bool:
        before = text[max(0, start - _CONTEXT) : start]
        if self._edge and _BEFORE_EDGE.match(before[-1:]):
            return False
        return not self._before or before.lower().endswith(self._before)

    def find(self, text: "bytes | bytearray", start: int, end: int) -> "tuple[int, int, bool] | None":
        """Return what matches in the window from `start` to before `end`, and whether it is a secret."""
        lead = self._lead.match(text, start, end)
        found = None if lead is None else self._secret.match(text, lead.end(), end)
        if found is None or found.end() - self._tail <= found.start():
            return None
        span = found.start(), found.end() - self._tail
        value = bytes(text[slice(*span)])
        if self._check == "mixed":
            good = sum(kind.search(value) is not None for kind in (_LOWER, _UPPER, _DIGIT)) > 1
        elif self._check == "literal":
            good = value[0] not in _NOT_LITERAL
        else:
            good = self._check == "any" or _is_value(text, *span, value, end)
        return (*span, good)


def _is_value(text: "bytes | bytearray", start: int, stop: int, value: bytes, end: int) -> bool:
    """Tell whether the value of an assignment is a literal that looks random, and no code."""
    if value.startswith(_HARMLESS) or _is_path(value):
        return False
    last = bytes(text[max(0, start - 1) : start])
    following = bytes(text[stop : min(stop + 1, end)])
    if last and last in _QUOTES:
        return following != b"" and following in _QUOTES + b"\\" and _looks_random(value)
    if following and following in b"([{":
        return False
    is_data = last == b"=" and (not following or following in b"\t\n\x0c\r " + _QUOTES + b"&;")
    return _looks_random(value) and (is_data or not _NAME.fullmatch(value) or _is_random_name(value))


def _is_path(text: bytes) -> bool:
    """Tell whether a text is a path or a URL. A secret in base64 may begin with a slash, but hardly with folders."""
    return text.count(b"/") > 1 and (text.startswith((b"/", b"./", b"../", b"~/")) or b"://" in text)


def _is_random_name(name: bytes) -> bool:
    """Tell whether a name can only be random: hex digits, or a long one that changes its kind all the time."""
    digits = len(_DIGIT.findall(name))
    count, of = _changes(name)
    is_random = (_HEX.fullmatch(name) is not None and digits > 2) or (digits > 1 and count * 2 >= of)  # noqa: PLR2004
    return len(name) >= 16 and b"." not in name and is_random  # noqa: PLR2004


def _looks_random(text: bytes) -> bool:
    """Tell whether a text looks random: letters and digits, mixed, and not too few different ones."""
    digits = len(_DIGIT.findall(text))
    letters = len(text.translate(None, _OTHER)) - digits
    count, of = _changes(text)
    return (
        letters + digits >= 8  # noqa: PLR2004
        and letters > 0
        and not (len(text) < 16 and _HANDLE.fullmatch(text))  # noqa: PLR2004
        and (digits > 0 or letters >= 20)  # noqa: PLR2004
        and len(set(text)) >= 6  # noqa: PLR2004
        and count * 10 >= of * 3
    )


def _changes(text: bytes) -> tuple[int, int]:
    """Return how often the kind of character changes from one letter or digit to the next, and how often it could."""
    kinds = text.translate(_KIND, _OTHER)
    return sum(a != b for a, b in pairwise(kinds)), max(0, len(kinds) - 1)


class RedactionRules:
    """What a credential looks like. See the stub of the compiled module."""

    def __init__(self, rows: "Sequence[Row]", /) -> None:
        self.names: list[str] = []
        self.of_anchor: dict[bytes, list[_Rule]] = {}
        for row in rows:
            if row[0] not in self.names:
                self.names.append(row[0])
            rule = _Rule(row, self.names.index(row[0]))
            for anchor in row[1]:
                self.of_anchor.setdefault(anchor.encode(), []).append(rule)

    def find_anchors(
        self, text: "bytes | bytearray", start: int, until: int
    ) -> "list[tuple[int, list[_Rule]]]":
        """Return where anchors begin in `text`, from `start` to before `until`, and the rules of each."""
        found = [
            (at, rules)
            for anchor, rules in self.of_anchor.items()
            for at in _find_all(text, anchor, start, until)
        ]
        found.sort(key=lambda one: one[0])
        return found


def _find_all(text: "bytes | bytearray", what: bytes, start: int, until: int) -> "Iterator[int]":
    """Give where `what` begins, from `start` to before `until`. Overlapping ones are all given."""
    end = until + len(what) - 1
    at = text.find(what, start, end)
    while at >= 0:
        yield at
        at = text.find(what, at + 1, end)


class Redactor:
    """Masks secrets in a text that streams by. See the stub of the compiled module."""

    def __init__(self, literals: "Sequence[bytes]", rules: "RedactionRules | None" = None, /) -> None:
        if not all(literals):
            raise ValueError("a secret must not be empty")
        self._literals = [bytes(literal) for literal in literals]
        self._rules = rules
        self._buffer = bytearray()
        self._at = 0
        self._spans: list[Span] = []
        self._masked = 0
        self._next_end = -1
        # Up to where each rule has looked: an anchor in what it took for a value is no other one.
        self._looked_to: dict[_Rule, int] = {}
        self._runs_on = False
        self._waiting: tuple[int, bool] | None = None
        self._names = [_SECRET, *(() if rules is None else rules.names)]
        self._counts = [0] * len(self._names)

    @property
    def counts(self) -> dict[str, int]:
        """How much was masked, by name."""
        return dict(
            sorted((name, count) for name, count in zip(self._names, self._counts, strict=True) if count)
        )

    def feed(self, data: bytes, /) -> bytes:
        """Take in the next part of the text; return what is decided."""
        self._buffer += data
        if self._waiting is not None:
            until, line = self._waiting
            if len(self._buffer) < until and not (line and _LINE_END.search(data)):
                return b""
        return self._decide(whole=False)

    def finish(self) -> bytes:
        """Return the rest: the text is at its end."""
        return self._decide(whole=True)

    def _decide(self, *, whole: bool) -> bytes:
        until = len(self._buffer)
        self._next_end = -1
        self._waiting = None
        if not whole:
            anchors = () if self._rules is None else self._rules.of_anchor
            for texts in (self._literals, anchors):
                until = min(until, _first_beginning(self._buffer, self._at, texts))
        until = self._match_rules(until, whole=whole)
        for literal in self._literals:
            for at in _find_all(self._buffer, literal, self._at, until):
                self._spans.append((at, at + len(literal), 0, False))
        self._spans.sort(key=lambda span: (span[0], -span[1], span[2]))
        return self._advance(until)

    def _match_rules(self, until: int, *, whole: bool) -> int:
        """Let the rules look at each anchor before `until`; return the first that is undecided."""
        if self._rules is None:
            return until
        for start, rules in self._rules.find_anchors(self._buffer, self._at, until):
            found = self._examine(start, rules, whole=whole)
            if found is None:
                return start
            self._spans += found
        return until

    def _examine(self, start: int, rules: "list[_Rule]", *, whole: bool) -> "list[Span] | None":
        """Return what the rules of an anchor find; None where that is undecided."""
        found = []
        looked = []
        for rule in rules:
            if start < self._looked_to.get(rule, 0) or not rule.may_begin(self._buffer, start):
                continue
            until = start + rule.length
            end = min(until, len(self._buffer))
            line_end = end if rule.block else self._line_end(start)
            if line_end < end:
                end = line_end
            elif not whole and end < until:
                self._waiting = until, not rule.block
                return None
            span = rule.find(self._buffer, start, end)
            if span is not None:
                looked.append((rule, span[1]))
                if span[2]:
                    found.append((span[0], span[1], rule.name + 1, span[1] == until))
        # Not before all have decided: what is undecided is looked at again.
        self._looked_to.update(looked)
        return found

    def _line_end(self, start: int) -> int:
        """Return where the line ends that `start` is in; the end of the buffer where that is not known."""
        # Looked for once in a line, and not from each anchor.
        if self._next_end < start:
            found = _LINE_END.search(self._buffer, start)
            self._next_end = len(self._buffer) if found is None else found.start()
        return self._next_end

    def _advance(self, until: int) -> bytes:
        """Return what is before `until`, masked, and let go of it."""
        out: list[bytes] = []
        later = []
        for start, end, name, runs_on in self._spans:
            if start >= until:
                later.append((start, end, name, runs_on))
                continue
            self._copy_to(start, out)
            goes_on = self._runs_on and _OF_WORD.match(self._buffer, start).end() > start  # type: ignore[union-attr]
            if start >= self._masked and not goes_on:
                out.append(_MASK)
                self._counts[name] += 1
                self._runs_on = False
            if end > self._masked:
                self._masked = end
                self._runs_on |= runs_on
        self._copy_to(until, out)
        gone = max(0, until - _CONTEXT)
        del self._buffer[:gone]
        self._at = until - gone
        self._masked = max(0, self._masked - gone)
        self._looked_to = {rule: to - gone for rule, to in self._looked_to.items() if to > gone}
        self._spans = [(start - gone, end - gone, name, runs_on) for start, end, name, runs_on in later]
        if self._waiting is not None:
            self._waiting = self._waiting[0] - gone, self._waiting[1]
        return b"".join(out)

    def _copy_to(self, to: int, out: list[bytes]) -> None:
        """Go on to `to`: masked bytes are left out, all others copied."""
        self._at = max(self._at, min(self._masked, to))
        if self._runs_on and self._at == self._masked and self._at < to:
            rest = _OF_WORD.match(self._buffer, self._at, to)
            self._at = self._masked = rest.end() if rest is not None else self._at
            self._runs_on = self._at == to
        if self._at < to:
            out.append(bytes(self._buffer[self._at : to]))
            self._at = to


def _first_beginning(buffer: bytearray, start: int, texts: "Iterable[bytes]") -> int:
    """Return where the first of the last bytes is that may be the beginning of one of `texts`; else the end."""
    longest = max(map(len, texts), default=1)
    firsts = {text[0] for text in texts}
    for at in range(max(start, len(buffer) + 1 - longest), len(buffer)):
        if buffer[at] in firsts:
            rest = bytes(buffer[at:])
            if any(len(text) > len(rest) and text.startswith(rest) for text in texts):
                return at
    return len(buffer)
