"""``pending`` and ``answer``: what workflows ask, and the answers."""

from maxstage.mcp.tools.tool import Tool, bounded, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.mcp.tools.tool import Call, Content


def _pending(call: "Call", arguments: "dict[str, Any]") -> "list[Content]":
    import json

    from maxstage.workflow.run.folder import runs_folder
    from maxstage.workflow.run.questions import pending

    del arguments
    found = [one.to_dict() for one in pending(runs_folder(call.access.store))]
    if not found:
        return [text("No workflow waits for an answer.")]
    return [bounded("\n".join(json.dumps(one, ensure_ascii=False) for one in found), call.options.max_bytes)]


def _answer(call: "Call", arguments: "dict[str, Any]") -> "list[Content]":
    from maxstage.workflow.run.folder import runs_folder
    from maxstage.workflow.run.questions import answer

    run_id, task = arguments["run"], arguments["task"]
    answer(runs_folder(call.access.store), run_id, task, arguments["value"])
    return [
        text(
            f"Answered {task} of run {run_id}. If the run has ended, it goes on with: max run FILE --run-id {run_id}"
        )
    ]


PENDING = Tool(
    "pending",
    "List questions of workflows",
    "List what running or waiting workflows ask, a line of JSON for each question: run, task, prompt, choices, schema.",
    {},
    _pending,
    read_only=True,
)

ANSWER = Tool(
    "answer",
    "Answer a workflow",
    "Answer a question that pending has listed, once and for good. Only with an answer that you were given, or are "
    "entitled to give.",
    {
        "run": {"type": "string", "description": "The run, as pending has it."},
        "task": {"type": "string", "description": "The task, as pending has it."},
        "value": {
            "type": "string",
            "description": "The answer: text, one of the choices, or JSON by the schema.",
        },
    },
    _answer,
    required=("run", "task", "value"),
)
