"""The command line: one file a verb, each thin: parse, call, print. `main` starts it."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> "NoReturn":
    """Run the command line with this process's arguments and exit."""
    from maxstage.cli.run import run

    code = run(sys.argv[1:])
    threading = sys.modules.get("threading")
    if threading is None or threading.active_count() == 1:
        # Nothing runs and nothing is unwritten: taking the interpreter apart would cost a tenth of a small command.
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(code)
    sys.exit(code)
