"""What the tests of all frameworks need: results of tools of every size, and what must have become of them."""

import re

from maxstage import Store

LONG = (
    "".join(f"line {number} of the build\n" for number in range(5000))
    + "error: 'frobnicate' undeclared\n"
    + ("".join(f"line {number} of the build\n" for number in range(5000, 10_000)))
)
"""A result that is too long, with what matters in its middle."""

HUGE = LONG * (50_000_000 // len(LONG) + 1)

CUT_TO = 4096


def kept(store: Store, shown: str) -> bytes:
    """Check the text that a model was shown of a long result, and return what its token stands for."""
    assert len(shown.encode()) <= CUT_TO
    assert "frobnicate" in shown
    token = re.search(r"max retrieve (max:[0-9a-f]{8})", shown)[1]
    assert store.info(token).source.startswith("tool/")
    with store.open(token) as file:
        return file.read()


def token_in(shown: str) -> str:
    """Return the token that a text names."""
    return re.search(r"max:[0-9a-f]{8}", shown)[0]
