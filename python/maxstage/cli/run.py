"""Running a command: signals, standard streams, errors as one line, exit codes."""

import os
import signal
import sys

import click

from maxstage.errors import Error, InvalidToken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

OK, FAILED, USAGE = 0, 1, 2
_BY_SIGNAL = 128
"""What a shell adds to a signal's number for its exit code."""

closed_at_start: set[int] = set()
"""Which of the descriptors 0, 1, 2 our parent had closed."""


class Terminated(BaseException):
    """SIGTERM or SIGHUP came: everything is cleaned up on the way out, as for Ctrl-C."""

    def __init__(self, number: int) -> None:
        self.number = number


def run(args: list[str]) -> int:
    """Run the command line with `args` and return the exit code."""
    _plug_closed_streams()
    for number in (signal.SIGTERM, signal.SIGHUP):
        # Under nohup SIGHUP is ignored, and stays so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)
    try:
        if 1 in closed_at_start:
            return _fail("Standard output is closed: there is nowhere to write to", FAILED)
        return _run_command(args)
    except BrokenPipeError:
        # The reader has what it wanted: `max retrieve … | head` is no error.
        _forget_stdout()
        return OK
    except (Error, OSError, ImportError) as error:
        # ImportError: a wrong MAXSTAGE_BACKEND, or a compiled module of another version.
        return _fail(_describe(error), USAGE if isinstance(error, InvalidToken) else FAILED)
    except (KeyboardInterrupt, click.Abort, Terminated) as error:
        _forget_stdout()
        return _BY_SIGNAL + (error.number if isinstance(error, Terminated) else signal.SIGINT)


def _run_command(args: list[str]) -> int:
    from maxstage.cli.app import app

    program = _program()
    if f"_{program.replace('-', '_').upper()}_COMPLETE" in os.environ:
        app.main(args, prog_name=program)
    try:
        with app.make_context(program, args) as context:
            app.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        sys.stdout.flush()
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return USAGE
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx is not None else program
        return _fail(f'{error.format_message().rstrip(".")}. See "{path} --help".', USAGE)
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code)
    return OK


def _program() -> str:
    name = os.path.basename(sys.argv[0])
    return "python -m maxstage" if name == "__main__.py" else name


def _terminate(number: int, frame: "FrameType | None") -> None:  # noqa: ARG001
    raise Terminated(number)


def _plug_closed_streams() -> None:
    """Put /dev/null where a standard stream is closed: else the next file opened would take its place."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            closed_at_start.add(fd)
            os.open(os.devnull, os.O_RDWR)


def _forget_stdout() -> None:
    """Keep the interpreter's last flush from failing on a pipe that nobody reads."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _describe(error: Exception) -> str:
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.strerror}: {os.fspath(error.filename)}"


def _fail(message: str, code: int) -> int:
    warn(message)
    return code


def warn(message: str) -> None:
    """Print one line to stderr."""
    if sys.stderr is not None:
        sys.stderr.write(" ".join(message.split("\n")) + "\n")
        sys.stderr.flush()
