"""``max answer``, and asking whoever sits at the terminal of ``max run``."""

from __future__ import annotations

import os
import select
import shlex
import sys
import time
from typing import TYPE_CHECKING

import click

from maxstage import exact
from maxstage.cli.options import output_option, pass_project
from maxstage.cli.printing import print_json, warn, write_out
from maxstage.errors import WorkflowError
from maxstage.humanize import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.store.store import Store
    from maxstage.workflow.run.questions import Question

_LONGEST = 2000
"""Characters of a prompt that are shown."""
_MOST = 4 << 20
"""Bytes that are read of an answer: more than any that is accepted."""
_TICK = 0.2
"""Seconds between two looks whether a question was answered elsewhere."""


@click.command(
    "answer",
    epilog="""\b
Examples:
  max answer
  max answer 20261121-094500-a1b2c3 approve yes
  jq -n '{version: "1.2"}' | max answer 20261121-094500-a1b2c3 release -""",
)
@click.argument("run_id", metavar="[RUN]", required=False)
@click.argument("task", metavar="[TASK]", required=False)
@click.argument("value", metavar="[VALUE|-]", required=False)
@output_option
@pass_project
def answer(store: Store, run_id: str | None, task: str | None, value: str | None, output: str) -> None:
    """Answer what a TASK of a RUN asks; without arguments, list what is asked.

    VALUE is text, one of the choices, or JSON where the task says so; - reads it from stdin. A run that has ended
    since, to wait for the answer, goes on with "max run --resume".
    """
    from maxstage.workflow.run.folder import runs_folder
    from maxstage.workflow.run.questions import answer as give
    from maxstage.workflow.run.questions import pending

    folder = runs_folder(store)
    if run_id is None:
        _list(list(pending(folder)), output)
        return
    if task is None:
        raise click.UsageError('Name a TASK; "max answer" lists what is asked')
    if value is None and sys.stdin is not None and sys.stdin.isatty():
        raise click.UsageError("Name a VALUE, or - to read it from stdin")
    question = give(folder, run_id, task, _read() if value in {None, "-"} else str(value))
    if output == "json":
        print_json({"run": run_id, "task": task})
    else:
        write_out(f"Answered {printable(question.task, _LONGEST)} of run {run_id}")


def _read() -> str:
    data = sys.stdin.buffer.read(_MOST)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise WorkflowError(f"the answer is not UTF-8 text: {error.reason} at byte {error.start:,}") from None


def _list(questions: list[Question], output: str) -> None:
    if output == "json":
        print_json([one.to_dict() for one in questions])
        return
    for one in questions:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.since))
        write_out(
            f"{one.run_id}  {printable(one.task, _LONGEST)}  {when}  {printable(one.workflow, _LONGEST)}"
        )
        write_out(f"    {described(one)}")
    if not questions:
        write_out("Nothing is asked.")


def described(question: Question) -> str:
    """Return a question as one line, with its choices."""
    text = printable(question.prompt.strip(), _LONGEST)
    if question.choices is not None:
        text += f" [{'/'.join(_plain(one) for one in question.choices)}]"
    elif question.schema is not None:
        text += f" (as JSON Schema has it: {printable(exact.dumps(question.schema), _LONGEST)})"
    return text


def command_to_answer(question: Question) -> str:
    """Return the command that answers a question, with the first choice as an example."""
    value = "VALUE" if question.choices is None else shlex.quote(_plain(question.choices[0]))
    return f"max answer {question.run_id} {shlex.quote(printable(question.task, _LONGEST))} {value}"


def _plain(value: object) -> str:
    return printable(value if isinstance(value, str) else exact.dumps(value), _LONGEST)


def is_interactive() -> bool:
    """Return whether somebody can be asked: stdin and stderr are terminals."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def ask_here(question: Question, is_over: Callable[[], bool]) -> str | None:
    """Ask on the terminal; return the answer, None where there is none.

    Args:
        question: What is asked.
        is_over: Returns whether it was answered elsewhere, or the run stops.
    """
    while True:
        sys.stderr.write(f"{printable(question.task, _LONGEST)}: {described(question)}\n> ")
        sys.stderr.flush()
        line = _line(is_over)
        if line is None:
            sys.stderr.write("\n")
            return None
        problem = question.problem_with(question.read(line))
        if problem is None:
            return line
        warn(f"The answer {problem}")


def _line(is_over: Callable[[], bool]) -> str | None:
    """Return the next line that is typed; None at the end, or when it is over."""
    fd, found = sys.stdin.fileno(), b""
    while not found.endswith(b"\n"):
        while not select.select([fd], [], [], _TICK)[0]:
            if is_over():
                return None
        data = os.read(fd, 1 << 16)
        if not data:
            return None
        found += data
    return found.decode("utf-8", "replace")
