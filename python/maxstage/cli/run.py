"""``max run``."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from maxstage import exact
from maxstage.cli.answer import ask_here, command_to_answer, is_interactive
from maxstage.cli.options import dir_option, find_project, lenient_option, output_option
from maxstage.cli.printing import print_json, warn, write_all, write_out
from maxstage.cli.run_report import PlainWatcher, is_iteration, table_with_unfinished
from maxstage.cli.target import Target
from maxstage.cli.types import CountType, NameType
from maxstage.errors import WorkflowError
from maxstage.humanize import counted, format_seconds, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from maxstage.cli.run_lines import LiveLines
    from maxstage.cli.run_report import Watcher
    from maxstage.store.store import Store
    from maxstage.workflow.format.schema import WorkflowSpec
    from maxstage.workflow.format.valid import ValidWorkflow
    from maxstage.workflow.report.tracing import Tracing
    from maxstage.workflow.run.results import TaskResult
    from maxstage.workflow.workflow import Event, RunResult

_LONGEST = 500
"""The most characters of an error that are shown."""
_LONGEST_NAME = 120
"""The most characters of a task's path that are shown."""
_CODES = {"completed": 0, "failed": 1, "waiting": 75}
"""The exit code for each status; 75 is EX_TEMPFAIL, as mailers have it: try again later."""
_MOST_NAMED = 5
"""The most tasks that the last line names."""


def _parse_inputs(_ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    inputs = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} must be NAME=VALUE")
        inputs[name] = value
    return inputs


def _parse_names(_ctx: click.Context, _param: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for text in values for name in text.split(","))
    if not all(names):
        raise click.BadParameter("it names no task")
    return names


@click.command(
    "run",
    epilog="""\b
Examples:
  max template > flow.yaml && max run flow.yaml
  max run flow.yaml --input city=Graz --jobs 4
  max run flow.yaml --live
  max run flow.yaml --resume
  max run flow.yaml --rerun fetch,report
  max run flow.yaml --events | jq -r 'select(.event == "task_finished") | .task'""",
)
@click.argument("file", type=NameType())
@click.option(
    "--input", "inputs", multiple=True, metavar="NAME=VALUE", callback=_parse_inputs, help="Set an input."
)
@click.option(
    "-j",
    "--jobs",
    type=CountType(min=1),
    help="Programs to run at once (default: one for each processor, or 64 elsewhere).",
)
@click.option("--resume", is_flag=True, help="Resume the newest run of FILE that has not completed.")
@click.option(
    "--resume-or-start",
    is_flag=True,
    help="Resume such a run with the same inputs; start one if there is none.",
)
@click.option(
    "--rerun",
    multiple=True,
    metavar="TASK[,...]",
    callback=_parse_names,
    help="Do these tasks, and what depends on them, again in the newest run of FILE.",
)
@click.option(
    "--from",
    "since",
    metavar="TASK",
    help="Do TASK, and all that comes after it, again in the newest run of FILE.",
)
@click.option("--run-id", metavar="RUN", help="Resume this run, or do tasks of this run again.")
@click.option(
    "--on",
    metavar="WHERE",
    help="Run programs on the workers of an engine, temporal://HOST[:PORT][/NAMESPACE], or on this machine: local "
    "(default: where the run ran before).",
)
@click.option("--no-cache", is_flag=True, help="Take no task from an earlier run.")
@click.option("--dry-run", is_flag=True, help="Print what would be done.")
@click.option("--graph", type=click.Choice(["mermaid", "dot"]), help="Print the graph of the tasks.")
@click.option("--validate-limits", is_flag=True, help="Only check FILE and its limits.")
@lenient_option
@click.option("--live", is_flag=True, help="Show on stderr what tasks print, as it comes, after their names.")
@click.option("--show-task-outputs", is_flag=True, help="Print what each task printed, at the end.")
@click.option(
    "--show-external-storage", is_flag=True, help="List the full outputs that were kept, at the end."
)
@click.option(
    "--show-context-metrics", is_flag=True, help="Print the sizes of outputs and prompts at the end."
)
@click.option("--metrics-file", type=NameType(), metavar="FILE", help="Write metrics for Prometheus to FILE.")
@click.option(
    "--otel",
    is_flag=True,
    help="Send a span for each task by OTLP/HTTP: OTEL_EXPORTER_OTLP_ENDPOINT says where to (http://localhost:4318).",
)
@click.option("--events", is_flag=True, help="Print each event as a line of JSON.")
@output_option
@dir_option
@click.pass_context
def run(ctx: click.Context, /, file: str, inputs: dict[str, str], folder: str | None, **options: Any) -> None:
    """Run a workflow FILE: each of its tasks once its dependencies have ended, some in parallel.

    Its state is kept: a run that was stopped, or killed, continues with --resume. Exits with 0 if all tasks
    succeeded, with 1 if one failed, with 75 if it waits for an answer, with 130 after Ctrl-C.
    """
    from maxstage.cli.validate import known_providers
    from maxstage.workflow.format import loading
    from maxstage.workflow.format.problems import Problems

    workflow = loading.load(file, known_providers(ctx, folder), lenient=options["lenient"])
    for line in (workflow if isinstance(workflow, Problems) else workflow.doubts).told():
        warn(line)
    if isinstance(workflow, Problems):
        ctx.exit(1)
    if options["validate_limits"]:
        write_out(f"{file} is valid")
        return
    if options["dry_run"] or options["graph"]:
        if options["rerun"] or options["since"]:
            raise click.UsageError("--dry-run and --graph show the whole file, without --rerun and --from")
        _show_plan(ctx, workflow, options, folder)
        return
    store, typed = find_project(ctx, folder), _typed(inputs, workflow.spec)
    with _tracing(workflow) if options["otel"] else contextlib.nullcontext() as tracing:
        _run(ctx, workflow, store, typed, options, tracing)


