"""The commands by name. Each module is imported when its command is called."""

from importlib import import_module

import click

from maxstage.cli.options import dir_option
from maxstage.cli.types import shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from click.shell_completion import CompletionItem

COMMANDS = {
    "help": ("help", "Show how a command is used."),
    "init": ("init", "Make this folder a Max project."),
    "stage": ("stage", "Stage stdin or files; print a token for each."),
    "retrieve": ("retrieve", "Write staged data to stdout, whole or a slice."),
    "search": ("search", "Print the records that match."),
    "count": ("count", "Count the records that match, or by value."),
    "schema": ("schema", "Describe the fields of records."),
    "sql": ("sql", "Ask by SQL, over tokens and files."),
    "grant": ("grant", "Print a URL that anybody can read an item by."),
    "path": ("path", "Print the path of a file that any program can read."),
    "sources": ("sources", "List what can be searched by a name."),
    "stage list": ("stage_list", "List what is staged."),
    "stage info": ("stage_info", "Show one item, with a preview."),
    "stage renew": ("stage_expiry", "Give an item more time."),
    "stage pin": ("stage_expiry", "Keep an item until it is unpinned."),
    "stage unpin": ("stage_expiry", "Let a pinned item expire again."),
    "stage copy": ("stage_copy", "Copy items to another store."),
    "stage gc": ("stage_gc", "Delete expired items and leftovers."),
    "stage verify": ("stage_verify", "Check items against their checksums."),
    "intent": ("intent", "List plans of many writes."),
    "intent copy": ("intent_plan", "Plan a copy for each record."),
    "intent move": ("intent_plan", "Plan a move for each record."),
    "intent delete": ("intent_plan", "Plan a deletion for each record."),
    "intent write": ("intent_plan", "Plan a file for each record."),
    "intent run": ("intent_plan", "Plan a program for each record."),
    "intent list": ("intent", "List the intents, and how far each is."),
    "intent show": ("intent", "Show one intent."),
    "intent approve": ("intent", "Look at an intent, and agree to it."),
    "intent cancel": ("intent", "Give an intent up."),
    "preview": ("preview", "Show what an intent would do, and every problem."),
    "execute": ("execute", "Do what an intent plans."),
    "undo": ("execute", "Take back what an intent did."),
    "unstage": ("unstage", "Delete staged data."),
    "exec": ("exec", "Run a command with bounded output."),
    "truncate": ("truncate", "Cut text to a size and keep the full text."),
    "gain": ("gain", "Show how much was kept out of prompts."),
    "mcp": ("mcp", "Serve agents by the Model Context Protocol."),
    "mcp wrap": ("mcp_wrap", "Stand before an MCP server; stage its long results."),
    "run": ("run", "Run a workflow."),
    "worker": ("worker", "Run programs for workflows on other machines."),
    "engine": ("engine", "Show the development engine."),
    "engine start": ("engine", "Start an engine, to try out many machines."),
    "engine stop": ("engine", "Stop it."),
    "answer": ("answer", "Answer what a workflow's task asks."),
    "validate": ("validate", "Check a workflow file."),
    "template": ("template", "Print a workflow to start from."),
    "runs": ("runs", "List the runs of workflows."),
    "runs show": ("runs", "Show one run, with its tasks."),
    "runs output": ("runs_output", "Print what a task printed."),
    "runs report": ("runs", "Write an HTML report of a run."),
    "runs export": ("runs", "Print the state of a run as JSON."),
    "runs import": ("runs", "Import a run that was exported."),
    "runs prune": ("runs", "Drop outputs that a run no longer needs."),
    "runs cancel": ("runs_cancel", "End a run: its programs, on every machine."),
    "runs clean": ("runs", "Delete runs and their outputs."),
    "context": ("context", "Show which outputs an agent's task gets, and why."),
    "agent": ("agents", "Show which agents' programs know of it."),
    "agent status": ("agents", "Show the same, by its full name."),
    "agent install": ("agents", "Make it known to an agent's program: skill, tools, hooks."),
    "agent uninstall": ("agents", "Take back what was installed."),
    "agent plugin": ("agents", "Write a plugin folder for Claude Code."),
}
"""The module of each command, and its line in the overview, which thus needn't import any of them."""


class App(click.Group):
    """The program. ``stage`` and ``runs`` are commands in their own right and the first word of others."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return all names, in the order of the overview."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"maxstage.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace(" ", "_"))
        return command

    def import_command(self, ctx: click.Context, args: "Sequence[str]") -> None:
        """Import the command that `args` start with, if any, before Ctrl-C raises an exception."""
        for name in (" ".join(args[:2]), *args[:1]):
            if self.get_command(ctx, name) is not None:
                return

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Look up the first two words, if they are a command, or the first."""
        two = " ".join(args[:2])
        if len(args) > 1 and two in COMMANDS:
            return two, self.get_command(ctx, two), args[2:]
        if not ctx.resilient_parsing:
            self._check_name(ctx, args)
        return super().resolve_command(ctx, args)

    def _check_name(self, ctx: click.Context, args: "Sequence[str]") -> None:
        """Reject an unknown command, suggesting the one that was probably meant."""
        first = args[0]
        if first not in COMMANDS and not first.startswith("-"):
            raise click.UsageError(f"No such command: {shorten(first)}{did_you_mean(first, COMMANDS)}", ctx)
        # These take no arguments, so the next word must be a verb; for `stage` it may be a file.
        if first in {"runs", "agent", "intent", "engine"} and len(args) > 1 and not args[1].startswith("-"):
            verbs = second_words(first)
            hint = did_you_mean(args[1], verbs, f"{first} ") or f"; there are {', '.join(verbs)}"
            raise click.UsageError(f"No such command: {shorten(f'{first} {args[1]}')}{hint}", ctx)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem[str]]":
        """Offer the first words of the commands, without importing any of them; or options."""
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(name, help=text)
            for name, (_, text) in COMMANDS.items()
            if " " not in name and name.startswith(incomplete)
        ]
        return names or click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the overview from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def second_words(first: str) -> "list[str]":
    """Return the verbs that may follow a command."""
    return [name.split()[1] for name in COMMANDS if name.startswith(f"{first} ")]


def did_you_mean(word: str, names: "Iterable[str]", before: str = "") -> str:
    """Return a suggestion to append to an error about a mistyped name; empty if no name is similar.

    Args:
        word: What was typed.
        names: The names that may have been meant; a two-word name also matches by its second word.
        before: A prefix for the name in the suggestion.
    """
    from difflib import get_close_matches

    # Of two with one second word, the first is meant.
    whole = {name.split()[-1]: name for name in reversed(list(names))} | {name: name for name in names}
    near = get_close_matches(word.lower(), whole, 1)
    program = click.get_current_context().find_root().info_name
    return f'. Did you mean "{program} {before}{whole[near[0]]}"?' if near else ""


def _show_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from maxstage import __version__, backend

        click.echo(f"{ctx.info_name}, version {__version__} ({backend} backend)")
        ctx.exit()


@click.group(
    cls=App,
    epilog="""\b
Example:
  max init
  TOKEN=$(seq 1000000 | max stage)
  max retrieve $TOKEN | wc -l

\b
Completion for bash (for zsh and fish: zsh_source, fish_source):
  eval "$(_MAX_COMPLETE=bash_source max)"

Exit codes: 0 done, 1 not found, expired or an I/O error, 2 wrong usage, 130 Ctrl-C, 143 SIGTERM.""",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@dir_option
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version.",
)
def app(folder: str | None) -> None:
    """Hand large data between agents and shell commands by a short token."""
