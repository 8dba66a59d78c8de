"""Finds the references in Python, and writes values as Python literals."""

from __future__ import annotations

import re

from maxstage.workflow.format.scripts.calls import MARK, Token
from maxstage.workflow.format.scripts.functions import Dialect, named
from maxstage.workflow.format.scripts.places import Lost
from maxstage.workflow.format.scripts.reader import CHECK_FIRST, Reader, escaped_bytes, quoting_of

_PYTHON = re.compile(r"#|(?<!\w)(?P<prefix>[rRbBuUfFtT]{0,2})(?P<quote>'''|\"\"\"|'|\")|(?P<any>['\"])")

_FUNCTIONS = {
    **named("code", "eval exec", handed_on=True),
    **named("code", "compile", only=True, of=("builtins", "__builtins__"), handed_on=False),
    **named("code", "__import__ import_module execfile run_path run_module"),
    **named("code", "runsource runcode interact runctx runeval runcall"),
    **named("code", "timeit repeat Timer", of=("timeit",)),
    **named(
        "code", "loads load", of=("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "joblib")
    ),
    **named("code", "Unpickler", handed_on=False),
    **named("code", "unsafe_load full_load"),
    **named("code", "CDLL PyDLL LoadLibrary dlopen"),
    **named("code", "execute executemany executescript"),
    **named("command", "system popen getoutput getstatusoutput create_subprocess_shell", handed_on=True),
    **named("command", "exec_command"),
    **named("program", "call check_call check_output Popen run", of=("subprocess",)),
    **named("program", "create_subprocess_exec"),
    **named(
        "named program", "execl execle execlp execlpe execv execve execvp execvpe posix_spawn posix_spawnp"
    ),
    **named("named program", "spawnl spawnle spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe", skips=1),
}
"""Functions that run code, commands or SQL, or load objects that may be code."""


class _Python(Reader):
    dialect = Dialect(_FUNCTIONS, keyword="=")
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
                self._plain()
            elif mark[0] == "#":
                self._comment("\n")
            else:
                self._string(mark)
        if end:
            raise Lost

    def _string(self, mark: re.Match[str]) -> None:
        number = self._begin_text(self._at)
        self._at = start = mark.end()
        prefix, end = (mark["prefix"] or "").lower(), mark["quote"] or mark["any"]
        formatted = "f" in prefix or "t" in prefix
        while not self._sees(end):
            if self._next() == "\n" and len(end) == 1:
                raise Lost
            if self._reference(f"{prefix}{end}"):
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
        self._end_text(number, start, self._at - len(end))

    def _field(self) -> None:
        """Parse a replacement field of an f-string: before Python 3.12 it can't hold every literal."""
        count = len(self.found)
        self.tokens.append(Token(MARK, "{", self._at, self._at))
        self._at += 1
        self.code("}")
        self.tokens.append(Token(MARK, "}", self._at, self._at))
        self._at += 1
        for place in self.found[count:]:
            place.refuse(f"it is in the braces of an f-string; {CHECK_FIRST}")

    @classmethod
    def escaped(cls, text: str) -> str:
        """Return a text with every character escaped."""
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
        """Return a text as it is written within quotes, which may have a prefix."""
        prefix, mark = quote.rstrip("'\""), quote.lstrip("bfrtu")
        escaped = escaped_bytes(text) if "b" in prefix else cls.escaped(text)
        if "r" not in prefix:
            return escaped
        # Raw strings have no escapes, so the string is ended here and begun again.
        plain = prefix.replace("r", "")
        return f"{mark} {plain}{mark}{escaped}{mark} {prefix}{mark}"

    @classmethod
    def parsed(cls, whole: str) -> str:
        """Return the code of a list or a mapping, given its JSON as a literal."""
        return f'__import__("json").loads({whole})'


QUOTING = quoting_of(_Python)
