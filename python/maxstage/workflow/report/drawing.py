"""Graphs as SVG: boxes in layers from left to right, with how each task ended."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from maxstage.html_page import escaped
from maxstage.humanize import counted, fitted
from maxstage.workflow.report.layers import layers_of
from maxstage.workflow.report.states import COLOURS, SHOWN, shown
from maxstage.workflow.run.results import COMPLETED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from maxstage.workflow.report.layers import Box, Layers
    from maxstage.workflow.report.rows import Run

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _EDGE = 176, 44, 44, 12, 8
"""Of a box, between boxes, and around all, in pixels."""
_LETTERS = 20
"""Letters of 13 pixels that fit into a box."""
_MOST_GRAPHS = 30
"""Groups whose inside is drawn; of more, those in which something failed."""


def graphs(run: Run, anchors: Mapping[str, str]) -> Iterator[str]:
    """Yield the graph of a run's tasks, and one for the inside of each group.

    Args:
        run: The run.
        anchors: The places on the page that tell more about tasks, by path.
    """
    inside: dict[str, list[str]] = {}
    for path in run.plan:
        inside.setdefault(path.rpartition(".")[0], []).append(path)
    groups = [path for path in inside if path]
    groups.sort(key=lambda path: _is_good(run, path))  # stable: else as in the file
    yield _graph(run, inside.get("", []), anchors, "the tasks")
    for path in groups[:_MOST_GRAPHS]:
        is_open = " open" if not _is_good(run, path) else ""
        yield f"<details{is_open}><summary>Inside <code>{escaped(path)}</code></summary>"
        yield _graph(run, inside[path], anchors, f"the tasks inside {path}")
        yield "</details>"
    if len(groups) > _MOST_GRAPHS:
        yield f"<p class='dim'>and {counted(len(groups) - _MOST_GRAPHS, 'group')} more</p>"


def _is_good(run: Run, path: str) -> bool:
    colours = {shown(state).colour for state in run.below.get(path, ())}
    return not colours & {"bad", "warn"}


def _graph(run: Run, paths: Sequence[str], anchors: Mapping[str, str], what: str) -> str:
    # The worst first, since not all may have a box of their own.
    bad = [(COLOURS.index(colour), path) for path in paths if (colour := _colour(run, [path])) in COLOURS[:2]]
    alone = [path for _, path in sorted(bad)]
    layers = layers_of({path: run.plan[path]["after"] for path in paths}, alone)
    return "\n".join(_svg(run, layers, anchors, what))


def _svg(run: Run, layers: Layers, anchors: Mapping[str, str], what: str) -> Iterator[str]:
    rows: Counter[int] = Counter()
    places = []
    for box in layers.boxes:
        x = _EDGE + box.layer * (_WIDTH + _GAP_X)
        places.append((x, _EDGE + rows[box.layer] * (_HEIGHT + _GAP_Y)))
        rows[box.layer] += 1
    width = 2 * _EDGE + (max(rows, default=0) + 1) * (_WIDTH + _GAP_X) - _GAP_X
    height = 2 * _EDGE + max(rows.values(), default=1) * (_HEIGHT + _GAP_Y) - _GAP_Y
    count = sum(len(box.tasks) for box in layers.boxes)
    said = f"Graph of {what}: {counted(count, 'task')} in {counted(len(rows), 'layer')}; the list of tasks has each"
    yield '<div class="canvas" tabindex="0" role="region" aria-label="graph">'
    yield (
        f'<svg viewBox="0 0 {width} {height}" style="--w:{width}" role="group" aria-label="{escaped(said)}">'
    )
    yield from (_edge(places[start], places[end]) for start, end in layers.edges)
    for box, place in zip(layers.boxes, places, strict=True):
        yield from _box(run, box, place, anchors)
    yield "</svg></div>"


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT // 2
    x2, y2 = end[0], end[1] + _HEIGHT // 2
    middle = _GAP_X // 2
    return f'<path class="edge" d="M{x1} {y1}C{x1 + middle} {y1} {x2 - middle} {y2} {x2} {y2}"/>'


def _box(run: Run, box: Box, place: tuple[int, int], anchors: Mapping[str, str]) -> Iterator[str]:
    first, x, y = box.tasks[0], *place
    inner = _inner(run, box)
    states = [state for path in box.tasks if (state := run.states.get(path)) is not None]
    name = first.rpartition(".")[2]
    if len(box.tasks) > 1:
        label, sub = f"{name} …", _told(Counter(states)) or counted(len(box.tasks), "task")
        tip = f"{counted(len(box.tasks), 'task')}, from {first} to {box.tasks[-1]}: {sub}"
    else:
        state = states[0] if states else ""
        kind = run.plan[first]["kind"]
        label = name
        sub = _told(inner) if inner else f"{shown(state).sign} {state}" if state else kind
        tip = f"{first} ({kind}): {state}" + (f"; inside: {_told(inner)}" if inner else "")
    is_round = run.plan[first]["kind"] == "agent"
    anchor = anchors.get(first)
    # Each has what it says in the list below as well: there it can be reached by keyboard.
    yield f'<a href="#{anchor}" tabindex="-1">' if anchor else "<g>"
    yield f'<svg x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}"><title>{escaped(tip)}</title>'
    yield (
        f'<rect class="box {_colour(run, box.tasks)}" x="1" y="1" width="{_WIDTH - 2}" height="{_HEIGHT - 2}" '
        f'rx="{_HEIGHT // 2 if is_round else 5}"/>'
    )
    left = 16 if is_round else 9
    yield f'<text x="{left}" y="18">{escaped(fitted(label, _LETTERS))}</text>'
    yield f'<text class="sub" x="{left}" y="33">{escaped(fitted(sub, _LETTERS + 2))}</text>'
    yield from _parts(inner if len(box.tasks) == 1 else Counter(states), left)
    yield "</svg>" + ("</a>" if anchor else "</g>")


def _parts(counts: Counter[str], left: int) -> Iterator[str]:
    """Yield a bar of how many ended how."""
    x, whole = float(left), _WIDTH - 2 * left
    for state, count in _in_order(counts):
        part = count / counts.total() * whole
        yield f'<rect class="part {shown(state).colour}" x="{x:.1f}" y="37" width="{max(1.5, part):.1f}" height="3"/>'
        x += part


def _inner(run: Run, box: Box) -> Counter[str]:
    return run.below.get(box.tasks[0], Counter()) if len(box.tasks) == 1 else Counter()


def _colour(run: Run, paths: Sequence[str]) -> str:
    found = {shown(run.states[path]).colour for path in paths if path in run.states}
    for path in paths:
        found |= {shown(state).colour for state in run.below.get(path, ())} & {"bad"}
    return next((colour for colour in COLOURS if colour in found), "off")


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(
        f"{count:,} {state}" for state, count in _in_order(counts) if state != COMPLETED or len(counts) == 1
    ) + (f", {counts[COMPLETED]:,} ok" if COMPLETED in counts and len(counts) > 1 else "")


def _in_order(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    order = list(SHOWN)
    return sorted(counts.items(), key=lambda pair: order.index(pair[0]) if pair[0] in order else len(order))
