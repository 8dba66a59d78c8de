"""Choosing outputs for a prompt: relevance, order, and a budget that always holds."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import examples
from maxstage import ContextBudget, TaskOutput, select_context
from maxstage.context.relevance import relevances

NAMES = [f"t{number}" for number in range(12)]


@st.composite
def graphs(draw):
    """A graph without cycles: each depends on later ones."""
    return {
        name: draw(st.lists(st.sampled_from(NAMES[number + 1 :]), max_size=3))
        if number < len(NAMES) - 1
        else []
        for number, name in enumerate(NAMES)
    }


outputs = st.dictionaries(
    st.sampled_from(NAMES[1:]),
    st.one_of(st.text(max_size=400), st.binary(max_size=3000), st.just("\u20ac\n" * 500)),
)
budgets = st.builds(
    ContextBudget,
    min_relevance=st.sampled_from([0.0, 0.25, 0.4, 1.0]),
    max_bytes=st.integers(1, 6000),
    max_tokens=st.one_of(st.none(), st.integers(1, 1500)),
    max_tasks=st.integers(1, 12),
    packing=st.sampled_from(["greedy", "fair"]),
    include=st.lists(st.sampled_from(NAMES), max_size=2),
    exclude=st.lists(st.sampled_from(NAMES), max_size=2),
)


def data_of(output):
    return output.encode() if isinstance(output, str) else output


@examples(150)
@given(graphs(), outputs, budgets)
def test_the_budget_always_holds(graph, found, budget):
    selection = select_context("t0", graph, found, budget)
    assert len(selection.content) <= budget.max_bytes
    if budget.max_tokens is not None:
        assert selection.tokens <= budget.max_tokens
    assert len(selection.used) <= budget.max_tasks
    assert selection == select_context("t0", graph, found, budget)
    assert not set(selection.used) & {*budget.exclude, "t0"}
    for one in selection.candidates:
        if one.state == "kept":
            assert data_of(found[one.task]) in selection.content


@examples(100)
@given(graphs(), outputs, st.integers(1, 3000))
def test_a_tokenizer_s_count_holds_too(graph, found, most):
    budget = ContextBudget(max_tokens=most, min_relevance=0.0)
    count = lambda text: len(text.split()) + text.count("\u20ac")  # noqa: E731
    selection = select_context("t0", graph, found, budget, count_tokens=count)
    assert selection.tokens == count(selection.text) <= most


@examples(150)
@given(graphs(), outputs, budgets)
def test_what_matters_more_is_not_dropped_for_what_is_as_large_and_matters_less(graph, found, budget):
    candidates = select_context("t0", graph, found, budget).candidates
    size = {one.task: len(data_of(found[one.task])) + len(one.why) + len(one.task) for one in candidates}
    for number, one in enumerate(candidates):
        if one.state == "dropped":
            for later in candidates[number + 1 :]:
                if later.relevance < one.relevance and size[later.task] >= size[one.task]:
                    assert later.state == "dropped"


@examples(100)
@given(graphs(), outputs)
def test_the_order_is_total(graph, found):
    budget = ContextBudget(min_relevance=0.0)
    completed = {name: datetime(2026, 1, 1, tzinfo=UTC) for name in found}
    orders = []
    for names in (sorted(found), sorted(found, reverse=True)):
        shuffled = {name: found[name] for name in names}
        candidates = select_context("t0", graph, shuffled, budget, completed=completed).candidates
        orders.append([one.task for one in candidates])
    again = orders[0]
    assert orders[1] == again
    relevance = relevances("t0", graph, recent=sorted(found)[:10])
    assert again == sorted(again, key=lambda name: (-relevance[name].score, name))


@examples(100)
@given(graphs())
def test_relevance_is_the_largest_that_applies(graph):
    agents = dict.fromkeys(NAMES[::3], "x")
    found = relevances("t0", graph, agents=agents, recent=NAMES[8:])
    depth = {"t0": 0}
    level = ["t0"]
    while level:
        level = [
            other
            for name in level
            for other in graph[name]
            if depth.setdefault(other, depth[name] + 1) > depth[name]
        ]
        level = [name for number, name in enumerate(level) if name not in level[:number]]
    for name in NAMES[1:]:
        scores = [0.0]
        if name in depth:
            scores.append(1.0 if depth[name] == 1 else 0.8 / depth[name])
        scores += [0.5] if name in agents else []
        scores += [0.3] if name in NAMES[8:] else []
        assert (found[name].score if name in found else 0.0) == max(scores)


def output(name, text, minute=0, **more):
    when = datetime(2026, 1, 1, 0, minute, tzinfo=UTC)
    return TaskOutput(name, "stdout", text.encode(), len(text), completed_at=when, **more)


def test_newer_ones_come_first_among_equals():
    found = {name: output(name, f"{name}\n", minute) for name, minute in (("a", 1), ("b", 3), ("c", 2))}
    selection = select_context("x", {"x": ["a", "b", "c"]}, found)
    assert selection.used == ("b", "c", "a")
    assert (
        select_context("x", {"x": ["c", "b", "a"]}, dict(reversed(found.items()))).content
        == selection.content
    )


def test_the_time_window_ends_with_the_newest():
    found = {name: output(name, name, minute) for name, minute in (("a", 1), ("b", 30), ("c", 31))}
    budget = ContextBudget(time_window=120)
    assert select_context("x", {"x": ["a", "b", "c"]}, found, budget).used == ("c", "b")
    now = datetime(2026, 1, 1, 0, 40, tzinfo=UTC)
    assert select_context("x", {"x": ["a", "b", "c"]}, found, budget, now=now).used == ()
    assert timedelta(seconds=120) < now - found["c"].completed_at


def test_what_was_cut_is_cut_again_honestly():
    whole = "".join(f"line {number}\n" for number in range(1000))
    cut = TaskOutput(
        "a",
        "stdout",
        whole[-2000:].encode(),
        len(whole),
        truncated=True,
        truncation_strategy="tail",
        dropped_bytes=len(whole) - 2000,
        dropped_lines=800,
        token="max:0123abcd",
    )  # fmt: skip
    selection = select_context("x", {"x": ["a"]}, {"a": cut}, ContextBudget(max_bytes=700))
    marker = selection.text.split("--- [")[1].split("]")[0]
    kept = selection.text.partition("] ---\n")[2]
    assert marker.startswith(f"{len(whole) - len(kept.encode()):,} bytes (")
    assert marker.endswith("truncated; whole output: max retrieve max:0123abcd")
    assert whole.endswith(kept)


def test_fair_packing_starves_nobody():
    found = {"big": "x" * 50_000, **{f"small{number}": f"fact {number}\n" for number in range(5)}}
    graph = {"x": list(found)}
    greedy = select_context("x", graph, dict(reversed(found.items())), ContextBudget(max_bytes=4000))
    fair = select_context(
        "x", graph, dict(reversed(found.items())), ContextBudget(max_bytes=4000, packing="fair")
    )
    assert len(greedy.used) < 6
    assert len(fair.used) == 6
    assert len(fair.content) > 3000


@pytest.mark.parametrize("mode", ["automatic", "manual", "none"])
def test_modes(mode):
    found = {"a": "a", "b": "b", "c": "c"}
    selection = select_context("x", {"x": ["a"]}, found, ContextBudget(mode=mode, include=["b"]))
    assert selection.used == {"automatic": ("a", "b"), "manual": ("b",), "none": ()}[mode]
