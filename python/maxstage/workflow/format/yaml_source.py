"""Reading YAML with the position of everything in it.

YAML 1.2's core schema is followed where PyYAML would surprise: ``on`` and ``yes`` are text, ``010`` is ten, a date is
text, and a duplicate key is an error. Merges (``<<: *base``) are read as in 1.1, since people use them.

Time and memory are bounded for any file: values are counted while it is parsed.
"""

from __future__ import annotations

import bisect
import functools
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from maxstage import exact

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str | int, ...]
Position = tuple[int, int]

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = {"", "~", "null", "Null", "NULL"}

_MOST_VALUES = 500_000
"""The most values: with aliases of aliases, a file of ten lines could fill the memory."""
_DEEPEST = 100
"""The most levels of lists and mappings: far more than anybody writes, and few enough for recursion."""
_LONGEST_NUMBER = 400
"""The most digits of a number, which Python parses in quadratic time."""


_LOOPS = {"for_each", "repeat", "while", "repeat_until"}
"""Loops in the older form have their kind as ``type``, and their fields beside that; the type of a collection is its
``source``."""


class _RefusedError(Exception):
    """There is too much of something, so nothing more is read."""

    def __init__(self, position: Position, text: str) -> None:
        super().__init__(text)
        self.position = position


class _Scalar(NamedTuple):
    position: Position
    text: str
    plain: bool
    tag: str | None
    begins: int = 0
    ends: int = 0


class _List(NamedTuple):
    position: Position
    items: list[_Node]


class _Mapping(NamedTuple):
    position: Position
    pairs: list[tuple[_Node, _Node]]


_Node = _Scalar | _List | _Mapping
_Entries = dict[str, tuple[Position, _Node]]
_NOTHING = _Scalar((1, 1), "", plain=True, tag=None)


