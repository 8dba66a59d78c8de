"""The words of a bash script: quotes, expansions, sums, and the commands within them, followed as bash does it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from maxstage.workflow.format.scripts.places import (
    AFTER_BACKSLASH,
    COMMENT,
    INTEGER,
    Lost,
    Place,
    references_in,
)
from maxstage.workflow.format.scripts.shell_commands import Word

if TYPE_CHECKING:
    from maxstage.workflow.format.scripts.shell_commands import Command

_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-]")
_OPERATOR = re.compile(r":?[-=?+]|:|##?|%%?|/[/#%]?|\^\^?|,,?|@|\*(?=\})")
_DECLARED = re.compile(
    r"\b(?:declare|typeset|local|export|readonly)((?:[ \t]+(?:[-+][A-Za-z]+|\w+(?:=\S*)?))+)"
)

_ENDS = " \t\n;&|<>()"
"""What ends a word."""
_COMPUTED = frozenset(
    ("RANDOM", "SRANDOM", "SECONDS", "OPTIND", "HISTCMD", "LINENO", "BASHPID", "EPOCHSECONDS")
)
"""Variables of bash's own whose value is computed when one is assigned."""
WITHIN = "it is in a command whose output is used in arithmetic"
_ESCAPED = "it is in backticks with backslashes; write $(…)"
_TWO_WAYS = "whether '((' begins a calculation can't be told for certain; write '( (' for commands"
CHECK_FIRST = "assign the value to a variable, check that, and use the variable here"


class _NoSum(Exception):
    """What began with ``((`` is not arithmetic."""


class Document(NamedTuple):
    """A here-document whose text is still to come.

    Attributes:
        command: Who reads it.
        end: The line that ends it.
        quoted: Whether nothing in it is expanded.
        tabs: Whether tabs at the beginning of its lines are left out.
    """

    command: Command
    end: str
    quoted: bool
    tabs: bool


class Sum(NamedTuple):
    """What a script computes.

    Attributes:
        at: Where it ends.
        text: The arithmetic.
        is_subscript: Whether it stands in brackets after a name: of an array with ``declare -A`` it is a text.
    """

    at: int
    text: str
    is_subscript: bool = False


def _integer_names(text: str) -> frozenset[str]:
    """Return the variables that are declared with ``-i`` anywhere in a script."""
    names = set(_COMPUTED)
    for match in _DECLARED.finditer(text):
        words = match[1].split()
        if any(word.startswith("-") and "i" in word for word in words):
            names.update(word.partition("=")[0] for word in words if word[0] not in "-+")
    return frozenset(names)


