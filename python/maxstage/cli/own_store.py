"""Tokens of the user's own store where a command looks in a project alone: the error says where they are.

What only reads finds them by itself (`Store.open_item_or_own`); what changes or deletes has to be told.
"""

import contextlib
import shlex

from maxstage.errors import Error, Expired, NotFound
from maxstage.store.store import Store
from maxstage.store.tokens import format_token, parse_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def naming_own(store: Store, token: str) -> "Iterator[None]":
    """Make the error about a token that is not found say if it is in the user's own store.

    Raises:
        NotFound: It is not in `store`.
    """
    try:
        yield
    except Expired:
        raise
    except NotFound:
        problem = in_own_store(store, token)
        if problem is None:
            raise
        raise NotFound(problem) from None


def in_own_store(store: Store, token: str) -> str | None:
    """Return what to say about a token that is not in `store` if it is in the user's own store, else None."""
    item_id = parse_token(token)
    try:
        own = Store.user_or_none()
        if own is None or own.layout.root == store.layout.root:
            return None
        own.info(item_id)
    except Error:
        return None  # it can't be used, or has no such item
    place = shlex.quote(own.layout.project)
    return (
        f"Staged data not found: {format_token(item_id)} is in your own store, not in this project; "
        f"add --dir {place}"
    )
