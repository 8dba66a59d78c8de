"""What `max agent hook` answers a client that is about to run a shell command, or has run one.

It is called for every command of a session, so it imports little; and it answers only if everything is clear.
"""

import os
import stat

from maxstage import light_json
from maxstage.agents.client import codex_rule, find_max
from maxstage.agents.shell import BOUND, bound_of, bounded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Summarize = Callable[[str, str | None], str | None]
    Said = dict[str, Any] | None

MOST_BYTES = 32 << 20
"""Of what a client says. One that keeps whole outputs in it says more than is worth reading within a moment."""

_MOST_SETTINGS = 1 << 20
"""The most bytes of settings that are searched for our rule."""

LONG, SHORT = 16 * 1024, 4 * 1024
"""Longer outputs, in characters, are shown as a summary of so many bytes: as `maxstage.agents.shell.BOUND`."""

_CUT = " characters truncated] ..."
"""What Claude Code puts in the middle of what a failed command printed, beyond 10,000 characters; it keeps no more."""

_ADVICE = (
    "The middle of this output is lost. If it matters, run the command once more with its output piped: "
    f"2>&1 | {BOUND}"
)


def answer(client: str, content: bytes, summarize: "Summarize") -> str:
    """Return what to print; empty if there is nothing to say.

    Args:
        client: The client's name.
        content: What it has said, as JSON.
        summarize: Is given an output, or its beginning, and the file in which the client has kept the whole; it keeps
            that, and returns its summary, or None where the client's own way is to stand.
    """
    event = light_json.loads(content)
    respond = _ANSWERS.get(client)
    if respond is None or not isinstance(event, dict):
        return ""
    said = respond(event, summarize)
    # Half of a surrogate pair, which JSON may hold, can't be printed: it is a reason to say nothing.
    return "" if said is None else light_json.dumps(said)


def _claude(event: "dict[str, Any]", summarize: "Summarize") -> "Said":
    if event.get("tool_name") != "Bash" or not isinstance(event.get("tool_input"), dict):
        return None
    name = event.get("hook_event_name")
    said = None
    if name == "PreToolUse":
        said = _claude_before(event, event["tool_input"])
    elif name == "PostToolUse":
        said = _claude_after(event, event["tool_input"], summarize)
    elif name == "PostToolUseFailure":
        said = _claude_failure(event, event["tool_input"], summarize)
    return None if said is None else {"hookSpecificOutput": {"hookEventName": name, **said}}


def _claude_before(event: "dict[str, Any]", given: "dict[str, Any]") -> "Said":
    # The output of a background command is read while it runs: through the pipe there would be nothing to read.
    if given.get("run_in_background"):
        return None
    command = _rewritten(given, plain=False)
    if command is None or not _claude_allows(event):
        return None
    return {"updatedInput": {**given, "command": command}}


def _claude_allows(event: "dict[str, Any]") -> bool:
    """Whether what is appended to a command is allowed: or it would ask for a command that was allowed before."""
    if event.get("permission_mode") == "bypassPermissions":
        return True
    rule = f"Bash({BOUND})".encode()
    own = os.environ.get("CLAUDE_CONFIG_DIR") or os.path.join(os.path.expanduser("~"), ".claude")
    folders = [own]
    projects = (os.environ.get("CLAUDE_PROJECT_DIR"), event.get("cwd"))
    folders += [
        os.path.join(one, ".claude") for one in projects if isinstance(one, str) and _is_folder_name(one)
    ]
    names = ("settings.json", "settings.local.json")
    return any(rule in _start_of(os.path.join(folder, name)) for folder in folders for name in names)


def _is_folder_name(text: str) -> bool:
    return os.path.isabs(text) and "\0" not in text


