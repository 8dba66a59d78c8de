"""Putting values into scripts so that data can't become code.

In bash a reference becomes a variable, which the shell expands and never reads as code; where the reference
stands between quotes decides about the quotes around it. In the other languages it becomes a literal of which every
character is an escape, or the inside of one: where it lands in the wrong place it is an error of syntax and no more.

>>> print(fill("bash", "echo {{ inputs.name }}", lambda reference: "you & me"))
MAX_REF_1='you & me'; echo "${MAX_REF_1}"
>>> fill("python", "print({{ inputs.n }} + 1)", lambda reference: 3)
'print(3 + 1)'
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage.workflow.references import PATTERN, as_text, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.workflow.references import Reference


class Place(NamedTuple):
    """Where in a script a reference stands.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        quote: What it stands within: a quote, ``<<`` or ``<<'`` for a here-document, or nothing.
    """

    start: int
    end: int
    quote: str


def fill(language: str, text: str, value_of: Callable[[Reference], Any]) -> str:
    """Return a script with its references replaced.

    Args:
        language: One of the five of the format.
        text: The script; `problems` has found nothing wrong with it.
        value_of: Returns the value of a reference.
    """
    parts: list[str] = []
    assignments: list[str] = []
    at = 0
    for place in places(language, text):
        value = value_of(resolve(text[place.start : place.end]))
        parts.append(text[at : place.start])
        if language == "bash":
            name = f"MAX_REF_{len(assignments) + 1}"
            # A NUL can't be in a variable of the shell.
            assignments.append(f"{name}={shlex.quote(as_text(value).replace(chr(0), ''))}; ")
            parts.append(_expansion(name, place.quote))
        else:
            parts.append(_literal(language, value, place.quote))
        at = place.end
    return "".join([*assignments, *parts, text[at:]])


def problems(language: str, text: str) -> list[str]:
    """Return why references in a script can't be replaced where they stand."""
    found = []
    for place in places(language, text):
        reference = text[place.start : place.end]
        if place.quote == "<<'":
            found.append(
                f"{reference} stands in a here-document whose end is quoted; write <<END without quotes"
            )
        elif place.quote == "'" and language in {"ruby", "perl"}:
            found.append(
                f"{reference} stands in single quotes, which {language} takes as they are; use double quotes"
            )
    return found


def places(language: str, text: str) -> list[Place]:
    """Return where the references of a script stand."""
    quotes = _bash_quotes(text) if language == "bash" else _quotes(language, text)
    found = []
    for match in PATTERN.finditer(text):
        around = [quote for start, end, quote in quotes if start <= match.start() < end]
        found.append(Place(match.start(), match.end(), around[-1] if around else ""))
    return found


def _expansion(name: str, quote: str) -> str:
    if quote == "'":
        return f"""'"${{{name}}}"'"""
    return f"${{{name}}}" if quote else f'"${{{name}}}"'


_BASH_MARK = re.compile(
    r"""\\. | \$\( | [()'"\n] | (?:(?<=\s)|^)\#[^\n]* | \$' | <<-?\s*(?P<q>['"]?)(?P<end>\w+)(?P=q)""",
    re.VERBOSE | re.DOTALL,
)


def _bash_quotes(text: str) -> list[tuple[int, int, str]]:  # noqa: C901 - one machine, of few states
    """Return the parts of a bash script that are quoted, each with its quote; inner ones come after outer ones."""
    found: list[tuple[int, int, str]] = []
    # What we are in: a quote, "(" for a command within it, or nothing; and where that began.
    stack: list[tuple[str, int]] = [("", 0)]
    documents: list[tuple[str, str]] = []
    at = 0
    while match := _BASH_MARK.search(text, at):
        at = match.end()
        mark, (inside, start) = match[0], stack[-1]
        if mark[0] == "#" and inside == '"':
            at = match.start() + 1
        elif mark == "\n" and documents:
            for quote, end in documents:
                body = re.compile(rf"^\t*{re.escape(end)}$", re.MULTILINE).search(text, at)
                stop = body.start() if body else len(text)
                found.append((at, stop, "<<'" if quote else "<<"))
                at = stop
            documents = []
        elif mark in {"'", "$'"} and inside != '"':
            stop = _end_of_single(text, match.end(), escapes=mark == "$'")
            found.append((match.end(), stop, "'"))
            at = stop + 1
        elif mark == '"':
            if inside == '"':
                stack.pop()
                found.append((start, match.start(), '"'))
            else:
                stack.append(('"', match.end()))
        elif mark == "$(" or (mark == "(" and inside != '"'):
            stack.append(("(", match.end()))
        elif mark == ")" and inside == "(":
            stack.pop()
            found.append((start, match.start(), ""))
        elif mark.startswith("<<") and inside != '"' and not text[: match.start()].endswith("<"):
            documents.append((match["q"], match["end"]))
    found += [(start, len(text), "" if inside == "(" else inside) for inside, start in stack[1:]]
    # A part that begins later lies within one that begins earlier.
    return sorted(found)


def _end_of_single(text: str, at: int, *, escapes: bool) -> int:
    while at < len(text) and text[at] != "'":
        at += 2 if escapes and text[at] == "\\" else 1
    return min(at, len(text))


_STRINGS = {
    "python": re.compile("#[^\n]*|'''|\"\"\"|'|\""),
    "javascript": re.compile("//[^\n]*|/[*].*?[*]/|'|\"|`", re.DOTALL),
    "ruby": re.compile("#[^\n]*|'|\""),
    "perl": re.compile("#[^\n]*|'|\""),
}
"""Where a text or a comment begins."""


def _quotes(language: str, text: str) -> list[tuple[int, int, str]]:
    """Return the texts in a script of another language, each with its quote."""
    found = []
    at = 0
    while match := _STRINGS[language].search(text, at):
        at = match.end()
        quote = match[0]
        if quote[0] not in "'\"`":
            continue  # a comment
        stop = at
        while stop < len(text) and not text.startswith(quote, stop):
            stop += 2 if text[stop] == "\\" else 1
        found.append((at, min(stop, len(text)), quote))
        at = stop + len(quote)
    return found


def _literal(language: str, value: Any, quote: str) -> str:
    if quote:
        return _escaped(language, as_text(value))
    if isinstance(value, bool) or value is None:
        words = {"python": ("None", "False", "True"), "javascript": ("null", "false", "true")}
        words |= {"ruby": ("nil", "false", "true"), "perl": ('""', "0", "1")}
        return words[language][0 if value is None else 1 + value]
    if isinstance(value, int | float):
        return json.dumps(value)
    literal = f'"{_escaped(language, as_text(value))}"'
    if isinstance(value, str) or language in {"ruby", "perl"}:
        return literal
    return f'__import__("json").loads({literal})' if language == "python" else f"JSON.parse({literal})"


def _escaped(language: str, text: str) -> str:
    """Return `text` with every character as an escape of `language`."""
    if language == "python":
        return "".join(f"\\U{ord(char):08x}" for char in text)
    if language == "javascript":
        units = text.encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
    return "".join(f"\\{'u' if language == 'ruby' else 'x'}{{{ord(char):x}}}" for char in text)


__all__ = ["Place", "fill", "places", "problems"]
