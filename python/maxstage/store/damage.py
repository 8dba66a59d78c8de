"""The error for a damaged item."""

from maxstage.errors import Corrupt
from maxstage.store.tokens import format_token


def damaged(item_id: str, what: str) -> Corrupt:
    """Return the error for an item that is no longer what was staged; `what` says what is wrong."""
    token = format_token(item_id)
    return Corrupt(
        f'Staged data is damaged: {token}: {what}. Stage it again and remove this with "max unstage {token}"'
    )
