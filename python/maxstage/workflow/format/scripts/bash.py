"""Finds the references in a bash script.

Most places take any value: it is passed in a variable, which bash expands and does not parse again. Some are parsed
again: everything arithmetic (``(( ))``, ``[[ x -gt y ]]``, ``${s:offset}``, subscripts), names of variables, and
arguments that are run as code (``eval``, ``trap``, ``bash -c``). So the script is parsed the way bash parses it, and
if that fails, its references are refused.

>>> [place.needs for place in places("echo {{ x }} $(( {{ y }} + 1 ))")]
['any', 'integer']
"""

from __future__ import annotations

import re
import shlex
from typing import Any, NamedTuple

from maxstage.errors import WorkflowError
from maxstage.workflow.format.references import as_text
from maxstage.workflow.format.scripts.places import (
    INTEGER,
    NAME,
    REFUSED,
    Lost,
    Place,
    Quoting,
    completed,
    references_in,
)
from maxstage.workflow.format.scripts.shell_commands import DECLARE, Command, Word, analyse, need
from maxstage.workflow.format.scripts.shell_words import CHECK_FIRST, WITHIN, Document, ShellWords, Sum

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REDIRECTION = re.compile(r"(?:[0-9]+|\{\w+\})?(<<<|<<-?|<>|<&|>&|>>|>\||&>>|&>|<(?!\()|>(?!\())")
_SEPARATOR = re.compile(r"&&|\|\||\|&|[;&|]")
_CASE_END = re.compile(r";;&|;;|;&")

_BEFORE_COMMANDS = frozenset(
    ("if", "then", "elif", "else", "do", "while", "until", "!", "{", "time", "coproc", "function")
)
_OPENING = frozenset(("if", "while", "until", "{", "for", "select"))
_CLOSING = frozenset(("fi", "done", "}"))
_NUMERIC = frozenset(("-eq", "-ne", "-lt", "-le", "-gt", "-ge"))
_READ_AGAIN = frozenset(("PS0", "PS1", "PS2", "PS4", "PROMPT_COMMAND", "BASH_ENV", "ENV"))
"""Variables that bash reads as code, or as the name of a file with code."""

_QUOTED_DOCUMENT = "it is in a here-document whose delimiter is quoted; write <<END without quotes"


class Computed(NamedTuple):
    """A reference that is assigned to a variable with which the script computes later.

    Attributes:
        place: The reference.
        variable: The variable.
        use: The arithmetic.
    """

    place: Place
    variable: str
    use: str


def computed_later(text: str) -> list[Computed]:
    """Return the references whose value bash reads as arithmetic once it is in a variable, unless that is checked.

    >>> [(one.variable, one.use) for one in computed_later("v={{ x }}; (( v > 3 ))")]
    [('v', 'v > 3')]
    >>> computed_later('v={{ x }}; [ "$v" -gt 3 ]; [[ $v =~ ^[0-9]+$ ]] || exit; (( v > 3 ))')
    []
    """
    if not references_in(text):
        return []
    shell = _Shell(text)
    try:
        shell.commands("")
    except (Lost, RecursionError):
        return []  # all references are refused
    sums = [one for one in shell.sums if not (one.is_subscript and _NAMED.search(text))]
    found = []
    for name, place, at in shell.assigned:
        used = re.compile(rf"(?<![\w#])(?:\$\{{?)?{name}(?!\w)")
        safe = re.compile(_SAFE.format(name))
        for one in sums:
            if one.at > at and used.search(one.text) and not safe.search(text, at, one.at):
                found.append(Computed(place, name, one.text.strip()))
                break
    return [one for one in found if one.place.needs not in {INTEGER, REFUSED}]


_NAMED = re.compile(r"\b(?:declare|typeset|local)\s+-\w*A")
_SAFE = r"\bcase\s+[\"']?\$\{{?{0}\b|\$\{{?{0}\}}?[\"']?\s+=~|(?<![\w$]){0}="
"""What a script does with a variable before it computes with it: look at its form, or give it another value."""


