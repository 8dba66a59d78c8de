"""Finds the references in JavaScript, and writes values as JavaScript literals."""

from __future__ import annotations

from maxstage import exact
from maxstage.workflow.format.scripts.functions import Dialect, named
from maxstage.workflow.format.scripts.places import Lost
from maxstage.workflow.format.scripts.reader import CHECK_FIRST, Reader, quoting_of

_FUNCTIONS = {
    **named("all", "eval Function AsyncFunction GeneratorFunction", handed_on=True),
    **named("all", "constructor"),
    **named("code", "runInThisContext runInNewContext runInContext compileFunction", handed_on=True),
    **named("code", "Script SourceTextModule", of=("vm",)),
    **named("code", "require import createRequire dlopen _compile _load Worker fork"),
    **named("command", "exec", of=("child_process", "shelljs"), handed_on=True),
    **named("command", "execSync execaCommand execaCommandSync", handed_on=True),
    **named("program", "spawn spawnSync execFile execFileSync execa execaSync"),
    **named("code", "query prepare", of=("sqlite", "pg", "mysql", "sqlite3")),
}
"""Functions that run code or commands."""

_MOST = 2**53
"""Doubles hold every whole number up to this one."""


class _JavaScript(Reader):
    dialect = Dialect(_FUNCTIONS, keyword=":")
    constants = ("null", "false", "true")

    def code(self, end: str) -> None:
        depth = 0
        while self._at < len(self._text):
            if self._reference(""):
                continue
            mark = self._next()
            if end and not depth and mark == end:
                self._at += 1
                return
            if self._sees("//"):
                self._comment("\n")
            elif self._sees("/*"):
                self._comment("*/")
            elif mark in "'\"":
                began = self._at
                self._at += 1
                self._up_to(mark, mark, began=began)
            elif mark == "`":
                self._template()
            elif mark == "/" and not self._value_before:
                self._regex()
            else:
                depth += (mark == "{") - (mark == "}")
                self._plain()
        if end:
            raise Lost

    def _template(self) -> None:
        why = f"a tag reads the text as it is written; {CHECK_FIRST}" if self._value_before else ""
        began = self._at
        self._at += 1
        self._up_to("`", "`", why=why, inner={"${": self._within}, began=began)

    def _within(self) -> None:
        self._last = ""
        self.code("}")

    def _regex(self) -> None:
        number = self._begin_text(self._at)
        self._at += 1
        start = self._at
        inside = False
        while inside or self._next() != "/":
            if self._reference("/"):
                continue
            if self._next() == "\n":
                raise Lost
            if self._next() == "\\":
                self._escape("/")
                continue
            inside = self._next() == "[" or (inside and self._next() != "]")
            self._at += 1
        self._at += 1
        self._end_text(number, start, self._at - 1)
        self._last = "x"

    @classmethod
    def escaped(cls, text: str) -> str:
        """Return a text with every UTF-16 code unit escaped."""
        units = text.encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))

    @classmethod
    def parsed(cls, whole: str) -> str:
        """Return the code of a list or a mapping, given its JSON as a literal."""
        return f"JSON.parse({whole})"

    @classmethod
    def holds(cls, number: float) -> bool:
        """Whether a number keeps its value: all numbers are doubles."""
        return exact.is_double(number) and (isinstance(number, float) or abs(number) <= _MOST)


QUOTING = quoting_of(_JavaScript)
