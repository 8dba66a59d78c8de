"""What the commands of intents share: the types of their arguments, and options."""

import click

from maxstage.cli.types import ListedType
from maxstage.intent.areas import CONFLICTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.store.store import Store


class IntentType(ListedType):
    """The token of an intent; completes to those of the store, with what they are."""

    name = "intent"

    def known(self, store: "Store") -> "Iterator[tuple[str, str]]":
        """Yield the intents of a store."""
        from maxstage.intent.intent import Intent
        from maxstage.intent.telling import describe_briefly

        for intent, facts in Intent.list(store):
            yield intent.token, describe_briefly(facts)


intent_argument = click.argument("token", metavar="INTENT", type=IntentType())
conflict_option = click.option(
    "--on-conflict",
    type=click.Choice(list(CONFLICTS)),
    default="fail",
    show_default=True,
    help="Where something has the name of a target: " + "; ".join(f"{k}: {v}" for k, v in CONFLICTS.items()),
)
