"""``execute`` and ``undo``: do what an intent plans, and take it back."""

from maxstage.mcp.tools.preview import INTENT, ON_CONFLICT
from maxstage.mcp.tools.tool import Tool, ToolError, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.intent.intent import Intent
    from maxstage.mcp.tools.tool import Call, Content

_MOST_JOBS = 64


def _execute(call: "Call", arguments: "dict[str, Any]") -> "list[Content]":
    from maxstage.intent.execution import Options
    from maxstage.mcp.intents import check_programs, open_intent

    intent, facts = open_intent(call, arguments["intent"])
    check_programs(call, facts)
    rate = arguments.get("rate")
    if rate is not None and not 0 < rate < float("inf"):
        raise ToolError("execute: rate must be above 0 operations a second")
    options = Options(
        jobs=min(arguments.get("jobs", 1), _MOST_JOBS),
        rate=rate,
        retry=min(arguments.get("retry", 0), 100),
        on_conflict=arguments.get("on_conflict", "fail"),
        keep_going=bool(arguments.get("keep_going")),
    )
    return _perform(call, intent, options, facts["count"])


def _undo(call: "Call", arguments: "dict[str, Any]") -> "list[Content]":
    from maxstage.intent.execution import Options
    from maxstage.intent.intent import Intent
    from maxstage.intent.tokens import format_intent
    from maxstage.intent.undo import intent_of
    from maxstage.mcp.intents import open_intent

    intent, _ = open_intent(call, format_intent(intent_of(call.access.store, arguments["result"])))
    back = Intent.plan_undo(call.access.store, intent.token)
    return _perform(call, back, Options(keep_going=True), back.facts()["count"])


def _perform(call: "Call", intent: "Intent", options: "Any", total: int) -> "list[Content]":
    outcome = intent.execute(options, progress=lambda more: call.progress(more, total))
    parts = [f"{count:,} {status}" for status, count in outcome.statuses.items() if count]
    if outcome.pending:
        parts.append(f"{outcome.pending:,} not reached")
    if outcome.is_old:
        parts.append("it was executed before, and nothing was done now")
    first = intent.first_failure()
    lines = [f"{outcome.token}: {', '.join(parts)}", *([] if first is None else [first])]
    with call.access.open_item(outcome.token) as opened:
        return [text("\n".join(lines)), *call.link(opened.item)]


EXECUTE = Tool(
    "execute",
    "Execute an intent",
    "Do what an intent plans; look at its preview first. Stops at the first operation that fails unless keep_going. "
    "The answer has the token of the result, a line for each operation, which undo takes.",
    {
        "intent": INTENT,
        "on_conflict": ON_CONFLICT,
        "keep_going": {"type": "boolean", "description": "Go on after an operation that fails."},
        "jobs": {"type": "integer", "minimum": 1, "description": "Programs, or copies, at a time (1)."},
        "rate": {"type": "number", "description": "Operations a second at most."},
        "retry": {"type": "integer", "minimum": 0, "description": "How often what fails is tried again (0)."},
    },
    _execute,
    required=("intent",),
    permission="execute",
)

UNDO = Tool(
    "undo",
    "Undo an intent",
    "Take back what an intent did: moves, deletions, overwritten files, and copies and writes that nobody changed. "
    "Programs that were run can't be taken back.",
    {"result": {"type": "string", "description": "The result, like max:result:a1b2c3d4, or the intent."}},
    _undo,
    required=("result",),
    permission="execute",
)
