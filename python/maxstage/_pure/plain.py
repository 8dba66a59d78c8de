"""Removes terminal control from text. ``rust/src/plain.rs`` documents the rules."""

import re

_LINE = 64 * 1024

_SEQUENCE = re.compile(
    rb"\x1b(?:"
    rb"\[[\x30-\x3f]{0,128}(?:[\x20-\x2f]{1,16})?[\x40-\x7e]?"
    rb"|[\]PX^_][^\x07\x1b\n]{0,4096}(?:\x07|\x1b\\)?"
    rb"|[\x20-\x2f]{0,16}[\x30-\x7e]?"
    rb")"
)
_CONTINUATION = range(0x80, 0xC0)
_SPECIAL = re.compile(rb"([\n\r\x08])")


class Plain:
    """Makes a streamed text plain. The stub of the compiled module describes it."""

    def __init__(self) -> None:
        self._undecided = b""
        self._line = bytearray()
        self._returned = False
        self._begun = False

    @property
    def held(self) -> int:
        """The number of bytes that `finish` will return."""
        return len(self._line)

    def feed(self, data: bytes, /) -> bytes:
        """Take the next part of the text; return what is final."""
        data = self._without_sequences(self._undecided + data)
        out = bytearray()
        for part in _SPECIAL.split(data):
            if part == b"\n":
                out += self._line + b"\n"
                self._line.clear()
                self._returned = self._begun = False
            elif part == b"\r":
                self._returned = True
            elif part == b"\x08":
                self._overwrite(out)
                self._take_back()
            elif part:
                self._overwrite(out)
                self._write(part, out)
        return bytes(out)

    def finish(self) -> bytes:
        """Return what was held back of the last line."""
        self._begun = self._begun or bool(self._line)
        line = bytes(self._line)
        self._line.clear()
        return line

    def _without_sequences(self, data: bytes) -> bytes:
        """Return data without sequences; one at its very end is kept for later, since it may continue."""
        self._undecided = b""
        if b"\x1b" not in data:
            return data
        parts = []
        at = 0
        for sequence in _SEQUENCE.finditer(data):
            parts.append(data[at : sequence.start()])
            at = sequence.end()
            if at == len(data):
                self._undecided = sequence[0]
        parts.append(data[at:])
        return b"".join(parts)

    def _write(self, text: bytes, out: bytearray) -> None:
        self._line += text
        whole = len(self._line) // _LINE * _LINE
        if whole:
            out += self._line[:whole]
            del self._line[:whole]
            self._begun = True

    def _overwrite(self, out: bytearray) -> None:
        if self._returned:
            self._returned = False
            self._line.clear()
            if self._begun:
                self._begun = False
                out += b"\n"

    def _take_back(self) -> None:
        for _ in range(3):
            if self._line and self._line[-1] in _CONTINUATION:
                self._line.pop()
        if self._line:
            self._line.pop()
