"""Finding and running a command with click."""

import os
import sys

import click

from maxstage.cli.app import app
from maxstage.cli.printing import tell, warn
from maxstage.cli.process import catch_signals

OK, USAGE = 0, 2


def dispatch(args: list[str]) -> int:
    """Run the command that `args` name; return the exit code."""
    program = _program()
    if f"_{program.replace('-', '_').upper()}_COMPLETE" in os.environ:
        from maxstage.cli import completion

        completion.install()
        app.main(args, prog_name=program)
    try:
        with app.make_context(program, args) as context:
            app.import_command(context, args)
            catch_signals()
            app.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as error:
        sys.stdout.flush()
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        tell(error.format_message())
        return USAGE
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx is not None else program
        message = _message(error).rstrip(".")
        return _fail(f'{message}{"" if message.endswith("?") else "."} See "{path} --help".', USAGE)
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code)
    return OK


def _program() -> str:
    name = os.path.basename(sys.argv[0])
    return "python -m maxstage" if name == "__main__.py" else name


def _message(error: click.UsageError) -> str:
    from maxstage.humanize import quoted_bytes

    if isinstance(error, click.NoSuchOption) and error.possibilities:
        # Click suggests three names, the others less similar.
        return f"{quoted_bytes(error.message)} Did you mean {error.possibilities[0]!r}?"
    return quoted_bytes(error.format_message())


def _fail(message: str, code: int) -> int:
    warn(message)
    return code
