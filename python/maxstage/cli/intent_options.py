"""What the commands of intents share: the types of their arguments, and options."""

import click

from maxstage.cli.options import find_store
from maxstage.intent.areas import CONFLICTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class IntentType(click.ParamType[str]):
    """The token of an intent; completes to those of the store."""

    name = "intent"

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> "list[CompletionItem[str]]":
        """Offer the intents of the store, with what they are."""
        from click.shell_completion import CompletionItem

        from maxstage.errors import Error
        from maxstage.intent.intent import Intent
        from maxstage.intent.telling import describe_briefly

        try:
            found = list(Intent.list(find_store(ctx, ctx.params.get("folder"))))
        except (Error, OSError):
            return []  # a shell completion must not print errors
        return [
            CompletionItem(intent.token, help=describe_briefly(facts))
            for intent, facts in found
            if intent.token.startswith(incomplete.lower())
        ]


conflict_option = click.option(
    "--on-conflict",
    type=click.Choice(list(CONFLICTS)),
    default="fail",
    show_default=True,
    help="Where something has the name of a target: " + "; ".join(f"{k}: {v}" for k, v in CONFLICTS.items()),
)
