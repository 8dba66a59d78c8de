"""Adding entries to the settings of other programs, and removing them.

Nothing but additions is made to a file of settings. The added text is recorded (`maxstage.agents.receipts`), so that it
can be removed exactly, whatever else has changed in the file. If that text was changed, or nothing was recorded, the
entries are searched for instead.
"""

from maxstage.agents import json_text
from maxstage.agents.json_text import Node, Unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any


class Entry:
    """One entry that a JSON file should have.

    Args:
        path: The keys that lead to it.
        value: What should be there; with `appended`, an item of the array there.
        appended: Whether it is an item of an array.
        mark: A text that identifies an item as this one; empty if only an equal item is.
    """

    def __init__(
        self, path: "Sequence[str]", value: "Any", *, appended: bool = False, mark: str = ""
    ) -> None:
        self.path = tuple(path)
        self.value = value
        self.appended = appended
        self.mark = mark

    def is_in(self, array: Node) -> bool:
        """Whether an array contains it."""
        return any(self.is_this(item.value) for item in array.items)

    def is_this(self, value: object) -> bool:
        """Whether an item of an array is this entry."""
        return value == self.value or (bool(self.mark) and any(self.mark in text for text in _texts(value)))


def _texts(value: object) -> "Iterable[str]":
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


Insertion = tuple[int, str]
"""What was inserted, and where."""


def add(text: str, entries: "Sequence[Entry]") -> tuple[str, list[Insertion]]:
    """Add what is missing; return the text, and the insertions in order.

    Raises:
        Unreadable: The text can't be parsed, or has something else where an entry belongs.
    """
    inserted = []
    if not text.strip("\ufeff \t\r\n"):
        whole: dict[str, Any] = {}
        for entry in entries:
            _nest(whole, entry.path, entry)
        addition = json_text.dumps(whole) + "\n"
        return text + addition, [(len(text), addition)]
    for entry in entries:
        found = _missing(json_text.parse(text), entry, entries)
        if found is not None:
            at, addition = json_text.insertion(text, *found)
            text = text[:at] + addition + text[at:]
            inserted.append((at, addition))
    node = json_text.parse(text)
    wrong = [entry for entry in entries if _missing(node, entry, entries) is not None]
    if wrong:
        raise AssertionError(f"{wrong[0].path} is not where it was put")
    return text, inserted


def _missing(node: Node, entry: Entry, entries: "Sequence[Entry]") -> "tuple[Node, str | None, Any] | None":
    """Return the object or array where an entry is missing, and the missing key and value; None if it is there.

    The value includes all other entries that belong below that key, so that one insertion is enough.
    """
    depth = 0
    for parent, key, child in json_text.walk(node, entry.path):
        if child is None:
            above = entry.path[: depth + 1]
            tree: dict[str, Any] = {}
            for other in entries:
                if other.path[: depth + 1] == above:
                    _nest(tree, other.path[depth:], other)
            return parent, key, tree[key]
        depth, node = depth + 1, child
    if not entry.appended:
        if not _holds(node.value, entry.value):
            raise Unreadable(f'"{".".join(entry.path)}" is there already, and is something else')
        return None
    if not isinstance(node.value, list):
        raise Unreadable(f'"{".".join(entry.path)}" is no array')
    return None if entry.is_in(node) else (node, None, entry.value)


def _holds(found: object, wanted: object) -> bool:
    """Whether a value is as expected; an object may have more keys, which clients add themselves."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return all(key in found and found[key] == value for key, value in wanted.items())
    return found == wanted


def _nest(tree: "dict[str, Any]", path: "Sequence[str]", entry: Entry) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    if entry.appended:
        tree.setdefault(path[-1], []).append(entry.value)
    else:
        tree[path[-1]] = entry.value


def cut(text: str, inserted: "Sequence[Insertion]") -> str | None:
    """Remove what was inserted, the last first: at its place, or else where it is found exactly once.

    Args:
        text: The text.
        inserted: What `add` returned.

    Returns:
        What is left; None if something can't be found, or is found several times.
    """
    if not inserted:
        return None
    for known, addition in reversed(inserted):
        is_moved = not text.startswith(addition, known)
        if is_moved and text.count(addition) != 1:
            return None
        at = text.index(addition) if is_moved else known
        text = text[:at] + text[at + len(addition) :]
    return text


def take_out(text: str, entries: "Sequence[Entry]") -> str:
    """Remove entries wherever they are, and the objects and arrays that they leave empty.

    Raises:
        Unreadable: The text can't be understood.
    """
    while text.strip("\ufeff \t\r\n"):
        node = json_text.parse(text)
        spans = [span for entry in entries if (span := _span(node, entry)) is not None]
        if not spans:
            break
        start, end = spans[0]
        text = text[:start] + text[end:]
    return text


def _span(node: Node, entry: Entry) -> tuple[int, int] | None:
    """Return what to cut to remove an entry, with its parents that hold nothing else; None if it isn't there."""
    above: list[tuple[Node, int]] = []
    for parent, key, child in json_text.walk(node, entry.path):
        if child is None:
            return None
        above.append((parent, [name for name, _ in parent.members].index(key)))
        node = child
    if entry.appended:
        if not isinstance(node.value, list) or not entry.is_in(node):
            return None
        index = next(index for index, item in enumerate(node.items) if entry.is_this(item.value))
        above.append((node, index))
    elif not _holds(node.value, entry.value):
        return None
    while len(above) > 1 and len(above[-1][0].parts()) == 1:
        above.pop()
    return json_text.removal(*above[-1])


def has_any(text: str, entries: "Sequence[Entry]") -> bool:
    """Whether a text has one of the entries; one that can't be parsed does not."""
    return _count(text, entries) > 0


def has_all(text: str, entries: "Sequence[Entry]") -> bool:
    """Whether a text has all entries."""
    return _count(text, entries) == len(entries)


def _count(text: str, entries: "Sequence[Entry]") -> int:
    try:
        node = json_text.parse(text)
        return sum(_span(node, entry) is not None for entry in entries)
    except Unreadable:
        return 0
