"""A preview in words: what a person wants to read before saying yes. The counts and the problems come first."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage.humanize import counted, format_duration, format_size, name_bytes, printable
from maxstage.intent.operations.run import RUN, words_of
from maxstage.intent.paths import shown
from maxstage.intent.preview import PROBLEMS, diff_of
from maxstage.intent.result import counts_of, places
from maxstage.intent.tokens import format_intent, format_result
from maxstage.store.description import format_remaining

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.intent.preview import Change, Preview

NOUNS = {
    "copy": "copy",
    "move": "move",
    "delete": "deletion",
    "write": "file to write",
    "run": "program to run",
    "restore": "restoration",
}
_PLURALS = {"copy": "copies", "write": "files to write", "run": "programs to run"}

_UNKNOWN = (
    "of {:,} of these nobody knows whether they were done, since they were interrupted; to do them again:"
)

_SHOWN_PROBLEMS = 20
"""Problems that are shown of all; ``-o json`` has more."""
_LONGEST = 160
_DIFF_LINES = 30
_NEW_LINES = 5

PLAIN, HEAD, BAD, GOOD, ADDED, REMOVED, DIM = "plain", "head", "bad", "good", "added", "removed", "dim"


class Line(NamedTuple):
    """A line of a preview.

    Attributes:
        text: What it says.
        style: What it is, for colours: one of the names above.
        indent: How far it is indented.
    """

    text: str
    style: str = PLAIN
    indent: int = 0


def many(count: int, op: str) -> str:
    """Return a number of operations in words.

    >>> many(1, "copy"), many(8412, "move"), many(2, "copy")
    ('1 copy', '8,412 moves', '2 copies')
    """
    if count == 1:
        return f"1 {NOUNS[op]}"
    return f"{count:,} {_PLURALS.get(op, NOUNS[op] + 's')}"


def summary(preview: Preview) -> str:
    """Return in one line how many of what, and how much."""
    parts = [
        many(count, op) + (f" ({format_size(preview.bytes[op])})" if op in preview.bytes else "")
        for op, count in preview.kinds.items()
    ]
    return ", ".join(parts) or "nothing left to do"


def lines_of(intent_id: str, facts: dict[str, Any], preview: Preview, on_conflict: str) -> Iterator[Line]:
    """Yield the lines of a preview."""
    root = facts["root"].encode("latin-1")
    yield Line(f"{format_intent(intent_id)}: {summary(preview)}", HEAD)
    yield Line(f"below {shown(root)}", DIM)
    for text in _from(facts):
        yield Line(text, DIM)
    if preview.done:
        yield Line(f"{counted(preview.done, 'operation')} done before; this is what is left", DIM)
    if preview.unknown:
        yield Line(
            f"{_UNKNOWN.format(preview.unknown)} max execute {format_intent(intent_id)} --retry unknown", BAD
        )
    if preview.written:
        yield Line(f"{format_size(preview.written)} would be written", DIM)
    yield from _problems(preview)
    yield from _effects(preview)
    yield from _samples(root, preview)
    yield Line("")
    yield from _advice(intent_id, preview, on_conflict)


def _from(facts: dict[str, Any]) -> Iterator[str]:
    for name, text in facts.get("templates", {}).items():
        told = typed(text) if isinstance(text, list) else text
        yield f"{name}: {printable(name_bytes(told), _LONGEST)}"
    if facts.get("sources"):
        names = ("standard input" if name == "-" else name for name in facts["sources"])
        yield f"records: {printable(', '.join(names), _LONGEST)}"


def _problems(preview: Preview) -> Iterator[Line]:
    if preview.cannot:
        yield Line("")
        yield Line(f"{counted(preview.cannot, 'program')} that were run can't be taken back", BAD)
    if not preview.has_problems:
        return
    yield Line("")
    yield Line(f"{counted(preview.bad, 'problem')}:", BAD)
    for kind, count in preview.problem_counts.items():
        text = "there is too little space" if kind == "space" else f"{count:,} {_verb(PROBLEMS[kind], count)}"
        yield Line(text, BAD, 1)
    for problem in preview.problems[:_SHOWN_PROBLEMS]:
        number = f"{problem.n:,}: " if problem.n else ""
        yield Line(f"{number}{printable(problem.text, 300)}", PLAIN, 2)
    if preview.bad > _SHOWN_PROBLEMS:
        yield Line(f"... {preview.bad - _SHOWN_PROBLEMS:,} more; -o json has them", DIM, 2)


def _verb(text: str, count: int) -> str:
    """Return what is said of operations in the singular, where it is one."""
    if count > 1:
        return text
    first, _, rest = text.partition(" ")
    word = {"have": "has", "are": "is", "lack": "lacks"}.get(first, first)
    return f"{word} {rest}".replace("as they are", "as it is")


def _effects(preview: Preview) -> Iterator[Line]:
    told = {
        "overwrites": "would be overwritten (what is there now goes into the trash):",
        "skips": "would be passed over, since their target exists",
        "renames": "would get another name, since theirs is taken:",
    }
    for effect, count in preview.effects.items():
        yield Line("")
        yield Line(f"{count:,} {told[effect]}", BAD if effect == "overwrites" else HEAD)
        examples = {"overwrites": preview.overwritten, "renames": preview.renamed}.get(effect, [])
        for change in examples:
            yield Line(shown(change.becomes or change.row.target or b""), PLAIN, 1)
        if examples and count > len(examples):
            yield Line(f"... {count - len(examples):,} more", DIM, 1)


def _samples(root: bytes, preview: Preview) -> Iterator[Line]:
    heading = None
    for change in preview.samples:
        group = {"first": "The first", "last": "The last", "": "All"}.get(change.why, "Odd")
        if group != heading:
            yield Line("")
            yield Line(f"{group}:", HEAD)
            heading = group
        why = f"  ({change.why})" if group == "Odd" else ""
        yield Line(f"{change.row.n:,}: {told(change)}{why}", PLAIN, 1)
        if change.row.op == "write" and change.row.fault is None:
            yield from _content(root, change)


def told(change: Change) -> str:
    """Return in one line what an operation would do."""
    row = change.row
    size = "" if change.size is None else f"  {format_size(change.size)}"
    if row.fault is not None:
        return f"{row.op}: {printable(row.fault, _LONGEST)}"
    if row.op == RUN.name:
        return "run " + command(row.body)
    where = [shown(os.fsencode(path), _LONGEST) for path in places(row, change.becomes).values()]
    made = f", made by {change.maker:,}," if change.maker else ""
    return f"{row.op} {f'{made} → '.join(where)}{size}"


def command(body: bytes | None) -> str:
    """Return the words of a command as one would type them."""
    return typed([printable(name_bytes(word), _LONGEST) for word in words_of(body)])


def typed(words: list[str]) -> str:
    """Return words as one would type them to a shell."""
    import shlex

    return " ".join(word if word == shlex.quote(word) else shlex.quote(word) for word in words)


def _content(root: bytes, change: Change) -> Iterator[Line]:
    lines = diff_of(root, change.row)
    if lines is None:
        text = (change.row.body or b"").decode("utf-8", "surrogateescape").splitlines()
        for line in text[:_NEW_LINES]:
            yield Line("+ " + printable(name_bytes(line), _LONGEST), ADDED, 2)
        if len(text) > _NEW_LINES:
            yield Line(f"... {len(text) - _NEW_LINES:,} more lines", DIM, 2)
        return
    if not lines:
        yield Line("(the same as what is there)", DIM, 2)
    for line in lines[:_DIFF_LINES]:
        style = {"+": ADDED, "-": REMOVED, "@": DIM}.get(line[:1], PLAIN)
        yield Line(printable(name_bytes(line), _LONGEST), style, 2)
    if len(lines) > _DIFF_LINES:
        yield Line(f"... {len(lines) - _DIFF_LINES:,} more lines", DIM, 2)


def _advice(intent_id: str, preview: Preview, on_conflict: str) -> Iterator[Line]:
    token = format_intent(intent_id)
    also = "" if on_conflict == "fail" else f" --on-conflict {on_conflict}"
    if not preview.count:
        yield Line("Nothing is left to do.")
    elif not preview.has_problems:
        yield Line(f"Nothing was changed. To do it: max execute {token}{also}", GOOD)
    else:
        yield Line(f"Nothing was changed. To do what can be done: max execute {token}{also} --keep-going")
        if set(preview.problem_counts) & {"exists", "twice"}:
            yield Line(
                "For targets that exist: --on-conflict skip, overwrite or rename; preview takes it, too"
            )


def to_json(intent_id: str, facts: dict[str, Any], preview: Preview) -> dict[str, Any]:
    """Return a preview as plain data."""
    return {
        "intent": format_intent(intent_id),
        "kind": facts["kind"],
        "root": os.fsdecode(facts["root"].encode("latin-1")),
        "count": preview.count,
        "done": preview.done,
        "unknown": preview.unknown,
        "operations": preview.kinds,
        "bytes": preview.bytes,
        "bytesWritten": preview.written,
        "effects": preview.effects,
        "cannotBeTakenBack": preview.cannot,
        "problemCounts": preview.problem_counts,
        "problems": [
            {"number": problem.n or None, "kind": problem.kind, "text": problem.text}
            for problem in preview.problems
        ],
        "overwritten": [_change(change) for change in preview.overwritten],
        "renamed": [_change(change) for change in preview.renamed],
        "samples": [_change(change) for change in preview.samples],
    }


def _change(change: Change) -> dict[str, Any]:
    row = change.row
    told_of: dict[str, Any] = {"number": row.n, "op": row.op, **places(row)}
    if row.op == RUN.name and row.body is not None:
        told_of["argv"] = words_of(row.body)
    return {
        **told_of,
        "becomes": None if change.becomes is None else os.fsdecode(change.becomes),
        "madeBy": change.maker or None,
        "bytes": change.size,
        "effect": change.effect or None,
        "why": change.why or None,
        "problem": row.fault,
    }


# Intents themselves


def facts_json(intent_id: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of an intent as plain data."""
    from maxstage.store.clock import format_time

    def when(name: str) -> str | None:
        return None if facts.get(name) is None else format_time(facts[name])

    statuses = facts.get("statuses", {})
    return {
        "intent": format_intent(intent_id),
        "kind": facts["kind"],
        "state": state_of(facts),
        "count": facts["count"],
        "root": os.fsdecode(facts["root"].encode("latin-1")),
        "templates": facts.get("templates", {}),
        "sources": facts.get("sources", []),
        "createdAt": when("created"),
        "expiresAt": None if "begun" in facts else when("expires"),
        "begunAt": when("begun"),
        "finishedAt": when("finished"),
        "statuses": counts_of(statuses),
        "pending": facts["count"] - sum(statuses.values()),
        "results": [format_result(item_id) for item_id in facts.get("results", [])],
        "approved": facts.get("approved"),
        "undoneBy": format_intent(facts["undoneBy"]) if facts.get("undoneBy") else None,
        "undoes": format_intent(facts["undoes"]) if facts.get("undoes") else None,
    }


