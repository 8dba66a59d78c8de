"""Making a store on a server, once it has shown that it can keep one.

Everything rests on two promises: of those who create an object with ``If-None-Match: *`` at once, one succeeds, and of
those who replace one state of it with ``If-Match``, too. A server that looks first and then writes breaks them, so
they are tried, with many requests at once.
"""

import threading

from maxstage.errors import Error
from maxstage.store.storage.object.client import Client
from maxstage.store.storage.object.facts import Facts, ask_facts
from maxstage.store.storage.object.layout import FORMAT, new_nonce
from maxstage.store.storage.object.together import each

_ROUNDS = 4
_RACERS = 16
"""Requests at once, and how often: a server that looks and then writes was caught by the first round as a rule."""


def prepare(client: Client) -> bool:
    """Make a store at a client's URL, unless there is one; return whether it was made.

    Raises:
        Error: The server can't keep a store.
        Unreachable: It can't be reached, or refuses.
    """
    if ask_facts(client) is not None:
        return False
    facts = Facts(quotes=_try(client))

    def is_ours() -> bool:
        return ask_facts(client) is not None

    return client.create(FORMAT, facts.to_json(), is_ours)


def _try(client: Client) -> bool:
    """Try what a store needs; return whether ``If-Match`` wants quotes."""
    key = f"test/{new_nonce()}"
    try:
        for _ in range(_ROUNDS):
            client.delete(key)
            _race(client, key)
        quotes = _find_quotes(client, key)
        for _ in range(_ROUNDS):
            _race(client, key, quotes=quotes)
        _check_reading(client, key)
    finally:
        client.delete(key)
    return quotes


def _race(client: Client, key: str, *, quotes: bool | None = None) -> None:
    """Let many write an object at once; exactly one must succeed, and the object must be its.

    Args:
        client: The server.
        key: The object.
        quotes: How to name its state, if it exists.
    """
    version = None
    if quotes is not None:
        got = client.get(key)
        if got is None:
            raise _unfit(client, "what was written can't be read")
        version = got.version
    start = threading.Barrier(_RACERS)
    # The tag of an object is made from its content: no two may be the same.
    contents = [new_nonce().encode() for _ in range(_RACERS)]

    def write(number: int) -> bool:
        start.wait()
        return client.put_if(key, contents[number], version, quotes=quotes is True)

    won = [number for number, is_mine in enumerate(each(write, range(_RACERS), wide=_RACERS)) if is_mine]
    got = client.get(key)
    if len(won) != 1 or got is None or got.content != contents[won[0]]:
        what = "If-None-Match" if version is None else "If-Match"
        raise _unfit(client, f"of {_RACERS} writers at once, {len(won)} succeeded in spite of {what}")


def _find_quotes(client: Client, key: str) -> bool:
    for quotes in (True, False):
        got = client.get(key)
        if got is not None and client.put_if(key, b"again", got.version, quotes=quotes):
            if client.put_if(key, b"wrong", got.version, quotes=quotes):
                raise _unfit(client, "it ignores If-Match")
            return quotes
    raise _unfit(client, "it does not know If-Match when an object is written")


def _check_reading(client: Client, key: str) -> None:
    client.put(key, b"0123456789")
    got = client.get(key, 3, 6)
    if got is None or got.content != b"345" or got.size != 10:  # noqa: PLR2004
        raise _unfit(client, "it does not give parts of objects")
    if key not in [meta["path"] for page in client.list("test") for meta in page]:
        raise _unfit(client, "its lists do not show what was just written")


def _unfit(client: Client, why: str) -> Error:
    return Error(f"The server of {client.url} can't keep a store: {why}; nothing was made")
