"""Where references stand in a script of Python, and how values are written there."""

from __future__ import annotations

import re

from maxstage.workflow.format.scripts.places import Lost
from maxstage.workflow.format.scripts.reader import CHECK_FIRST, Reader, escaped_bytes, quoting_of

_PYTHON = re.compile(r"#|(?<!\w)(?P<prefix>[rRbBuUfFtT]{0,2})(?P<quote>'''|\"\"\"|'|\")|(?P<any>['\"])")


class _Python(Reader):
    read_again = r"\b(?:eval|exec|compile|os\.system|os\.popen|getoutput|getstatusoutput)\s*\(\s*\w*$"
    constants = ("None", "False", "True")

    def code(self, end: str) -> None:
        depth = 0
        while self._at < len(self._text):
            if self._reference(""):
                continue
            if end and not depth and self._sees(end):
                return
            mark = _PYTHON.match(self._text, self._at)
            if mark is None:
                depth += (self._next() in "([{") - (self._next() in ")]}")
                self._at += 1
            elif mark[0] == "#":
                self._comment("\n")
            else:
                self._string(mark)
        if end:
            raise Lost

    def _string(self, mark: re.Match[str]) -> None:
        began = self._at
        self._at = mark.end()
        prefix, end = (mark["prefix"] or "").lower(), mark["quote"] or mark["any"]
        formatted = "f" in prefix or "t" in prefix
        while not self._sees(end):
            if self._next() == "\n" and len(end) == 1:
                raise Lost
            if self._reference(f"{prefix}{end}", began=began):
                continue
            if self._next() == "\\":
                self._escape(end)
            elif formatted and (self._sees("{{") or self._sees("}}")):
                self._at += 2
            elif formatted and self._next() == "{":
                self._field()
            else:
                self._at += 1
        self._at += len(end)

    def _field(self) -> None:
        """Go over what an f-string fills in: an expression, where no literal may stand before Python 3.12."""
        count = len(self.found)
        self._at += 1
        self.code("}")
        self._at += 1
        for place in self.found[count:]:
            place.refuse(f"it is in the braces of an f-string; {CHECK_FIRST}")

    @classmethod
    def escaped(cls, text: str) -> str:
        """Return a text with every character as an escape."""
        return "".join(
            f"\\x{ord(char):02x}"
            if char <= "\xff"
            else f"\\u{ord(char):04x}"
            if char <= "\uffff"
            else f"\\U{ord(char):08x}"
            for char in text
        )

    @classmethod
    def inside(cls, text: str, quote: str) -> str:
        """Return a text as it is written within a quote, which may have a prefix."""
        prefix, mark = quote.rstrip("'\""), quote.lstrip("bfrtu")
        escaped = escaped_bytes(text) if "b" in prefix else cls.escaped(text)
        if "r" not in prefix:
            return escaped
        # Backslashes are no escapes in a raw text: it ends here, and begins again.
        plain = prefix.replace("r", "")
        return f"{mark} {plain}{mark}{escaped}{mark} {prefix}{mark}"

    @classmethod
    def parsed(cls, whole: str) -> str:
        """Return the code of a list or a mapping, given the literal of its JSON."""
        return f'__import__("json").loads({whole})'


QUOTING = quoting_of(_Python)
