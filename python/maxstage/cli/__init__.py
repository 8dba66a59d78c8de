"""The command line: one file a verb, each thin: parse, call, print. `main` starts it."""

# The C module behind `signal`, whose own import makes enums of all signals: 4 ms, as long as staging takes.
import _signal  # type: ignore[import-not-found]
import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> "NoReturn":
    """Run the command line with this process's arguments and exit."""
    # Until something is begun that wants to be cleaned up, Ctrl-C ends us as it ends any program: an import that it
    # interrupts would show a traceback, or swallow it. `maxstage.cli.process.catch_signals` is the end of that.
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    # Imports make no garbage, and would make Python look for it ten times. `catch_signals` is the end of this, too.
    gc.disable()
    from maxstage.cli.process import finish, run

    code = finish(run(command, sys.argv[1:]))
    threading = sys.modules.get("threading")
    if threading is None or threading.active_count() == 1:
        # Nothing runs and nothing is unwritten: taking the interpreter apart would cost a tenth of a small command.
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                try:
                    stream.flush()
                except OSError:
                    code = code or 1  # there is nobody left to tell
        os._exit(code)
    sys.exit(code)


def command(args: list[str]) -> int:
    """Run the command that `args` name, the short way if there is one; return its exit code."""
    from maxstage.cli import fast_path

    code = fast_path.run(args)
    if code is None:
        from maxstage.cli.dispatch import dispatch

        code = dispatch(args)
    return code