def _typed(inputs: dict[str, str], spec: WorkflowSpec) -> dict[str, Any]:
    """Return the inputs with the types that the file declares: parsed as JSON unless they are text."""
    from maxstage.workflow.format.input_types import INPUT_TYPES, type_of

    values: dict[str, Any] = dict(inputs)
    for name, text in inputs.items():
        kind = type_of(spec.inputs[name]) if name in spec.inputs else None
        if kind in {None, "string"}:
            continue
        try:
            values[name] = exact.loads(text)
        except (ValueError, RecursionError):
            words = INPUT_TYPES[str(kind)].words
            like = "" if kind in {"boolean", "integer", "number"} else ", as JSON"
            raise WorkflowError(f"input {name} must be {words}{like}, not {text!r}") from None
    return values


def _show_plan(
    ctx: click.Context, workflow: ValidWorkflow, options: dict[str, Any], folder: str | None
) -> None:
    from maxstage.cli.validate import known_providers
    from maxstage.workflow.report.graph import graph
    from maxstage.workflow.report.plan import plan

    if options["graph"]:
        write_out(graph(workflow, options["graph"]))
        return
    entries = plan(workflow, known_providers(ctx, folder))
    if options["output"] == "json":
        print_json(entries)
        return
    for entry in entries:
        indent = "  " * entry["task"].count(".")
        write_out(f"{indent}{entry['task']}: {entry['kind']}  {entry['does']}")
        for name in ("after", "when", "loop", "retries"):
            if entry.get(name):
                value = ", ".join(entry[name]) if name == "after" else entry[name]
                write_out(f"{indent}    {name}: {value}")


@contextlib.contextmanager
def _tracing(workflow: ValidWorkflow) -> Iterator[Tracing]:
    """Trace what is done meanwhile; what could not be sent is told, and changes nothing."""
    from maxstage.workflow.report.tracing import Tracing

    tracing = Tracing(workflow.spec.name)
    try:
        yield tracing
    finally:
        if (problem := tracing.close()) is not None:
            warn(problem)


