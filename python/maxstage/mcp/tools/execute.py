"""``exec``: run a command, with its output within bounds and the whole kept aside."""

import os

from maxstage.mcp.protocol import meta_of
from maxstage.mcp.tools.tool import Tool, ToolError, text
from maxstage.output.strategies import STRATEGIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeGuard

    from maxstage.mcp.tools.tool import Call, Content
    from maxstage.output.task_output import TaskOutput

_TRACEPARENT = [2, 32, 16, 2]
"""Digits of its parts: version, trace, span, flags."""
_LONGEST_STATE = 512
"""Characters of a ``tracestate`` that are passed on: as many as each must take."""

_FOOTER = 300
"""Bytes that the last line takes at most."""


def _run(call: "Call", arguments: "dict[str, Any]") -> "list[Content]":
    from maxstage.output.run import run

    argv = arguments["command"]
    if not argv:
        raise ToolError('exec: command is empty; name a program, like ["make", "-j8"]')
    strategy = arguments.get("strategy", "summary")
    size = call.options.max_bytes - _FOOTER
    limits = {"max_stdout_bytes": size, "max_combined_bytes": size, "truncation_strategy": strategy}
    opened = call.access.open_item(arguments["stdin"]) if "stdin" in arguments else None
    try:
        done = run(
            argv,
            limits=limits,
            stdin=opened,
            timeout=arguments.get("timeout"),
            cwd=arguments.get("cwd"),
            env=_environment(call),
            store=lambda: call.access.store,
            labels=call.access.labels({}),
            combine=True,
            view="plain",
            cancel=call.request.cancelled,
        )
    except (ValueError, TypeError) as error:  # a null character in an argument, a timeout below 0
        raise ToolError(f"exec: {error}") from None
    finally:
        if opened is not None:
            opened.close()
    call.check()
    if done.truncated:
        from maxstage.output.gained import note

        note(done, "mcp exec")
    return _told(call, done)


def _environment(call: "Call") -> "dict[str, str] | None":
    """Return the environment with the client's place in a trace; None for ours as it is.

    What W3C says of it holds in MCP: ``traceparent`` and ``tracestate`` in ``_meta``.
    """
    meta = meta_of(call.request.params)
    parent, state = meta.get("traceparent"), meta.get("tracestate")
    if not _is_traceparent(parent):
        return None
    # A state belongs to its parent.
    environment = {name: value for name, value in os.environ.items() if name != "TRACESTATE"}
    environment["TRACEPARENT"] = parent
    if isinstance(state, str) and len(state) <= _LONGEST_STATE and state.isascii() and state.isprintable():
        environment["TRACESTATE"] = state
    return environment


def _is_traceparent(value: object) -> "TypeGuard[str]":
    """Whether this is like ``00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01``."""
    if not isinstance(value, str):
        return False
    parts = value.split("-")
    return [len(part) for part in parts] == _TRACEPARENT and not set("".join(parts)) - set("0123456789abcdef")


def _told(call: "Call", done: "TaskOutput") -> "list[Content]":
    output = done.content.decode("utf-8", "replace")
    ended = "timed out" if done.timed_out else f"exit status {done.exit_code}"
    parts = [f"{ended} after {done.duration or 0:.1f} s", *done.warnings]
    if done.token is not None:
        parts.append(f"whole output, {done.original_size:,} bytes: {done.token}")
    break_ = "" if not output or output.endswith("\n") else "\n"
    content = [text(f"{output}{break_}[{'; '.join(parts)}]")]
    if done.token is not None:
        with call.access.open_item(done.token) as kept:
            content += call.link(kept.item)
    return content


EXEC = Tool(
    "exec",
    "Run a command",
    "Run a command. A long output is cut to its beginning, its end and the lines that look like errors; the whole is "
    "kept under the token in the last line, so read on there instead of running it again.",
    {
        "command": {
            "type": "array",
            "items": {"type": "string"},
            "description": 'The program and its arguments, like ["make", "-j8"]; for a shell ["bash", "-c", "…"].',
        },
        "cwd": {"type": "string", "description": "Its working directory."},
        "timeout": {"type": "number", "minimum": 0, "description": "Seconds until it is ended."},
        "stdin": {"type": "string", "description": "A token whose data it reads (default: nothing)."},
        "strategy": {
            "type": "string",
            "enum": list(STRATEGIES),
            "description": "What is kept of a long output (default: summary).",
        },
    },
    _run,
    required=("command",),
    permission="exec",
)
