"""Texts of outputs that lie in the store, and no longer in the state: what the state has of them instead.

The JSON of such an output, and that of its stderr, has an empty ``content``, and names the item by ``moved``.
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
    """Take the texts out of an output, which lie in the store.

    Args:
        output: Its JSON.
        tokens: For ``stdout``, and ``stderr`` where there is any, the token and the file of its text.
    """
    for name, (token, file) in tokens.items():
        part = output if name == "stdout" else output["stderr"]
        part |= {"content": "", "content_base64": None, "moved": token, "moved_path": file}
        if not part["truncated"] and part["token"] is None:
            part |= {"token": token, "external_path": file}


def fetch(output: dict[str, Any], store: Store) -> bool:
    """Put the texts of an output in that lie in the store; return whether all of it is still there.

    Raises:
        Error, OSError: It is damaged, or can't be read.
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
    """Return what the store keeps of an output, given as the state has it: tokens, each with its project."""
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
