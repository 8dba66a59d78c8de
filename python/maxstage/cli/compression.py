"""``--compress`` and ``--redact``, alone or with a value after ``=``, since a FILE may follow either."""

import itertools
import os

import click

from maxstage.codecs import CODECS, DEFAULT, NONE
from maxstage.redaction import MODES, parse_mode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from maxstage.redaction import Redact

_BARE = {"--compress": DEFAULT, "--redact": "shown"}
"""The values of these options if none is given."""

_NO = "no"
"""The value of ``--no-redact``."""


class _BareOption(click.Option):
    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        return None if record is None else (record[0].replace(" [=", "[="), record[1])


class CompressCommand(click.Command):
    """A command with the options of `compress_options` or `redact_option`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; ``--compress`` alone means the default codec."""
        return super().parse_args(ctx, self._name_values(ctx, args))

    def _name_values(self, ctx: click.Context, args: "Sequence[str]") -> list[str]:
        valued = {
            name
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and not param.is_flag
            for name in param.opts
        } - set(_BARE)
        flags = {
            name
            for param in self.get_params(ctx)
            if not isinstance(param, _BareOption)
            for name in param.opts
        }
        named: list[str] = []
        rest = iter(args)
        before = ""
        for arg in rest:
            is_word = arg == "-" or not arg.startswith("-")
            if arg == "--" or (is_word and not ctx.allow_interspersed_args):
                return [*named, arg, *rest]  # only words follow, or a command with its own options
            if before == "--compress" and arg in CODECS and not os.path.lexists(arg):
                raise click.UsageError(f'No such file: {arg}. Did you mean "{before}={arg}"?', ctx)
            before = arg
            named += [arg] if arg in flags else with_values([arg])
            if arg in valued:
                named += itertools.islice(rest, 1)
        return named


def with_values(args: "Sequence[str]") -> list[str]:
    """Return the arguments with a value added to each ``--compress`` or ``--redact`` that has none.

    >>> with_values(["--compress", "data.txt"])
    ['--compress=gzip', 'data.txt']
    """
    return [f"{arg}={_BARE[arg]}" if arg in _BARE else arg for arg in args]


def redact_option(function: "Callable[..., Any]") -> "Callable[..., Any]":
    """Add ``--redact`` and ``--no-redact`` to a `CompressCommand`; the last one given counts."""
    function = click.option("--no-redact", "redact", flag_value=_NO, help="Mask nothing.")(function)
    return click.option(
        "--redact",
        "redact",
        cls=_BareOption,
        type=click.Choice([*MODES, _NO]),
        metavar=f"[={'|'.join(MODES)}]",
        help="Mask what looks like a credential: in what is shown, or with =all in what is kept as well.",
    )(function)


def redact_mode(redact: str | None) -> "Redact | None":
    """Return the value of ``--redact`` as an argument for `maxstage.run`."""
    if redact is None:
        return None
    return redact != _NO and (parse_mode(redact) or False)


def compress_options(name: str, what: str) -> "Callable[[Callable[..., Any]], Callable[..., Any]]":
    """Add ``--compress`` and ``--no-compress`` to a `CompressCommand`; the last one given counts.

    Args:
        name: The parameter that gets the name of the codec; None if neither option is given.
        what: What is compressed, for the help text.
    """
    codecs = [codec for codec in CODECS if codec != NONE]

    def give(function: "Callable[..., Any]") -> "Callable[..., Any]":
        function = click.option("--no-compress", name, flag_value=NONE, help=f"Store {what} as it is.")(
            function
        )
        return click.option(
            "--compress",
            name,
            cls=_BareOption,
            type=click.Choice(list(CODECS)),
            metavar=f"[={'|'.join(codecs)}]",
            help=f"Compress {what}: {DEFAULT}, unless another codec is named.",
        )(function)

    return give
