"""``stage``: keep text or a file aside, under a token."""

import os
import stat

from maxstage.mcp.tools.tool import Tool, ToolError, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from maxstage.mcp.tools.tool import Call, Content
    from maxstage.store.draft import Data


def _run(call: "Call", arguments: "dict[str, Any]") -> "list[Content]":
    if ("text" in arguments) == ("path" in arguments):
        raise ToolError("stage: give either text or path")
    options = {
        "ttl": _minutes(arguments.get("ttl")),
        "source": arguments.get("source"),
        "content_type": arguments.get("type"),
        "labels": call.access.labels(arguments.get("labels", {})),
    }
    if "text" in arguments:
        data, note = _encode(arguments["text"])
        return _stage(call, data, None, options, note)
    fd = _open(arguments["path"], call.options.roots)
    try:
        return _stage(call, fd, os.fstat(fd).st_size, options)
    finally:
        os.close(fd)


def _encode(content: str) -> "tuple[bytes, str]":
    """Return text as UTF-8, and what must be said of that."""
    try:
        return content.encode(), ""
    except UnicodeEncodeError:
        # Of a pair that was cut in two, as programs do that count in UTF-16.
        halves = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
        return content.translate(halves).encode(), "; half of a character became U+FFFD"


def _stage(
    call: "Call", data: "Data", total: int | None, options: "dict[str, Any]", note: str = ""
) -> "list[Content]":
    from maxstage.humanize import counted

    item = call.access.store.stage(data, progress=lambda more: call.progress(more, total), **options)
    if call.request.cancelled.is_set():
        call.access.store.take_back([item])
        call.check()
    size = f"{counted(item.record_count, 'record')}, {counted(item.byte_size, 'byte')}, {item.content_type}"
    return [text(f"{item.token} ({size}{note})"), *call.link(item)]


def _minutes(ttl: str | None) -> float | None:
    if ttl is None:
        return None
    from maxstage.durations import parse_minutes

    try:
        return parse_minutes(ttl)
    except ValueError as error:
        raise ToolError(f"stage: ttl {error}") from None


def _open(path: str, roots: "list[str]") -> int:
    """Open a regular file below the roots.

    A client may have been denied files of its user's: what it can't read by itself, it must not read through us.
    """
    try:
        real = os.path.realpath(os.path.expanduser(path))
        os.lstat(os.path.dirname(real))
    except ValueError:
        raise ToolError("stage: path holds a character that no file name has") from None
    if not any(os.path.commonpath([real, root]) == root for root in roots):
        where = f"{path} is outside of {', '.join(roots)}" if roots else "no folder is open to this server"
        raise ToolError(f"stage: {where}; whoever starts it can allow more with --root DIR")
    if ".max" in real.split("/"):
        raise ToolError(f"stage: {path} belongs to a store; use its token")
    fd = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise ToolError(f"stage: {path} is not a regular file")
    return fd


STAGE = Tool(
    "stage",
    "Stage data",
    "Keep text, or a whole file by its path, aside under a token like max:a1b2c3d4, which stands for it: hand the "
    "token on instead of the data. For a file only its path is sent, whatever its size.",
    {
        "text": {"type": "string", "description": "The data itself; for what is in a file use path."},
        "path": {"type": "string", "description": "A file, read whole by the server."},
        "ttl": {"type": "string", "description": "Time until it expires: minutes, or like 2h or 1d."},
        "source": {"type": "string", "description": "Where the data came from, like hubspot/contact."},
        "type": {
            "type": "string",
            "enum": ["ndjson", "json", "text"],
            "description": "Its content type (default: detected).",
        },
        "labels": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": 'Labels to find it by, like {"job": "42"}.',
        },
    },
    _run,
)
