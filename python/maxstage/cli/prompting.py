"""Asking for confirmation before something is deleted."""

import sys

import click


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation on a terminal, unless `yes` was given; without a terminal it must have been."""
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
            sys.stderr.write("\n")  # end of input: the cursor is still on the line of the question
        answer = line.strip().lower() or "n"
    if answer not in {"y", "yes"}:
        raise click.ClickException("Aborted: nothing was deleted")
