"""The commands used in pipelines, without the command-line library, whose import takes longer than they do.

Anything not fully understood here is left to the library; a test checks that both give the same results.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_LONGEST_NUMBER = 18
"""Digits; longer numbers are left to the library."""


_DIR = {"--dir": "dir"}
_OUTPUT = {"-o": "output", "--output": "output"}
_PART = {"--head": "head", "--tail": "tail", "--lines": "lines"}
"""Options that take a value, and the names of their parameters."""


def run(args: "Sequence[str]") -> int | None:
    """Run a command if it has one of these forms; return its exit code, or None if it hasn't.

    - ``stage [--source TEXT] [--ttl TIME] [--sync] [--compress[=CODEC]] [--dir DIR] [-o text|json|ndjson] [FILE...]``
    - ``retrieve TOKEN... [--head N | --tail N | --lines A:B] [--dir DIR]``
    - ``search WHAT... [PATTERN]`` and ``count WHAT... [PATTERN]`` with the options of `_LOOK`
    - ``exec [--agent] [--dir DIR] [-o text|json] [--] CMD [ARG...]``
    - ``mcp [--dir DIR] [--allow WHAT]... [--scope K=V]... [--max-bytes SIZE]``
    - ``mcp wrap [--dir DIR] [--max-bytes SIZE] [--cut-to SIZE]``, and ``[--] CMD [ARG...]`` or ``--url URL``, this with
      ``[--header HEADER]... [--bearer-env NAME]``
    - ``agent hook CLIENT``, which programs call and the overview doesn't show
    """
    if args[:2] == ["agent", "hook"]:
        from maxstage.cli.agent_hook import hook

        return hook(args[2:])
    # Shell completion makes its requests through the environment.
    if any(name.endswith("_COMPLETE") for name in os.environ):
        return None
    verb = args[0] if args else ""
    if verb in _LOOK:
        return _look(verb, args[1:])
    quick = _QUICK.get(verb)
    return None if quick is None else quick(args[1:])


def _stage(args: "Sequence[str]") -> int | None:
    from maxstage.codecs import CODECS, DEFAULT

    flags = {"--sync": ("sync", True), "--compress": ("compress", DEFAULT)}
    flags |= {f"--compress={codec}": ("compress", codec) for codec in CODECS}
    parsed = _parse(args, {"--source": "source", "--ttl": "ttl"} | _DIR | _OUTPUT, flags)
    # Only names with a dot or a slash, since others may be verbs, as in `stage list`.
    if parsed is None or not all("." in name or "/" in name for name in parsed[1]):
        return None
    options, files = {"source": None, **parsed[0]}, parsed[1]
    folder, output = options.pop("dir", None), options.pop("output", "text")
    if "ttl" in options:
        from maxstage.durations import parse_minutes

        try:
            options["ttl"] = parse_minutes(options["ttl"])
        except ValueError:
            return None
    from maxstage.cli.process import catch_signals, closed_at_start

    if output not in _LINES or (not files and (0 in closed_at_start or sys.stdin.isatty())):
        return None
    from maxstage.cli import transfer
    from maxstage.cli.process import open_store

    _import("maxstage.store.store")
    catch_signals()
    transfer.stage(open_store(folder), files or (transfer.STDIN,), output, **options)
    return 0


def _retrieve(args: "Sequence[str]") -> int | None:
    parsed = _parse(args, _PART | _DIR)
    if parsed is None or not parsed[1] or any("#" in token for token in parsed[1]):
        return None
    options, tokens = parsed
    folder = options.pop("dir", None)
    part: dict[str, Any] = {}
    for name, text in options.items():
        numbers = text.split(":")
        if len(options) > 1 or not all(map(_is_number, numbers)) or len(numbers) != 1 + (name == "lines"):
            return None
        first, last = int(numbers[0]), int(numbers[-1])
        if name == "lines" and not 1 <= first <= last:
            return None
        part[name] = (first, last) if name == "lines" else first
    from maxstage.cli import transfer
    from maxstage.cli.process import catch_signals, open_store

    _import("maxstage.store.store")
    catch_signals()
    transfer.retrieve(open_store(folder), tokens, transfer.Part(**part))
    return 0


_FILTERS = {
    "-f": "filters",
    "--filter": "filters",
    "-t": "type",
    "--type": "type",
    "-e": "regex",
    "--regex": "regex",
}
_LOOK = {
    "search": {
        "--fields": "fields",
        "--sort": "sort",
        "--limit": "limit",
        "--offset": "offset",
        "--state": "state",
    },
    "count": {"--by": "by", "--top": "top"},
}
_LOOK_FLAGS = {"--csv": ("csv", True), "--strict": ("strict", True)}
_SEARCH_FLAGS = {"--all": ("everything", True), "--stage": ("stage", True), "-n": ("numbered", True)}
_NUMBERS = {"limit": 1, "offset": 0, "top": 1}
"""Options of searching that are numbers, and the least that each may be."""


def _look(verb: str, args: "Sequence[str]") -> int | None:
    # Of two filters the last would win here.
    if sum(arg in {"-f", "--filter"} for arg in args) > 1:
        return None
    flags = _LOOK_FLAGS | (_SEARCH_FLAGS if verb == "search" else {})
    parsed = _parse(args, _FILTERS | _LOOK[verb] | _DIR | _OUTPUT, flags)
    if parsed is None:
        return None
    options, words = parsed
    for name in _NUMBERS.keys() & options.keys():
        if not _is_number(options[name]) or int(options[name]) < _NUMBERS[name]:
            return None
        options[name] = int(options[name])
    if options.get("output", "text") not in (*_LINES, "csv"):
        return None
    if "filters" in options:
        options["filters"] = [options["filters"]]
    folder = options.pop("dir", None)
    from maxstage.cli import searching
    from maxstage.cli.process import catch_signals

    _import("maxstage.store.store")
    catch_signals()
    getattr(searching, verb)(words, folder, **options)
    return 0


def _execute(args: "Sequence[str]") -> int | None:
    # Our options come before the command; what follows belongs to the command.
    own = 0
    while args[own : own + 1] and (args[own] in _DIR | _OUTPUT or args[own] in _AGENT):
        own += 1 if args[own] in _AGENT else 2
    parsed = _parse(args[:own], _DIR | _OUTPUT, _AGENT)
    argv = args[own:]
    argv = argv[1:] if argv[:1] == ["--"] else argv if argv and _is_plain(argv[0]) else []
    if parsed is None or not argv:
        return None
    folder, output = parsed[0].get("dir"), parsed[0].get("output", "text")
    if output not in _OUTPUTS:
        return None
    from maxstage.cli.execution import execute, limits_of, store_or_none
    from maxstage.cli.process import catch_signals

    _import("maxstage.output.run")
    catch_signals()
    store, can_keep = store_or_none(folder, needed=False, kept=True)
    keep = "truncated" if can_keep else "never"
    from maxstage.cli.agent import LIMITS, is_asked_for

    agent = is_asked_for(parsed[0].get("agent"), store)
    limits = limits_of(store, {}, LIMITS if agent else None)
    return execute(argv, store, limits, output=output, keep=keep, agent=agent)


def _serve(args: "Sequence[str]") -> int | None:
    if args[:1] == ["wrap"]:
        return _wrap(args[1:])
    parsed = _parse(args, {"--allow": "allow", "--scope": "scope", "--max-bytes": "max_bytes"} | _DIR)
    if parsed is None or parsed[1]:
        return None
    from maxstage.cli.process import catch_signals
    from maxstage.cli.serving import Serving, serve
    from maxstage.mcp.tools import PERMITTED

    options = parsed[0]
    folder = options.pop("dir", None)
    options["allow"] = _all(args, "--allow")
    if not all(name in PERMITTED for name in options["allow"]):
        return None
    pairs = [text.partition("=") for text in _all(args, "--scope")]
    if not all(key and equals for key, equals, _ in pairs) or not _have_room(options, "max_bytes"):
        return None
    options["scope"] = {key: value for key, _, value in pairs}
    _import("maxstage.mcp.server")
    _import("maxstage.mcp.stdio")
    catch_signals()
    serve(Serving(folder, **options))
    return 0


_WRAP = {
    "--max-bytes": "max_bytes",
    "--cut-to": "cut_to",
    "--url": "url",
    "--header": "headers",
    "--bearer-env": "bearer_env",
}


def _wrap(args: "Sequence[str]") -> int | None:
    # Our options come before the server's command; what follows belongs to that.
    own = 0
    while args[own : own + 1] and args[own] in _WRAP | _DIR:
        own += 2
    parsed = _parse(args[:own], _WRAP | _DIR)
    if parsed is None:
        return None
    options = parsed[0]
    argv = args[own:]
    argv = argv[1:] if argv[:1] == ["--"] else argv
    if (not argv) == ("url" not in options) or (
        options.keys() & {"headers", "bearer_env"} and "url" not in options
    ):
        return None
    if argv and args[own] != "--" and not _is_plain(argv[0]):
        return None
    if not _have_room(options, "max_bytes", "cut_to"):
        return None
    from maxstage.cli.process import catch_signals
    from maxstage.cli.wrapping import Wrapping, wrap

    options["headers"] = _all(args[:own], "--header")
    folder = options.pop("dir", None)
    _import("maxstage.mcp.wrap.relay")
    _import("maxstage.mcp.wrap.web" if "url" in options else "maxstage.mcp.wrap.process")
    catch_signals()
    return wrap(Wrapping(argv, folder=folder, **options))


def _all(args: "Sequence[str]", name: str) -> list[str]:
    """Return each value of an option that may come several times, among arguments that were parsed."""
    return [args[at + 1] for at, arg in enumerate(args) if arg == name]


def _have_room(options: "dict[str, Any]", *names: str) -> bool:
    """Parse the sizes among the options; return whether they are some, with room for an answer's last line."""
    from maxstage.cli.serving import LEAST_BYTES
    from maxstage.sizes import parse_size

    for name in options.keys() & {*names}:
        try:
            options[name] = parse_size(options[name])
        except ValueError:
            return False
        if options[name] < LEAST_BYTES:
            return False
    return True