class ShellWords:
    """Goes through a script once. `at` is where it is; each method goes on from there.

    Attributes:
        found: The references.
        sums: What is computed.
    """

    def __init__(self, text: str) -> None:
        self.found: list[Place] = []
        self._text = text
        self._at = 0
        self._stop = len(text)
        self._references = references_in(text)
        self._level = 0
        # What becomes of what is read here: nothing, it is computed with, or a reason for a refusal.
        self._sink = ""
        self.sums: list[Sum] = []
        self._pending: list[Document] = []
        self._integers = _integer_names(text)
        self._arrays = frozenset(re.findall(r"(\w+)(?:\+?=\(|\[)", text))

    # What a command is made of.

    def _next(self) -> str:
        if self._at >= self._stop:
            raise Lost
        return self._text[self._at]

    def _sees(self, text: str) -> bool:
        return self._text.startswith(text, self._at, self._stop)

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        return pattern.match(self._text, self._at, self._stop)

    def _reference(self, quote: str) -> bool:
        """Note the reference that begins here, if one does."""
        end = self._references.get(self._at)
        if end is None:
            return False
        place = Place(self._at, end, quote, level=self._level)
        if self._sink == INTEGER:
            place.need(INTEGER)
        elif self._sink:
            place.refuse(self._sink)
        self.found.append(place)
        self._at = end
        return True

    def _blanks(self) -> None:
        while self._at < self._stop and (self._text[self._at] in " \t" or self._sees("\\\n")):
            self._at += 2 if self._text[self._at] == "\\" else 1

    def _comment(self) -> None:
        while self._at < self._stop and self._text[self._at] != "\n":
            if not self._reference(COMMENT):
                self._at += 1

    def _word(self, *, ends: str = _ENDS) -> Word:
        start, first = self._at, len(self.found)
        while self._at < self._stop:
            if self._at in self._references:
                self._piece("")
                continue
            if self._sees("<(") or self._sees(">("):
                self._at += 2
                self._inside(")")
            elif self._text[self._at] in "?*+@!" and self._text.startswith("(", self._at + 1):
                self._at += 2
                self._group()
            elif self._text[self._at] in ends:
                break
            else:
                self._piece("")
        return Word(self._text[start : self._at], self.found[first:], self._level)

    def _group(self) -> None:
        """Go over the rest of a pattern like ``@(a|b)``, or of brackets in a regular expression."""
        while self._next() != ")" or self._at in self._references:
            if self._next() == "(":
                self._at += 1
                self._group()
            else:
                self._piece("")
        self._at += 1

    def _piece(self, quote: str) -> None:
        """Go over a character, or over what begins here."""
        if self._reference(quote):
            return
        mark = self._next()
        if mark == "\\":
            self._escape(quote)
        elif mark == "$":
            self._dollar(quote)
        elif mark == "`":
            self._backticks()
        elif mark == "'" and not quote:
            self._at += 1
            self._single("'")
        elif mark == '"' and not quote:
            self._double()
        else:
            self._at += 1
        if self._at > self._stop:
            raise Lost

    def _escape(self, quote: str) -> None:
        self._at += 1
        if self._reference(quote):
            self.found[-1].refuse(AFTER_BACKSLASH)
        else:
            self._at += 1

    def _single(self, quote: str) -> None:
        while self._next() != "'":
            if self._reference(quote):
                continue
            if quote == "$'" and self._next() == "\\":
                self._escape(quote)
            else:
                self._at += 1
        self._at += 1

    def _double(self) -> None:
        self._at += 1
        while self._next() != '"':
            self._piece('"')
        self._at += 1

    def _dollar(self, quote: str) -> None:
        if self._sees("$(("):
            self._sum_or(start=3, command=2)
        elif self._sees("$("):
            self._at += 2
            self._inside(")")
        elif self._sees("${"):
            self._parameter(quote)
        elif self._sees("$["):
            self._at += 2
            self._sum("]")
        elif self._sees("$'") and not quote:
            self._at += 2
            self._single("$'")
        else:
            # A dollar before a double quote only asks for a translation.
            self._at += 1

    def _inside(self, end: str) -> None:
        """Go over a command within a word."""
        sink, pending = self._sink, self._pending
        self._level += 1
        self._pending = []
        if sink == INTEGER:
            self._sink = f"{WITHIN}; {CHECK_FIRST}"
        before = self._at
        self.commands(end)
        if self._pending or (pending and "\n" in self._text[before : self._at]):
            raise Lost
        self._sink, self._pending = sink, pending
        self._level -= 1

    def _backticks(self) -> None:
        start, stop = self._at, self._stop
        end = start + 1
        while end < stop and self._text[end] != "`":
            end += 2 if self._text[end] == "\\" else 1
        if end >= stop:
            raise Lost
        if "\\" in self._text[start:end]:
            self._refuse_all(end, _ESCAPED)
        else:
            self._at, self._stop = start + 1, end
            self._inside("")
            self._stop = stop
        self._at = end + 1

    def _refuse_all(self, end: int, why: str) -> None:
        while self._at < end:
            if self._reference(""):
                self.found[-1].refuse(why)
            else:
                self._at += 1

    def _parameter(self, quote: str) -> None:
        self._at += 2
        if self._next() in "!#" and not self._text.startswith("}", self._at + 1):
            self._at += 1
        if self._reference(""):
            self.found[-1].refuse(f"it is used as the name of a variable; {CHECK_FIRST}")
            name = ""
        else:
            found = self._match(_PARAMETER)
            if found is None:
                raise Lost
            name = found[0]
            self._at = found.end()
        if self._next() == "[":
            self._at += 1
            self._sum("]")
        operator = self._match(_OPERATOR)
        if operator is not None and self._at not in self._references:
            self._at = operator.end()
            self._after_operator(operator[0], name, quote)
        if self._next() != "}":
            raise Lost
        self._at += 1

    def _after_operator(self, operator: str, name: str, quote: str) -> None:
        sink = self._sink
        if operator == ":":
            self._sum("}")
            self._at -= 1
            return
        if operator.endswith("=") and name in self._integers:
            self._sink = INTEGER
        if operator == "@":
            self._refuse_all(self._text.find("}", self._at, self._stop), "it is used as an operator")
        plain = operator[-1] in "-=?+"
        while self._next() != "}" or self._at in self._references:
            if self._next() == '"' and self._at not in self._references:
                self._double()
            else:
                # In a pattern quotes are needed within quotes too: without them it would not be itself alone.
                self._piece(quote if plain else "")
        self._sink = sink

    # What is computed.

    def _sum_or(self, *, start: int, command: int) -> None:
        """Go over arithmetic; what turns out to be commands in brackets is refused."""
        at, stop, level, count = self._at, self._stop, self._level, len(self.found)
        sums = len(self.sums)
        sink, pending = self._sink, self._pending
        try:
            self._at += start
            self._sum("))")
        except (_NoSum, Lost):
            del self.found[count:]
            del self.sums[sums:]
            self._at, self._stop, self._level, self._pending = at + command, stop, level, pending
            self._sink = sink or _TWO_WAYS
            self._inside(")")
            self._sink = sink

    def _sum(self, end: str) -> None:
        sink = self._sink
        self._sink = sink or INTEGER
        depth, start = 0, self._at
        while True:
            mark = self._next()
            if self._at in self._references:
                self._reference("((")
            elif depth == 0 and self._sees(end):
                break
            elif mark == "$":
                self._dollar('"')
            elif mark == '"':
                self._double()
            elif mark == "'":
                self._at += 1
                self._single("'")
            elif mark in "\\`":
                self._piece('"')
            else:
                depth += (mark in "([") - (mark in ")]")
                if depth < 0:
                    raise _NoSum if end == "))" else Lost
                self._at += 1
        self.sums.append(Sum(self._at, self._text[start : self._at], end == "]"))
        self._at += len(end)
        self._sink = sink

    def commands(self, end: str) -> str:
        """Go over commands up to their end; return what ended them."""
        raise NotImplementedError
