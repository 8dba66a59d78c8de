"""Asking on a terminal before something is deleted."""

import sys

import click


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal before something is deleted; elsewhere `yes` must have been given."""
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError("Not a terminal, so nobody can be asked; use --yes to delete without asking")
    answer = ""
    while answer not in {"y", "yes", "n", "no"}:
        sys.stderr.write(f"{question} [y/N]: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            sys.stderr.write("\n")  # the end of input was typed: the line is still open
        answer = line.strip().lower() or "n"
    if answer not in {"y", "yes"}:
        raise click.ClickException("Aborted: nothing was deleted")
