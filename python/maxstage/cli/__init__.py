"""The command line: one file a verb, each thin: parse, call, print. `main` starts it."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> "NoReturn":
    """Run the command line with this process's arguments and exit."""
    from maxstage.cli.run import run

    sys.exit(run(sys.argv[1:]))