class Source:
    """A parsed YAML text.

    Attributes:
        data: Its content as plain data.
        problems: Its problems, each with its position.
        text: The text itself.
        is_whole: Whether `data` is all of its content, except for duplicate keys.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.is_whole = False
        self.data: Any = None
        self.problems: list[tuple[Position, str]] = []
        self._root: _Node = _NOTHING
        self._entries_of: dict[int, _Entries] = {}
        self._values = 0
        try:
            self._root = _parse(text, self.problems)
            self.data = self._value(self._root, 0)
            self.is_whole = True
        except _RefusedError as error:
            self.problems.append((error.position, str(error)))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            self.problems.append((where, f"{error.problem or error.context}"))
        except yaml.reader.ReaderError as error:
            before = text[: error.position]
            where = (before.count("\n") + 1, len(before) - before.rfind("\n"))
            self.problems.append((where, f"character {error.character:#04x} can't be in a YAML file"))

    def position(self, path: Path) -> Position:
        """Return line and column of the value at `path`, or of its nearest container that exists."""
        node, found = self._root, self._root.position
        for part in path:
            step = self._step(node, part)
            if step is None:
                break
            found, node = step
        return found

    def position_of(self, path: Path, piece: str, number: int) -> Position:
        """Return where a piece of the text at `path` begins; `number`, from 0, selects one of several equal pieces.

        If the file writes the piece differently (with an escape, or over two lines), return where the text begins.
        """
        node: _Node | None = self._root
        for part in path:
            step = None if node is None else self._step(node, part)
            node = None if step is None else step[1]
        if not isinstance(node, _Scalar):
            return self.position(path)
        at = node.begins - 1
        for _ in range(number + 1):
            at = self.text.find(piece, at + 1, node.ends)
            if at < 0:
                return self.position(path)
        line = bisect.bisect_left(self._line_ends, at)
        return line + 1, at - (self._line_ends[line - 1] if line else -1)

    @functools.cached_property
    def _line_ends(self) -> list[int]:
        return [match.start() for match in re.finditer("\n", self.text)]

    def _step(self, node: _Node, part: str | int) -> tuple[Position, _Node] | None:
        if isinstance(node, _Mapping):
            entries = self._entries(node)
            if part in _LOOPS and part not in entries and "type" in entries:
                return node.position, node
            if part == "type" and part not in entries:
                return entries.get("source")
            return entries.get(str(part))
        if isinstance(node, _Scalar):
            return None
        if isinstance(part, int):
            return (node.items[part].position, node.items[part]) if part < len(node.items) else None
        # A list of one-name mappings, an alternative form of a mapping.
        inside = (self._step(item, part) for item in node.items if isinstance(item, _Mapping))
        return next((step for step in inside if step is not None), None)

    def _value(self, node: _Node, depth: int) -> Any:
        self._values += 1
        if self._values > _MOST_VALUES:
            raise _RefusedError(
                (1, 1), f"the file has more than {_MOST_VALUES:,} values, or aliases that make them"
            )
        if depth > _DEEPEST:
            raise _RefusedError(node.position, f"nested more than {_DEEPEST} levels deep")
        if isinstance(node, _Scalar):
            return self._scalar(node)
        if isinstance(node, _List):
            return [self._value(item, depth + 1) for item in node.items]
        return {key: self._value(value, depth + 1) for key, (_, value) in self._entries(node).items()}

    def _entries(self, node: _Mapping) -> _Entries:
        """Return the entries of a mapping by name; computed once, even if aliases repeat it."""
        known = self._entries_of.get(id(node))
        if known is not None:
            return known
        found: _Entries = {}
        merged: list[_Node] = []
        for key, value in node.pairs:
            if not isinstance(key, _Scalar):
                self.problems.append((key.position, "a key must be a name"))
            elif key.text == "<<" and key.plain:
                merged.append(value)
            else:
                if key.text in found:
                    self.problems.append((key.position, f"{_shown(key.text)} is given twice"))
                found[key.text] = (key.position, value)
        # Merged entries come after the mapping's own, and don't replace them.
        self._entries_of[id(node)] = found
        for value in merged:
            for one in value.items if isinstance(value, _List) else [value]:
                if isinstance(one, _Mapping):
                    for name, entry in self._entries(one).items():
                        found.setdefault(name, entry)
                else:
                    self.problems.append((one.position, "<< takes a mapping, or a list of them"))
        return found

    def _scalar(self, node: _Scalar) -> Any:
        text = node.text
        if "\0" in text:
            # Arguments, environment variables and paths can't contain one.
            self.problems.append((node.position, "text with a NUL in it"))
        # Quoted, a block, or tagged as text.
        if not node.plain or node.tag == "tag:yaml.org,2002:str":
            return text
        if text in _NULLS:
            return None
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.match(text) or _FLOAT.match(text):
            if len(text) > _LONGEST_NUMBER:
                self.problems.append(
                    (node.position, f"a number of {len(text):,} digits; quote it if it is text")
                )
                return 0
            return exact.integer(text) if _INTEGER.match(text) else exact.real(text)
        return text


def _shown(text: str) -> str:
    return repr(text if len(text) <= _DEEPEST else f"{text[:_DEEPEST]}…")


def _parse(text: str, problems: list[tuple[Position, str]]) -> _Node:
    """Return the first document of a text; an alias is the same node as its anchor."""
    return _Builder(yaml.parse(text, Loader=_Loader), problems).document()


class _Builder:
    """Makes nodes of a parser's events, and counts them to limit the size of the tree."""

    def __init__(self, events: Iterator[Any], problems: list[tuple[Position, str]]) -> None:
        self._events = events
        self._problems = problems
        self._anchors: dict[str, _Node | None] = {}
        self._count = 0

    def document(self) -> _Node:
        """Return the one document."""
        next(self._events)  # the stream begins
        if not isinstance(next(self._events), yaml.DocumentStartEvent):
            return _NOTHING
        root = self._node(next(self._events), 0)
        next(self._events)  # the document ends
        after = next(self._events)
        if isinstance(after, yaml.DocumentStartEvent):
            self._problems.append((_position(after), "a second document begins; a workflow file has one"))
        return root

    def _node(self, event: Any, depth: int) -> _Node:
        here = _position(event)
        self._count += 1
        if self._count > _MOST_VALUES:
            raise _RefusedError(here, f"the file has more than {_MOST_VALUES:,} values")
        if depth > _DEEPEST:
            raise _RefusedError(here, f"nested more than {_DEEPEST} levels deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), here)
        # Until the node is complete, an alias to it would make it contain itself.
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node: _Node
        if isinstance(event, yaml.ScalarEvent):
            # The style of a plain scalar is None in PyYAML, "" in libyaml.
            begins, ends = (mark.index if mark else 0 for mark in (event.start_mark, event.end_mark))
            node = _Scalar(here, event.value, not event.style, event.tag, begins, ends)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = _List(here, [])
            while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                node.items.append(self._node(inner, depth + 1))
        else:
            node = _Mapping(here, [])
            while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
                key = self._node(inner, depth + 1)
                node.pairs.append((key, self._node(next(self._events), depth + 1)))
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, name: str, here: Position) -> _Node:
        if name not in self._anchors:
            raise _RefusedError(here, f"there is no anchor &{name} for this alias")
        node = self._anchors[name]
        if node is None:
            self._problems.append((here, "an alias contains itself"))
            return _NOTHING
        return node


def _position(event: Any) -> Position:
    return event.start_mark.line + 1, event.start_mark.column + 1
