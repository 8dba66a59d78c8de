"""Adding to JSON that people have written, and taking out of it again, with all else kept byte for byte.

Comments, trailing commas, any order and any indentation are taken: the text is read with the place of each value, and
only ever added to, or cut.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

_DEEPEST = 200
"""Levels of nesting. Settings have ten; what has more isn't settings."""

_BLANKS = " \t\n\r\ufeff"


class Unreadable(ValueError):
    """The text is no JSON, or not such that it can be added to. The message says where."""


class Node:
    """A value, and where it stands in the text.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        value: What it is, as `json` gives it.
        members: For an object: its keys and their values, in order.
        items: For an array: what is in it.
        comma: Where the text goes on after a comma that only the closing bracket follows; else 0.
        keys: For an object: where each key begins.
    """

    __slots__ = ("comma", "end", "items", "keys", "members", "start", "value")

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        self.value: Any = None
        self.members: list[tuple[str, Node]] = []
        self.items: list[Node] = []
        self.keys: list[int] = []
        self.comma = 0

    def get(self, key: str) -> "Node | None":
        """Return the value of a key, if there is one.

        Raises:
            Unreadable: There are several: nobody knows which one is meant.
        """
        found = [node for name, node in self.members if name == key]
        if len(found) > 1:
            raise Unreadable(f'"{key}" is there twice')
        return found[0] if found else None

    def parts(self) -> "list[tuple[int, int]]":
        """Return where each item, or each member with its key, begins and ends."""
        if self.items:
            return [(node.start, node.end) for node in self.items]
        return [(at, node.end) for at, (_, node) in zip(self.keys, self.members, strict=True)]


def parse(text: str) -> Node:
    """Read JSON, with comments and trailing commas.

    Raises:
        Unreadable: It is none.
    """
    reader = _Reader(text)
    node = reader.value(reader.blanks(0), 0)
    if reader.blanks(node.end) != len(text):
        raise reader.error(node.end, "there is more after the end")
    return node


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text

    def error(self, at: int, what: str) -> Unreadable:
        return Unreadable(f"line {self.text.count(chr(10), 0, at) + 1}: {what}")

    def blanks(self, at: int) -> int:
        """Return where something else than white space and comments begins."""
        text = self.text
        while at < len(text):
            if text[at] in _BLANKS:
                at += 1
            elif text.startswith("//", at):
                end = text.find("\n", at)
                at = len(text) if end < 0 else end
            elif text.startswith("/*", at):
                end = text.find("*/", at + 2)
                if end < 0:
                    raise self.error(at, "a comment has no end")
                at = end + 2
            else:
                break
        return at

    def value(self, at: int, depth: int) -> Node:
        if depth > _DEEPEST:
            raise self.error(at, "this is nested too deeply")
        char = self.text[at : at + 1]
        if char == "{":
            return self._object(at, depth)
        if char == "[":
            return self._array(at, depth)
        node = Node(at)
        if char == '"':
            node.value, node.end = self._string(at)
            return node
        while node.end < len(self.text) and (self.text[node.end].isalnum() or self.text[node.end] in "+-."):
            node.end += 1
        import json

        try:
            node.value = json.loads(self.text[at : node.end])
        except ValueError:
            raise self.error(at, "this is no JSON") from None
        return node

    def _string(self, at: int) -> tuple[str, int]:
        from _json import scanstring

        try:
            return scanstring(self.text, at + 1, True)
        except ValueError:
            raise self.error(at, "a string has no end, or an escape in it is wrong") from None

    def _object(self, at: int, depth: int) -> Node:
        node = Node(at)
        at = self.blanks(at + 1)
        while self.text[at : at + 1] != "}":
            if self.text[at : at + 1] != '"':
                raise self.error(at, "a key was expected")
            key, after = self._string(at)
            node.keys.append(at)
            colon = self.blanks(after)
            if self.text[colon : colon + 1] != ":":
                raise self.error(colon, "a colon was expected")
            member = self.value(self.blanks(colon + 1), depth + 1)
            node.members.append((key, member))
            at = self._next(node, member.end, "}")
        node.value = {key: member.value for key, member in node.members}
        node.end = at + 1
        return node

    def _array(self, at: int, depth: int) -> Node:
        node = Node(at)
        at = self.blanks(at + 1)
        while self.text[at : at + 1] != "]":
            item = self.value(at, depth + 1)
            node.items.append(item)
            at = self._next(node, item.end, "]")
        node.value = [item.value for item in node.items]
        node.end = at + 1
        return node

    def _next(self, node: Node, at: int, closing: str) -> int:
        """Return where the next part, or the closing bracket, stands."""
        at = self.blanks(at)
        char = self.text[at : at + 1]
        if char == ",":
            after = self.blanks(at + 1)
            node.comma = at + 1 if self.text[after : after + 1] == closing else 0
            return after
        if char != closing:
            raise self.error(at, f'a comma or "{closing}" was expected')
        return at