def places(text: str) -> list[Place]:
    """Return the places of the references in a bash script."""
    if not references_in(text):
        return []
    shell = _Shell(text)
    try:
        shell.commands("")
    except (Lost, RecursionError):
        return completed(text, [], lost=True)
    if shell.runs_its_input:
        # What arrives there, through a function, a group or another process, can't be known for certain.
        for place in shell.found:
            place.refuse(shell.runs_its_input)
    return completed(text, shell.found, lost=False)


class _Shell(ShellWords):
    """Parses the commands of a script.

    Attributes:
        assigned: The variables that references are assigned to, the references, and where the assignments end.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.assigned: list[tuple[str, Place, int]] = []
        self._runs_its_input = ""

    @property
    def runs_its_input(self) -> str:
        """What a command does that runs its stdin as code, if one does whose stdin is not given with it."""
        return self._runs_its_input

    def commands(self, end: str) -> str:  # noqa: C901 - a table of marks
        """Parse commands up to their end: ``)``, the end of a branch of ``case``, or none; return what ended them."""
        opened: list[int] = []
        pipeline: list[Command] = []
        command = Command(len(self.found))
        before = command.first
        while True:
            self._blanks()
            separator = None if self._at in self._references else self._match(_SEPARATOR)
            if self._at >= self._stop:
                self._finish(command, before, pipeline)
                if end:
                    raise Lost
                return ""
            if self._next() == "#":
                self._comment()
            elif self._next() == "\n":
                self._finish(command, before, pipeline)
                self._at += 1
                self._documents()
                # After "|" a pipeline continues on the next line.
                goes_on = command.piped and not command.words and not command.over
                pipeline = pipeline if goes_on else []
                before = before if goes_on else len(self.found)
                command = Command(len(self.found), piped=goes_on)
            elif (closing := self._match(_CASE_END)) is not None:
                self._finish(command, before, pipeline)
                if end != ";;":
                    raise Lost
                self._at = closing.end()
                return ";;"
            elif separator is not None and not self._sees("&>"):
                self._finish(command, before, pipeline)
                self._at = separator.end()
                piped = separator[0] in {"|", "|&"}
                before = before if piped else len(self.found)
                pipeline = [*pipeline, command] if piped else []
                command = Command(len(self.found), piped=piped)
            elif self._next() == ")":
                self._finish(command, before, pipeline)
                if end != ")":
                    raise Lost
                self._at += 1
                return ")"
            elif self._go_on(command, opened, end):
                self._finish(command, before, pipeline)
                return "esac"
            elif command.over:
                before = min(before, command.first)

    def _go_on(self, command: Command, opened: list[int], end: str) -> bool:
        """Parse the next part of a command; return whether it was the end of a ``case``."""
        if self._at not in self._references and (found := self._match(_REDIRECTION)) is not None:
            self._redirection(command, found)
        elif self._sees("((") and (not command.words or command.is_loop):
            self._sum_or(start=2, command=1)
            command.over = True
        elif self._next() == "(" and self._at not in self._references:
            self._bracket(command)
        elif not command.words and not command.over:
            return self._first_word(command, opened, end)
        elif not self._assigned(command):
            command.words.append(self._word())
        return False

    def _assigned(self, command: Command) -> bool:
        """Parse an argument like ``x=(a b)`` of a declaration."""
        found = self._match(re.compile(r"\w+\+?=\("))
        if found is None:
            return False
        start, first = self._at, len(self.found)
        self._at = found.end()
        self._array()
        command.words.append(Word(self._text[start : self._at], self.found[first:], self._level))
        return True

    def _bracket(self, command: Command) -> None:
        self._at += 1
        if not command.words:
            if self.commands(")") != ")":
                raise Lost
            command.over = True
            return
        # A function: its body is a command of its own.
        self._blanks()
        if len(command.words) != 1 or self._next() != ")":
            raise Lost
        self._at += 1
        command.words.clear()

    def _first_word(self, command: Command, opened: list[int], end: str) -> bool:
        if self._assignment():
            return False
        if self._sees("!("):
            self._at += 1
            return False
        word = self._word()
        text = word.text
        if text == "esac" and end == ";;":
            return True
        if text == "[[":
            self._test()
            command.over = True
        elif text == "case":
            self._case()
            command.over = True
        elif text in _CLOSING:
            command.first = opened.pop() if opened else command.first
            command.over = True
        else:
            if text in _OPENING:
                opened.append(len(self.found))
            if text == "function":
                self._blanks()
                self._word()
                self._blanks()
                self._at += 2 if self._sees("()") else 0
            if text not in _BEFORE_COMMANDS:
                command.words.append(word)
        return False

    def _assignment(self) -> bool:
        """Parse an assignment, if one begins here."""
        found = self._match(_IDENTIFIER)
        if found is None:
            return False
        after = self._text[found.end() : found.end() + 2]
        if not (after[:1] in {"=", "["} or after == "+="):
            return False
        self._at = found.end()
        sink = self._sink
        if after[0] == "[":
            self._at += 1
            self._sum("]")
            if not (self._sees("=") or self._sees("+=")):
                # A file name pattern at the start of a command.
                return True
        self._at += 2 if self._sees("+=") else 1
        first = len(self.found)
        if found[0] in self._integers:
            self._sink = sink or INTEGER
        elif found[0] in _READ_AGAIN:
            self._sink = f"bash reads what {found[0]} holds as code"
        if self._sees("("):
            self._at += 1
            self._array()
        else:
            self._word()
        self._sink = sink
        self._note(found[0], self.found[first:])
        return True

    def _note(self, name: str, found: list[Place]) -> None:
        """Note that references are assigned to a variable; those in a command are only given to that."""
        self.assigned += ((name, place, self._at) for place in found if place.level == self._level)

    def _note_words(self, command: Command) -> None:
        """Note what a command assigns to variables, and what it computes."""
        first, *others = command.words
        if first.text in DECLARE:
            for word in others:
                assigned = re.match(r"(\w+)\+?=", word.text)
                if assigned is not None:
                    self._note(assigned[1], word.places)
        elif first.text == "for" and [word.text for word in others[1:2]] == ["in"]:
            self._note(others[0].text, [place for word in others[2:] for place in word.places])
        elif first.text == "read":
            for word in others:
                if _IDENTIFIER.fullmatch(word.text):
                    self._note(word.text, command.read)
        elif first.text == "let":
            self.sums += (Sum(self._at, word.text) for word in others)

    def _array(self) -> None:
        while True:
            self._blanks()
            if self._at in self._references:
                self._word()
            elif self._next() == ")":
                self._at += 1
                return
            elif self._next() == "\n":
                self._at += 1
            elif self._next() == "#":
                self._comment()
            elif self._next() == "[":
                self._at += 1
                self._sum("]")
            else:
                before = self._at
                self._word()
                if self._at == before:
                    raise Lost

    def _case(self) -> None:
        self._blanks()
        self._word()
        self._lines()
        if self._word().text != "in":
            raise Lost
        while True:
            self._lines()
            self._at += 1 if self._sees("(") else 0
            self._blanks()
            before = self._at
            if self._word().text == "esac" and not self._sees(")"):
                return
            while self._sees("|") or (self._at > before and self._next() in " \t"):
                before, self._at = self._at, self._at + 1
                self._word()
            if self._next() != ")":
                raise Lost
            self._at += 1
            if self.commands(";;") == "esac":
                return

    def _lines(self) -> None:
        """Skip white space and comments."""
        while True:
            self._blanks()
            if self._next() == "#":
                self._comment()
            elif self._next() == "\n":
                self._at += 1
            else:
                return

    def _test(self) -> None:  # noqa: C901 - what is read, and then what is computed of it
        """Parse the rest of ``[[ … ]]``."""
        words: list[Word] = []
        while True:
            self._lines()
            if words and words[-1].text == "=~":
                words.append(self._regular())
            elif (mark := self._match(re.compile(r"&&|\|\||[()<>]"))) and self._at not in self._references:
                self._at = mark.end()
                words.append(Word(mark[0], [], self._level))
            else:
                before = self._at
                words.append(self._word())
                if self._at == before:
                    raise Lost
                if words[-1].text == "]]":
                    break
        why = f"{WITHIN}; {CHECK_FIRST}"
        for number, word in enumerate(words):
            if word.text in _NUMERIC:
                compared = words[max(0, number - 1) : number + 2]
                for other in compared:
                    need(other, INTEGER, why)
                self.sums.append(Sum(self._at, " ".join(other.text for other in compared)))
            elif word.text in {"-v", "-R"}:
                for other in words[number + 1 : number + 2]:
                    need(other, NAME, why)

    def _regular(self) -> Word:
        start, first = self._at, len(self.found)
        while self._at in self._references or self._next() not in " \t\n":
            if self._next() == "(" and self._at not in self._references:
                self._at += 1
                self._group()
            else:
                self._piece("")
        return Word(self._text[start : self._at], self.found[first:], self._level)

    def _redirection(self, command: Command, found: re.Match[str]) -> None:
        self._at = found.end()
        self._blanks()
        mark = found[1]
        if mark in {"<<", "<<-"}:
            end = self._document_end()
            bare = re.sub(r"[\\'\"]", "", end)
            command.is_fed = True
            self._pending.append(Document(command, bare, bare != end, mark == "<<-"))
            return
        word = self._word()
        command.is_fed |= mark in {"<", "<<<"}
        if mark in {">&", "<&"}:
            # If it isn't a number, bash takes it for a file name, and expands it once more.
            need(word, INTEGER, f"{WITHIN}; {CHECK_FIRST}")
        if mark == "<<<":
            command.read += word.places
        elif mark == "<":
            command.read += [place for place in word.places if place.level > self._level]

    def _document_end(self) -> str:
        start, count = self._at, len(self.found)
        self._word()
        if len(self.found) > count or self._at == start:
            raise Lost
        return self._text[start : self._at]

    def _documents(self) -> None:
        """Parse the here-documents that begin on this line."""
        pending, self._pending = self._pending, []
        for document in pending:
            stop, after = self._document_stop(document)
            count, whole = len(self.found), self._stop
            self._stop = stop
            if document.quoted:
                self._refuse_all(stop, _QUOTED_DOCUMENT)
            while self._at < stop:
                self._piece("<<")
            self._at, self._stop = after, whole
            document.command.read += self.found[count:]
            document.command.refuse_read()

    def _document_stop(self, document: Document) -> tuple[int, int]:
        """Return where a here-document's text ends, and where the script continues."""
        at, joined = self._at, False
        while at < self._stop:
            end = self._text.find("\n", at, self._stop)
            end = self._stop if end < 0 else end
            line = self._text[at:end]
            if not joined and (line.lstrip("\t") if document.tabs else line) == document.end:
                return at, min(end + 1, self._stop)
            joined = not document.quoted and (len(line) - len(line.rstrip("\\"))) % 2 == 1
            at = end + 1
        raise Lost

    def _finish(self, command: Command, before: int, pipeline: list[Command]) -> None:
        analyse(command, self._integers, self._arrays)
        if command.words:
            self._note_words(command)
        if command.reads_code and command.piped:
            command.read += self.found[before : command.first]
            for other in pipeline:
                # Here-documents of these are still to come.
                other.reads_code = other.reads_code or command.reads_code
        command.refuse_read()
        # If a value names a command, that command must not be one that runs code.
        if command.reads_code and command.words and not command.words[0].places and not command.is_fed:
            self._runs_its_input = self._runs_its_input or command.reads_code


__all__ = ["places"]


def _quoted(reference: str, text: str) -> str:
    if "\0" in text:
        raise WorkflowError(
            f"the value of {reference} has a NUL byte, which bash can't hold; use stdin_from, or the token"
        )
    return shlex.quote(text)


_EXPANSIONS = {"": '"${%s}"', "'": "'\"${%s}\"'", "$'": "'\"${%s}\"$'"}
"""How a variable is written within a quote of bash's, where its name in braces is not enough."""


def _expansion(name: str, quote: str) -> str:
    return _EXPANSIONS.get(quote, "${%s}") % name


def _write(number: int, place: Place, reference: str, value: Any) -> tuple[str, str]:
    name = f"MAX_REF_{number}"
    return f"{name}={_quoted(reference, as_text(value))}; ", _expansion(name, place.quote)


QUOTING = Quoting(places, _write)
