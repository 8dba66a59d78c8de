"""``max template``."""

from importlib.resources import files

import click

from maxstage.cli.options import lines_option
from maxstage.cli.printing import print_all, print_json, write_out

TEMPLATES = {
    "starter": "tasks, references, a loop, a retry",
    "agents": "agents that hand data over by token",
    "fan-out": "the shards of a staged token, side by side",
}


@click.command(
    epilog="""\b
Examples:
  max template > flow.yaml && max run flow.yaml
  max template agents"""
)
@click.argument("name", required=False, default="starter", type=click.Choice(list(TEMPLATES)))
@click.option("-l", "--list", "list_them", is_flag=True, help="List the templates.")
@lines_option
def template(name: str, list_them: bool, output: str) -> None:
    """Print a workflow to start from, with comments; it runs as it is."""
    if list_them and output != "text":
        print_all(({"name": known, "description": text} for known, text in TEMPLATES.items()), output)
        return
    if list_them:
        for known, text in TEMPLATES.items():
            write_out(f"{known:<10} {text}")
        return
    text = (files("maxstage.workflow") / "templates" / f"{name}.yaml").read_text(encoding="utf-8")
    if output != "text":
        print_json(
            {"name": name, "description": TEMPLATES[name], "text": text},
            indent=2 if output == "json" else None,
        )
    else:
        write_out(text.rstrip("\n"))
