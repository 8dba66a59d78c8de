"""Installing for a client, uninstalling, and what is installed."""

import os

from maxstage.agents.client import Place
from maxstage.agents.receipts import Receipt, Receipts
from maxstage.agents.textfile import read, remove_made, replace
from maxstage.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.agents.client import Client
    from maxstage.agents.edits import Insertion
    from maxstage.agents.targets import Target


class NotInstalled(Error):
    """Settings can't be changed; they were left as they were."""


class Change:
    """A change of one file.

    Attributes:
        target: The file.
        before: Its content before; None if there is no file.
        after: Its content afterwards; None to delete it.
        inserted: What is added.
    """

    def __init__(
        self,
        target: "Target",
        before: str | None,
        after: str | None,
        inserted: "list[Insertion] | None" = None,
    ) -> None:
        self.target = target
        self.before = before
        self.after = after
        self.inserted = inserted or []

    @property
    def is_any(self) -> bool:
        """Whether anything changes."""
        return self.before != self.after

    def diff(self) -> "Iterator[str]":
        """Yield the lines of a diff, without line ends."""
        from difflib import unified_diff

        path = self.target.path
        old, new = (self.before or "").splitlines(), (self.after or "").splitlines()
        yield from unified_diff(
            old,
            new,
            "/dev/null" if self.before is None else path,
            "/dev/null" if self.after is None else path,
            lineterm="",
        )


def plan_install(client: "Client", place: Place) -> list[Change]:
    """Return what installing would change: nothing if it is installed.

    Raises:
        NotInstalled: A file can't be parsed, or has something else in that place.
        OSError: A file can't be read.
    """
    receipts = Receipts()
    changes = []
    for target in client.targets(place):
        before = _read(target)
        try:
            after, inserted = target.added(before or "", receipts.get(target.path).inserted)
        except ValueError as error:
            raise _refusal(target, error) from None
        changes.append(Change(target, before, after, inserted))
    return changes


def plan_uninstall(client: "Client", place: Place) -> list[Change]:
    """Return what uninstalling would change. Raises as `plan_install` does."""
    receipts = Receipts()
    changes = []
    for target in client.targets(place):
        before = _read(target)
        receipt = receipts.get(target.path)
        after: str | None = before
        if before is not None:
            try:
                after = target.taken(before, receipt.inserted)
            except ValueError as error:
                raise _refusal(target, error) from None
            if receipt.made and after.strip() in {"", "{}"}:
                after = None
            elif after == "" and before != "" and not receipt.inserted:
                after = None  # a file of ours, from another machine
        changes.append(Change(target, before, after))
    return changes


def install(changes: list[Change]) -> None:
    """Make the changes of `plan_install`; what is added is recorded first."""
    receipts = Receipts()
    for change in changes:
        if not change.is_any:
            continue
        path = change.target.path
        known = receipts.get(path)
        # Something of an earlier installation may be left; if nothing is, what is remembered of it no longer holds.
        if change.before is None or change.target.state(change.before) == "not installed":
            known = Receipt(made=change.before is None)
        known.inserted.extend(change.inserted)
        receipts.put(path, known)
        receipts.save()
        folders = replace(path, change.after or "", before=change.before)
        if folders:
            known.folders = folders
            receipts.put(path, known)
            receipts.save()


def uninstall(changes: list[Change]) -> None:
    """Make the changes of `plan_uninstall`."""
    receipts = Receipts()
    # The folders that were made for the first file hold those of the others.
    for change in reversed(changes):
        path = change.target.path
        if change.after is None and change.before is not None:
            remove_made(path, receipts.get(path).folders)
        elif change.is_any and change.after is not None:
            replace(path, change.after, before=change.before)
        receipts.drop(path)
    receipts.save()


def states(client: "Client", place: Place) -> "list[tuple[Target, str]]":
    """Return each file of a client and what is there: ``installed``, ``partly``, ``not installed``, ``unreadable``."""
    found = []
    for target in client.targets(place):
        try:
            found.append((target, target.state(read(target.path) or "")))
        except (ValueError, OSError):
            found.append((target, "unreadable"))
    return found


def _read(target: "Target") -> str | None:
    try:
        return read(target.path)
    except ValueError as error:
        raise _refusal(target, error) from None


def _refusal(target: "Target", error: ValueError) -> NotInstalled:
    return NotInstalled(f"{target.path}: {error}; nothing was changed")


def shown_path(path: str) -> str:
    """Return a path as people write it: with a tilde for the home directory."""
    home = os.path.expanduser("~").rstrip("/") + "/"
    return f"~/{path[len(home) :]}" if path.startswith(home) and home != "/" else path
