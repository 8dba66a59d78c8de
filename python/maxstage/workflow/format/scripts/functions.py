"""Functions that run an argument as code or as a command: no value is allowed there.

Each language has a table of them. What the script does later with a variable is up to its author.
"""

from __future__ import annotations

import re
import shlex
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from maxstage.workflow.format.scripts.calls import MARK, TEXT, VALUE, WORD, Calls, split
from maxstage.workflow.format.scripts.shell_commands import Command, Word, analyse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from maxstage.workflow.format.scripts.calls import Call, Name, Token
    from maxstage.workflow.format.scripts.places import Place

CHECK = "assign the value to a variable, check that, and use the variable here"
_AS_LIST = "start the program with a list of arguments"


class Function(NamedTuple):
    """What a function makes of its arguments.

    Attributes:
        takes: Which of them it runs, and how: a key of `_RULES`.
        of: What it belongs to; if given, the rule applies only to scripts that mention one of these.
        only: Whether the rule applies only if nothing, or one of `of`, precedes the name.
        skips: How many arguments precede those that count.
        handed_on: Whether values are also refused in a statement that passes it to another function.
    """

    takes: str
    of: tuple[str, ...] = ()
    only: bool = False
    skips: int = 0
    handed_on: bool = False


class Dialect(NamedTuple):
    """What calls look like in a language.

    Attributes:
        functions: Its functions that run code or commands.
        without_brackets: Whether arguments may follow without brackets.
        ends_with_line: Whether such arguments end with the line.
        keyword: What follows the name of an argument.
        one_for_shell: Whether a program that is given as a single string is run by a shell.
        program_in_braces: Functions whose program may stand in braces before its arguments.
        calls_texts: Whether a string may be called, and one in ``< >`` be a file name pattern.
    """

    functions: Mapping[str, Function]
    without_brackets: bool = False
    ends_with_line: bool = False
    keyword: str = ""
    one_for_shell: bool = False
    program_in_braces: frozenset[str] = frozenset()
    calls_texts: bool = False


def named(takes: str, names: str, **how: object) -> dict[str, Function]:
    """Return the same rule for several names, which are separated by spaces."""
    return dict.fromkeys(names.split(), Function(takes, **how))  # type: ignore[arg-type]


def refuse_code(
    dialect: Dialect, text: str, tokens: list[Token], found: list[Place], anchors: Mapping[int, int]
) -> None:
    """Refuse the values that a function would run as code or as a command.

    Args:
        dialect: The language.
        text: The script.
        tokens: Its parts.
        found: The places of its references.
        anchors: For a reference in a here-document, where that document is passed on.
    """
    functions = {**dialect.functions, **_other_names(dialect.functions, text)}
    calls = Calls(
        tokens,
        functions,
        bare=functions if dialect.without_brackets else (),
        ends_with_line=dialect.ends_with_line,
        before_braces=dialect.program_in_braces,
    )
    judge = _Judge(dialect, text, found, anchors)
    words, imported = set(_WORD.findall(text)), set(_IMPORTED.findall(text))
    for call in calls:
        for name in call.names:
            rule = functions.get(name.name)
            if rule is not None and (name.is_handed_on or _is_meant(rule, name, words, imported)):
                judge.call(call, name, rule)
    risky = {
        name for name, rule in functions.items() if rule.handed_on and (not rule.of or words & set(rule.of))
    }
    mentioned = {statement: token for token, statement in calls.mentions(risky)}
    for place in found if mentioned else ():
        for statement in calls.statements_at(anchors.get(place.start, place.start)):
            if statement in mentioned:
                place.refuse(f"{mentioned[statement].text} may read it as code; {CHECK}")
    if dialect.calls_texts:
        judge.texts_called(tokens)


def _other_names(functions: Mapping[str, Function], text: str) -> dict[str, Function]:
    """Return the aliases that a script gives to functions of the table: ``f = eval``, ``system as s``."""
    found: dict[str, Function] = {}
    for name, rule in functions.items():
        if not rule.handed_on or name not in text:
            continue
        given = rf"(\w+)\s*=[^=\n;]*\b{name}\b(?!\s*[(\w\"'])|\b{name}\s+as\s+(\w+)|\b{name}\s*:\s*(\w+)"
        for match in re.finditer(given, text):
            found[match[1] or match[2] or match[3]] = rule
    return {name: rule for name, rule in found.items() if name not in functions}


_WORD = re.compile(r"\w+")
_IMPORTED = re.compile(r"\bimport[ \t]+(\w+)\b(?![ \t]+as\b)")
"""A module that is imported under its own name."""


