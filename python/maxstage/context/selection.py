"""Putting the relevant outputs into one text, within a budget of bytes, tokens and tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from maxstage._backend import core
from maxstage.context.relevance import MOST_RECENT, NONE, Relevance, relevances
from maxstage.output.task_output import TaskOutput
from maxstage.sizes import BYTES_PER_LLM_TOKEN, llm_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime


Mode = Literal["automatic", "manual", "none"]
State = Literal["kept", "cut", "dropped"]

LEAST_CUT = 256
"""The fewest bytes that an output is cut to; if less room is left, it is dropped."""
_LEAST_WEIGHT = 0.1
"""The weight, in fair packing, of outputs that were included by name and are not relevant."""
_NOTE = 256
"""Bytes reserved for the line that says what was left out, if anything is."""

_TITLE = b"# Outputs of earlier tasks\n"


@dataclass(frozen=True)
class ContextBudget:
    """Limits on what is put into a prompt.

    Attributes:
        mode: ``automatic``: what is relevant; ``manual``: the tasks of `include`; ``none``: nothing.
        include: Tasks that are considered whatever their relevance.
        exclude: Tasks that are never considered.
        min_relevance: The lowest relevance that is considered.
        max_bytes: The most bytes in total, headings included.
        max_tokens: The most LLM tokens in total; None for no limit.
        max_tasks: The most outputs.
        time_window: Only consider what completed within this many seconds; None for no limit.
        packing: ``greedy``: the most relevant first, each with as much as it needs. ``fair``: all share the room by
            their relevance, so that a large output can't starve the others.
    """

    mode: Mode = "automatic"
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    min_relevance: float = 0.4
    max_bytes: int = 100 * 1024
    max_tokens: int | None = None
    max_tasks: int = 10
    time_window: float | None = None
    packing: Literal["greedy", "fair"] = "greedy"


@dataclass(frozen=True)
class Candidate:
    """An output that was considered.

    Attributes:
        task: The task.
        relevance: From 0 to 1.
        why: The reason for its relevance.
        size: The size of its output, after its own limits; None if it was not examined.
        used: The bytes that it takes in the text, heading included.
        state: ``kept``, ``cut`` or ``dropped``.
        reason: Why it was cut or dropped.
        token: The token of its full output, or None.
    """

    task: str
    relevance: float
    why: str
    size: int | None
    used: int
    state: State
    reason: str = ""
    token: str | None = None


@dataclass(frozen=True)
class Selection:
    """The context that a task is given.

    Attributes:
        content: The text, within the budget.
        candidates: All outputs that were considered, the most relevant first.
        tokens: The LLM tokens of the text: counted if there is a tokenizer, otherwise estimated.
    """

    content: bytes
    candidates: tuple[Candidate, ...]
    tokens: int

    @property
    def text(self) -> str:
        """The content as text; bytes that are not UTF-8 are shown as U+FFFD."""
        return self.content.decode("utf-8", "replace")

    @property
    def used(self) -> tuple[str, ...]:
        """The tasks whose outputs are in the text."""
        return tuple(candidate.task for candidate in self.candidates if candidate.state != "dropped")


def select_context(
    task: str,
    graph: Mapping[str, Iterable[str]],
    outputs: Mapping[str, TaskOutput | str | bytes],
    budget: ContextBudget | None = None,
    *,
    agents: Mapping[str, str] | None = None,
    completed: Mapping[str, datetime] | None = None,
    now: datetime | None = None,
    missing: Mapping[str, str] | None = None,
    strategy: str | Callable[[str], str] = "tail",
    count_tokens: Callable[[str], int] | None = None,
    keep: Callable[[str, TaskOutput], str | None] | None = None,
) -> Selection:
    """Choose which outputs of other tasks a task is given.

    The same arguments always produce the same bytes. Outputs are only looked up if they are considered.

    Args:
        task: The task that gets the context.
        graph: The direct dependencies of each task.
        outputs: The available outputs.
        budget: The limits.
        agents: The agent of each task that has one.
        completed: When each output was completed; None takes this from `outputs` or, if they don't say, their order.
        now: The end of the time window; None for the time when the last output was completed.
        missing: Outputs that no longer exist, each with the reason; relevant ones are reported as left out.
        strategy: How outputs are cut to fit, or a function that returns this for a task. An output that was cut
            before is cut in the same way.
        count_tokens: A tokenizer; None for an estimate.
        keep: Called for an output that does not fit and has no token; stores the full output and returns a token.

    >>> outputs = {"fetch": "3 records\\n", "plan": "first fetch, then write\\n", "other": "nothing to do with it\\n"}
    >>> selection = select_context("write", {"write": ["fetch"], "fetch": ["plan"]}, outputs)
    >>> print(selection.text, end="")
    # Outputs of earlier tasks
    <BLANKLINE>
    ## fetch (direct dependency)
    3 records
    <BLANKLINE>
    ## plan (dependency at depth 2)
    first fetch, then write
    """
    budget = budget or ContextBudget()
    if budget.mode == "none":
        return Selection(b"", (), 0)
    ages = _Ages(outputs, completed)
    ranked = _rank(task, graph, ages, budget, agents or {}, now, missing or {})
    packer = _Packer(ranked, outputs, budget, strategy, keep, missing or {})
    if budget.max_tokens is None:
        content, candidates = packer.pack(budget.max_bytes)
    elif count_tokens is None:
        content, candidates = packer.pack(min(budget.max_bytes, budget.max_tokens * BYTES_PER_LLM_TOKEN))
    else:
        content, candidates = _pack_tokens(packer, budget, count_tokens)
    tokens = (
        llm_tokens(len(content)) if count_tokens is None else count_tokens(content.decode("utf-8", "replace"))
    )
    return Selection(content, tuple(candidates), tokens)


class _Ages:
    """The order in which outputs were completed."""

    def __init__(
        self, outputs: Mapping[str, TaskOutput | str | bytes], completed: Mapping[str, datetime] | None
    ) -> None:
        self.names = list(outputs)
        if (
            completed is None
            and outputs
            and all(isinstance(output, TaskOutput) for output in outputs.values())
        ):
            completed = {name: output.completed_at for name, output in outputs.items()}  # type: ignore[union-attr]
        self.completed = completed
        # The newest first; those of the same time by name.
        if completed is not None:
            times = completed
            self.names.sort()
            self.names.sort(key=lambda name: times[name].timestamp(), reverse=True)
        else:
            self.names.reverse()
        self.rank = {name: number for number, name in enumerate(self.names)}

    def within(self, seconds: float | None, now: datetime | None) -> Callable[[str], bool]:
        times = self.completed
        if seconds is None or times is None or not self.names:
            return lambda _: True
        end = (now or times[self.names[0]]).timestamp()
        return lambda name: end - times[name].timestamp() <= seconds


def _rank(
    task: str,
    graph: Mapping[str, Iterable[str]],
    ages: _Ages,
    budget: ContextBudget,
    agents: Mapping[str, str],
    now: datetime | None,
    missing: Mapping[str, str],
) -> list[tuple[str, Relevance]]:
    """Return the tasks to consider: the most relevant first, then the newest, then by name."""
    least = 0.0 if budget.include or budget.mode == "manual" else budget.min_relevance
    found = relevances(task, graph, agents=agents, recent=ages.names[:MOST_RECENT], least=least)
    include, exclude = set(budget.include), {*budget.exclude, task}
    is_within = ages.within(budget.time_window, now)
    if budget.mode == "manual":
        wanted = include
    else:
        wanted = {
            name for name, relevance in found.items() if relevance.score >= max(budget.min_relevance, 1e-9)
        }
    names = [
        name
        for name in wanted | include
        if name not in exclude
        and (name in missing or (name in ages.rank and (name in include or is_within(name))))
    ]
    names.sort(key=lambda name: (-found.get(name, NONE).score, ages.rank.get(name, len(ages.rank)), name))
    return [(name, found.get(name, NONE)) for name in names]


class _Packer:
    """Packs one output after the other, as long as there is room."""

    def __init__(
        self,
        ranked: list[tuple[str, Relevance]],
        outputs: Mapping[str, TaskOutput | str | bytes],
        budget: ContextBudget,
        strategy: str | Callable[[str], str],
        keep: Callable[[str, TaskOutput], str | None] | None,
        missing: Mapping[str, str],
    ) -> None:
        self._keep = keep
        self._ranked = [one for one in ranked if one[0] not in missing]
        self._gone = [
            Candidate(name, one.score, one.why, None, 0, "dropped", missing[name])
            for name, one in ranked
            if name in missing
        ]
        self._outputs = outputs
        self._budget = budget
        self._strategy = strategy
        self._loaded: dict[str, TaskOutput] = {}

    def pack(self, room: int) -> tuple[bytes, list[Candidate]]:
        """Return the text, at most `room` bytes, and what happened to each output."""
        content, candidates = self._pack(room, note=0)
        if any(candidate.state == "dropped" for candidate in candidates):
            # Pack again, reserving room for the line that says so, unless the room is too small.
            if room >= len(_TITLE) + _NOTE + LEAST_CUT:
                content, candidates = self._pack(room, note=_NOTE)
            content += self._note(candidates, room - len(content))
        return content, candidates

    def _pack(self, room: int, *, note: int) -> tuple[bytes, list[Candidate]]:
        parts: list[bytes] = [_TITLE]
        left = room - len(_TITLE) - note
        candidates: list[Candidate] = []
        used = 0
        shares = self._shares(left)
        for name, relevance in self._ranked:
            if used >= self._budget.max_tasks:
                reason = f"{self._budget.max_tasks} tasks are the limit (max_tasks)"
                token = self._loaded[name].token if name in self._loaded else None
                candidates.append(
                    Candidate(name, relevance.score, relevance.why, None, 0, "dropped", reason, token)
                )
                continue
            part, state, reason = self._fit(name, relevance, left, shares.get(name, left))
            output = self._load(name)
            candidates.append(
                Candidate(
                    name,
                    relevance.score,
                    relevance.why,
                    len(output.content),
                    len(part),
                    state,
                    reason,
                    output.token,
                )
            )
            if state != "dropped":
                parts.append(part)
                left -= len(part)
                used += 1
        candidates += self._gone
        candidates.sort(key=lambda candidate: -candidate.relevance)
        return (b"".join(parts) if used else b""), candidates

    def _load(self, name: str) -> TaskOutput:
        if name not in self._loaded:
            output = self._outputs[name]
            if not isinstance(output, TaskOutput):
                content = output.encode() if isinstance(output, str) else output
                output = TaskOutput(name, "stdout", content, len(content))
            self._loaded[name] = output
        return self._loaded[name]

    def _shares(self, room: int) -> dict[str, int]:
        """Return how many bytes each output may take, for fair packing."""
        if self._budget.packing != "fair":
            return {}
        shares: dict[str, int] = {}
        chosen = dict(self._ranked[: self._budget.max_tasks])
        sizes = {name: len(_part(name, one, self._load(name).content)) for name, one in chosen.items()}
        weights = {name: max(one.score, _LEAST_WEIGHT) for name, one in chosen.items()}
        # Outputs that need less than their share leave the rest of it to the others.
        waiting = sorted(chosen, key=lambda name: (sizes[name] / weights[name], name))
        for number, name in enumerate(waiting):
            share = int(room * weights[name] / sum(weights[other] for other in waiting[number:]))
            shares[name] = min(sizes[name], share)
            room -= shares[name]
        return shares

    def _fit(self, name: str, relevance: Relevance, left: int, share: int) -> tuple[bytes, State, str]:
        whole = _part(name, relevance, self._load(name).content)
        # A share that is too small is useless, so give it `LEAST_CUT` while there is room: more relevant ones first.
        room = min(left, max(share, LEAST_CUT))
        if len(whole) <= room:
            return whole, "kept", ""
        self._ensure_token(name)
        for_content = room - len(_part(name, relevance, b""))
        if room < LEAST_CUT or for_content <= 0:
            return b"", "dropped", f"only {max(0, room):,} bytes were left"
        part = _part(name, relevance, self._cut(name, for_content))
        return part, "cut", f"{room:,} bytes were left"

    def _ensure_token(self, name: str) -> None:
        """Keep the full text of an output that does not fit, so that it can be retrieved."""
        output = self._load(name)
        if output.token is None and not output.truncated and self._keep is not None:
            self._loaded[name] = output.replace(token=self._keep(name, output))

    def _cut(self, name: str, room: int) -> bytes:
        """Cut an output; if it was cut before, the marker says what is missing of the full output."""
        output = self._load(name)
        content = output.content
        strategy = output.truncation_strategy
        if strategy is None:
            strategy = self._strategy(name) if callable(self._strategy) else self._strategy
        hint = None if output.token is None else f"max retrieve {output.token}"
        limits = (strategy, room, max(1, content.count(b"\n") + 1), hint)
        if not output.truncated or strategy == "summary":
            return core.truncate(content, *limits).content
        lines = content.count(b"\n") + output.dropped_lines
        return core.truncate_ends(content, content, output.original_size, lines, *limits).content

    def _note(self, candidates: list[Candidate], room: int) -> bytes:
        dropped = [candidate for candidate in candidates if candidate.state == "dropped"]
        names: list[str] = []
        text = b""
        for candidate in dropped:
            known = candidate.token or (candidate.reason if candidate in self._gone else None)
            names.append(candidate.task if known is None else f"{candidate.task} ({known})")
            more = len(dropped) - len(names)
            line = f"\nLeft out: {', '.join(names)}{f' and {more:,} more' if more else ''}\n".encode()
            if len(line) > min(room, _NOTE):
                break
            text = line
        if not text:
            text = f"\nLeft out: {len(dropped):,} more\n".encode()
        return text if len(text) <= room else b""


def _part(name: str, relevance: Relevance, content: bytes) -> bytes:
    newline = b"" if content.endswith(b"\n") else b"\n"
    return b"".join((f"\n## {name} ({relevance.why})\n".encode(), content, newline))


def _pack_tokens(
    packer: _Packer, budget: ContextBudget, count_tokens: Callable[[str], int]
) -> tuple[bytes, list[Candidate]]:
    """Find the most bytes whose tokens are within the budget; token counts of parts don't add up exactly."""
    most = budget.max_tokens or 0
    low, high = 0, budget.max_bytes
    best: tuple[bytes, list[Candidate]] = packer.pack(0)
    while low <= high:
        middle = (low + high + 1) // 2
        packed = packer.pack(middle)
        if count_tokens(packed[0].decode("utf-8", "replace")) <= most:
            best, low = packed, middle + 1
        else:
            high = middle - 1
    return best
