"""A JSON array, or one value on many lines, as a record a line."""

import re

_INTERESTING = re.compile(rb'["{}\[\],\n\r]')
_IN_STRING = re.compile(rb'["\\\n]')
_BLANK = b" \t\n\r"
_BOM = b"\xef\xbb\xbf"
_NO_NEWLINE = b"\x0b"


class Elements:
    """Takes a value apart that comes bit by bit. See the stub of the compiled module."""

    def __init__(self) -> None:
        self._state = "start"
        self._at = 0
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, data: bytes, /) -> bytes:
        """Return what `data` has of the elements, each with a newline at its end."""
        out: list[bytes] = []
        at = 0
        while at < len(data):
            inside = self._state in {"within", "alone"}
            at = self._within(data, at, out) if inside else self._between(data, at)
        self._at += len(data)
        return b"".join(out)

    def finish(self) -> bytes:
        """End it; return what was left."""
        if self._state == "alone":
            return b"\n"
        if self._state in {"start", "end"}:
            return b""
        raise self._fault("it ends within the array", 0)

    def _fault(self, what: str, at: int) -> ValueError:
        return ValueError(f"{what} (byte {self._at + at})")

    def _between(self, data: bytes, at: int) -> int:
        byte = data[at : at + 1]
        if byte in {b" ", b"\t", b"\n", b"\r"}:
            return at + 1
        if self._state == "start":
            place = self._at + at
            if byte == _BOM[place : place + 1]:
                return at + 1
            self._state = "first" if byte == b"[" else "alone"
            return at + 1 if byte == b"[" else at
        if self._state == "end":
            raise self._fault("something follows the end of the array", at)
        if byte == b"]" and self._state == "first":
            self._state = "end"
            return at + 1
        if byte in {b"]", b","}:
            raise self._fault("an element is missing", at)
        self._state = "within"
        return at

    def _within(self, data: bytes, at: int, out: list[bytes]) -> int:
        while at < len(data):
            if self._in_string:
                at = self._string(data, at, out)
                continue
            match = _INTERESTING.search(data, at)
            end = match.start() if match else len(data)
            out.append(data[at:end])
            if match is None:
                return end
            at = end + 1
            byte = match[0]
            if byte == b'"':
                self._in_string = True
            elif byte in {b"{", b"["}:
                self._depth += 1
            elif byte in {b",", b"]"} and not self._depth and self._state == "within":
                self._state = "next" if byte == b"," else "end"
                out.append(b"\n")
                return at
            elif byte in {b"}", b"]"}:
                self._depth = max(0, self._depth - 1)
            out.append(b" " if byte in {b"\n", b"\r"} else byte)
        return at

    def _string(self, data: bytes, at: int, out: list[bytes]) -> int:
        if self._escaped:
            self._escaped = False
            out.append(_NO_NEWLINE if data[at : at + 1] == b"\n" else data[at : at + 1])
            return at + 1
        match = _IN_STRING.search(data, at)
        end = match.start() if match else len(data)
        out.append(data[at:end])
        if match is None:
            return end
        self._in_string = match[0] != b'"'
        self._escaped = match[0] == b"\\"
        out.append(_NO_NEWLINE if match[0] == b"\n" else match[0])
        return end + 1
