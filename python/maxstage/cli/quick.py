"""The commands that pipelines are made of, without the command-line library: importing that takes longer than they do.

What is not fully understood here goes the long way; a test holds the two to the same answers.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST_NUMBER = 18
"""Digits; a longer one is for the long way to judge."""


def quick(args: "Sequence[str]") -> int | None:
    """Run a command if it is one of these; return its exit code, or None.

    ``stage [--source TEXT]`` from a pipe or a file, and ``retrieve TOKEN... [--head N | --tail N]``.
    """
    # Completion in a shell asks by the environment.
    if any(name.endswith("_COMPLETE") for name in os.environ):
        return None
    if args[:1] == ["stage"]:
        return _stage(args[1:])
    if args[:1] == ["retrieve"]:
        return _retrieve(args[1:])
    return None


def _stage(args: "Sequence[str]") -> int | None:
    source = None
    if args:
        if len(args) != 2 or args[0] != "--source" or not _is_plain(args[1]):  # noqa: PLR2004
            return None
        source = args[1]
    from maxstage.cli.run import closed_at_start

    if 0 in closed_at_start or sys.stdin.isatty():
        return None
    from maxstage.cli import transfer
    from maxstage.store.store import Store

    transfer.stage(Store.find(), (transfer.STDIN,), "text", source=source)
    return 0


def _retrieve(args: "Sequence[str]") -> int | None:
    tokens = list(args)
    head = tail = None
    if len(tokens) > 2 and tokens[-2] in {"--head", "--tail"}:  # noqa: PLR2004
        number = tokens[-1]
        if not (number.isascii() and number.isdigit() and len(number) <= _LONGEST_NUMBER):
            return None
        head, tail = (int(number), None) if tokens[-2] == "--head" else (None, int(number))
        del tokens[-2:]
    if not tokens or not all(_is_plain(token) for token in tokens):
        return None
    from maxstage.cli import transfer
    from maxstage.store.store import Store

    transfer.retrieve(Store.find(), tokens, transfer.Part(head, tail))
    return 0


def _is_plain(text: str) -> bool:
    return bool(text) and not text.startswith("-") and text.isprintable()
