"""What is known of a server: found out once, when the store is made, and noted in ``maxstage.json``.

A machine that has read it notes it in a file of its own, so that no command has to ask again.
"""

import os

from maxstage import light_json
from maxstage.errors import Corrupt, NoProject
from maxstage.store.storage.object.layout import FORMAT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Content(Protocol):
        """What was got."""

        content: bytes

    class Gets(Protocol):
        """What asks the server."""

        url: str

        def get(self, key: str) -> Content | None:
            """Return an object."""


VERSION = 1
"""The format of the store that we write."""

NOTE = ".server.json"
_MOST_BYTES = 64 * 1024


class Facts:
    """What ``maxstage.json`` says.

    Attributes:
        quotes: Whether ``If-Match`` wants the tag of an object in quotes, as the standard has it: some want none.
    """

    __slots__ = ("quotes",)

    def __init__(self, *, quotes: bool) -> None:
        self.quotes = quotes

    def to_json(self) -> bytes:
        """Return the content of ``maxstage.json``."""
        return (
            light_json.dumps({"format": VERSION, "ifMatch": "quoted" if self.quotes else "plain"}) + "\n"
        ).encode()


def parse_facts(content: bytes, url: str) -> Facts:
    """Read the content of ``maxstage.json``.

    Raises:
        Corrupt: It is damaged, or written by a later version.
    """
    try:
        said = light_json.loads(content.decode())
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or said.get("ifMatch") not in {"quoted", "plain"}:
        raise Corrupt(f"{url}/{FORMAT} is damaged: it does not say what the server can do")
    if said.get("format") != VERSION:
        raise Corrupt(
            f"{url} has format {said.get('format')!r:.20}, and this version knows {VERSION}; update maxstage"
        )
    return Facts(quotes=said["ifMatch"] == "quoted")


def ask_facts(client: "Gets") -> Facts | None:
    """Return what the server's ``maxstage.json`` says; None if it has none. Raises as `parse_facts`."""
    got = client.get(FORMAT)
    return None if got is None else parse_facts(got.content, client.url)


def load_facts(client: "Gets", folder: str | None) -> Facts:
    """Return what is known of the server of a store.

    Args:
        client: The server.
        folder: The folder of this machine's note; None for none.

    Raises:
        NoProject: There is no store at that URL.
        Corrupt: Its ``maxstage.json`` is damaged.
    """
    noted = None if folder is None else _read_note(folder)
    if noted is not None and noted.get("url") == client.url and isinstance(noted.get("quotes"), bool):
        return Facts(quotes=noted["quotes"])
    facts = ask_facts(client)
    if facts is None:
        raise NoProject(f'There is no store at {client.url} yet; run "max init --store {client.url}" first')
    if folder is not None:
        _note(folder, {"url": client.url, "quotes": facts.quotes})
    return facts


def _read_note(folder: str) -> "dict[str, Any] | None":
    try:
        fd = os.open(f"{folder}/{NOTE}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        said = light_json.loads(os.read(fd, _MOST_BYTES).decode())
    except (OSError, ValueError, RecursionError):
        return None
    finally:
        os.close(fd)
    return said if isinstance(said, dict) else None


def _note(folder: str, said: "dict[str, Any]") -> None:
    part = f"{folder}/{NOTE}.{os.getpid()}"
    try:
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, light_json.dumps(said).encode())
        finally:
            os.close(fd)
        os.rename(part, f"{folder}/{NOTE}")
    except OSError:
        return  # a read-only folder, for instance: the next command asks the server again
