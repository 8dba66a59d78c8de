"""The files that installing touches: settings that others own too, and files of ours alone."""

from maxstage.agents import edits, json_text, toml_text
from maxstage.agents.json_text import Unreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from maxstage.agents.edits import Entry, Insertion
    from maxstage.agents.toml_text import Table


class Target:
    """A file, and what is to be in it.

    Args:
        path: The file.
        about: What it is for, in a few words.
    """

    def __init__(self, path: str, about: str) -> None:
        self.path = path
        self.about = about

    def added(self, text: str, known: "Sequence[Insertion]" = ()) -> "tuple[str, list[Insertion]]":
        """Return the text with what is missing, and what was inserted for that.

        Args:
            text: What is in the file.
            known: What is remembered of an earlier installation.

        Raises:
            Unreadable: The text can't be understood, or has something else in that place.
        """
        raise NotImplementedError

    def taken(self, text: str, inserted: "Sequence[Insertion]") -> str:
        """Return the text without what `added` has inserted, or without all that is ours. Raises as `added` does."""
        raise NotImplementedError

    def state(self, text: str) -> str:
        """Return ``installed``, ``partly`` or ``not installed``."""
        raise NotImplementedError


class JsonFile(Target):
    """Settings as JSON, with or without comments."""

    def __init__(self, path: str, about: str, entries: "Sequence[Entry]") -> None:
        super().__init__(path, about)
        self._entries = entries

    def added(self, text: str, known: "Sequence[Insertion]" = ()) -> "tuple[str, list[Insertion]]":
        """See `Target`."""
        del known  # what is there is looked at
        return edits.add(text, self._entries)

    def taken(self, text: str, inserted: "Sequence[Insertion]") -> str:
        """See `Target`."""
        if text:
            json_text.parse(text)
        exact = edits.cut(text, inserted)
        if exact is not None and _is_json_or_empty(exact):
            return exact  # an entry that is still there was there before
        return edits.take_out(text, self._entries)

    def state(self, text: str) -> str:
        """See `Target`."""
        return _state(edits.has_any(text, self._entries), edits.has_all(text, self._entries))


def _is_json_or_empty(text: str) -> bool:
    try:
        json_text.parse(text)
    except Unreadable:
        return not text.strip("\ufeff \t\r\n")
    return True


class TomlFile(Target):
    """Settings as TOML."""

    def __init__(self, path: str, about: str, table: "Table") -> None:
        super().__init__(path, about)
        self._table = table

    def added(self, text: str, known: "Sequence[Insertion]" = ()) -> "tuple[str, list[Insertion]]":
        """See `Target`."""
        del known  # what is there is looked at
        return toml_text.add(text, self._table)

    def taken(self, text: str, inserted: "Sequence[Insertion]") -> str:
        """See `Target`."""
        found = self._table.found(text)
        exact = edits.cut(text, inserted)
        if exact is not None and self._table.found(exact) is None:
            return exact
        return toml_text.take_out(text, self._table) if found == self._table.value else text

    def state(self, text: str) -> str:
        """See `Target`."""
        try:
            found = self._table.found(text)
        except Unreadable:
            return _state(False, False)
        return _state(found is not None, found == self._table.value)


class OwnFile(Target):
    """A file that is ours alone: one of that name that isn't is left as it is."""

    def __init__(self, path: str, about: str, content: str) -> None:
        super().__init__(path, about)
        self.content = content

    def added(self, text: str, known: "Sequence[Insertion]" = ()) -> "tuple[str, list[Insertion]]":
        """See `Target`."""
        if text == self.content:
            return text, []
        if text and text not in {earlier for _, earlier in known}:
            raise Unreadable("it is there already, and is something else; move it away to have ours")
        return self.content, [(0, self.content)]

    def taken(self, text: str, inserted: "Sequence[Insertion]") -> str:
        """See `Target`."""
        return "" if text in {self.content, *(added for _, added in inserted)} else text

    def state(self, text: str) -> str:
        """See `Target`."""
        return _state(bool(text), text == self.content)


def _state(has_any: bool, has_all: bool) -> str:
    return "installed" if has_all else "partly" if has_any else "not installed"
