"""The graph of sibling tasks as layers of boxes, few enough to be looked at.

A task stands one layer after the last that it waits for. Of a thousand tasks, those that are alike share a box: first
those that wait for the same and are waited for by the same, then those with one name but for its numbers, then whole
layers. What failed keeps a box of its own.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Key = tuple[object, ...]

MOST_BOXES = 60
"""Boxes that one graph has at most: about what fits on a large screen without scrolling twice."""
_MOST_ALONE = 12
"""Tasks that keep a box of their own in a graph with too many."""
_DIGITS = re.compile(r"\d+")


class Box(NamedTuple):
    """One task of a graph, or some that are alike.

    Attributes:
        tasks: Their paths.
        layer: Which layer it stands in, from 0.
    """

    tasks: tuple[str, ...]
    layer: int


class Layers(NamedTuple):
    """A graph in layers.

    Attributes:
        boxes: The boxes, each layer's from top to bottom.
        edges: Which box follows which, by their places in `boxes`.
    """

    boxes: list[Box]
    edges: list[tuple[int, int]]


def layers_of(after: Mapping[str, Sequence[str]], alone: Iterable[str]) -> Layers:
    """Return the graph of some sibling tasks.

    Args:
        after: The tasks, in the order of the file, each with those that it waits for.
        alone: Those that should not share a box.
    """
    after = {path: [other for other in others if other in after] for path, others in after.items()}
    layer = _layer_of_each(after)
    single = set(list(alone)[:_MOST_ALONE])
    boxes: list[Box] = []
    for keys in _ways_to_share(after, layer):
        boxes = _boxes(after, layer, keys, single)
        if len(boxes) <= MOST_BOXES:
            break
    else:
        # A chain of thousands: neighbouring layers share a box, whatever is in them.
        last = max(layer.values(), default=0) + 1
        boxes = _boxes(after, {path: layer[path] * MOST_BOXES // last for path in after}, lambda _: (), set())
    return _sorted(boxes, after)


def _ways_to_share(
    after: Mapping[str, Sequence[str]], layer: Mapping[str, int]
) -> Iterable[Callable[[str], Key]]:
    before: dict[str, list[str]] = {path: [] for path in after}
    for path, others in after.items():
        for other in others:
            before[other].append(path)
    yield lambda path: (path,)
    yield lambda path: (layer[path], tuple(sorted(after[path])), tuple(sorted(before[path])))
    yield lambda path: (layer[path], _DIGITS.sub("#", path))
    yield lambda path: (layer[path],)


def _boxes(
    after: Mapping[str, Sequence[str]],
    layer: Mapping[str, int],
    key: Callable[[str], Key],
    single: set[str],
) -> list[Box]:
    found: dict[Key, list[str]] = {}
    for path in sorted(after, key=lambda path: path not in single):
        found.setdefault((path,) if path in single else (layer[path], key(path)), []).append(path)
    return [Box(tuple(paths), layer[paths[0]]) for paths in found.values()]


def _layer_of_each(after: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the length of the longest chain before each task. The plan of a damaged run may go in circles."""
    waits = {path: len(others) for path, others in after.items()}
    followers: dict[str, list[str]] = {path: [] for path in after}
    for path, others in after.items():
        for other in others:
            followers[other].append(path)
    layer = dict.fromkeys(after, 0)
    ready = deque(path for path, count in waits.items() if not count)
    while ready:
        path = ready.popleft()
        for follower in followers[path]:
            layer[follower] = max(layer[follower], layer[path] + 1)
            waits[follower] -= 1
            if not waits[follower]:
                ready.append(follower)
    return layer


def _sorted(boxes: list[Box], after: Mapping[str, Sequence[str]]) -> Layers:
    """Order each layer so that a box stands near those that it waits for, which leaves fewer lines that cross."""
    box_of = {path: box for box in boxes for path in box.tasks}
    waits = {
        box: {box_of[other] for path in box.tasks for other in after[path] if box_of[other] is not box}
        for box in boxes
    }
    place: dict[Box, float] = {}
    ordered: list[Box] = []
    for number in sorted({box.layer for box in boxes}):
        layer = [box for box in boxes if box.layer == number]

        def wished(box: Box) -> float:
            known = [place[other] for other in waits[box] if other in place]
            return sum(known) / len(known) if known else 0.0

        layer.sort(key=wished)
        place.update((box, float(row)) for row, box in enumerate(layer))
        ordered += layer
    index = {box: number for number, box in enumerate(ordered)}
    edges = sorted((index[other], index[box]) for box in ordered for other in waits[box])
    return Layers(ordered, [edge for edge in edges if edge[0] < edge[1]])