def _is_meant(rule: Function, name: Name, words: AbstractSet[str], imported: AbstractSet[str]) -> bool:
    """Whether a name means the function of the table, and not another one of the same name."""
    if set(rule.of) & set(name.of):
        return True
    if rule.only:
        return not name.is_method
    if not rule.of:
        return True
    # What it belongs to may have an alias, unless it is a module that is imported under its own name here.
    return bool(words & set(rule.of)) and not (imported & set(name.of))


class _Judge:
    def __init__(self, dialect: Dialect, text: str, found: list[Place], anchors: Mapping[int, int]) -> None:
        self._dialect = dialect
        self._text = text
        self._anchors = anchors
        self._found = sorted(found, key=lambda place: place.start)
        inside = (place for place in self._found if place.start in anchors)
        self._in_documents = sorted(inside, key=self._anchor)

    def call(self, call: Call, name: Name, rule: Function) -> None:
        """Refuse the values in a call of a function."""
        inside = self._places(call.start, call.end)
        if not inside:
            return
        if name.is_handed_on:
            _refuse(inside, f"{name.name} may read it as code; {CHECK}")
        else:
            _RULES[rule.takes](self, call, name, rule)

    def first(self, call: Call, name: Name, rule: Function) -> None:
        """Refuse values in the first argument, and in keyword arguments other than plain data."""
        why = f"{name.name} reads it as code; {CHECK}"
        for number, argument in enumerate(self._with_names(call)):
            if number == rule.skips or (self._name_of(argument) or "env") not in _PLAIN_OPTIONS:
                _refuse(self._of(argument), why)

    def every(self, call: Call, name: Name, rule: Function) -> None:
        """Refuse values in all arguments."""
        del rule
        _refuse(self._places(call.start, call.end), f"{name.name} reads it as code; {CHECK}")

    def command(self, call: Call, name: Name, rule: Function) -> None:
        """Refuse values in a string that a shell runs."""
        why = f"{name.name} lets a shell run it; {_AS_LIST}"
        for number, argument in enumerate(self._with_names(call)):
            if number == rule.skips or (self._name_of(argument) or "env") not in _PLAIN_OPTIONS:
                _refuse(self._of(argument), why)

    def program(self, call: Call, name: Name, rule: Function) -> None:
        """Apply the rules for bash commands to the values in a list of arguments."""
        positional = [one for one in call.arguments if self._name_of(one) is None][rule.skips :]
        options = [one for one in call.arguments if self._name_of(one) is not None]
        positional = [one for one in positional if not _is_mapping(one)] or positional
        lists = [one for one in positional if _is_list(one)]
        why = f"{name.name} lets a shell run it; {_AS_LIST}"
        as_text = self._dialect.one_for_shell and not lists
        if as_text and (len(positional) == 1 or rule.takes == "line"):
            for one in positional:
                _refuse(self._of(one), why)
        if _SHELL.search(self._text, call.start, min(call.end, len(self._text))):
            _refuse(self._places(call.start, call.end), why)
            return
        given: list[list[Token]] = []
        for one in positional:
            given += split(one[1:-1]) if _is_list(one) else [one]
        if rule.takes == "named program":
            # The name of the program is repeated before its arguments.
            del given[1:2]
        command = Command(0)
        command.words = [self._word(one) for one in given if one]
        if as_text and len(given) == 1 and not command.words[0].places:
            command.words = [Word(word, [], 0) for word in given[0][0].text.split()]
        analyse(command, (), ())
        for one in options:
            key = self._name_of(one)
            if key in {"args", "executable", "shell"} or (key not in _PLAIN_OPTIONS or command.reads_code):
                _refuse(self._of(one), command.reads_code or why)
        if command.reads_code:
            rest = [place for one in call.arguments for place in self._of(one)]
            counted = [place for word in command.words for place in word.places]
            _refuse((place for place in rest if place not in counted), command.reads_code)

    def opened(self, call: Call, name: Name, rule: Function) -> None:
        """Refuse values that Perl's ``open`` may take for a command: with two arguments, or with a pipe."""
        arguments = call.arguments[1:] if not name.is_method else call.arguments
        del rule
        if not arguments:
            _refuse(self._places(call.start, call.end), f"{name.name} may run it; {_OPEN}")
            return
        mode = arguments[0]
        if len(arguments) == 1 or len(mode) != 1 or mode[0].kind != TEXT or self._of(mode):
            _refuse(self._places(call.start, call.end), f"{name.name} may run it; {_OPEN}")
        elif "|" in mode[0].text:
            rest = arguments[1:]
            if len(rest) == 1:
                _refuse(self._of(rest[0]), f"{name.name} lets a shell run it; {_AS_LIST}")
            else:
                command = Command(0)
                command.words = [self._word(one) for one in rest if one]
                analyse(command, (), ())

    def begins(self, call: Call, name: Name, rule: Function) -> None:
        """Refuse values where Ruby runs a string that begins with ``|`` as a command."""
        for argument in call.arguments[rule.skips : rule.skips + 1]:
            _refuse(self._of(argument), f"{name.name} runs what begins with '|'; use File.{name.name}")

    def sent(self, call: Call, name: Name, rule: Function) -> None:
        """Refuse values that name a method, and the arguments of such a method if it is in the table."""
        first = call.arguments[0]
        _refuse(self._of(first), f"{name.name} calls what it names; {CHECK}")
        words = [one.text for one in first if one.kind in {WORD, TEXT}]
        if any(word in self._dialect.functions for word in words):
            self.every(call, name, rule)

    def texts_called(self, tokens: list[Token]) -> None:
        """Refuse values that are called by name, ``&{"x"}()`` or ``"x"->()``, or are patterns in ``< >``."""
        for number, token in enumerate(tokens):
            if token.kind not in {TEXT, VALUE}:
                continue
            before = "".join(one.text for one in tokens[max(0, number - 2) : number] if one.kind == MARK)
            after = "".join(one.text for one in tokens[number + 1 : number + 3] if one.kind == MARK)
            if after == "->" or before in {"&{", "*{"}:
                _refuse(self._of([token]), f"it is the name of what is called; {CHECK}")
            elif before.endswith("<") and after.startswith(">"):
                _refuse(self._of([token]), "< > reads it as a pattern for names of files; use open or glob")

    def _with_names(self, call: Call) -> list[list[Token]]:
        return call.arguments

    def _places(self, start: int, end: int) -> list[Place]:
        first, last = (bisect_left(self._found, at, key=lambda place: place.start) for at in (start, end))
        inside = self._found[first:last]
        first, last = (bisect_left(self._in_documents, at, key=self._anchor) for at in (start, end))
        return inside + self._in_documents[first:last]

    def _anchor(self, place: Place) -> int:
        return self._anchors[place.start]

    def _of(self, argument: list[Token]) -> list[Place]:
        return self._places(argument[0].start, argument[-1].end) if argument else []

    def _name_of(self, argument: list[Token]) -> str | None:
        """Return the name of a keyword argument."""
        mark = self._dialect.keyword
        if (
            not mark
            or not argument
            or argument[0].kind != WORD
            or not argument[1:]
            or not argument[1].is_mark(mark)
        ):
            return None
        return None if any(one.is_mark("=:") for one in argument[2:3]) else argument[0].text

    def _word(self, argument: list[Token]) -> Word:
        places = self._of(argument)
        if len(argument) == 1 and argument[0].kind == TEXT:
            inside = argument[0].text
            return Word(inside if places else shlex.quote(inside), places, 0)
        if len(argument) == 1 and argument[0].kind == VALUE:
            return Word(argument[0].text, places, 0)
        return Word("$expression", places, 0)


