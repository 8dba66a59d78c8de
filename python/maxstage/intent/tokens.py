"""The tokens of intents and of their results: ``max:intent:9f8e7d6c``, ``max:result:a1b2c3d4``.

A result is a staged item like any other, so its token works wherever a token does; its kind says what else it is.
"""

from maxstage.errors import InvalidToken
from maxstage.store.tokens import LEAST_DIGITS, MOST_DIGITS, PREFIX, RESULT, is_id

INTENT = "intent:"


def format_intent(intent_id: str) -> str:
    """Return the token of an intent."""
    return f"{PREFIX}{INTENT}{intent_id}"


def format_result(item_id: str) -> str:
    """Return the token of a result."""
    return f"{PREFIX}{RESULT}{item_id}"


def parse_intent(text: str) -> str:
    """Return the id in the token of an intent, with or without its beginning.

    Raises:
        InvalidToken: It is something else.

    >>> parse_intent("max:intent:9F8E7D6C ")
    '9f8e7d6c'
    """
    bare = text.strip().lower().removeprefix(PREFIX)
    intent_id = bare.removeprefix(INTENT)
    if is_id(intent_id):
        return intent_id
    from maxstage.humanize import printable

    if bare.startswith(RESULT):
        raise InvalidToken(f"{printable(text, 60)} is a result, not an intent; max undo takes results")
    raise InvalidToken(
        f"Invalid intent: {printable(text, 60) or '(empty)'}; an intent is max:intent: and {LEAST_DIGITS} to "
        f"{MOST_DIGITS} hex digits, like max:intent:9f8e7d6c"
    )
