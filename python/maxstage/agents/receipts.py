"""Records of what installing has added to which file, so that exactly this can be removed.

They are a small JSON file in the user's own state, never in a project, which others share who have installed nothing.
Losing it does no harm: our entries are then searched for in the settings.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.agents.edits import Insertion

_MOST_BYTES = 16 << 20
"""The largest size of the file: a hundred thousand projects."""


def receipts_path() -> str:
    """Return where they are kept."""
    state = os.environ.get("XDG_STATE_HOME") or ""
    if not os.path.isabs(state):
        state = os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "maxstage", "agents.json")


class Receipt:
    """What was added to one file.

    Attributes:
        made: Whether there was no file before.
        folders: The folders that were made for it, the outermost first.
        inserted: What was inserted, in that order.
    """

    def __init__(
        self,
        made: bool = False,
        folders: "list[str] | None" = None,
        inserted: "list[Insertion] | None" = None,
    ) -> None:
        self.made = made
        self.folders = folders or []
        self.inserted = inserted or []


class Receipts:
    """All of them, by the absolute path of the file."""

    def __init__(self) -> None:
        from maxstage.agents.textfile import read

        self._file = receipts_path()
        self._all: dict[str, Any] = {}
        try:
            self._all = _checked(read(self._file, _MOST_BYTES) or "{}")
        except ValueError:
            self._all = {}  # damaged: as if it were lost, and written anew

    def get(self, path: str) -> Receipt:
        """Return what was added to a file; an empty record if nothing is known."""
        known = self._all.get(path, {})
        folders = [one for one in _list(known, "folders") if isinstance(one, str)]
        inserted = [(one[0], one[1]) for one in _list(known, "inserted") if _is_insertion(one)]
        return Receipt(known.get("made") is True, folders, inserted)

    def put(self, path: str, receipt: Receipt) -> None:
        """Record what was added to a file."""
        self._all[path] = {"made": receipt.made, "folders": receipt.folders, "inserted": receipt.inserted}

    def drop(self, path: str) -> None:
        """Forget a file."""
        self._all.pop(path, None)

    def save(self) -> None:
        """Write them; without any, there is no file."""
        from maxstage.agents.textfile import remove_made, replace

        if not self._all:
            remove_made(self._file, [os.path.dirname(self._file)])
            return
        import json

        os.makedirs(os.path.dirname(self._file), mode=0o700, exist_ok=True)
        replace(self._file, json.dumps({"files": self._all}, indent=1) + "\n")


def _checked(text: str) -> "dict[str, Any]":
    import json

    files = json.loads(text).get("files", {}) if text.startswith("{") else {}
    return {path: known for path, known in files.items() if isinstance(known, dict)}


def _list(known: "dict[str, Any]", key: str) -> "list[Any]":
    found = known.get(key)
    return found if isinstance(found, list) else []


def _is_insertion(one: object) -> bool:
    return isinstance(one, list) and [type(part) for part in one] == [int, str]
