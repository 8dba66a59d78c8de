"""``max sources``."""

import click

from maxstage.cli.options import dir_option, named_folder, output_option
from maxstage.cli.printing import print_json, write_out
from maxstage.cli.process import open_project_or_none


@click.command(
    epilog="""\b
Examples:
  max sources
  max search files -f 'path ~= *.pdf and size > 1MB'

\b
A source of your own, in .max/config.toml:
  [sources.hubspot]
  command = ["my-exporter", "{type}"]   # prints a JSON record a line
  cache_minutes = 15"""
)
@output_option
@dir_option
def sources(folder: str | None, output: str) -> None:
    """List what max search, count and schema know by a name, besides tokens and files."""
    from maxstage.humanize import printable
    from maxstage.query.sources import ABOUT_FILES, FILES, TYPE, offered

    store = open_project_or_none(named_folder(click.get_current_context(), folder))
    known = {} if store is None else store.settings.sources
    if output == "json":
        rows = [{"name": FILES, "command": None}, *({"name": name} | said for name, said in known.items())]
        rows += [{"name": one.name, "package": one.value} for one in offered()]
        print_json(rows)
        return
    lines = [f"{FILES}  {ABOUT_FILES}"]
    for name, said in known.items():
        command = said.get("command", [said.get("sql", "")])
        words = " ".join(command)
        takes = any(TYPE in word for word in command) and "sql" not in said
        needs = (f"; --type {said['type']}" if "type" in said else "; needs --type") if takes else ""
        kept = f"; kept for {said['cache_minutes']:g} min" if said.get("cache_minutes") else ""
        lines.append(f"{name}  {printable(words, 100)}{needs}{kept}")
    lines += [f"{printable(one.name)}  {printable(one.value, 100)}" for one in offered()]
    write_out("\n".join(lines))
