"""What choosing context costs, and what it is good for. No model has a part in it.

Run it in an environment where maxstage is installed: ``python benches/context.py``. The first table is the time for
a graph of 100,000 tasks and 300,000 edges. The second counts what reaches the prompts of three workflows: with all
outputs put in, with those of the last ten tasks, and with what is selected; and whether each fact that the final
task needs is there, or can be reached by a token.
"""

from __future__ import annotations

import random
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from maxstage import ContextBudget, TaskOutput, select_context
from maxstage.context.relevance import relevances

LAST = 10


@dataclass
class Case:
    """A workflow whose outputs are known.

    Attributes:
        graph: What depends on what.
        outputs: In the order in which they were completed.
        asks: The tasks that get a prompt.
        final: The last of them.
        facts: What the final task needs, with the task that found it out.
    """

    graph: dict[str, list[str]]
    outputs: dict[str, TaskOutput]
    asks: list[str]
    final: str
    facts: dict[str, str]


def output(name: str, text: str) -> TaskOutput:
    return TaskOutput(name, "stdout", text.encode(), len(text), token=f"max:{zlib.crc32(name.encode()):08x}")


def log(chance: random.Random, lines: int) -> str:
    return "".join(
        f"{number:06} INFO worker {chance.randrange(64)} did step {chance.randrange(10**6)}\n"
        for number in range(lines)
    )


def pipeline(chance: random.Random) -> Case:
    """200 tasks in 20 stages of 10; each task depends on three of the stage before."""
    graph: dict[str, list[str]] = {}
    outputs: dict[str, TaskOutput] = {}
    facts = {}
    for stage in range(20):
        for number in range(10):
            name = f"s{stage}t{number}"
            graph[name] = [f"s{stage - 1}t{(number + step) % 10}" for step in range(3)] if stage else []
            outputs[name] = output(name, log(chance, 40) + f"RESULT {name} = {chance.randrange(10**9)}\n")
    final = "report"
    graph[final] = [f"s19t{number}" for number in range(4)]
    for name in graph[final]:
        facts[outputs[name].text.rsplit("\n", 2)[1]] = name
    return Case(graph, outputs, [*(f"s{stage}t0" for stage in range(1, 20)), final], final, facts)


def research(chance: random.Random) -> Case:
    """50 agents look into parts of a question, five sum up ten each, one writes."""
    graph: dict[str, list[str]] = {"plan": []}
    outputs = {"plan": output("plan", "PLAN: fifty questions in five groups\n")}
    facts = {"PLAN: fifty questions in five groups": "plan"}
    for number in range(50):
        name = f"look{number}"
        graph[name] = ["plan"]
        outputs[name] = output(name, log(chance, 120) + f"FINDING {number}: {chance.randrange(10**9)}\n")
    for group in range(5):
        name = f"sum{group}"
        graph[name] = [f"look{number}" for number in range(group * 10, group * 10 + 10)]
        found = [outputs[other].text.rsplit("\n", 2)[1] for other in graph[name]]
        outputs[name] = output(name, "SUMMARY\n" + "\n".join(found) + "\n")
        facts.update((line, name) for line in found)
    graph["write"] = ["plan", *(f"sum{group}" for group in range(5))]
    asks = [*(f"look{number}" for number in range(50)), *(f"sum{group}" for group in range(5)), "write"]
    return Case(graph, outputs, asks, "write", facts)


def loop(chance: random.Random) -> Case:
    """500 iterations, each on the one before and on the goal; then a report."""
    graph: dict[str, list[str]] = {"goal": []}
    outputs = {"goal": output("goal", "GOAL: error below 0.01\n")}
    asks = []
    for number in range(500):
        name = f"try[{number}]"
        graph[name] = ["goal", *([f"try[{number - 1}]"] if number else [])]
        outputs[name] = output(name, log(chance, 10) + f"ERROR after {number}: {1 / (number + 1):.5f}\n")
        asks.append(name)
    graph["report"] = ["goal", "try[499]"]
    return Case(
        graph,
        outputs,
        [*asks, "report"],
        "report",
        {"GOAL: error below 0.01": "goal", "ERROR after 499: 0.00200": "try[499]"},
    )