def _run(
    ctx: click.Context,
    workflow: ValidWorkflow,
    store: Store,
    inputs: dict[str, Any],
    options: dict[str, Any],
    tracing: Tracing | None = None,
) -> None:
    from maxstage.cli.run_lines import LiveLines
    from maxstage.workflow.workflow import RunInterrupted, Workflow

    quiet = options["events"] or options["output"] == "json"
    asks = not quiet and any(task.await_ is not None for task in workflow.tasks.values()) and is_interactive()
    lines = LiveLines(workflow.tasks) if options["live"] else None
    watcher = None if quiet else _watcher(lines, metrics=options["show_context_metrics"], plain=asks)

    listeners = list(_listeners(options, lines, watcher, tracing))

    def notice(event: Event) -> None:
        for listener in listeners:
            listener(event)

    stopped = 0
    _use_one_arena()
    try:
        result = Workflow(workflow).run(
            inputs=inputs,
            jobs=options["jobs"],
            on_event=notice,
            store=store,
            resume=options["run_id"] or options["resume"] or options["resume_or_start"],
            or_start=options["resume_or_start"],
            rerun=options["rerun"],
            start_from=options["since"],
            use_cache=not options["no_cache"],
            ask=ask_here if asks else None,
            environment=None if tracing is None else tracing.environment,
            on=options["on"],
            on_output=lines,
        )
    except RunInterrupted as error:
        result, stopped = error.result, error.number
    finally:
        if watcher is not None:
            watcher.close()
    try:
        if options["metrics_file"]:
            _write_metrics(result, workflow, options["metrics_file"])
    finally:
        # A file that can't be written must not hide how the run ended.
        if not options["events"]:
            _report(result, workflow, options)
        _tell_how_to_go_on(workflow, result, stopped)
    ctx.exit(128 + stopped if stopped else _CODES.get(result.status, 1))


def _listeners(
    options: dict[str, Any], lines: LiveLines | None, watcher: Watcher | None, tracing: Tracing | None
) -> Iterator[Callable[[Event], object]]:
    """Yield what is told of each event, in that order: what a task printed last comes before its end."""
    if options["events"]:
        yield lambda event: print_json(event.to_dict(), indent=None)
    if lines is not None:
        yield lines.notice
    if watcher is not None:
        yield watcher
    if tracing is not None:
        yield tracing.notice


def _tell_how_to_go_on(workflow: ValidWorkflow, result: RunResult, stopped: int) -> None:
    command = f"max run {shlex.quote(workflow.file)} --run-id {result.run_id}"
    if result.status == "waiting":
        for one in result.waiting:
            warn(f"To answer {printable(one.task, _LONGEST_NAME)}: {command_to_answer(one)}")
        warn(f"And then: {command}")
    elif stopped:
        warn(f"Stopped{_interrupted(result)}. To resume: {command}")
    elif result.status == "interrupted":
        warn(f"Cancelled{_interrupted(result)}. To resume: {command}")
    elif result.to_rerun is not None:
        warn(f"To do it again, and what depends on it: {command} --rerun {shlex.quote(result.to_rerun)}")
    elif result.is_resumable:
        warn(f"To resume where it failed: {command}")


def _interrupted(result: RunResult) -> str:
    """Return text that names the interrupted tasks, or the first of them."""
    paths = [printable(path, _LONGEST_NAME) for path in result.interrupted]
    more = f" and {len(paths) - _MOST_NAMED:,} more" if len(paths) > _MOST_NAMED else ""
    return f"; interrupted: {', '.join(paths[:_MOST_NAMED])}{more}" if paths else ""


def _use_one_arena() -> None:
    """Keep glibc from reserving 64 MiB of address space per thread; ours spend most of their time waiting.

    Under a limit on the address space (``ulimit -v``) none would be left for anything else.
    """
    import ctypes

    option_arena_max = -8  # M_ARENA_MAX, <malloc.h>
    with contextlib.suppress(AttributeError, OSError):  # not glibc
        ctypes.CDLL(None).mallopt(option_arena_max, 1)


