"""The types of options and arguments: they parse the values, and report invalid ones."""

import math

import click

from maxstage.cli.options import find_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from typing import Any

    from click.shell_completion import CompletionItem

    from maxstage.store.store import Store


class ListedType(click.ParamType[str]):
    """The name of something that a store has, which a shell completes; `known` says what there is."""

    def known(self, store: "Store") -> "Iterator[tuple[str, str]]":
        """Yield what a store has, with a few words about each."""
        raise NotImplementedError

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> "list[CompletionItem[str]]":
        """Offer what the store has."""
        from click.shell_completion import CompletionItem

        from maxstage.errors import Error

        try:
            found = list(self.known(find_store(ctx, ctx.params.get("folder"))))
        except (Error, OSError):
            return []  # a shell completion must not print errors
        typed = incomplete.lower()
        # Complete a name typed without "max:" without it, too: not every shell replaces what was typed.
        bare = not "max:".startswith(typed) and not typed.startswith("max:")
        names = ((name.removeprefix("max:") if bare else name, about) for name, about in found)
        return [CompletionItem(name, help=about) for name, about in names if name.startswith(typed)]


class TokenType(ListedType):
    """A token; completes to those in the store, with where they came from."""

    name = "token"

    def known(self, store: "Store") -> "Iterator[tuple[str, str]]":
        """Yield the items of a store."""
        from maxstage.humanize import counted, printable

        for item in store.list():
            about = f"{printable(item.source or 'unknown', 60)}, {counted(item.record_count, 'record')}"
            yield item.token, about


class NameType(click.Path):
    """A non-empty name of a file or folder. An unreadable file is not a usage error: opening it reports that."""

    def __init__(self, *, file_okay: bool = True) -> None:
        super().__init__(file_okay=file_okay, readable=False)

    def convert(
        self, value: "Any", param: click.Parameter | None, ctx: click.Context | None
    ) -> "str | bytes | os.PathLike[str]":
        """Reject an empty name, for which the system's error would name no file."""
        if value == "":
            self.fail("the name is empty", param, ctx)
        return super().convert(value, param, ctx)


class CountType(click.IntRange):
    """A whole number of any length, capped where it is larger than any data."""

    def convert(self, value: "Any", param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse the number."""
        from maxstage.sizes import parse_count

        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = parse_count(value)
        elif len(str(value)) > _SHOWN:
            self.fail(f"{shorten(value)} is outside the range", param, ctx)
        number: int = super().convert(value, param, ctx)
        return number


class TtlType(click.ParamType[float]):
    """Time until an item expires, in minutes."""

    name = "ttl"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse the duration."""
        from maxstage.durations import parse_minutes

        try:
            return parse_minutes(value)
        except ValueError as error:
            self.fail(f"{shorten(value)} {error}", param, ctx)


class SizeType(click.ParamType[int]):
    """A size in bytes: ``65536``, ``512KiB``, ``1MB``."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse the size."""
        from maxstage.sizes import parse_size

        try:
            return parse_size(value)
        except ValueError as error:
            self.fail(f"{shorten(value)}: {error}", param, ctx)


_SHOWN = 60
"""Characters of a bad value that an error quotes: enough to recognise it, without filling the screen."""


def shorten(value: object) -> str:
    """Return a value for an error: quoted, and short enough for one line."""
    from maxstage.humanize import quoted_bytes

    text = str(value)
    return quoted_bytes(repr(text[:_SHOWN])) + ("" if len(text) <= _SHOWN else "...")


class SecondsType(click.ParamType[float]):
    """A positive number of seconds, capped where nobody would wait that long."""

    name = "seconds"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse the number."""
        try:
            seconds = float(str(value))
        except ValueError:
            seconds = 0.0
        # The comparison is also false for "nan".
        if not 0 < seconds < math.inf:
            self.fail(
                f"{shorten(value)} is not a number of seconds above 0; leave it out for no limit", param, ctx
            )
        return min(seconds, _MOST_SECONDS)


_MOST_SECONDS = 1e9
"""Thirty years; the data path measures time in integers, which have no infinity."""


def parse_labels(_ctx: click.Context, _param: click.Parameter, values: "Sequence[str]") -> dict[str, str]:
    """Parse ``--label K=V`` options."""
    labels = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{shorten(text)} is not of the form KEY=VALUE")
        if not key:
            raise click.BadParameter(f"{shorten(text)} has no key before its =; write KEY=VALUE")
        labels[key] = value
        check_text(text)
    return labels


def parse_label_filter(
    _ctx: click.Context, _param: click.Parameter, values: "Sequence[str]"
) -> "dict[str, str | None]":
    """Parse ``--label K[=V]`` options: a label with any value, or with this one."""
    for text in values:
        if not text.partition("=")[0]:
            raise click.BadParameter(f"{shorten(text)} names no label; write KEY or KEY=VALUE")
    pairs = (text.partition("=") for text in values)
    return {key: value if equals else None for key, equals, value in pairs}


def parse_source(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    """Parse a ``--source`` option."""
    if text == "":
        raise click.BadParameter("it is empty; name where the data came from, or leave the option out")
    return text if text is None else check_text(text)


def parse_source_filter(_ctx: click.Context, _param: click.Parameter, glob: str | None) -> str | None:
    """Parse a ``--source`` option that selects items: an empty one, from an unset variable, would select none."""
    if glob == "":
        raise click.BadParameter("it is empty; write a pattern, like 'hubspot/*', or leave the option out")
    return glob


def check_text(text: str) -> str:
    """Reject control characters, since the text is shown on terminals."""
    if not text.isprintable():
        raise click.BadParameter(f"{shorten(text)} has characters that can't be printed")
    return text