Chooser = Callable[[Case, str, dict[str, TaskOutput]], str]


def everything(_case: Case, _task: str, before: dict[str, TaskOutput]) -> str:
    return "".join(f"## {name}\n{one.text}" for name, one in before.items())


def last(_case: Case, _task: str, before: dict[str, TaskOutput]) -> str:
    return "".join(f"## {name}\n{before[name].text}" for name in list(before)[-LAST:])


def selected(case: Case, task: str, before: dict[str, TaskOutput]) -> str:
    completed = {name: one.completed_at for name, one in before.items()}
    return select_context(
        task, case.graph, before, ContextBudget(max_bytes=16 * 1024), completed=completed
    ).text


def fair(case: Case, task: str, before: dict[str, TaskOutput]) -> str:
    completed = {name: one.completed_at for name, one in before.items()}
    budget = ContextBudget(max_bytes=16 * 1024, packing="fair")
    return select_context(task, case.graph, before, budget, completed=completed).text


def count(case: Case, choose: Chooser) -> tuple[int, int, int]:
    """Return the bytes in all prompts; how many facts the final one has; and how many it can reach by a token."""
    total = present = reachable = 0
    names = list(case.outputs)
    position = {name: number for number, name in enumerate(names)}
    for task in case.asks:
        end = position.get(task, len(names))
        text = choose(case, task, {name: case.outputs[name] for name in names[:end]})
        total += len(text.encode())
        if task == case.final:
            present = sum(fact in text for fact in case.facts)
            reachable = sum(
                fact not in text and (case.outputs[name].token or "-") in text
                for fact, name in case.facts.items()
            )
    return total, present, reachable


def print_usefulness() -> None:
    print("| workflow | in the prompts | bytes | tokens (bytes / 4) | facts present | by token | of |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    ways: Mapping[str, Chooser] = {
        "everything": everything,
        f"the last {LAST}": last,
        "selected": selected,
        "selected, fair": fair,
    }
    for title, make in (
        ("pipeline, 200 tasks", pipeline),
        ("research, 50 agents", research),
        ("loop, 500 iterations", loop),
    ):
        for way, choose in ways.items():
            case = make(random.Random(7))
            total, present, reachable = count(case, choose)
            print(
                f"| {title} | {way} | {total:,} | {total // 4:,} | {present} | {reachable} | {len(case.facts)} |"
            )


def print_cost() -> None:
    chance = random.Random(7)
    tasks, edges = 100_000, 300_000
    graph: dict[str, Iterable[str]] = {}
    for number in range(tasks):
        graph[str(number)] = (
            [str(chance.randrange(max(0, number - 100), number)) for _ in range(edges // tasks)]
            if number
            else []
        )
    outputs = {str(number): "an output\n" for number in range(tasks - 1)}
    task = str(tasks - 1)
    started = time.perf_counter()
    found = relevances(task, graph)
    scored = time.perf_counter() - started
    assert found[next(iter(graph[task]))].score == 1.0
    assert len(found) > 0.9 * tasks
    started = time.perf_counter()
    selection = select_context(task, graph, outputs, ContextBudget(min_relevance=0.0))
    chosen = time.perf_counter() - started
    assert set(graph[task]) <= set(selection.used)
    started = time.perf_counter()
    select_context(task, graph, outputs)
    usual = time.perf_counter() - started
    print(
        f"{tasks:,} tasks, {edges:,} edges, Python {sys.version.split()[0]}: scoring all {scored:.3f} s; selecting"
    )
    print(f"with no least relevance {chosen:.3f} s; with the usual one {usual:.3f} s\n")


if __name__ == "__main__":
    print_cost()
    print_usefulness()
