"""Makes the man pages from the click commands: one page for each, like git's. The build back end puts them into wheels.

python packaging/man_pages.py FOLDER
"""

import os
import re
import sys
from collections.abc import Iterator

import click

from maxstage import __version__
from maxstage.cli.app import COMMANDS, app

_SECTION = 1


def write_pages(folder: str) -> list[str]:
    """Write all pages into a folder, which is created if missing; return their names."""
    os.makedirs(folder, exist_ok=True)
    names = []
    for name in ("", *COMMANDS):
        file_name = f"{_dashed(name)}.{_SECTION}"
        with open(f"{folder}/{file_name}", "w", encoding="utf-8") as file:
            file.write(page(name))
        names.append(file_name)
    # The program's other name.
    with open(f"{folder}/maxstage.{_SECTION}", "w", encoding="utf-8") as file:
        file.write(f".so man{_SECTION}/max.{_SECTION}\n")
    return [*names, f"maxstage.{_SECTION}"]


def page(name: str) -> str:
    """Return the page of a command, in the language of man(7).

    Args:
        name: Its name in `maxstage.cli.app.COMMANDS`; nothing for the program itself.
    """
    root = app.make_context("max", [], resilient_parsing=True)
    command = app if not name else app.get_command(root, name)
    if command is None:
        raise ValueError(f"there is no command {name}")
    context = root if not name else click.Context(command, info_name=name, parent=root)
    return "\n".join(_lines(name, command, context)) + "\n"


def _lines(name: str, command: click.Command, context: click.Context) -> Iterator[str]:
    title = _dashed(name)
    short = (
        COMMANDS[name][1] if name else "hand large data between agents and shell commands by a short token"
    )
    yield f'.TH "{title.upper()}" "{_SECTION}" "" "maxstage {__version__}" "maxstage"'
    yield from (".SH NAME", f"{_text(title)} \\- {_text(short[0].lower() + short[1:].rstrip('.'))}")
    pieces = " ".join(command.collect_usage_pieces(context))
    yield from (".SH SYNOPSIS", f"\\fBmax{_text(' ' + name if name else '')}\\fR {_text(pieces)}")
    yield from (".SH DESCRIPTION", *_paragraphs(command.help or ""))
    if not name:
        yield ".SH COMMANDS"
        for other, (_, about) in COMMANDS.items():
            yield from (".TP", f"\\fBmax {_text(other)}\\fR", _line(about))
    records = [one.get_help_record(context) for one in command.get_params(context)]
    options = [record for record in records if record is not None and record[1]]
    if options:
        yield ".SH OPTIONS"
        for flags, about in options:
            yield from (".TP", f"\\fB{_text(flags)}\\fR", _line(about))
    if command.epilog:
        yield from (".SH EXAMPLES", *_paragraphs(command.epilog))
    group = f"{name.split(maxsplit=1)[0]} " if name else ""
    others = [other for other in COMMANDS if group and other.startswith(group) and other != name]
    related = ["max", *map(_dashed, others)] if name else ["git", "jq"]
    references = [f"\\fB{_text(one)}\\fR({_SECTION})" for one in related]
    yield from (".SH SEE ALSO", ", ".join(references))


def _dashed(name: str) -> str:
    return "-".join(["max", *name.split()])


def _paragraphs(text: str) -> Iterator[str]:
    r"""Yield the lines of a help text; click marks with ``\b`` those paragraphs whose lines stay as they are."""
    for at, paragraph in enumerate(re.split(r"\n\s*\n", text.strip("\n"))):
        if at:
            yield ".PP"
        lines = [line.strip("\f") for line in paragraph.split("\n")]
        if lines[0].strip() == "\b":
            heading, *rest = [line for line in lines if line.strip() != "\b"]
            # "Examples:" is what the section is called.
            if heading.strip() not in {"Example:", "Examples:"}:
                yield _line(heading)
            yield from (".nf", *map(_line, rest), ".fi")
        else:
            yield from (_line(line.strip()) for line in lines if line.strip())


def _line(text: str) -> str:
    """Return a line of text: one that begins with a dot or a quote would be a command."""
    escaped = _text(text.rstrip())
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _text(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("\n", " ")


if __name__ == "__main__":
    write_pages(sys.argv[1])
