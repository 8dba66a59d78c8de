"""Finds the references in Ruby, and writes values as Ruby literals."""

from __future__ import annotations

import re

from maxstage.workflow.format.scripts.calls import MARK, TEXT
from maxstage.workflow.format.scripts.functions import Dialect, named
from maxstage.workflow.format.scripts.places import Lost
from maxstage.workflow.format.scripts.reader import AHEAD, CLOSERS, Reader, quoting_of, why_refused

_FUNCTIONS = {
    **named("code", "eval instance_eval class_eval module_eval", handed_on=True),
    **named("code", "require require_relative autoload", only=True, of=("Kernel",)),
    **named("code", "load unsafe_load", only=True, of=("Kernel", "Marshal", "YAML", "Psych")),
    **named("code", "new", of=("ERB",)),
    **named("all", "trap"),
    **named("code", "dlopen"),
    **named("program", "system exec spawn", handed_on=True),
    **named("line", "popen"),
    **named("program", "popen2 popen2e popen3 capture2 capture2e capture3 pipeline pipeline_r pipeline_w"),
    **named("program", "sh"),
    **named("pipe", "open", only=True, of=("Kernel", "URI", "IO")),
    **named("pipe", "read readlines foreach binread write binwrite", of=("IO",)),
    **named("pipe", "sysopen", of=("IO",)),
    **named("send", "send public_send __send__ method public_method instance_method"),
    **named("code", "execute execute_batch", of=("SQLite3", "PG", "Mysql2")),
}
"""Functions that run code or commands, or that call a method by its name."""


class _Ruby(Reader):
    dialect = Dialect(_FUNCTIONS, without_brackets=True, ends_with_line=True, keyword=":", one_for_shell=True)
    constants = ("nil", "false", "true")
    _PERCENT = re.compile(r"%([qQwWiIxrs]?)([^\w\s])")
    _DOCUMENT = re.compile(r"<<([~-]?)(['\"`]?)([A-Z_]\w*)\2")

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._documents: list[tuple[str, str, int]] = []

    def code(self, end: str) -> None:  # noqa: C901, PLR0912 - a table of marks
        depth = 0
        while self._at < len(self._text):
            if self._reference(""):
                continue
            mark = self._next()
            if end and not depth and mark == end:
                self._at += 1
                return
            percent = self._PERCENT.match(self._text, self._at)
            document = self._DOCUMENT.match(self._text, self._at)
            if mark == "#":
                self._comment("\n" if not self._documents else "")
                if self._documents:
                    raise Lost
            elif self._sees("=begin") and self._text[self._at - 1 : self._at] in {"", "\n"}:
                self._comment("\n=end")
            elif self._sees("__END__") and self._text[self._at - 1 : self._at] in {"", "\n"}:
                self._rest()
            elif document is not None and self._is_document(document):
                self._documents.append((document[3], document[2], self._at))
                self._token(TEXT, self._at, document.end())
                self._at = document.end()
                self._last = "x"
            elif mark == "\n":
                self._token(MARK, self._at, self._at + 1)
                self._at += 1
                self._here()
            elif mark in "'\"`":
                self._quoted(mark, mark, mark)
            elif mark == "/" and not self._value_before:
                self._quoted("/", "/", "/")
            elif percent is not None and (percent[1] or not self._value_before):
                kind = {"": '"', "Q": '"', "r": "/", "x": "`", "W": "%W", "I": "%W"}.get(percent[1], "'")
                self._quoted(kind, CLOSERS.get(percent[2], percent[2]), percent[0])
            elif mark == "?" and re.match(r"\?[^\w\s](?!\w)", self._text[self._at : self._at + AHEAD]):
                self._at += 2
            else:
                depth += (mark == "{") - (mark == "}")
                self._plain()
        if end:
            raise Lost

    def _is_document(self, mark: re.Match[str]) -> bool:
        """Whether a here-document begins: after a word that may be a method, it does if a line ends it."""
        if mark[1] or mark[2] or not self._value_before:
            return True
        apart = self._text[self._at - 1 : self._at].isspace()
        end = re.compile(rf"^{re.escape(mark[3])}$", re.MULTILINE)
        return apart and end.search(self._text, mark.end()) is not None

    def _quoted(self, kind: str, end: str, mark: str) -> None:
        began = self._at
        self._at += len(mark)
        inner = {"#{": self._within} if kind != "'" else None
        opening = mark[-1] if mark[-1] != end else ""
        count = len(self.found)
        self._up_to(end, kind, why=why_refused(kind), opening=opening, inner=inner, began=began)
        if kind == "`":
            for place in self.found[count:]:
                place.refuse(why_refused(kind))

    def _within(self) -> None:
        self._last = ""
        self.code("}")

    def _rest(self) -> None:
        while self._at < len(self._text):
            if not self._reference("", "it is in the data after __END__"):
                self._at += 1

    def _here(self) -> None:
        documents, self._documents = self._documents, []
        for end, written, began in documents:
            count = len(self.found)
            kind = written or '"'
            stop = re.compile(rf"^[ \t]*{re.escape(end)}$", re.MULTILINE).search(self._text, self._at)
            if stop is None:
                raise Lost
            while self._at < stop.start():
                if self._reference("<<", why_refused(kind)):
                    continue
                if kind != "'" and self._sees("#{"):
                    self._at += 2
                    self._within()
                elif kind != "'" and self._next() == "\\":
                    self._escape("<<")
                else:
                    self._at += 1
            if kind == "`":
                for place in self.found[count:]:
                    place.refuse(why_refused(kind))
            self.anchors.update((place.start, began) for place in self.found[count:])
            self._at = stop.end()


QUOTING = quoting_of(_Ruby)
