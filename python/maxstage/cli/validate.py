"""``max validate``."""

import click

from maxstage.cli.options import dir_option, lenient_option, lines_option, named_folder
from maxstage.cli.printing import print_all, print_json, warn, write_out
from maxstage.cli.process import open_project_or_none
from maxstage.cli.types import NameType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from maxstage.workflow.format.agents import Provider


def known_providers(ctx: click.Context, folder: str | None) -> "Mapping[str, Provider]":
    """Return the providers of the project, or outside a project the built-in ones."""
    from maxstage.workflow.format.agents import PROVIDERS, providers_from

    store = open_project_or_none(named_folder(ctx, folder))
    return PROVIDERS if store is None else providers_from(store.settings.providers)


@click.command(
    epilog="""\b
Examples:
  max validate flow.yaml
  max validate --validate-limits -o json flow.yaml
  max validate --schema > workflow.schema.json"""
)
@click.argument("file", required=False, type=NameType())
@click.option("--validate-limits", is_flag=True, help="Only report doubtful limits.")
@lenient_option
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the format.")
@lines_option
@dir_option
@click.pass_context
def validate(
    ctx: click.Context,
    /,
    file: str | None,
    validate_limits: bool,
    lenient: bool,
    schema: bool,
    output: str,
    folder: str | None,
) -> None:
    """Check a workflow FILE; report every problem with file, line and column.

    Exits with 0 if it is valid, with or without warnings, and with 1 if it is not.
    """
    from maxstage.workflow.format import loading
    from maxstage.workflow.format.problems import Problems

    if schema:
        print_json(loading.json_schema())
        return
    if file is None:
        raise click.UsageError("Name a workflow FILE, or --schema")
    loaded = loading.load(file, known_providers(ctx, folder), lenient=lenient)
    found = loaded if isinstance(loaded, Problems) else loaded.doubts
    problems = found.problems
    if validate_limits:
        problems = [problem for problem in problems if problem.of_limits or not problem.warning]
    if output != "text":
        print_all((problem.to_dict() for problem in problems), output)
    else:
        for line in found.told(problems):
            warn(line)
        if not isinstance(loaded, Problems):
            warnings = f", {len(problems)} warning{'' if len(problems) == 1 else 's'}" if problems else ""
            count = len(loaded.tasks)
            write_out(f"{file} is valid: {count} task{'' if count == 1 else 's'}{warnings}")
    if isinstance(loaded, Problems):
        ctx.exit(1)
