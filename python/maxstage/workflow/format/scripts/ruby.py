"""Where references stand in a script of Ruby, and how values are written there."""

from __future__ import annotations

import re

from maxstage.workflow.format.scripts.places import Lost
from maxstage.workflow.format.scripts.reader import AHEAD, CLOSERS, Reader, quoting_of, why_refused


class _Ruby(Reader):
    read_again = r"\b(?:eval|instance_eval|class_eval|module_eval|system|exec|spawn|popen)(?:\s*\(\s*|\s+)$"
    constants = ("nil", "false", "true")
    _PERCENT = re.compile(r"%([qQwWiIxrs]?)([^\w\s])")
    _DOCUMENT = re.compile(r"<<([~-]?)(['\"`]?)([A-Z_]\w*)\2")

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._documents: list[tuple[str, str]] = []

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
            elif document is not None and (document[1] or document[2] or not self._value_before):
                self._documents.append((document[3], document[2]))
                self._at = document.end()
                self._last = "x"
            elif mark == "\n":
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

    def _quoted(self, kind: str, end: str, mark: str) -> None:
        began = self._at
        self._at += len(mark)
        inner = {"#{": self._within} if kind != "'" else None
        opening = mark[-1] if mark[-1] != end else ""
        self._up_to(end, kind, why=why_refused(kind), opening=opening, inner=inner, began=began)

    def _within(self) -> None:
        self._last = ""
        self.code("}")

    def _rest(self) -> None:
        while self._at < len(self._text):
            if not self._reference("", "it is in the data after __END__"):
                self._at += 1

    def _here(self) -> None:
        documents, self._documents = self._documents, []
        for end, written in documents:
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
            self._at = stop.end()


QUOTING = quoting_of(_Ruby)
