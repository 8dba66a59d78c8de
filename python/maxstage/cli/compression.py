"""``--compress``, alone or as ``--compress=CODEC``: a codec is named behind ``=``, since a FILE may follow."""

import itertools
import os

import click

from maxstage.codecs import CODECS, DEFAULT, NONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

_BARE = "--compress"


class _CompressOption(click.Option):
    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        return None if record is None else (record[0].replace(" [=", "[="), record[1])


class CompressCommand(click.Command):
    """A command that has the options of `compress_options`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; ``--compress`` alone is the default codec."""
        return super().parse_args(ctx, self._name_codec(ctx, args))

    def _name_codec(self, ctx: click.Context, args: "Sequence[str]") -> list[str]:
        valued = {
            name
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and not param.is_flag
            for name in param.opts
        } - {_BARE}
        named: list[str] = []
        rest = iter(args)
        before = ""
        for arg in rest:
            is_word = arg == "-" or not arg.startswith("-")
            if arg == "--" or (is_word and not ctx.allow_interspersed_args):
                return [*named, arg, *rest]  # what follows are words, or a command with options of its own
            if before == _BARE and arg in CODECS and not os.path.lexists(arg):
                raise click.UsageError(f'No such file: {arg}. Did you mean "{_BARE}={arg}"?', ctx)
            before = arg
            named += with_codec([arg])
            if arg in valued:
                named += itertools.islice(rest, 1)
        return named


def with_codec(args: "Sequence[str]") -> list[str]:
    """Return options with the codec named where ``--compress`` stands alone.

    >>> with_codec(["--compress", "data.txt"])
    ['--compress=gzip', 'data.txt']
    """
    return [f"{_BARE}={DEFAULT}" if arg == _BARE else arg for arg in args]


def compress_options(name: str, what: str) -> "Callable[[Callable[..., Any]], Callable[..., Any]]":
    """Give a command of `CompressCommand` the options ``--compress`` and ``--no-compress``, of which the last counts.

    Args:
        name: The parameter that takes the name of a codec; None where neither is given.
        what: What is stored, for the help.
    """
    codecs = [codec for codec in CODECS if codec != NONE]

    def give(function: "Callable[..., Any]") -> "Callable[..., Any]":
        function = click.option("--no-compress", name, flag_value=NONE, help=f"Store {what} as it is.")(
            function
        )
        return click.option(
            _BARE,
            name,
            cls=_CompressOption,
            type=click.Choice(list(CODECS)),
            metavar=f"[={'|'.join(codecs)}]",
            help=f"Compress {what}: {DEFAULT}, unless another codec is named.",
        )(function)

    return give
