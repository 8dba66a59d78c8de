"""Adding a table to TOML that people have written, at its end, and taking it out again."""

import tomllib

from maxstage.agents.json_text import Unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from maxstage.agents.edits import Insertion


class Table:
    """A table that is to be in a file of TOML.

    Args:
        path: The keys that lead to it.
        value: What is to be in it: strings, and arrays of strings, which TOML writes as JSON does.
    """

    def __init__(self, path: "tuple[str, ...]", value: "Mapping[str, object]") -> None:
        self.path = path
        self.value = value
        self.header = f"[{'.'.join(path)}]"
        self.text = (
            "\n".join([self.header, *(f"{key} = {_dump(what)}" for key, what in value.items())]) + "\n"
        )

    def found(self, text: str) -> "Any":
        """Return what a text has there; None: nothing.

        Raises:
            Unreadable: The text is no TOML.
        """
        value: Any = _parse(text)
        for key in self.path:
            value = value.get(key) if isinstance(value, dict) else None
        return value


def _dump(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)


def _parse(text: str) -> "dict[str, Any]":
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Unreadable(str(error)) from None


def add(text: str, table: Table) -> "tuple[str, list[Insertion]]":
    """Add a table at the end, if it is missing; return the text, and what was inserted.

    Raises:
        Unreadable: The text can't be understood, or has something else in that place.
    """
    found = table.found(text)
    if found is not None:
        if found != table.value:
            raise Unreadable(f"{table.header} is there already, and is something else")
        return text, []
    body = table.text.replace("\n", "\r\n") if "\r\n" in text else table.text
    newline = "\r\n" if "\r\n" in text else "\n"
    before = "" if not text else newline if text.endswith("\n") else newline * 2
    longer = text + before + body
    try:
        if table.found(longer) == table.value:
            return longer, [(len(text), before + body)]
    except Unreadable:
        pass  # the tables above it are written within braces, which can't be added to from outside
    raise Unreadable(f"there is no room for {table.header} at its end: add it yourself")


def take_out(text: str, table: Table) -> str:
    """Take out a table wherever it is.

    Raises:
        Unreadable: The text can't be understood, or the table is not written as one.
    """
    if table.found(text) is None:
        return text
    lines = text.splitlines(keepends=True)
    starts = [at for at, line in enumerate(lines) if line.strip() == table.header]
    if len(starts) == 1:
        start = starts[0]
        end = start + 1
        while end < len(lines) and not lines[end].lstrip().startswith(("[", "#")):
            end += 1
        shorter = "".join(lines[:start] + lines[end:])
        if table.found(shorter) is None:
            return shorter
    raise Unreadable(f"{table.header} can't be told from the rest: take it out yourself")
