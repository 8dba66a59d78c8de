"""Running a command, once the options are known. Without the command-line library: see `maxstage.cli.fast_path`."""

import os
import sys

from maxstage.cli.printing import describe, print_json, warn, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from maxstage.cli.exec_diff import Comparison
    from maxstage.output.limits import Limits
    from maxstage.output.task_output import TaskOutput
    from maxstage.redaction import Redact
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


def limits_of(
    store: "Store | Callable[[], Store] | None", options: "dict[str, Any]", profile: "Limits | None" = None
) -> "Limits":
    """Return the limits of the store's settings, those of a profile over them, and those of the options over both."""
    from maxstage.output.limits import Limits

    limits = Limits.parse(configured_limits(store))
    if profile is not None:
        limits = limits.override(profile)
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
    agent: bool = False,
    diff: bool = False,
    hint: str = "",
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
        agent: Whether for an agent: stdout and stderr together, as plain text, with how it ended as the last line.
        diff: Whether to show what has changed since the last run of the command; `store` is open then.
        hint: What to add where the program can't be started.
        options: As for `maxstage.run`.

    Returns:
        What to exit with.
    """
    # Of the limits as they were given, before some of their room is taken.
    for warning in limits.warnings():
        warn(warning)
    if agent:
        from maxstage.cli.agent import with_room

        limits = with_room(limits)
        options["combine"] = True
    show = _Live() if live and output == "text" else None
    comparison = _comparison(argv, store, limits, options.get("redact")) if diff else None
    if comparison is not None:
        # Both streams in one output: what is kept of it is what the next run is compared with.
        options |= {"keep": "always", "combine": True, "labels": comparison.labels}
    view = "plain" if agent else "screen" if output == "text" else "raw"
    try:
        done, interrupted = _run(
            argv, stdin, limits=limits, store=store, on_output=show, view=view, **options
        )
    except OSError as error:
        if error.filename != argv[0]:
            raise
        return _not_run(argv[0], error, output, hint, agent=agent)
    if interrupted is not None and comparison is not None:
        _pass_over(comparison, done)
    code = TIMED_OUT if done.timed_out else done.exit_code or 0
    ending = _ending(done, code, interrupted, limits) if agent and output == "text" else None
    # Half an output would be compared with a whole one, and whoever interrupts doesn't want to wait.
    _print(done, output, show, ending, comparison if interrupted is None else None)
    note_gain(done, "exec")
    if interrupted is not None:
        raise interrupted
    return code


def note_gain(done: "TaskOutput", command: str) -> None:
    """Note for `max gain` what of an output was cut and is kept."""
    if done.truncated or (done.stderr is not None and done.stderr.truncated):
        from maxstage.output.gained import note

        note(done, command)


def _run(
    argv: "Sequence[str]", stdin: str | None, **options: "Any"
) -> "tuple[TaskOutput, BaseException | None]":
    """Run a command; return what it printed, and what interrupted us, if anything did."""
    from maxstage.interrupts import Terminated
    from maxstage.output.run import run
    from maxstage.output.running import Interrupted

    ours = None if sys.stdin is None else sys.stdin.fileno()
    try:
        return run(argv, stdin=ours if stdin is None else _token(stdin), **options), None
    except (Interrupted, Terminated) as error:
        if error.output is None:
            raise  # it had not begun
        return error.output, error


def _ending(done: "TaskOutput", code: int, interrupted: BaseException | None, limits: "Limits") -> bytes:
    from maxstage.cli.agent import last_line
    from maxstage.cli.process import code_of

    return last_line(
        done,
        code if interrupted is None else code_of(interrupted),
        interrupted=interrupted is not None,
        elsewhere=limits.external_storage_dir,
    )


def _comparison(
    argv: "Sequence[str]",
    store: "Store | Callable[[], Store] | None",
    limits: "Limits",
    redact: "Redact | None",
) -> "Comparison":
    from maxstage.cli.exec_diff import Comparison
    from maxstage.errors import Error

    if store is None or callable(store):
        raise Error("there is no store: --diff has nowhere to keep what this run prints")
    return Comparison(store, argv, limits.max_stdout_bytes, redact)


def _pass_over(comparison: "Comparison", done: "TaskOutput") -> None:
    from maxstage.errors import Error
    from maxstage.interrupts import Deferred

    try:
        with Deferred():  # a second signal must not leave half an output to be compared with
            comparison.pass_over(done)
    except (Error, OSError) as error:
        warn(f"the next run is compared with this one, though it was interrupted: {describe(error)}")


def _not_run(program: str, error: OSError, output: str, hint: str, *, agent: bool) -> int:
    """Say that a program could not be started, and perhaps what for it was; return what to exit with."""
    from maxstage.output.task_output import TaskOutput

    is_missing = isinstance(error, FileNotFoundError) or not program
    code = NOT_FOUND if is_missing else NOT_EXECUTABLE
    problem = f"{error.strerror}: {program}" if program else "The name of the command is empty"
    problem += hint
    nothing = TaskOutput(os.path.basename(program), "stdout", b"", 0, exit_code=code, duration=0.0)
    if output == "json":
        print_json(nothing.to_dict() | {"error": problem})
    warn(problem)
    if agent and output == "text":
        from maxstage.cli.agent import last_line

        write_all(1, last_line(nothing, code, interrupted=False, elsewhere=None), "<stdout>")
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
        # The strategy keeps something else, or the marker was longer than foreseen and took the room of what was shown.
        from maxstage.output.view import RESET, leaves_open

        return (RESET if leaves_open(bytes(shown)) else b"") + b"\n" + content


def _print(
    done: "TaskOutput", output: str, show: _Live | None, ending: bytes | None, comparison: "Comparison | None"
) -> None:
    changes, told = (None, "") if comparison is None else comparison.with_last(done)
    if output == "json":
        values = done.to_dict() | {"error": None}
        print_json(values if comparison is None else values | {"diff": comparison.to_dict(changes, told)})
    elif changes is not None and comparison is not None:
        comparison.show(changes, told, done)
    else:
        _print_text(done, show)
    if ending is not None:
        unended = changes is None and done.content and not done.content.endswith(b"\n")
        write_all(1, b"\n" * bool(unended) + ending, "<stdout>")
    elif done.timed_out:
        warn(f"{done.task_id} timed out")
    if comparison is not None and changes is None and output == "text":
        warn(told)
    for warning in done.warnings if ending is None else _beside_last_line(done):
        warn(warning)


def _beside_last_line(done: "TaskOutput") -> "list[str]":
    from maxstage.cli.agent import is_in_last_line

    return [warning for warning in done.warnings if not is_in_last_line(done, warning)]


def _print_text(done: "TaskOutput", show: _Live | None) -> None:
    for stream, part in enumerate((done, done.stderr)):
        if part is not None:
            rest = part.content if show is None else show.rest(stream, part.content)
            write_all(stream + 1, rest, ("<stdout>", "<stderr>")[stream])
    for part in (done, done.stderr):
        if part is not None:
            warn_of_silent_cut(part)
    tell_redacted(done)


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