def _watcher(lines: LiveLines | None, *, metrics: bool, plain: bool) -> Watcher:
    if lines is not None:
        return PlainWatcher(metrics=metrics, say=lines.say)
    # TERM=dumb: a terminal, often in an editor, that can't move the cursor up. And a question needs its last line.
    if plain or sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return PlainWatcher(metrics=metrics)
    try:
        from maxstage.cli.run_live import LiveWatcher
    except ModuleNotFoundError:
        return PlainWatcher(metrics=metrics)
    return LiveWatcher()


def in_file_order(paths: Iterable[str], workflow: ValidWorkflow) -> list[str]:
    """Return the paths of tasks in file order, each before its iterations and subtasks."""
    order = {path: number for number, path in enumerate(workflow.tasks)}

    def key(path: str) -> tuple[int, list[int]]:
        parts = re.split(r"\[(\d+)\]", path)
        return order.get("".join(parts[::2]), len(order)), [int(number) for number in parts[1::2]]

    return sorted(paths, key=key)


def _report(result: RunResult, workflow: ValidWorkflow, options: dict[str, Any]) -> None:
    ended = in_file_order(result.tasks, workflow)
    if options["output"] == "json":
        _report_json(result, ended, whole=options["show_task_outputs"])
        return
    for line in table_with_unfinished(_shown(result, ended), result.unfinished):
        write_out(line)
    if options["show_task_outputs"]:
        for path, task in _shown(result, ended):
            _show_output(path, task)
    if options["show_external_storage"]:
        _show_external((path, result.tasks[path]) for path in ended)
    if options["show_context_metrics"]:
        from maxstage.workflow.report.metrics import lines

        for line in lines(result.metrics):
            write_out(line)
    for name, text in result.outputs.items():
        write_out(f"{name}: {text}")
    seconds = format_seconds(result.seconds)
    why = f": {printable(result.error, _LONGEST)}" if result.error else ""
    write_out(f"run {result.run_id} {result.status} in {seconds}{why}")


def _report_json(result: RunResult, ended: list[str], *, whole: bool) -> None:
    tasks = {}
    for path in ended:
        task = result.tasks[path]
        tasks[path] = task.summary()
        if whole:
            tasks[path]["output"] = None if task.output is None else task.output.to_dict()
    known = {"run": result.run_id, "status": result.status, "error": result.error, "seconds": result.seconds}
    left = [one._asdict() for one in result.unfinished]
    said = {"outputs": result.outputs, "metrics": result.metrics, "tasks": tasks, "unfinished": left}
    print_json({**known, **said})


def _shown(result: RunResult, ended: list[str]) -> Iterator[tuple[str, TaskResult]]:
    """Yield the results to show one by one, since all outputs together may not fit in memory."""
    for path in ended:
        task = result.tasks[path]
        if not is_iteration(path) or task.status in {"failed", "interrupted"}:
            yield path, task


def _write_metrics(result: RunResult, workflow: ValidWorkflow, path: str) -> None:
    from maxstage.workflow.report.metrics import prometheus

    # Written by rename, so that a collector never reads half of it.
    with Target(path) as (fd, shown, writing), writing:
        write_all(fd, prometheus(result.metrics, result.run_id, workflow.spec.name).encode(), shown)


def _show_output(path: str, task: TaskResult) -> None:
    if task.output is None:
        return
    mark = f", truncated; full output: {task.output.token}" if task.output.truncated else ""
    if task.pruned:
        mark = ", pruned: its output is no longer kept"
    write_out(f"--- {path} ({task.status}{mark})")
    for part in (task.output, task.output.stderr):
        if part is not None and part.content:
            write_all(1, part.content if part.content.endswith(b"\n") else part.content + b"\n", "<stdout>")


def _show_external(ended: Iterable[tuple[str, TaskResult]]) -> None:
    for path, task in ended:
        for part in (task.output, task.output.stderr if task.output is not None else None):
            if part is not None and part.token is not None:
                size = counted(part.original_size, "byte")
                write_out(f"{part.token}  {path} {part.output_type}  {size}  {part.external_path}")