_RULES: dict[str, Callable[[_Judge, Call, Name, Function], None]] = {
    "code": _Judge.first,
    "all": _Judge.every,
    "command": _Judge.command,
    "program": _Judge.program,
    "named program": _Judge.program,
    "line": _Judge.program,
    "open": _Judge.opened,
    "pipe": _Judge.begins,
    "send": _Judge.sent,
}
_PLAIN_OPTIONS = frozenset(
    (
        "env",
        "cwd",
        "input",
        "timeout",
        "globals",
        "locals",
        "stdin_data",
        "chdir",
        "out",
        "err",
        "in",
        "parameters",
        "params",
        "maxBuffer",
        "encoding",
        "filename",
    )
)
"""Keyword arguments that are data."""
_SHELL = re.compile(r"\bshell\b['\"]?\s*[:=]\s*(?!\s|=|False\b|None\b|0\b|false\b|null\b|undefined\b)")
_OPEN = "give the mode as an argument of its own: open(my $file, '<', …)"


def _is_mapping(argument: list[Token]) -> bool:
    return len(argument) > 1 and argument[0].is_mark("{") and argument[-1].is_mark("}")


def _is_list(argument: list[Token]) -> bool:
    return len(argument) > 1 and argument[0].is_mark("[(") and argument[-1].is_mark(")]")


def _refuse(places: Iterable[Place], why: str) -> None:
    for place in places:
        place.refuse(why)
