"""Asking for confirmation before something is done."""

import sys

import click


def confirm(question: str, *, yes: bool) -> None:
    """Ask for confirmation on a terminal, unless `yes` was given; without a terminal it must have been."""
    if yes:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        raise click.UsageError("Not a terminal, so nobody can be asked; use --yes to delete without asking")
    if not ask(question):
        raise click.ClickException("Aborted: nothing was deleted")


def ask(question: str) -> bool:
    """Ask a question on a terminal; return whether the answer is yes."""
    assert sys.stdin is not None  # noqa: S101 - the caller has looked
    answer = ""
    while answer not in {"y", "yes", "n", "no"}:
        sys.stderr.write(f"{question} [y/N]: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            sys.stderr.write("\n")  # end of input: the cursor is still on the line of the question
        answer = line.strip().lower() or "n"
    return answer in {"y", "yes"}
