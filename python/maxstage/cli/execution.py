"""Running a command, once the options are known. Without the command-line library: see `maxstage.cli.fast_path`."""

import os
import sys

from maxstage.cli.printing import print_json, warn, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from maxstage.output.limits import Limits
    from maxstage.output.task_output import TaskOutput
    from maxstage.store.store import Store

NOT_FOUND, NOT_EXECUTABLE, TIMED_OUT = 127, 126, 124
"""What shells and coreutils' timeout exit with."""


def store_or_none(
    folder: str | None, *, needed: bool, kept: bool
) -> "tuple[Store | Callable[[], Store] | None, bool]":
    """Return the store, or what makes it when something is to be kept, and whether what is cut can be kept.

    Without a store all else works.

    Args:
        folder: The folder that ``--dir`` names.
        needed: Whether there must be a store.
        kept: Whether something would be kept in it.

    Raises:
        NoProject, Untrusted: There is no such project, or it belongs to another user; and it was asked for.
        ConfigError: Its settings are at fault.
    """
    from maxstage.cli.process import open_store, open_store_or_later
    from maxstage.errors import Untrusted

    try:
        # Where something is to be kept and there is no store, that is told there.
        return (open_store(folder) if needed else open_store_or_later(folder)), True
    except Untrusted as error:
        if needed or folder is not None or os.environ.get("MAX_DIR"):
            raise
        warn(f"Nothing is kept: {error}" if kept else str(error))
        return None, False


def configured_limits(store: "Store | Callable[[], Store] | None") -> "dict[str, Any]":
    """Return the limits of the store's settings; one that is yet to be made has none."""
    return {} if store is None or callable(store) else store.settings.limits


def limits_of(store: "Store | Callable[[], Store] | None", options: "dict[str, Any]") -> "Limits":
    """Return the limits of the store's settings, with those of the options over them."""
    from maxstage.output.limits import Limits

    limits = Limits.parse(configured_limits(store))
    return limits.override(
        Limits.parse({name: value for name, value in options.items() if value is not None})
    )


def execute(
    argv: "Sequence[str]",
    store: "Store | Callable[[], Store] | None",
    limits: "Limits",
    *,
    output: str = "text",
    live: bool = False,
    stdin: str | None = None,
    **options: "Any",
) -> int:
    """Run a command and print its output.

    Args:
        argv: The program and its arguments.
        store: Where the whole of it is kept, or what makes that.
        limits: Its limits.
        output: ``text`` or ``json``.
        live: Whether to show its beginning as it comes.
        stdin: The token of what it reads; None for our own stdin.
        options: As for `maxstage.run`.

    Returns:
        What to exit with.
    """
    from maxstage.interrupts import Terminated
    from maxstage.output.run import run
    from maxstage.output.running import Interrupted

    for warning in limits.warnings():
        warn(warning)
    show = _Live() if live and output == "text" else None
    ours = None if sys.stdin is None else sys.stdin.fileno()
    interrupted: BaseException | None = None
    try:
        done = run(
            argv,
            limits=limits,
            stdin=ours if stdin is None else _token(stdin),
            store=store,
            on_output=show,
            **options,
        )
    except (Interrupted, Terminated) as error:
        if error.output is None:
            raise  # it had not begun
        done, interrupted = error.output, error
    except OSError as error:
        if error.filename != argv[0]:
            raise
        return _not_run(argv[0], error, output)
    _print(done, output, show)
    if interrupted is not None:
        raise interrupted
    return TIMED_OUT if done.timed_out else done.exit_code or 0


def _not_run(program: str, error: OSError, output: str) -> int:
    """Say that a program could not be started; return what to exit with."""
    from maxstage.output.task_output import TaskOutput

    is_missing = isinstance(error, FileNotFoundError) or not program
    code = NOT_FOUND if is_missing else NOT_EXECUTABLE
    problem = f"{error.strerror}: {program}" if program else "The name of the command is empty"
    if output == "json":
        nothing = TaskOutput(os.path.basename(program), "stdout", b"", 0, exit_code=code)
        print_json(nothing.to_dict() | {"error": problem})
    warn(problem)
    return code


class _Live:
    """Shows output as it comes; remembers what of each stream was shown."""

    def __init__(self) -> None:
        self._shown = [bytearray(), bytearray()]

    def __call__(self, stream: int, data: bytes) -> None:
        write_all(stream + 1, data, ("<stdout>", "<stderr>")[stream])
        self._shown[stream] += data

    def rest(self, stream: int, content: bytes) -> bytes:
        """Return what is still to be shown of the content of a stream."""
        shown = self._shown[stream]
        if content.startswith(shown):
            return content[len(shown) :]
        # The marker was longer than foreseen, and took the room of what was shown.
        return b"\n" + content


def _print(done: "TaskOutput", output: str, show: _Live | None) -> None:
    if output == "json":
        print_json(done.to_dict() | {"error": None})
    else:
        for stream, part in enumerate((done, done.stderr)):
            if part is not None:
                rest = part.content if show is None else show.rest(stream, part.content)
                write_all(stream + 1, rest, ("<stdout>", "<stderr>")[stream])
        for part in (done, done.stderr):
            if part is not None:
                warn_of_silent_cut(part)
        tell_redacted(done)
    if done.timed_out:
        warn(f"{done.task_id} timed out")
    for warning in done.warnings:
        warn(warning)


def warn_of_silent_cut(output: "TaskOutput") -> None:
    """Say that an output was cut where its limit had no room for the marker that says so."""
    if output.truncated and f"[{output.dropped_bytes:,} byte".encode() not in output.content:
        whole = "" if output.token is None else f"; full output: max retrieve {output.token}"
        cut = f"{output.dropped_bytes:,} of {output.original_size:,} bytes"
        warn(
            f"{output.task_id} ({output.output_type}): {cut} were cut, and the limit has no room for a marker{whole}"
        )


def tell_redacted(output: "TaskOutput") -> None:
    """Say how many secrets were masked, and of which kinds."""
    counts = dict(output.redacted)
    for name, count in ({} if output.stderr is None else output.stderr.redacted).items():
        counts[name] = counts.get(name, 0) + count
    if counts:
        from maxstage.redaction import counts_text

        warn(f"Masked in the output of {output.task_id}: {counts_text(counts)}")


def _token(text: str) -> str:
    from maxstage.store.tokens import format_token, parse_token

    return format_token(parse_token(text))