def _start_of(path: str) -> bytes:
    """Return the beginning of settings; empty if they can't be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, UnicodeError):
        return b""
    try:
        return os.read(fd, _MOST_SETTINGS)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _claude_after(event: "dict[str, Any]", given: "dict[str, Any]", summarize: "Summarize") -> "Said":
    response = _event_response(event)
    stdout = response.get("stdout")
    if not isinstance(stdout, str) or response.get("isImage") or response.get("backgroundTaskId"):
        return None
    path = response.get("persistedOutputPath")
    whole = path if isinstance(path, str) and os.path.isabs(path) else None
    if (len(stdout) < LONG and whole is None) or _is_ours(given):
        return None
    summary = summarize(stdout, whole)
    if summary is None:
        return None
    # With the keys that name the file the client would show the beginning of that instead.
    kept = {key: value for key, value in response.items() if not key.startswith("persisted")}
    return {"updatedToolOutput": {**kept, "stdout": summary}}


def _event_response(event: "dict[str, Any]") -> "dict[str, Any]":
    response = event.get("tool_response")
    return response if isinstance(response, dict) else {}


def _claude_failure(event: "dict[str, Any]", given: "dict[str, Any]", summarize: "Summarize") -> "Said":
    error = event.get("error")
    if not isinstance(error, str) or _is_ours(given) or event.get("is_interrupt"):
        return None
    if _CUT in error[: LONG // 2]:
        return {"additionalContext": _ADVICE}
    summary = summarize(error, None) if len(error) > LONG else None
    return None if summary is None else {"additionalContext": summary}


def _is_ours(given: "dict[str, Any]") -> bool:
    """Whether the command already bounds its output, or asks for a part of a larger one."""
    command = given.get("command")
    return not isinstance(command, str) or "max truncate" in command or "max retrieve" in command


def _codex(event: "dict[str, Any]", _summarize: "Summarize") -> "Said":
    given: Any = event.get("tool_input")
    if event.get("hook_event_name") != "PreToolUse" or event.get("tool_name") != "Bash":
        return None
    # Its shell is a login shell, which may find other programs than we do: so use the path.
    program = find_max()
    bound = None if program is None else bound_of(program)
    if bound is None or not _codex_allows(event.get("cwd"), bound):
        return None
    command = _rewritten(given, plain=True, bound=bound)
    if command is None:
        return None
    # It takes a changed input only with "allow", which says nothing of approval there: its rules come afterwards.
    said = {"permissionDecision": "allow", "updatedInput": {**given, "command": command}}
    return {"hookSpecificOutput": {"hookEventName": "PreToolUse", **said}}


def _codex_allows(cwd: object, bound: str) -> bool:
    """Whether its rules allow what is put behind a command, and its sandbox lets that keep something.

    Commands may write below the working directory, but not into the user's own store.
    """
    if not isinstance(cwd, str) or not _is_folder_name(cwd) or not _is_folder(os.path.join(cwd, ".max")):
        return False
    own = os.environ.get("CODEX_HOME") or os.path.join(os.path.expanduser("~"), ".codex")
    rule = codex_rule(bound).encode()
    folders = (own, os.path.join(cwd, ".codex"))
    return any(rule in _start_of(os.path.join(folder, "rules", "maxstage.rules")) for folder in folders)


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def _gemini(event: "dict[str, Any]", _summarize: "Summarize") -> "Said":
    given = event.get("tool_input")
    if event.get("hook_event_name") != "BeforeTool" or event.get("tool_name") != "run_shell_command":
        return None
    if isinstance(given, dict) and given.get("is_background"):
        return None
    command = _rewritten(given, plain=True)
    if command is None or not _gemini_allows(event.get("cwd")):
        return None
    # Merged with what is there.
    return {"hookSpecificOutput": {"hookEventName": "BeforeTool", "tool_input": {"command": command}}}


def _gemini_allows(cwd: object) -> bool:
    """Whether its settings allow what is appended to a command: it asks for each part of a pipe."""
    rule = f"run_shell_command({BOUND})".encode()
    folders = [os.path.expanduser("~")]
    folders += [cwd] if isinstance(cwd, str) and _is_folder_name(cwd) else []
    return any(rule in _start_of(os.path.join(folder, ".gemini", "settings.json")) for folder in folders)


def _opencode(event: "dict[str, Any]", _summarize: "Summarize") -> "Said":
    command = _rewritten(event, plain=True)
    cwd = event.get("cwd")
    if command is None or not _opencode_allows(cwd if isinstance(cwd, str) else ""):
        return None
    return {"command": command}


def _opencode_allows(cwd: str) -> bool:
    """Whether none of the settings has rules, or one of them has a rule for what is appended to a command."""
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    texts = [
        _start_of(os.path.join(folder, name))
        for folder in (os.path.join(config, "opencode"), *_above(cwd))
        for name in ("opencode.json", "opencode.jsonc")
    ]
    texts += [os.environ.get("OPENCODE_PERMISSION", "").encode("utf-8", "replace")]
    has_rules = bool(texts[-1]) or any(b'"permission"' in text for text in texts)
    return not has_rules or any(BOUND.encode() in text for text in texts)


def _above(folder: str) -> "Iterator[str]":
    """Yield a folder and its parents."""
    if not _is_folder_name(folder):
        return
    while True:
        yield folder
        yield os.path.join(folder, ".opencode")
        parent = os.path.dirname(folder)
        if parent == folder:
            return
        folder = parent


_ANSWERS: "dict[str, Callable[[dict[str, Any], Summarize], Said]]" = {
    "claude": _claude,
    "codex": _codex,
    "gemini": _gemini,
    "opencode": _opencode,
}


def _rewritten(given: "Any", *, plain: bool, bound: str = BOUND) -> str | None:
    """Return the command that a tool should run instead of its own; None to leave it."""
    command = given.get("command") if isinstance(given, dict) else None
    if not isinstance(command, str):
        return None
    new = bounded(command, plain=plain, bound=bound)
    # A missing program in a pipe would lose the output.
    return new if new is not None and find_max() is not None else None
