"""A run as one HTML page, without network access or scripts; its pictures are SVG."""

from __future__ import annotations

import html
import time
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from maxstage.humanize import counted, format_size, printable
from maxstage.workflow.report.metrics import lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from maxstage.workflow.format.valid import ValidWorkflow
    from maxstage.workflow.run.results import Ended, TaskResult
    from maxstage.workflow.run.state import RunState

_MOST_ROWS = 500
"""The most tasks that are listed and drawn; a longer page is slow, and nobody reads it."""
_LONGEST = 1000
"""The most characters of a name or an error that are shown."""
_LONGEST_OUTPUT = 20_000
"""The most characters of an output of the workflow that are shown."""
_WIDTH = 900
_ROW = 18
_BOX_WIDTH, _BOX_HEIGHT, _GAP_X, _GAP_Y = 150, 30, 60, 16

_COLOURS = {"completed": "#2e9e5b", "failed": "#d1453b", "skipped": "#9aa7b3", "interrupted": "#d99a2b"}


def render(state: RunState, workflow: ValidWorkflow | None) -> str:
    """Return the page.

    Args:
        state: The run.
        workflow: Its file, for the graph; None if it no longer exists.
    """
    facts, ended = state.facts(), state.ended()
    failed, others = _chosen(state.statuses())
    found = {path: result for path in (*failed, *others) if (result := _without_content(state.find(path)))}
    loops = {path.rpartition("[")[0] for path in ended if path.endswith("]")}
    title = f"{facts.get('workflow', 'run')}, {state.run_id}"
    style = (files("maxstage.workflow.report") / "page.css").read_text(encoding="utf-8")
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}</title><style>{style}</style></head><body>",
        *_summary(state.run_id, facts, ended),
    ]
    parts += _tasks("Failed", {path: one for path, one in found.items() if path in failed}, loops)
    if workflow is not None:
        parts += ["<h2>Graph</h2>", graph_svg(workflow, found)]
    parts += ["<h2>Timeline</h2>", timeline_svg(found, ended)]
    parts += _tasks("Tasks", {path: one for path, one in found.items() if path not in failed}, loops)
    if len(ended) > len(found):
        parts.append(f"<p class='note'>and {len(ended) - len(found):,} more</p>")
    parts += _contexts(state.contexts())
    return "\n".join([*parts, "</body></html>", ""])


