"""Texts of outputs that were moved from the state into the store.

In the state, the JSON of such an output, and of its stderr, has an empty ``content``, and ``moved`` names the item.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING, Any

from maxstage.errors import NotFound
from maxstage.store.project import project_around
from maxstage.workflow.run import shapes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maxstage.store.store import Store


def let_go(output: dict[str, Any], tokens: Mapping[str, tuple[str, str | None]]) -> None:
    """Remove the texts, which are in the store, from an output.

    Args:
        output: Its JSON.
        tokens: The token and the file of the text of ``stdout``, and of ``stderr`` if there is any.
    """
    for name, (token, file) in tokens.items():
        part = output if name == "stdout" else output["stderr"]
        part |= {"content": "", "content_base64": None, "moved": token, "moved_path": file}
        if not part["truncated"] and part["token"] is None:
            part |= {"token": token, "external_path": file}


def fetch(output: dict[str, Any], store: Store) -> bool:
    """Put the texts that are in the store back into an output; return whether all of them still exist.

    Raises:
        Error, OSError: A text is damaged, or can't be read.
    """
    for part in (output, output["stderr"]):
        if part is None or part.get("moved") is None:
            continue
        try:
            with store.open(part["moved"]) as file:
                content = file.read()
        except NotFound:
            return False
        part["content_base64"] = b2a_base64(content, newline=False)
    return True


def tokens_in(output: str | None) -> list[tuple[str, str | None]]:
    """Return the tokens of what stores keep of an output, whose JSON is given, each with its project."""
    values = None if output is None else shapes.parse(output, shapes.OUTPUT)
    found: dict[str, str | None] = {}
    for part in (values, values and values["stderr"]):
        if part is not None and part["token"] is not None:
            found[part["token"]] = part.get("store") or _project(part["external_path"])
        if part is not None and part.get("moved") is not None:
            found[part["moved"]] = _project(part.get("moved_path"))
    return list(found.items())


def _project(file: str | None) -> str | None:
    return None if file is None else project_around(file)
