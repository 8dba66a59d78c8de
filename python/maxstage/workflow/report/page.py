"""A run as one HTML page, without network access or scripts: what went wrong first, then all the rest."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING

from maxstage import exact
from maxstage.html_page import document, escaped, escaped_lines
from maxstage.humanize import counted, format_seconds, format_size
from maxstage.workflow.report.axis import Axis
from maxstage.workflow.report.drawing import graphs
from maxstage.workflow.report.metrics import lines
from maxstage.workflow.report.rows import around_others, command_to_read, read
from maxstage.workflow.report.states import COLOURS, SHOWN, TOLERATED, shown
from maxstage.workflow.run.questions import questions_of
from maxstage.workflow.run.results import FAILED, INTERRUPTED, WAITING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from maxstage.workflow.format.valid import ValidWorkflow
    from maxstage.workflow.report.rows import Row, Run
    from maxstage.workflow.run.state import RunState

_LONGEST_OUTPUT = 20_000
"""The most characters of an output of the workflow that are shown."""
_MOST_CARDS = 20
"""Failed tasks that are shown with what they printed; the list has them all."""
_MOST_NAMES = 200
"""Tasks without a result that are named."""
_FILTERED = 20
"""Tasks from which on some of them can be hidden."""


def render(state: RunState, workflow: ValidWorkflow | None) -> str:
    """Return the page.

    Args:
        state: The run.
        workflow: Its file as it is now, for the graph of a run that recorded no plan; None if it no longer exists.

    Raises:
        WorkflowError: The run is damaged.
    """
    run = read(state, workflow)
    anchors = {row.path: f"t{number}" for number, row in enumerate(run.rows)}
    title = f"{run.facts.get('workflow', 'run')}: {run.facts.get('status', 'unknown')}"
    body = [
        '<a class="skip" href="#tasks">Skip to the tasks</a>',
        *_header(run),
        "<main>",
        *_failed(run),
        *_waiting(state),
        *_left(run),
        *_tolerated(run, anchors),
        *_graph(run, anchors),
        *_tasks(run, anchors),
        *_outputs(run.facts),
        *_sums(run),
        *_contexts(state.contexts()),
        "</main>",
    ]
    return document(title, body)


def _header(run: Run) -> Iterator[str]:
    facts = run.facts
    status = facts.get("status", "unknown")
    sign = shown(status)
    yield "<header>"
    name = escaped(facts.get("workflow", ""))
    # The state comes first: a long name is cut.
    yield f'<h1 class="clamp"><span class="{sign.colour}">{sign.sign} {escaped(status)}</span> {name}</h1>'
    if facts.get("error"):
        yield f'<p class="banner clamp">{escaped(facts["error"])}</p>'
    counts = run.counts
    yield '<ul class="counts">'
    for state in SHOWN:
        if counts[state]:
            one = shown(state)
            yield f'<li class="{one.colour}"><span aria-hidden="true">{one.sign}</span> {counts[state]:,} {state}</li>'
    if run.iterations:
        yield f"<li>{counted(run.iterations, 'iteration')}</li>"
    yield "</ul>"
    yield '<div class="strip" aria-hidden="true">'
    for colour in COLOURS:
        count = sum(counts[state] for state in SHOWN if shown(state).colour == colour)
        if count:
            yield f'<i class="{colour}" style="flex:{count}"></i>'
    yield "</div>"
    yield f'<p class="dim clamp">{", ".join(_when(run))}</p>'
    yield "</header>"


def _when(run: Run) -> Iterator[str]:
    started, ended = run.facts.get("started"), run.facts.get("ended")
    yield f"run <code>{escaped(run.run_id)}</code>"
    if started is not None:
        yield f"started {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(started))}"
    # If the clock was set back in between, nobody knows.
    if started is not None and ended is not None and ended >= started:
        yield f"took {format_seconds(ended - started)}"
    if run.facts.get("file"):
        yield f"<code>{escaped(run.facts['file'])}</code>"


def _section(name: str, title: str, content: Iterable[str]) -> Iterator[str]:
    """Yield a section; nothing if it would be empty."""
    parts = list(content)
    if parts:
        yield f'<section aria-labelledby="{name}"><h2 id="{name}">{title}</h2>'
        yield from parts
        yield "</section>"


def _failed(run: Run) -> Iterator[str]:
    """What failed, each with the last lines that it printed; then what failed because of that."""
    found = [row for row in run.rows if row.state == FAILED]
    found += [row for row in run.rows if row.state == INTERRUPTED]
    outer = around_others(row.path for row in found)
    first = [row for row in found if row.path not in outer]
    title = " and interrupted" if any(row.state == INTERRUPTED for row in found) else ""
    yield from _section("failed", f"Failed{title}" if _has(found, FAILED) else "Interrupted", _cards(first))
    around = [row.path for row in found if row.path in outer]
    if around:
        yield f'<p class="dim">and with that, what is around it: {_names(around)}</p>'


def _has(rows: Sequence[Row], state: str) -> bool:
    return any(row.state == state for row in rows)


def _names(paths: Sequence[str]) -> str:
    named = ", ".join(f"<code>{escaped(path)}</code>" for path in paths[:_MOST_CARDS])
    more = len(paths) - _MOST_CARDS
    return f"{named} and {more:,} more" if more > 0 else named


def _cards(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    yield '<div class="cards">'
    for row in rows[:_MOST_CARDS]:
        one = shown(row.state)
        seconds = "" if row.seconds is None else f" after {format_seconds(row.seconds)}"
        yield f'<article class="card {one.colour}"><h3 class="clamp"><code>{escaped(row.path)}</code></h3>'
        why = escaped(row.error or row.state)
        yield f'<p class="clamp"><span class="{one.colour}">{one.sign} {why}</span>{seconds}</p>'
        yield from _printed(row)
        yield "</article>"
    yield "</div>"
    if len(rows) > _MOST_CARDS:
        yield f"<p>and {len(rows) - _MOST_CARDS:,} more, which the list of tasks has.</p>"


def _printed(row: Row) -> Iterator[str]:
    """Yield the last lines that a task printed, and where all of it is."""
    if row.excerpt:
        said = f"last lines of {row.stream} of {row.path}"
        yield (
            f'<div class="tail" tabindex="0" role="region" aria-label="{escaped(said)}">'
            f"<pre>{escaped_lines(row.excerpt)}</pre></div>"
        )
    told = []
    if row.dropped:
        told.append(f"{counted(row.dropped, 'byte')} were left out")
    command = command_to_read(row)
    if command is not None:
        told.append(f"all of it: <code>{escaped(command)}</code>")
    told += [escaped(remark) for remark in row.remarks]
    if told:
        yield f'<p class="dim">{"; ".join(told)}</p>'


def _waiting(state: RunState) -> Iterator[str]:
    def content() -> Iterator[str]:
        for one in questions_of(state):
            choices = "" if one.choices is None else " ".join(exact.dumps(choice) for choice in one.choices)
            command = f"max answer {one.run_id} {shlex.quote(one.task)} VALUE"
            yield f'<article class="card warn"><h3><code>{escaped(one.task)}</code></h3>'
            yield f"<p>{escaped(one.prompt)}</p>"
            yield f'<p class="dim">{escaped(choices)} <code>{escaped(command)}</code></p></article>'

    yield from _section("waiting", "Waiting for an answer", content())


def _left(run: Run) -> Iterator[str]:
    found = [one for one in run.left if one.state != WAITING]

    def content() -> Iterator[str]:
        yield '<ul class="names short">'
        for one in found[:_MOST_NAMES]:
            note = f": {escaped(one.note)}" if one.note else ""
            yield f"<li><code>{escaped(one.task)}</code> {escaped(one.state)}{note}</li>"
        yield "</ul>"
        if len(found) > _MOST_NAMES:
            yield f"<p>and {len(found) - _MOST_NAMES:,} more</p>"

    if found:
        is_long = len(found) > _MOST_CARDS
        inner = list(content())
        if is_long:
            inner = [f"<details><summary>{counted(len(found), 'task')}</summary>", *inner, "</details>"]
        yield from _section("left", "Without a result", inner)


def _tolerated(run: Run, anchors: Mapping[str, str]) -> Iterator[str]:
    found = [row for row in run.rows if row.state == TOLERATED]

    def content() -> Iterator[str]:
        yield '<ul class="names">'
        for row in found[:_MOST_NAMES]:
            yield (
                f'<li><a href="#{anchors[row.path]}"><code>{escaped(row.path)}</code></a> '
                f"{escaped(row.error or '')}</li>"
            )
        yield "</ul>"
        if len(found) > _MOST_NAMES:
            yield f"<p>and {len(found) - _MOST_NAMES:,} more</p>"

    yield from _section("tolerated", "Failed, and tolerated", content() if found else ())


def _graph(run: Run, anchors: Mapping[str, str]) -> Iterator[str]:
    def content() -> Iterator[str]:
        for number, text in enumerate(("Overview", "100 %", "160 %")):
            checked = " checked" if number == 1 else ""
            yield (
                f'<input class="zoom" type="radio" name="zoom" id="zoom-{number}"{checked}>'
                f'<label for="zoom-{number}">{text}</label>'
            )
        yield '<div class="graphs">'
        yield from graphs(run, anchors)
        yield "</div>"

    yield from _section("graph", "Graph", content() if run.plan else ())


def _tasks(run: Run, anchors: Mapping[str, str]) -> Iterator[str]:
    axis = Axis.around(run.rows)

    def content() -> Iterator[str]:
        if len(run.rows) > _FILTERED:
            yield from _filters(run.rows)
        yield '<ol class="rows" role="list">'
        ticks = "".join(f'<span style="left:{place:.2f}%">{text}</span>' for place, text in axis.ticks())
        yield (
            '<li class="axis" aria-hidden="true"><div class="line"><span>Task</span><span>State</span>'
            '<span class="number">Time</span><span class="number">Output</span>'
            f'<div class="track">{ticks}</div></div></li>'
        )
        for row in run.rows:
            yield from _task(row, axis, anchors[row.path])
        yield "</ol>"
        if len(run.states) - len(run.left) > len(run.rows):
            yield f"<p>and {len(run.states) - len(run.left) - len(run.rows):,} more, which are not listed</p>"

    yield from _section("tasks", "Tasks", content() if run.rows else ())


def _filters(rows: Sequence[Row]) -> Iterator[str]:
    words = {"bad": "failed", "warn": "tolerated, interrupted", "ok": "completed", "off": "skipped"}
    there = {shown(row.state).colour for row in rows}
    for colour in COLOURS:
        if colour in there:
            yield (
                f'<input class="show" type="checkbox" id="show-{colour}" checked>'
                f'<label for="show-{colour}">{words[colour]}</label>'
            )


def _task(row: Row, axis: Axis, anchor: str) -> Iterator[str]:
    one = shown(row.state)
    left = axis.place(row.start)
    width = axis.place(row.end) - left
    seconds = "" if row.seconds is None else format_seconds(row.seconds)
    size = "" if row.size is None else format_size(row.size)
    yield f'<li class="{one.colour}"><details><summary class="line">'
    yield (
        f'<span class="name">{escaped(row.path)}</span>'
        f'<span class="state {one.colour}"><span aria-hidden="true">{one.sign}</span> {row.state}</span>'
        f'<span class="number">{seconds}</span><span class="number">{size}</span>'
        '<span class="track" aria-hidden="true">'
        f'<i class="{one.colour}" style="left:{left:.2f}%;width:{width:.2f}%"></i></span>'
    )
    yield f'</summary><div class="more" id="{anchor}">'
    if row.error:
        yield f'<p class="{one.colour}">{escaped(row.error)}</p>'
    yield from _printed(row)
    parts = f"{counted(row.parts, 'iteration')}, " if row.parts else ""
    at = row.start - axis.start
    yield f'<p class="dim">{parts}from {format_seconds(at)} to {format_seconds(row.end - axis.start)}</p>'
    yield "</div></details></li>"


def _outputs(facts: Mapping[str, Any]) -> Iterator[str]:
    def content() -> Iterator[str]:
        for name, text in (facts.get("outputs") or {}).items():
            shown_text = escaped_lines(str(text)[:_LONGEST_OUTPUT])
            yield f"<details open><summary>Output <b>{escaped(name)}</b></summary>"
            yield f"<pre>{shown_text}</pre></details>"
        if facts.get("inputs"):
            yield "<dl>"
            for name, value in facts["inputs"].items():
                yield f"<dt>Input {escaped(name)}</dt><dd><code>{escaped(exact.dumps(value))}</code></dd>"
            yield "</dl>"

    yield from _section("outputs", "Outputs and inputs", content())


def _sums(run: Run) -> Iterator[str]:
    outer = around_others(row.path for row in run.rows)
    own = [row for row in run.rows if row.path not in outer]
    seconds = sum(row.seconds or 0.0 for row in own)
    size = sum(row.size or 0 for row in own)
    if not own:
        return
    pairs = [
        ("Programs ran", f"{format_seconds(seconds)} in all"),
        ("They printed", format_size(size)),
        (
            "Cut",
            f"{sum(row.dropped > 0 for row in own):,}; kept whole: {sum(row.token is not None for row in own):,}",
        ),
    ]
    told = "".join(f"<dt>{name}</dt><dd>{escaped(text)}</dd>" for name, text in pairs)
    metrics = run.facts.get("metrics")
    more = [f"<pre>{escaped_lines(chr(10).join(lines(metrics)))}</pre>"] if metrics else []
    yield from _section("sums", "Sums", [f"<dl>{told}</dl>", *more])


def _contexts(contexts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    def content() -> Iterator[str]:
        for path, given in contexts.items():
            yield (
                f"<details open><summary><code>{escaped(path)}</code>: {counted(given['bytes'], 'byte')}, about "
                f"{counted(given['tokens'], 'LLM token')}, of {counted(given['whole_bytes'], 'byte')} in all</summary>"
                '<div class="wide"><table><tr><th>Output of</th><th>Relevance</th><th>Size</th><th>State</th>'
                "<th>Why</th></tr>"
            )
            for one in given["candidates"]:
                yield _candidate(one)
            yield "</table></div></details>"

    yield from _section("contexts", "What agents were given", content())


def _candidate(one: Mapping[str, Any]) -> str:
    size = "" if one["size"] is None else format_size(one["size"])
    why = one["why"] + (f"; {one['reason']}" if one["reason"] else "")
    return (
        f"<tr><td><code>{escaped(one['task'])}</code></td><td class='number'>{one['relevance']:.2f}</td>"
        f"<td class='number'>{escaped(size)}</td><td>{escaped(one['state'])}</td><td>{escaped(why)}</td></tr>"
    )
