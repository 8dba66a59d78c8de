"""Searches that were paused: what a ``max:state:…`` stands for.

A state is a file of its own in ``.max/states``, for 24 hours. It names the query, what was searched, and where it goes
on; a hash of the first two refuses it for another query.
"""

import os
import time

from maxstage import light_json
from maxstage.errors import Error
from maxstage.query.search import Position

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from maxstage.query.inputs import Input
    from maxstage.query.search import Page, Query
    from maxstage.store.store import Store

PREFIX = "max:state:"
FOLDER = "states"
SECONDS = 24 * 3600
_ID_BYTES = 8
_MOST_BYTES = 256 * 1024
_HEX = frozenset("0123456789abcdef")


class State:
    """A search that was paused.

    Attributes:
        what: What is searched, as it was named.
        kind: What it was said to be, or None.
        query: What is looked for, as `Query.to_dict` tells.
        identities: What tells whether each input is still the same.
        position: Where it goes on.
        offset: How many were given before.
        limit: How many a page has.
        total: How many match in all.
    """

    def __init__(self, known: "dict[str, Any]") -> None:
        self.what: list[str] = known["what"]
        self.kind: str | None = known["kind"]
        self.query: dict[str, Any] = known["query"]
        self.identities: list[str] = known["identities"]
        self.position = Position(*known["position"])
        self.offset: int = known["offset"]
        self.limit: int = known["limit"]
        self.total: int = known["total"]

    def check_inputs(self, inputs: "Sequence[Input]") -> None:
        """Refuse to go on in something else.

        Raises:
            Error: What is searched is not what it was.
        """
        for one, identity in zip(inputs, self.identities, strict=True):
            if one.identity != identity:
                raise Error(f"{one.name} has changed since the search began; search again")

    def check_query(self, query: "Query", what: "Sequence[str]") -> None:
        """Refuse another query.

        Raises:
            Error: It is another one.
        """
        if digest(query.to_dict(), what) != digest(self.query, self.what):
            raise Error("This state belongs to another query; give --state alone, or search without it")


def digest(query: "dict[str, Any]", what: "Sequence[str]") -> str:
    """Return what tells queries apart."""
    import zlib

    text = light_json.dumps(
        [sorted(query.items()), [name.strip().lower().removeprefix("max:") for name in what]]
    )
    return f"{zlib.crc32(text.encode('utf-8', 'surrogatepass')):08x}"


def save_state(
    store: "Store",
    inputs: "Sequence[Input]",
    what: "Sequence[str]",
    kind: str | None,
    query: "Query",
    page: "Page",
) -> str | None:
    """Keep where a search goes on, and return its token; None where it can't: what was read can't be read again."""
    identities = [one.identity for one in inputs]
    if None in identities or page.position is None:
        return None
    known = {
        "expires": int(time.time()) + SECONDS,
        "what": [one.name for one in inputs],
        "kind": kind,
        "query": query.to_dict(),
        "digest": digest(query.to_dict(), what),
        "identities": identities,
        "position": page.position.to_list(),
        "offset": page.end,
        "limit": page.limit,
        "total": page.total,
    }
    folder = _folder(store)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    _sweep(folder)
    while True:
        state_id = os.urandom(_ID_BYTES).hex()
        path = f"{folder}/{state_id}.json"
        try:
            fd = os.open(f"{path}.part", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            continue
        with open(fd, "wb") as file:
            file.write(light_json.dumps(known).encode("utf-8", "surrogateescape"))
        os.rename(f"{path}.part", path)
        return PREFIX + state_id


def load_state(store: "Store", token: str) -> State:
    """Return a search that was paused.

    Raises:
        Error: There is none of this token, or its time has passed.
    """
    state_id = token.strip().lower().removeprefix(PREFIX)
    if not state_id or len(state_id) != 2 * _ID_BYTES or not _HEX.issuperset(state_id):
        from maxstage.errors import InvalidToken
        from maxstage.humanize import printable

        raise InvalidToken(
            f"Invalid state: {printable(token, 60)}; a state is {PREFIX} and {2 * _ID_BYTES} hex digits"
        )
    try:
        fd = os.open(f"{_folder(store)}/{state_id}.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Error(
            f"No such state: {PREFIX}{state_id}; states are kept for 24 hours. Search again"
        ) from None
    with open(fd, "rb") as file:
        content = file.read(_MOST_BYTES + 1)
    try:
        known = light_json.loads(content.decode("utf-8", "surrogateescape"))
        if known["expires"] <= time.time():
            raise Error(f"State expired: {PREFIX}{state_id}; states are kept for 24 hours. Search again")
        return State(known)
    except (ValueError, KeyError, TypeError):
        raise Error(f"Damaged state: {PREFIX}{state_id}; search again") from None


def _folder(store: "Store") -> str:
    return f"{store.layout.base}/{FOLDER}"


def _sweep(folder: str) -> None:
    """Delete states whose time has passed."""
    oldest = time.time() - SECONDS
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    os.unlink(entry.path)
            except OSError:
                continue  # somebody else has deleted it, or may