def state_of(facts: dict[str, Any]) -> str:
    """Return how far an intent is, in a word or two."""
    if facts.get("undone"):
        return "taken back"
    if facts.get("cancelled"):
        return "cancelled"
    if facts.get("finished"):
        return "executed"
    if "begun" in facts:
        return "begun"
    if facts.get("expires", 0) <= time.time():
        return "expired"
    return "approved" if facts.get("approved") else "planned"


def describe_briefly(facts: dict[str, Any]) -> str:
    """Return an intent in a few words."""
    count = facts["count"]
    what = counted(count, "operation") if facts["kind"] not in NOUNS else many(count, facts["kind"])
    return f"{what}, {state_of(facts)}"


def table_of(found: list[tuple[str, dict[str, Any]]]) -> str:
    """Return intents as a table, one line each."""
    now = time.time()
    rows = [
        (
            format_intent(intent_id),
            "undo" if facts["kind"] == "undo" else facts["kind"],
            f"{facts['count']:,}",
            state_of(facts),
            f"{format_duration(now - facts['created'])} ago",
            printable(os.fsdecode(facts["root"].encode("latin-1")), 60),
        )
        for intent_id, facts in found
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = (str.ljust, str.ljust, str.rjust, str.ljust, str.rjust, str.ljust)
    return "\n".join(
        "  ".join(
            align(cell, width) for cell, width, align in zip(row, widths, aligned, strict=True)
        ).rstrip()
        for row in rows
    )


def describe(intent_id: str, facts: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that describe an intent."""
    known = facts_json(intent_id, facts)
    yield f"Intent:   {known['intent']}"
    yield f"What:     {describe_briefly(facts)}"
    yield f"Below:    {printable(name_bytes(known['root']), _LONGEST)}"
    for text in _from(facts):
        name, _, rest = text.partition(": ")
        yield f"{name.capitalize() + ':':9} {rest}"
    yield f"Created:  {format_duration(time.time() - facts['created'])} ago"
    if "begun" not in facts:
        yield f"Expires:  {format_remaining(facts['expires'], time.time())}"
    else:
        told_of = ", ".join(f"{count:,} {status}" for status, count in known["statuses"].items() if count)
        yield f"Done:     {told_of or 'nothing'}" + (
            f", {known['pending']:,} left" if known["pending"] else ""
        )
    if facts.get("approved"):
        approved = facts["approved"]
        ago = format_duration(time.time() - approved["at"])
        yield f"Approved: {ago} ago by {printable(approved['by'], 60)}, with {counted(approved['problems'], 'problem')}"
    for token in known["results"]:
        yield f"Result:   {token}"
    for name, title in (("undoes", "Undoes"), ("undoneBy", "Undone by")):
        if known[name]:
            yield f"{title + ':':9} {known[name]}"