def insertion(text: str, node: Node, key: str | None, value: object) -> tuple[int, str]:
    """Return where to insert what, so that an object gets a member or an array one more item, at its end.

    Args:
        text: The whole text.
        node: The object or array.
        key: The new key; None for an array.
        value: What to add.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    unit = _indent_unit(text)
    parts = node.parts()
    label = "" if key is None else f"{_dump(key, None)}: "
    if parts and newline not in text[node.start : node.end]:
        entry = label + _dump(value, None)
        return (node.comma, f" {entry},") if node.comma else (parts[-1][1], f", {entry}")
    outer = _indent_at(text, node.start)
    inner = _indent_at(text, parts[-1][0]) if parts else outer + unit
    entry = newline + inner + label + _dump(value, unit).replace("\n", newline + inner)
    if not parts:
        # What stands between the brackets (a comment, blanks) stays before the new entry.
        rest = text[node.start + 1 : node.end - 1]
        if not rest.strip():
            return node.start + 1, entry + newline + outer
        at = node.end - 1 - len(rest) + len(rest.rstrip(" \t\r\n"))
        return at, entry + ("" if newline in text[at : node.end] else newline + outer)
    return (node.comma, f"{entry},") if node.comma else (parts[-1][1], f",{entry}")


def dumps(value: object) -> str:
    """Return JSON as people write it."""
    return _dump(value, "  ")


def _dump(value: object, indent: str | None) -> str:
    import json

    return json.dumps(value, indent=indent, ensure_ascii=False)


def _indent_at(text: str, at: int) -> str:
    """Return the blanks that the line begins with in which a place is."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _indent_unit(text: str) -> str:
    """Return what one level is indented by: the blanks of the first line that has any; else two."""
    for line in text.split("\n"):
        body = line.lstrip(" \t")
        if body and len(body) < len(line) and body[0] in '"{[':
            return line[: len(line) - len(body)]
    return "  "


def removal(node: Node, index: int) -> tuple[int, int]:
    """Return from where to where to cut, so that an object or array loses one part, and a comma with it."""
    parts = node.parts()
    start, end = parts[index]
    if index > 0:
        return parts[index - 1][1], end
    if len(parts) > 1:
        return start, parts[1][0]
    return node.start + 1, node.end - 1


def walk(node: Node, path: "Sequence[str]") -> "Iterator[tuple[Node, str, Node | None]]":
    """Go down a path of keys; give each object, the key that is looked for in it, and what it has there.

    Raises:
        Unreadable: Something on the way is no object.
    """
    for depth, key in enumerate(path):
        if not isinstance(node.value, dict):
            where = ".".join(path[:depth])
            raise Unreadable(f'"{where}" is no object' if where else "this is no object")
        found = node.get(key)
        yield node, key, found
        if found is None:
            return
        node = found
