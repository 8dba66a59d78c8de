"""The calls in a script, as far as they can be known without running it: what is called, and with which arguments.

This looks only at brackets, commas and words, which these languages have in common. Ruby and Perl also call without
brackets.
"""

from __future__ import annotations

import functools
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

WORD, TEXT, VALUE, MARK = "word", "text", "value", "mark"
"""Kinds of tokens: a word or number, a string, a reference outside of strings, and any other character."""


class Token(NamedTuple):
    """A part of a script.

    Attributes:
        kind: One of the above.
        text: The word or the character; for a string, what is within its quotes.
        start: Where it begins.
        end: Where it ends.
    """

    kind: str
    text: str
    start: int
    end: int

    def is_mark(self, marks: Container[str]) -> bool:
        """Whether it is one of these characters."""
        return self.kind == MARK and self.text in marks


class Name(NamedTuple):
    """What a call calls.

    Attributes:
        name: Its last word.
        of: The words before it: ``("os",)`` of ``os.system``.
        is_method: Whether anything precedes it.
        is_handed_on: Whether it is not called directly, but passed to what is called: ``(0, eval)(x)``.
    """

    name: str
    of: tuple[str, ...]
    is_method: bool
    is_handed_on: bool = False


class Call(NamedTuple):
    """A call.

    Attributes:
        names: What may be called.
        arguments: Its arguments.
        start: Where the arguments begin.
        end: Where they end.
    """

    names: list[Name]
    arguments: list[list[Token]]
    start: int
    end: int


_OPENING, _CLOSING = "([{", ")]}"
_AFTER_A_STATEMENT = frozenset(
    ("if", "unless", "while", "until", "and", "or", "do", "then", "for", "foreach", "rescue", "end")
)
"""Words that end the arguments of a call that has no brackets."""
_NO_ARGUMENT = "=,)]};\n.?|>!{/"
"""What may follow a name that is not being called."""
_GOES_ON = ".,?:+-*/%&|=<([{\\"
_JOINS = ("?.", "&.", ".", "::", "->")
"""What separates the words of a name."""
_INVOKES = frozenset(("call", "apply", "bind", "__call__", "_call"))


