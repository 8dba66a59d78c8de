"""``max agent``: installing for the programs that agents live in."""

import os

import click

from maxstage.agents.clients import CLIENTS, client
from maxstage.cli.options import output_option
from maxstage.cli.printing import print_json, write_out
from maxstage.cli.types import NameType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from maxstage.agents.client import Place
    from maxstage.agents.installing import Change


def _place(project: bool) -> "Place":
    from maxstage.agents.client import Place

    return Place(os.getcwd() if project else None)


def _options(function: "Callable[..., Any]") -> "Callable[..., Any]":
    """Give a command the client's name and where to install."""
    for option in (
        output_option,
        click.option("--dry-run", is_flag=True, help="Print what would change, and change nothing."),
        click.option(
            "--user/--project", "user", default=True, help="For yourself (default), or for this folder."
        ),
        click.argument("name", metavar="CLIENT", type=click.Choice(list(CLIENTS))),
    ):
        function = option(function)
    return function


@click.command(
    epilog="""\b
Examples:
  max agent status
  max agent -o json"""
)
@output_option
def agent(output: str) -> None:
    """Show for which programs it is installed, for yourself and for this folder."""
    from maxstage.agents.installing import shown_path, states

    found = []
    for name in CLIENTS:
        for scope, project in (("user", False), ("project", True)):
            for target, state in states(client(name), _place(project)):
                found.append(
                    {
                        "client": name,
                        "scope": scope,
                        "path": target.path,
                        "what": target.about,
                        "state": state,
                    }
                )
    if output == "json":
        print_json(found)
        return
    shown = [one for one in found if one["state"] != "not installed"]
    for one in shown:
        write_out(
            f"{one['client']:<9} {one['scope']:<8} {one['state']:<10} {shown_path(one['path'])}  ({one['what']})"
        )
    if not shown:
        write_out(f"Installed nowhere. Run: max agent install {'|'.join(CLIENTS)}")


agent_status = agent


@click.command(
    epilog="""\b
Examples:
  max agent install claude --dry-run
  max agent install claude
  max agent install codex --project"""
)
@_options
def agent_install(name: str, user: bool, dry_run: bool, output: str) -> None:
    """Make this program known to CLIENT: a skill, an MCP server, and hooks.

    What CLIENT's settings hold stays as it is, byte for byte.
    """
    from maxstage.agents.installing import install, plan_install

    known = client(name)
    changes = plan_install(known, _place(not user))
    if not dry_run:
        install(changes)
    _tell(changes, dry_run=dry_run, output=output, nothing=f"Installed for {known.title} already.")
    if output == "text" and not dry_run and any(change.is_any for change in changes):
        for note in known.notes:
            write_out(note)


@click.command(
    epilog="""\b
Example:
  max agent uninstall claude"""
)
@_options
def agent_uninstall(name: str, user: bool, dry_run: bool, output: str) -> None:
    """Take back what was installed for CLIENT, and nothing else."""
    from maxstage.agents.installing import plan_uninstall, uninstall

    known = client(name)
    changes = plan_uninstall(known, _place(not user))
    if not dry_run:
        uninstall(changes)
    _tell(changes, dry_run=dry_run, output=output, nothing=f"Nothing is installed for {known.title}.")


def _tell(changes: "list[Change]", *, dry_run: bool, output: str, nothing: str) -> None:
    from maxstage.agents.installing import shown_path

    real = [change for change in changes if change.is_any]
    if output == "json":
        print_json(
            [{"path": change.target.path, "change": _kind(change), "dry_run": dry_run} for change in real]
        )
        return
    for change in real:
        if dry_run:
            write_out("\n".join(change.diff()))
        else:
            write_out(f"{_kind(change):<8} {shown_path(change.target.path)}  ({change.target.about})")
    if not real:
        write_out(nothing)


def _kind(change: "Change") -> str:
    return "made" if change.before is None else "deleted" if change.after is None else "changed"


@click.command(
    epilog="""\b
Example:
  max agent plugin ./maxstage-plugin && claude --plugin-dir ./maxstage-plugin"""
)
@click.argument("folder", metavar="DIR", type=NameType(file_okay=False))
@output_option
def agent_plugin(folder: str, output: str) -> None:
    """Write the skill, the MCP server and the hooks into DIR, as a plugin for Claude Code."""
    from maxstage import __version__
    from maxstage.agents.plugin import write_plugin

    paths = write_plugin(folder, __version__)
    if output == "json":
        print_json(paths)
        return
    for path in paths:
        write_out(path)
