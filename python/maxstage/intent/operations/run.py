"""``run``: any program once a record. Values are words of its command, never text that a shell reads."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from maxstage.errors import Corrupt
from maxstage.intent.operations.operation import Filled, Operation
from maxstage.intent.templates import Template, TemplateError

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from maxstage.intent.journal import Row

_OPTION_OF_CODE = {
    **dict.fromkeys(("sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "python", "python3"), "c"),
    **dict.fromkeys(("perl", "ruby", "node", "bun", "lua", "osascript"), "e"),
    **dict.fromkeys(("php",), "r"),
}
"""Interpreters, and the letter of the option after which they take code."""
_LONG = ("--eval", "--print", "--command", "--execute")

_WITH_VALUE = ("-o", "+o", "-O", "+O", "-W", "-X", "--rcfile", "--init-file")
"""Options of interpreters after which a word stands that is neither code nor a file."""

_SHELL_ELSEWHERE = {"ssh", "mosh", "watch", "parallel", "eval"}
"""Programs that join their words to a line for a shell."""

OUTPUT_BYTES = 4096
"""Bytes that are kept of what each program prints; a result of 100,000 of them is still handy."""


def check_words(words: Sequence[str]) -> list[Template]:
    """Return the words of a command as templates.

    Raises:
        TemplateError: They name no program, or a value would be read as code.
    """
    templates = [Template(word) for word in words]
    if not templates or not templates[0].text:
        raise TemplateError("name the program, like: max intent run TOKEN -- gh issue edit {number}")
    if templates[0].places:
        raise TemplateError("the program is the same for every record: it can't have a placeholder")
    for at, word in enumerate(words):
        if _program(word) in _SHELL_ELSEWHERE and any(template.places for template in templates[at + 1 :]):
            raise TemplateError(
                f"{word} gives its words to a shell, which would read a value as code; run a script of your own "
                "that takes the record from its standard input"
            )
        option = _OPTION_OF_CODE.get(_program(word))
        if option is not None:
            _check_code(word, templates[at + 1 :], option)
    return templates


def _program(word: str) -> str:
    """Return the name of a program, without its folder and a version, as in ``python3.12``."""
    name = os.path.basename(word)
    return "python" if name.startswith("python") else name.rstrip("0123456789.") or name


def _check_code(program: str, words: list[Template], option: str) -> None:
    is_code = is_value = False
    for template in words:
        text = template.text
        if is_value:
            is_value = False
            continue
        is_value = text in _WITH_VALUE
        if template.places and (is_code or _gives_code(text, option)):
            raise TemplateError(
                f"{program} would read {text!r} as code, values and all; give the value as an argument: "
                f"""{program} -{option} '… "$1"' _ {template.places[0].text}"""
            )
        is_code = _gives_code(text, option)
        # After a word that is no option come the arguments, of which none is code.
        if not text.startswith("-") and not is_code:
            return


def _gives_code(text: str, option: str) -> bool:
    """Return whether an interpreter takes the next word, or the rest of this one, as code."""
    if text.startswith("--"):
        return text.startswith(_LONG)
    letters = text[1:].split("=", 1)[0] if text.startswith("-") else ""
    return option in letters or (option == "e" and ("E" in letters or "p" in letters))


def _fill(templates: Mapping[str, Any], record: Any, number: int) -> Filled:
    words: Sequence[Template] = templates["argv"]
    filled = []
    is_argument = False
    for template in words:
        # After -- nothing is an option.
        filled.append(template.fill_word(record, number, is_argument=is_argument))
        is_argument = is_argument or template.text == "--"
    return Filled(None, None, json.dumps(filled).encode())


def words_of(body: bytes | None) -> list[str]:
    """Return the words of a command, as the plan has them.

    Raises:
        Corrupt: Somebody has edited them.
    """
    try:
        words = json.loads(body or b"")
    except (ValueError, RecursionError):
        words = None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise Corrupt("the intent is damaged: the words of a command in it are not such as are written here")
    return words


def run_one(
    row: Row, key: str, root: str, timeout: float | None, cancel: threading.Event
) -> tuple[bool, str | None, dict[str, Any]]:
    """Run the program of one operation to its end.

    Args:
        row: The operation.
        key: What tells it from all others, for a program that makes sure that nothing is done twice.
        root: Its working directory.
        timeout: Seconds that it may take; None for no limit.
        cancel: Ends it when it is set.

    Returns:
        Whether it succeeded, why it failed, and what is to be told of it.
    """
    from maxstage.output.run import run

    words = words_of(row.body)
    limits = {"max_stdout_bytes": OUTPUT_BYTES, "max_combined_bytes": OUTPUT_BYTES}
    try:
        done = run(
            words,
            stdin=(row.record or b"") + b"\n",
            timeout=timeout,
            cwd=root,
            env={**os.environ, "MAX_INTENT_OP": key},
            limits=limits,
            keep="never",
            combine=True,
            view="plain",
            cancel=cancel,
        )
    except OSError as error:
        return False, f"{words[0]} can't be started: {error.strerror}", {"argv": words}
    except ValueError as error:
        return False, f"{words[0]} can't be started: {error}", {"argv": words}
    did = {"argv": words, "exit": done.exit_code, "output": done.text}
    if done.timed_out:
        return False, f"it was ended after {timeout:g} s", did
    if done.exit_code:
        return False, f"exit status {done.exit_code}", did
    return True, None, did


RUN = Operation("run", "run", "runs a program", ("argv",), _fill, None)
