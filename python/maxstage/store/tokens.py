"""Tokens: the short names of staged items.

A token is ``max:`` and an id of lowercase hex digits from the system's random source: 8 digits by default,
up to 32 if a store shared by several machines needs ids that nobody can guess.
"""

import os

from maxstage.errors import InvalidToken, wrong_type

PREFIX = "max:"
RESULT = "result:"
"""What the token of an intent's result, an item like any other, has after the prefix."""
LEAST_DIGITS = 8
MOST_DIGITS = 32
_HEX = frozenset("0123456789abcdef")
_SHOWN = 60
"""Characters of a bad token that an error quotes: enough to recognise it, without filling the screen."""


def new_id(token_bytes: int) -> str:
    """Return a random id of `token_bytes` bytes, two hex digits each."""
    return os.urandom(token_bytes).hex()


def format_token(item_id: str) -> str:
    """Return the token of an id.

    >>> format_token("a1b2c3d4")
    'max:a1b2c3d4'
    """
    return PREFIX + item_id


def is_id(text: str) -> bool:
    """Return whether `text` is an id exactly as it appears in file names."""
    return LEAST_DIGITS <= len(text) <= MOST_DIGITS and _HEX.issuperset(text)


def parse_token(text: str) -> str:
    """Return the id in `text`: with or without ``max:``, in upper or lower case, white space around it stripped.

    The token of a result, ``max:result:…``, is one, too.

    Every token passes this check before it is used as a file name.

    Raises:
        InvalidToken: `text` is anything else.
        TypeError: It is not a string.

    >>> parse_token(" MAX:A1B2C3D4\\n")
    'a1b2c3d4'
    """
    if not isinstance(text, str):
        raise wrong_type("token", text, 'text like "max:a1b2c3d4"')
    item_id = text.strip().lower().removeprefix(PREFIX).removeprefix(RESULT)
    if is_id(item_id):
        return item_id
    from maxstage.humanize import quoted_bytes

    shown = quoted_bytes(ascii(text[:_SHOWN])[1:-1]) + ("..." if len(text) > _SHOWN else "")
    raise InvalidToken(
        f"Invalid token: {shown or '(empty)'}; a token is max: and {LEAST_DIGITS} to {MOST_DIGITS} hex digits, "
        "like max:a1b2c3d4"
    )
