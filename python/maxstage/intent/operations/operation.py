"""What an operation is: how it is planned from a record, and what it does to files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from maxstage.intent.journal import Entry, Row
    from maxstage.intent.templates import Template


class Filled(NamedTuple):
    """What the templates of an operation give for one record: its source, its target, and what it writes or runs."""

    source: bytes | None = None
    target: bytes | None = None
    body: bytes | None = None


class Back(NamedTuple):
    """One step of taking an operation back.

    Attributes:
        op: The operation that does it.
        source: What it takes: a path below the root, or a name in the trash for ``restore``.
        target: Where it goes; None for the trash.
        seen: What the source must be (`maxstage.intent.identity`).
    """

    op: str
    source: bytes
    target: bytes | None
    seen: str


class Operation(NamedTuple):
    """An operation.

    Attributes:
        name: What it is called, and its verb.
        done: Its verb when it is done.
        about: What it does, in a few words.
        templates: The templates that it takes, by their names; ``argv`` is a list of them.
        fill: Fills them for a record. Raises `maxstage.intent.templates.Fault` where the record can't be used.
        back: Returns how one that was done is taken back; None where it can't be.
        removes_source: Whether its source is gone afterwards.
        uses_trash: Whether its source is a name in the trash of the intent that is taken back.
    """

    name: str
    done: str
    about: str
    templates: Sequence[str]
    fill: Callable[[Mapping[str, Any], Any, int], Filled] | None
    back: Callable[[Row, Entry], list[Back]] | None
    removes_source: bool = False
    uses_trash: bool = False


def template_of(templates: Mapping[str, Any], name: str) -> Template:
    """Return one of the templates of an intent."""
    template: Template = templates[name]
    return template


def kept(entry: Entry, target: bytes) -> list[Back]:
    """Return how the file that was at a target before gets back there, if there was one."""
    if entry.over is None:
        return []
    from maxstage.intent.identity import inode

    return [Back("restore", name_of_old(entry.n), target, inode(entry.over))]


def name_of(number: int) -> bytes:
    """Return the name in the trash of what an operation deleted."""
    return b"%d" % number


def name_of_old(number: int) -> bytes:
    """Return the name in the trash of what was at the target of an operation."""
    return b"%d.old" % number
