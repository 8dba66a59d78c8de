"""A folder with files, an intent of mixed operations on them, and what must be there afterwards."""

import os
from pathlib import Path

from maxstage import Store
from maxstage.intent import areas, looking
from maxstage.intent.identity import identity
from maxstage.intent.intent import Intent
from maxstage.intent.journal import Row
from maxstage.intent.operations import OPERATIONS
from maxstage.intent.plan import Planner, parse_templates

SOURCES = {
    "copy": {"from": "in/copy{#}", "to": "copied/{group}/{#}"},
    "move": {"from": "in/move{#}", "to": "moved/{group}/{#}"},
    "delete": {"from": "in/delete{#}"},
    "write": {"to": "written/{group}/{#}", "content": "content of {#}\n"},
}


def pretend_far(monkeypatch) -> None:
    """Let every target be on another file system, as far as the program can tell."""
    monkeypatch.setattr(looking, "_device", lambda _area, _path: -1)
    monkeypatch.setattr(areas.Areas, "device_of", lambda _self, _folder: -1)


class World:
    """A project with ``count`` files in ``in``, and an intent that does all sorts of operations on them by turns."""

    def __init__(self, folder: Path, count: int, sorts: tuple[str, ...] = tuple(SOURCES)) -> None:
        self.folder = folder
        self.store = Store.init(folder)
        self.kinds = {number: sorts[number % len(sorts)] for number in range(1, count + 1)}
        (folder / "in").mkdir()
        for number, kind in self.kinds.items():
            if kind != "write":
                (folder / "in" / f"{kind}{number}").write_text(f"{kind} {number}\n" * (number % 50))
        self.before = self.files()
        self.intent = self._plan()

    def _plan(self) -> Intent:
        parsed = {kind: parse_templates(kind, texts) for kind, texts in SOURCES.items()}
        planner = Planner(self.store, str(self.folder))

        def rows():
            for number, kind in self.kinds.items():
                filled = OPERATIONS[kind].fill(parsed[kind], {"group": number % 7}, number)
                seen = identity(os.lstat(self.folder / os.fsdecode(filled.source))) if filled.source else None
                yield Row(number, kind, *filled, b'{"n": %d}' % number, None, seen, None)

        made = planner.publish(rows(), ttl=60, kind="copy", templates={}, sources=[])
        return Intent(self.store, made)

    def files(self) -> dict[str, str]:
        """Return all files with their content, those of the store left out."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            name = str(path.relative_to(self.folder))
            if not name.startswith(".max/") and name != ".max":
                found[name] = path.read_text() if path.is_file() else "(folder)"
        return found

    def wanted(self) -> dict[str, str]:
        """Return what must be there once all operations were done exactly once."""
        found = {"in": "(folder)"}
        for number, kind in self.kinds.items():
            text = f"{kind} {number}\n" * (number % 50)
            if kind == "copy":
                found[f"in/copy{number}"] = text
            for folder in ({"copy": "copied", "move": "moved", "write": "written"}.get(kind, ""),):
                if folder:
                    found |= {folder: "(folder)", f"{folder}/{number % 7}": "(folder)"}
                    found[f"{folder}/{number % 7}/{number}"] = (
                        f"content of {number}\n" if kind == "write" else text
                    )
        return dict(sorted(found.items()))