def _chosen(statuses: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the paths to show, separately for tasks that failed, which take precedence, and the others."""

    def important(path: str) -> bool:
        return "[" in path  # a loop's task is more informative than its iterations

    failed = sorted((path for path, status in statuses.items() if status == "failed"), key=important)
    others = [path for path, status in statuses.items() if status != "failed"]
    others.sort(key=important)
    failed = failed[:_MOST_ROWS]
    order = {path: number for number, path in enumerate(statuses)}
    chosen = others[: _MOST_ROWS - len(failed)]
    return failed, sorted(chosen, key=order.__getitem__)


def _without_content(result: TaskResult | None) -> TaskResult | None:
    """Return a result without content, since hundreds of outputs would take a lot of memory."""
    if result is not None and result.output is not None:
        result.output = result.output.replace(content=b"", stderr=None)
    return result


def _text(value: object, most: int = _LONGEST) -> str:
    """Return text that is safe in the page: escaped, clipped, and without invalid characters."""
    return html.escape(printable(str(value), most), quote=True)


def _lines(value: object) -> str:
    """Return a text of several lines that is safe in the page."""
    return "\n".join(_text(line) for line in str(value)[:_LONGEST_OUTPUT].split("\n"))


def _summary(run_id: str, facts: Mapping[str, Any], ended: Mapping[str, Ended]) -> Iterable[str]:
    status = facts.get("status", "unknown")
    yield f"<h1>{_text(facts.get('workflow', ''))} <span class='{_text(status)}'>{_text(status)}</span></h1>"
    started = facts.get("started")
    when = "" if started is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(started))
    iterations = sum("[" in path for path in ended)
    count = counted(len(ended) - iterations, "task") + (
        f", {counted(iterations, 'iteration')}" if iterations else ""
    )
    yield f"<p>Run <code>{_text(run_id)}</code>, {_text(when)}, {count}."
    if facts.get("error"):
        yield f" <span class='failed'>{_text(facts['error'])}</span>"
    yield f"</p><p class='note'>{_text(facts.get('file', ''))}</p>"
    if facts.get("inputs"):
        yield "<p>Inputs: " + ", ".join(
            f"<code>{_text(name)} = {_text(value)}</code>" for name, value in facts["inputs"].items()
        )
        yield "</p>"
    if facts.get("metrics"):
        yield "<pre>" + _lines("\n".join(lines(facts["metrics"]))) + "</pre>"
    for name, text in (facts.get("outputs") or {}).items():
        yield f"<details open><summary>Output <b>{_text(name)}</b></summary><pre>{_lines(text)}</pre></details>"


def _tasks(title: str, found: Mapping[str, TaskResult], loops: AbstractSet[str]) -> Iterable[str]:
    if not found:
        return
    yield f"<h2>{title}</h2><table><tr><th>Task</th><th>State</th><th>Time</th><th>Output</th><th></th></tr>"
    for path, result in found.items():
        output = result.output
        seconds = "" if output is None or output.duration is None else f"{output.duration:.2f} s"
        size = "" if output is None else format_size(output.original_size)
        yield (
            f"<tr><td><code>{_text(path)}</code></td><td class='{_text(result.status)}'>{_text(result.status)}</td>"
            f"<td class='n'>{seconds}</td><td class='n'>{_text(size)}</td><td>"
            f"{_remarks(result, is_loop=path in loops)}</td></tr>"
        )
    yield "</table>"


def _remarks(result: TaskResult, *, is_loop: bool) -> str:
    parts = []
    if result.error:
        parts.append(f"<span class='failed'>{_text(result.error)}</span>")
    if is_loop:
        parts.append(counted(result.attempts, "iteration"))
    elif result.attempts > 1:
        parts.append(f"{result.attempts:,} attempts")
    output = result.output
    if output is not None and output.truncated:
        where = f"; full output: <code>max retrieve {_text(output.token)}</code>" if output.token else ""
        parts.append(
            f"<span class='cut'>truncated, {counted(output.dropped_bytes, 'byte')} left out</span>{where}"
        )
    elif output is not None and output.token is not None:
        parts.append(f"<code>{_text(output.token)}</code>")
    if output is not None:
        parts += [f"<span class='cut'>{_text(warning)}</span>" for warning in output.warnings]
    if result.pruned:
        parts.append("<span class='note'>pruned</span>")
    return "<br>".join(parts)


def _contexts(contexts: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    if not contexts:
        return
    yield "<h2>What agents were given</h2>"
    for path, given in contexts.items():
        yield (
            f"<details open><summary><code>{_text(path)}</code>: {counted(given['bytes'], 'byte')}, about "
            f"{counted(given['tokens'], 'LLM token')}, of {counted(given['whole_bytes'], 'byte')} in all</summary>"
            "<table><tr><th>Output of</th><th>Relevance</th><th>Size</th><th></th><th>Why</th></tr>"
        )
        for one in given["candidates"]:
            size = "" if one["size"] is None else format_size(one["size"])
            why = one["why"] + (f"; {one['reason']}" if one["reason"] else "")
            yield (
                f"<tr><td><code>{_text(one['task'])}</code></td><td class='n'>{one['relevance']:.2f}</td>"
                f"<td class='n'>{_text(size)}</td><td class='{_text(one['state'])}'>{_text(one['state'])}</td>"
                f"<td>{_text(why)}</td></tr>"
            )
        yield "</table></details>"


def timeline_svg(found: Mapping[str, TaskResult], ended: Mapping[str, Ended]) -> str:
    """Return when each task ran, as SVG with a bar for each task."""
    spans = {}
    for path, result in found.items():
        seconds = 0.0 if result.output is None else result.output.duration or 0.0
        spans[path] = (ended[path].time - seconds, ended[path].time)
    if not spans:
        return "<p class='note'>Nothing has ended.</p>"
    first = min(start for start, _ in spans.values())
    whole = max(end for _, end in spans.values()) - first or 1.0
    label = 220
    scale = (_WIDTH - label - 70) / whole
    height = _ROW * len(spans) + 24
    parts = [f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="timeline" font-size="11">']
    for number, (path, (start, end)) in enumerate(sorted(spans.items(), key=lambda pair: pair[1])):
        top = number * _ROW
        left = label + (start - first) * scale
        wide = max(2.0, (end - start) * scale)
        colour = _COLOURS.get(found[path].status, "#888")
        parts.append(
            f'<text x="{label - 8}" y="{top + 13}" text-anchor="end">{_text(_short(path, 34))}</text>'
        )
        parts.append(
            f'<rect x="{left:.1f}" y="{top + 3}" width="{wide:.1f}" height="{_ROW - 6}" rx="2" fill="{colour}">'
            f"<title>{_text(path)}: {end - start:.2f} s</title></rect>"
        )
    parts.append(f'<text x="{label}" y="{height - 6}">0 s</text>')
    parts.append(f'<text x="{_WIDTH - 70}" y="{height - 6}" text-anchor="end">{whole:.2f} s</text></svg>')
    return "\n".join(parts)


def graph_svg(workflow: ValidWorkflow, found: Mapping[str, TaskResult]) -> str:
    """Return the tasks and their dependencies as SVG, with a column for each level of dependencies."""
    # Showing all tasks would be slow; those that failed come first.
    failed = {path for path, result in found.items() if result.status == "failed"}
    first = set(sorted(workflow.tasks, key=lambda path: path not in failed)[:_MOST_ROWS])
    paths = [path for path in workflow.tasks if path in first]
    columns: dict[int, list[str]] = {}
    depth: dict[str, int] = {}
    for path in paths:
        columns.setdefault(_depth(path, workflow, depth), []).append(path)
    place = {
        path: (column * (_BOX_WIDTH + _GAP_X) + 4, row * (_BOX_HEIGHT + _GAP_Y) + 4)
        for column, names in columns.items()
        for row, path in enumerate(names)
    }
    width = (max(columns, default=0) + 1) * (_BOX_WIDTH + _GAP_X)
    height = max((len(names) for names in columns.values()), default=1) * (_BOX_HEIGHT + _GAP_Y) + 8
    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="graph" font-size="12">']
    for path in paths:
        parts += [_edge(place[other], place[path]) for other in _waits_for(path, workflow) if other in place]
    for path in paths:
        x, y = place[path]
        status = found[path].status if path in found else ""
        colour = _COLOURS.get(status, "#9aa7b3")
        round_ = _BOX_HEIGHT // 2 if path in workflow.graph.agents else 4
        parts.append(
            f'<rect x="{x}" y="{y}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="{round_}" fill="none" '
            f'stroke="{colour}" stroke-width="2"><title>{_text(path)} {_text(status)}</title></rect>'
        )
        parts.append(
            f'<text x="{x + _BOX_WIDTH / 2}" y="{y + 20}" text-anchor="middle">{_text(_short(path, 20))}</text>'
        )
    return "\n".join([*parts, "</svg>"])


def _waits_for(path: str, workflow: ValidWorkflow) -> list[str]:
    prefix = path.rpartition(".")[0]
    return [f"{prefix}.{name}" if prefix else name for name in workflow.graph.dependencies[path]]


def _depth(path: str, workflow: ValidWorkflow, known: dict[str, int]) -> int:
    """Return the length of the longest chain of tasks before it; without recursion, since chains may be long."""
    stack = [path]
    while stack:
        top = stack[-1]
        prefix = top.rpartition(".")[0]
        before = [*_waits_for(top, workflow), *([prefix] if prefix else [])]
        missing = [other for other in before if other not in known]
        if missing:
            stack += missing
        else:
            known[top] = max((known[other] + 1 for other in before), default=0)
            stack.pop()
    return known[path]


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + _BOX_WIDTH, start[1] + _BOX_HEIGHT // 2
    x2, y2 = end[0], end[1] + _BOX_HEIGHT // 2
    middle = (x1 + x2) // 2
    curve = f"M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}"
    return f'<path d="{curve}" fill="none" stroke="#9aa7b3" stroke-width="1.5"/>'


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[-(most // 2) :]}"
