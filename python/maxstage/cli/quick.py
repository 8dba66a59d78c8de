"""The commands that pipelines are made of, without the command-line library: importing that takes longer than they do.

What is not fully understood here goes the long way; a test holds the two to the same answers.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_LONGEST_NUMBER = 18
"""Digits; a longer one is for the long way to judge."""


def quick(args: "Sequence[str]") -> int | None:
    """Run a command if it is one of these; return its exit code, or None.

    ``stage [--source TEXT] [--sync] [--compress] [FILE...]`` and
    ``retrieve TOKEN... [--head N | --tail N | --lines A:B]``, and ``exec [--] CMD [ARG...]``.
    """
    # Completion in a shell asks by the environment.
    if any(name.endswith("_COMPLETE") for name in os.environ):
        return None
    if args[:1] == ["stage"]:
        return _stage(args[1:])
    if args[:1] == ["retrieve"]:
        return _retrieve(args[1:])
    if args[:1] == ["exec"]:
        return _execute(args[1:])
    return None


def _stage(args: "Sequence[str]") -> int | None:
    files: list[str] = []
    options: dict[str, Any] = {"source": None}
    rest = iter(args)
    for arg in rest:
        if arg in {"--sync", "--compress"}:
            options[arg[2:]] = True
        elif arg == "--source":
            options["source"] = next(rest, "")
            if not _is_plain(options["source"]):
                return None
        # Not one of the verbs that may follow `stage`: those have neither a dot nor a slash.
        elif _is_plain(arg) and ("." in arg or "/" in arg):
            files.append(arg)
        else:
            return None
    from maxstage.cli.run import closed_at_start

    if not files and (0 in closed_at_start or sys.stdin.isatty()):
        return None
    from maxstage.cli import transfer
    from maxstage.store.store import Store

    transfer.stage(Store.find(), files or (transfer.STDIN,), "text", **options)
    return 0


def _retrieve(args: "Sequence[str]") -> int | None:
    tokens = list(args)
    part: dict[str, Any] = {}
    if len(tokens) > 2 and tokens[-2] in {"--head", "--tail", "--lines"}:  # noqa: PLR2004
        numbers = tokens[-1].split(":")
        if not all(map(_is_number, numbers)):
            return None
        name = tokens[-2][2:]
        if (name == "lines") != (len(numbers) == 2) or len(numbers) > 2:  # noqa: PLR2004
            return None
        first, last = int(numbers[0]), int(numbers[-1])
        if name == "lines" and not 1 <= first <= last:
            return None
        part[name] = (first, last) if name == "lines" else first
        del tokens[-2:]
    if not tokens or not all(map(_is_plain, tokens)):
        return None
    from maxstage.cli import transfer
    from maxstage.store.store import Store

    transfer.retrieve(Store.find(), tokens, transfer.Part(**part))
    return 0


def _execute(args: "Sequence[str]") -> int | None:
    argv = args[1:] if args[:1] == ["--"] else args
    # An option of ours comes before the command; what follows is the command's own.
    if not argv or (argv is args and not _is_plain(argv[0])):
        return None
    from maxstage.cli.execution import execute, limits_of, store_or_none

    store, can_keep = store_or_none(None, needed=False, kept=True)
    return execute(argv, store, limits_of(store, {}), keep="truncated" if can_keep else "never")


def _is_plain(text: str) -> bool:
    return bool(text) and not text.startswith("-") and text.isprintable()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
