"""Finds the references in Perl, and writes values as Perl literals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from maxstage import exact
from maxstage.workflow.format.scripts.calls import MARK, TEXT, WORD
from maxstage.workflow.format.scripts.functions import Dialect, named
from maxstage.workflow.format.scripts.places import Lost
from maxstage.workflow.format.scripts.reader import (
    AHEAD,
    CHECK_FIRST,
    CLOSERS,
    Reader,
    quoting_of,
    why_refused,
)

if TYPE_CHECKING:
    from maxstage.workflow.format.scripts.places import Place

_FUNCTIONS = {
    **named(
        "code", "eval evalbytes do require reval rdo load autoload load_module require_module use_module"
    ),
    **named("program", "system exec"),
    **named("command", "readpipe capture"),
    **named("program", "open2", skips=2),
    **named("program", "open3", skips=3),
    **named("all", "run run_forked", of=("IPC",)),
    **named("open", "open"),
    **named("code", "new reader writer", of=("IO",)),
    **named("code", "thaw retrieve", of=("Storable",)),
    **named("code", "prepare selectall_arrayref selectrow_array selectrow_hashref selectall_hashref"),
    **named("code", "can"),
}
"""Functions that run code, commands or SQL."""


class _Perl(Reader):
    dialect = Dialect(
        _FUNCTIONS,
        without_brackets=True,
        one_for_shell=True,
        program_in_braces=frozenset(("system", "exec")),
        calls_texts=True,
    )
    constants = ('""', "0", "1")
    _LIKE_QUOTES = re.compile(r"(?<![\w$@%&>{])(q|qq|qw|qx|qr|m|s|y|tr)(?!\s*(?:=>|,|;|\)|\}))(\s*)([^\w\s])")
    _DOCUMENT = re.compile(r"<<(~?)(?:(['\"`])([^\n]*?)\2|([A-Z_]\w*))")

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._documents: list[tuple[str, str, bool, int]] = []

    def code(self, end: str) -> None:  # noqa: C901, PLR0912 - a table of marks
        del end
        while self._at < len(self._text):
            if self._reference(""):
                continue
            mark = self._next()
            line_begins = self._text[self._at - 1 : self._at] in {"", "\n"}
            like = self._LIKE_QUOTES.match(self._text, self._at)
            document = self._DOCUMENT.match(self._text, self._at)
            if mark == "#":
                self._comment("" if self._documents else "\n")
                if self._documents:
                    raise Lost
            elif line_begins and re.match(r"=[a-z]", self._text[self._at : self._at + AHEAD]):
                self._comment("\n=cut")
            elif line_begins and re.match(
                r"__(END|DATA)__\s*(\n|$)", self._text[self._at : self._at + AHEAD]
            ):
                self._rest()
            elif mark == "$" and re.match(r"\$[#'\"`/&,;.!@]", self._text[self._at : self._at + AHEAD]):
                self._token(WORD, self._at, self._at + 2)
                self._at += 2
                self._last = "x"
            elif (
                like is not None
                and like.end(3) - 1 not in self._references
                and (like[3] != "#" or not like[2])
            ):
                self._like_quotes(like[1], like[3], like.end())
            elif document is not None and not (
                self._value_before and document[4] is None and not document[1]
            ):
                self._documents.append(
                    (document[3] or document[4] or "", document[2] or '"', bool(document[1]), self._at)
                )
                self._token(TEXT, self._at, document.end())
                self._at = document.end()
                self._last = "x"
            elif mark == "\n":
                self._token(MARK, self._at, self._at + 1)
                self._at += 1
                self._here()
            elif mark in "'\"`":
                self._quoted(mark, mark, mark)
            elif self._sees("//") and self._value_before:
                self._at += 2
                self._last = "="
            elif mark == "/" and not self._value_before:
                self._quoted("/", "/", "/")
            else:
                self._plain()

    def _quoted(self, kind: str, end: str, mark: str) -> None:
        began = self._at
        self._at += len(mark)
        self._text_up_to(kind, end, mark[-1], began)

    def _text_up_to(self, kind: str, end: str, opening: str, began: int, why: str = "") -> None:
        count, start = len(self.found), self._at
        opening = opening if opening != end else ""
        self._up_to(end, kind, why=why or why_refused(kind), opening=opening, began=began)
        for place in self.found[count:]:
            _refuse_within(place, self._text[start : place.start])

    def _like_quotes(self, word: str, mark: str, at: int) -> None:
        began, self._at = self._at, at
        kind = {"q": "'", "qw": "'", "qx": "`", "m": "/", "qr": "/", "s": "/"}.get(word, '"')
        if mark == "'" and kind != "`":
            kind = "'"
        end = CLOSERS.get(mark, mark)
        count = len(self.found)
        self._text_up_to(kind, end, mark, began)
        if word in {"s", "y", "tr"}:
            if mark != end:
                while self._next().isspace():
                    self._at += 1
                mark = self._next()
                end = CLOSERS.get(mark, mark)
                self._at += 1
            self._text_up_to("'" if mark == "'" else '"', end, mark, began)
        flags = re.compile(r"[a-z]*").match(self._text, self._at)
        self._at = flags.end() if flags else self._at
        if flags and word == "s" and "e" in flags[0]:
            for place in self.found[count:]:
                place.refuse(f"s///e runs it as code; {CHECK_FIRST}")

    def _rest(self) -> None:
        while self._at < len(self._text):
            if not self._reference("", "it is in the data at the end of the script"):
                self._at += 1

    def _here(self) -> None:
        documents, self._documents = self._documents, []
        for end, kind, blanks, began in documents:
            count = len(self.found)
            before = r"[ \t]*" if blanks else ""
            stop = re.compile(rf"^{before}{re.escape(end)}$", re.MULTILINE).search(self._text, self._at)
            if stop is None:
                raise Lost
            start = self._at
            while self._at < stop.start():
                if self._reference("<<", why_refused(kind)):
                    _refuse_within(self.found[-1], self._text[start : self.found[-1].start])
                elif kind != "'" and self._next() == "\\":
                    self._escape("<<")
                else:
                    self._at += 1
            self.anchors.update((place.start, began) for place in self.found[count:])
            self._at = stop.end()

    @classmethod
    def holds(cls, number: float) -> bool:
        """Whether a number keeps its value: whole numbers have 64 bits."""
        return -(2**63) <= number < 2**64 if isinstance(number, int) else exact.is_double(number)


def _refuse_within(place: Place, before: str) -> None:
    """Refuse a reference in code within a string: ``@{[ … ]}``."""
    if any(before.count(opening) > before.count("}") for opening in ("@{", "${")):
        place.refuse(f"it is in code within a string; {CHECK_FIRST}")


QUOTING = quoting_of(_Perl)
