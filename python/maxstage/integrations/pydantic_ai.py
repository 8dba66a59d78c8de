"""For Pydantic AI: a capability that keeps long results of tools, and a store for ``pydantic-ai-harness``.

Needs ``pydantic-ai-slim>=2.0``::

    agent = Agent(model, capabilities=[KeepToolResults()])
    agent = Agent(model, capabilities=[ToolOutputLimits(store=MaxStore())])    # of pydantic_ai_harness
"""

import asyncio
import dataclasses
import errno
from typing import Any

from pydantic_ai import FunctionToolset, Tool
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import MULTI_MODAL_CONTENT_TYPES, ToolReturn, ToolReturnPart

from maxstage.errors import InvalidToken, NotFound
from maxstage.humanize import printable
from maxstage.integrations.keeping import ARGUMENTS, CUT_TO, MAX_BYTES, TOOL, TOOL_HELP, Keeper
from maxstage.store.store import Store

_LONGEST_KEY = 200
"""Characters of a key that become part of an item's source."""


class KeepToolResults(AbstractCapability[Any]):
    """Shows a long result of a tool as a summary with a token; the agent gets the tool ``max_retrieve`` to read on.

    What a tool returns besides text is kept as the JSON that the model would have got. Errors (they are raised), images
    and other files, metadata, and short results stay as they are.

    Args:
        store: Where results are kept; None for the project around the working directory, or the user's own store.
        max_bytes: Results of up to so many bytes, or a size like ``16KiB``, are passed on as they are.
        cut_to: What is shown of a longer one.
    """

    def __init__(
        self, store: Store | None = None, *, max_bytes: int | str = MAX_BYTES, cut_to: int | str = CUT_TO
    ) -> None:
        super().__init__()
        self._keeper = Keeper(store, max_bytes=max_bytes, cut_to=cut_to, client="pydantic_ai")
        self._toolset = FunctionToolset([_tool(self._keeper)], id="maxstage")

    def get_toolset(self) -> Any:
        """Return the tool that reads on."""
        return self._toolset

    async def after_tool_execute(self, ctx: Any, *, call: Any, tool_def: Any, args: Any, result: Any) -> Any:  # noqa: ARG002
        """Shorten a result, in a thread: 50 MB take a while."""
        if call.tool_name == TOOL or isinstance(result, BaseException):
            return result
        return await asyncio.to_thread(self._shortened, result, call)

    def _shortened(self, result: Any, call: Any) -> Any:
        if not isinstance(result, ToolReturn):
            return self._value(result, call)
        value, content = self._value(result.return_value, call), self._content(result.content, call)
        if value is result.return_value and content is result.content:
            return result
        return dataclasses.replace(result, return_value=value, content=content)

    def _value(self, value: Any, call: Any) -> Any:
        """Return what the model is told, which is the value itself if it is short, or has a file in it."""
        if isinstance(value, list | tuple) and any(
            isinstance(one, MULTI_MODAL_CONTENT_TYPES) for one in value
        ):
            return self._content(value, call)
        if value is None or isinstance(value, MULTI_MODAL_CONTENT_TYPES):
            return value
        text = value if isinstance(value, str) else _as_json(value, call)
        shown = self._keeper.shortened(text, call.tool_name)
        return value if shown is None else shown

    def _content(self, content: Any, call: Any) -> Any:
        """Return parts of a message: their texts shortened, and the others as they are."""
        if content is None or isinstance(content, str):
            shown = None if content is None else self._keeper.shortened(content, call.tool_name)
            return content if shown is None else shown
        texts = [one for one in content if isinstance(one, str)]
        shown = self._keeper.shortened_parts(texts, call.tool_name) if texts else None
        return content if shown is None else [shown, *(one for one in content if not isinstance(one, str))]


def _as_json(value: Any, call: Any) -> str:
    part = ToolReturnPart(tool_name=call.tool_name, content=value, tool_call_id=call.tool_call_id)
    return str(part.model_response_str())


def _tool(keeper: Keeper) -> Tool[Any]:
    def max_retrieve(
        token: str,
        lines: str | None = None,
        tail: int | None = None,
        bytes: str | None = None,  # noqa: A002 - what models see
    ) -> str:
        return keeper.read(token, lines, tail, bytes)

    arguments = "\n".join(f"    {name}: {text}" for name, text in ARGUMENTS.items())
    max_retrieve.__doc__ = f"{TOOL_HELP}\n\nArgs:\n{arguments}\n"
    return Tool(max_retrieve, name=TOOL, docstring_format="google")


class MaxStore:
    """An ``OverflowStore`` of ``pydantic-ai-harness``: its spilled results are items, whose handles are their tokens.

    Args:
        store: Where they are kept; None for the project around the working directory, or the user's own store.
    """

    def __init__(self, store: Store | None = None) -> None:
        self._store = store

    async def write(self, key: str, data: bytes) -> str:
        """Stage a result and return its token.

        Args:
            key: The run and the call, which become part of the item's source.
            data: The result.
        """
        return await asyncio.to_thread(self._write, key, data)

    def _write(self, key: str, data: bytes) -> str:
        source = f"tool/{printable(key, _LONGEST_KEY)}"
        return (self._store or Store.nearest()).stage(data, source=source).token

    async def read(self, handle: str) -> bytes:
        """Return a result.

        Raises:
            FileNotFoundError: There is none, or it has expired.
        """
        return await asyncio.to_thread(self._read, handle)

    def _read(self, handle: str) -> bytes:
        try:
            opened = (self._store or Store.nearest()).here_or_own(lambda store: store.open(handle))
        except (NotFound, InvalidToken) as error:
            raise FileNotFoundError(errno.ENOENT, str(error), handle) from None
        with opened:
            return opened.read()
