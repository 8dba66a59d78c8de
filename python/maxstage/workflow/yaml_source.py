"""Reading YAML with the position of everything in it.

YAML 1.2's core schema is followed where PyYAML would surprise: ``on`` and ``yes`` are text, ``010`` is ten, and a
key that is given twice is an error.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

Path = tuple[str | int, ...]
Position = tuple[int, int]

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = {"", "~", "null", "Null", "NULL"}

_MOST_VALUES = 200_000
"""Lists and mappings at most: aliases of aliases make a file of ten lines fill the memory."""


class _TooManyError(Exception):
    """There are more."""


class Source:
    """What a YAML text holds.

    Attributes:
        data: Its plain data.
        problems: What is wrong with it, each with its position.
        text: The text itself.
        is_whole: Whether `data` is all of it, though a key may be given twice.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.is_whole = False
        self.data: Any = None
        self.problems: list[tuple[Position, str]] = []
        self._positions: dict[Path, Position] = {(): (1, 1)}
        self._values = 0
        try:
            node = yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._problem(
                (mark.line + 1, mark.column + 1) if mark else (1, 1), f"{error.problem or error.context}"
            )
        except yaml.YAMLError as error:
            self._problem((1, 1), " ".join(str(error).split()))
        else:
            try:
                self.data = None if node is None else self._value(node, (), [])
                self.is_whole = True
            except _TooManyError:
                self._problem(
                    (1, 1), f"the file has more than {_MOST_VALUES:,} values, or aliases that make them"
                )

    def position(self, path: Path) -> Position:
        """Return line and column of what lies at `path`, or of the nearest thing around it."""
        while path not in self._positions:
            path = path[:-1]
        return self._positions[path]

    def _problem(self, position: Position, text: str) -> None:
        self.problems.append((position, text))

    def _value(self, node: Any, path: Path, above: list[Any]) -> Any:
        here = (node.start_mark.line + 1, node.start_mark.column + 1)
        self._positions.setdefault(path, here)
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if any(node is other for other in above):
            self._problem(here, "an alias contains itself")
            return None
        self._values += 1
        if self._values > _MOST_VALUES:
            raise _TooManyError
        above = [*above, node]
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, number), above) for number, item in enumerate(node.value)]
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            position = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(position, "a key must be a name")
                continue
            key = str(key_node.value)
            if key in values:
                self._problem(position, f"{key!r} is given twice")
            self._positions[(*path, key)] = position
            values[key] = self._value(value_node, (*path, key), above)
        return values


def _scalar(node: Any) -> Any:
    text = str(node.value)
    # Quoted, a block, or said to be text: else the parser had not taken a number or a word for it. (PyYAML gives a
    # plain one the style None, libyaml gives it "".)
    looks_other = text in _WORDS or text in _NULLS or _INTEGER.match(text)
    if node.style or (looks_other and node.tag == "tag:yaml.org,2002:str"):
        return text
    if text in _NULLS:
        return None
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text