_QUICK = {"stage": _stage, "retrieve": _retrieve, "exec": _execute, "mcp": _serve}

_OUTPUTS = ("text", "json")
_AGENT = {"--agent": ("agent", True)}
_LINES = (*_OUTPUTS, "ndjson")
"""The values of ``-o``: for a command that prints one thing, and for one that prints several."""


_NO_FLAGS: "Mapping[str, tuple[str, object]]" = {}


def _parse(
    args: "Sequence[str]", valued: "dict[str, str]", flags: "Mapping[str, tuple[str, object]]" = _NO_FLAGS
) -> "tuple[dict[str, Any], list[str]] | None":
    """Return the options by name and all other words; None if anything is not plain."""
    options: dict[str, Any] = {}
    words = []
    rest = iter(args)
    for arg in rest:
        if arg in flags:
            name, options[name] = flags[arg]
        elif arg in valued:
            options[valued[arg]] = value = next(rest, "")
            if not _is_plain(value):
                return None
        elif _is_plain(arg):
            words.append(arg)
        else:
            return None
    return options, words


def _import(name: str) -> None:
    """Import a module while signals still end the process directly: interrupted later, it would print a traceback."""
    __import__(name)


def _is_plain(text: str) -> bool:
    return bool(text) and not text.startswith("-") and text.isprintable()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