class Calls:
    """The calls of a script.

    Args:
        tokens: Its parts.
        known: The names to look for; other calls are left out.
        bare: Names that may be called without brackets.
        ends_with_line: Whether the arguments of such a call end with the line.
        before_braces: The names in `bare` whose arguments may begin with braces.
    """

    def __init__(
        self,
        tokens: Sequence[Token],
        known: Container[str],
        *,
        bare: Container[str] = (),
        ends_with_line: bool = False,
        before_braces: Container[str] = (),
    ) -> None:
        self._tokens = tokens
        self._known = known
        self._bare = bare
        self._ends_with_line = ends_with_line
        self._before_braces = before_braces
        self._pairs = _pairs(tokens)
        self._openings = {closing: opening for opening, closing in self._pairs.items()}

    def __iter__(self) -> Iterator[Call]:
        for number, token in enumerate(self._tokens):
            if token.is_mark("("):
                names = self._names_before(number)
                if any(one.name in self._known for one in names):
                    yield self._call(names, number + 1, self._pairs[number])
            elif token.kind == WORD and token.text in self._bare and self._takes_arguments(number):
                of = self._words_before(number)
                name = Name(token.text, tuple(of), is_method=self._joined_at(number) > 0)
                yield self._call([name], number + 1, self._end_of_arguments(number + 1))

    def mentions(self, names: Container[str]) -> Iterator[tuple[Token, int]]:
        """Yield the names that are passed on without being called, each with the statement that it is in."""
        for number, token in enumerate(self._tokens):
            if token.kind == WORD and token.text in names and not self._is_called(number):
                yield token, self._statements[number][-1]

    def statements_at(self, position: int) -> tuple[int, ...]:
        """Return the statements that contain a place in the script, the innermost last."""
        number = bisect_right(self._tokens, position, key=lambda token: token.start)
        return self._statements[number - 1] if number else ()

    def _is_called(self, number: int) -> bool:
        if self._tokens[number].text in self._bare and self._takes_arguments(number):
            return True
        following = self._tokens[number + 1 : number + 4]
        return bool(following) and (
            following[0].is_mark("(") or (following[0].is_mark("?") and following[-1].is_mark("("))
        )

    @functools.cached_property
    def _statements(self) -> list[tuple[int, ...]]:
        """Return, for each token, the numbers of the statements that contain it; each block starts again at 0."""
        found: list[tuple[int, ...]] = []
        open_: list[int] = [0]
        marks: list[str] = []
        count = 0
        for number, token in enumerate(self._tokens):
            if token.is_mark("{"):
                count += 1
                open_.append(count)
            found.append(tuple(open_))
            if token.is_mark(_OPENING):
                marks.append(token.text)
            elif token.is_mark(_CLOSING) and marks:
                if marks.pop() == "{" and len(open_) > 1:
                    open_.pop()
            elif token.is_mark(";\n") and (not marks or marks[-1] == "{") and self._ends_statement(number):
                count += 1
                open_[-1] = count
        return found

    def _ends_statement(self, number: int) -> bool:
        if self._tokens[number].text == ";":
            return True
        before = self._tokens[number - 1] if number else None
        after = self._tokens[number + 1] if number + 1 < len(self._tokens) else None
        goes_on = before is not None and before.is_mark(_GOES_ON)
        return not goes_on and not (after is not None and after.is_mark(".?,)]&|+"))

    def _call(self, names: list[Name], first: int, stop: int) -> Call:
        tokens = self._tokens[first:stop]
        start = self._tokens[first - 1].end
        end = self._tokens[stop].start if stop < len(self._tokens) else 1 << 62
        return Call(names, split(tokens), start, end)

    def _takes_arguments(self, number: int) -> bool:
        """Whether the word is called without brackets, with what follows it."""
        before = self._tokens[number - 1] if number else None
        if before is not None and (before.text in {"sub", "def"} or before.is_mark("@%$")):
            return False
        if number + 1 >= len(self._tokens):
            return False
        word, after = self._tokens[number], self._tokens[number + 1]
        if after.is_mark("("):
            # In Ruby, brackets after a space belong to the first argument.
            return self._ends_with_line and after.start > word.end
        if after.kind == WORD:
            return after.text not in _AFTER_A_STATEMENT
        if after.is_mark("{"):
            return word.text in self._before_braces
        is_label = after.is_mark(":") and after.start == word.end
        return not after.is_mark(_NO_ARGUMENT) and not is_label

    def _end_of_arguments(self, first: int) -> int:
        number = first
        while number < len(self._tokens):
            token = self._tokens[number]
            if token.is_mark(_OPENING):
                number = self._pairs[number]
            elif self._ends_arguments(number):
                break
            number += 1
        return min(number, len(self._tokens))

    def _ends_arguments(self, number: int) -> bool:
        token = self._tokens[number]
        if token.kind == WORD:
            return token.text in _AFTER_A_STATEMENT
        if token.is_mark("\n"):
            return self._ends_with_line and self._ends_statement(number)
        return token.is_mark(_CLOSING) or token.is_mark(";")

    def _joined_at(self, number: int) -> int:
        """Return the number of characters that join a word to the one before it."""
        for join in _JOINS:
            marks = self._tokens[max(0, number - len(join)) : number]
            if [one.text for one in marks] == list(join) and all(one.kind == MARK for one in marks):
                return len(join)
        return 0

    def _words_before(self, number: int) -> list[str]:
        """Return the words that a name belongs to, the nearest first."""
        found: list[str] = []
        while (joined := self._joined_at(number)) > 0:
            number -= joined + 1
            if number < 0:
                break
            token = self._tokens[number]
            if token.is_mark(_CLOSING):
                opening = self._openings.get(number, 0)
                found += [one.text for one in self._tokens[opening:number] if one.kind in {WORD, TEXT}]
                number = opening
                break
            found.append(token.text)
            if token.kind != WORD:
                break
        return found

    def _names_before(self, number: int) -> list[Name]:
        """Return what the bracket that opens here may call."""
        at = number - 1
        at -= self._joined_at(number)
        if at < 0:
            return []
        token = self._tokens[at]
        if token.is_mark(")]"):
            opening = self._openings.get(at, 0)
            inside = enumerate(self._tokens[opening + 1 : at], opening + 1)
            return [
                Name(one.text, (), is_method=False, is_handed_on=True)
                for place, one in inside
                if one.kind == TEXT or (one.kind == WORD and not self._is_called(place))
            ]
        if token.kind != WORD:
            return []
        if at and self._tokens[at - 1].text in {"sub", "def", "function"}:
            return []
        of = self._words_before(at)
        names = [Name(token.text, tuple(of), is_method=self._joined_at(at) > 0)]
        if token.text in _INVOKES:
            names += [Name(one, (), is_method=False, is_handed_on=True) for one in of]
        return names


def split(tokens: Sequence[Token]) -> list[list[Token]]:
    """Return what commas separate, without line ends."""
    found: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += token.is_mark(_OPENING) - token.is_mark(_CLOSING)
        if token.is_mark(",") and depth == 0:
            found.append([])
        elif not token.is_mark("\n"):
            found[-1].append(token)
    return found if found[-1] or len(found) == 1 else found[:-1]


def _pairs(tokens: Sequence[Token]) -> dict[int, int]:
    """Return the closing bracket of each opening one."""
    found: dict[int, int] = {}
    open_: list[int] = []
    for number, token in enumerate(tokens):
        if token.is_mark(_OPENING):
            open_.append(number)
        elif token.is_mark(_CLOSING) and open_:
            found[open_.pop()] = number
    return {**found, **dict.fromkeys(open_, len(tokens))}
