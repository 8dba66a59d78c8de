"""``max sql``."""

import click

from maxstage.cli.options import dir_option, named_folder
from maxstage.cli.searching import FORMATS
from maxstage.cli.types import CountType


@click.command(
    epilog="""\b
Examples:
  max sql "SELECT company, sum(amount) AS total FROM 'max:a1b2c3d4' GROUP BY ALL ORDER BY total DESC LIMIT 10"
  max sql "FROM 'max:a1b2c3d4' JOIN 'owners.csv' USING (owner)" --stage
  max sql "SUMMARIZE 'max:a1b2c3d4'"

\b
Nested fields are address.city, elements are tags[1]. Lines of text have the column line.
A query reads what FROM names, and nothing else: no COPY, ATTACH, INSTALL, SET or read_csv(...)."""
)
@click.argument("query", metavar="QUERY")
@click.option("-t", "--type", metavar="T", help="What a source's command gets for its {type}.")
@click.option("--limit", type=CountType(min=1), metavar="N", help="Print at most N rows (50).")
@click.option("--all", "everything", is_flag=True, help="All rows, streamed.")
@click.option("--stage", is_flag=True, help="Stage all rows, and print the token.")
@click.option("--strict", is_flag=True, help="A record that is not JSON is an error.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(list(FORMATS)),
    default="text",
    show_default=True,
    help="Output format.",
)
@dir_option
def sql(query: str, folder: str | None, **options: object) -> None:
    """Ask by SQL: the tables are tokens, files, sources, or '-' for stdin.

    This needs DuckDB: pip install "maxstage[sql]".
    """
    from maxstage.cli import asking

    asking.sql(query, named_folder(click.get_current_context(), folder), **options)  # type: ignore[arg-type]
