"""For LangChain: a middleware that keeps long results of tools, and shows a summary with a token instead.

Needs ``langchain>=1.0``::

    agent = create_agent(model, tools, middleware=[KeepToolResults()])
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import ToolMessage
from langchain_core.tools import StructuredTool
from langgraph.types import Command

from maxstage.integrations.keeping import ARGUMENTS, CUT_TO, MAX_BYTES, TOOL, TOOL_HELP, Keeper
from maxstage.store.store import Store

_SCHEMA = {
    "type": "object",
    "properties": {
        name: {"type": "integer" if name == "tail" else "string", "description": text}
        for name, text in ARGUMENTS.items()
    },
    "required": ["token"],
}


class KeepToolResults(AgentMiddleware):
    """Shows a long result of a tool as a summary with a token; the agent gets the tool ``max_retrieve`` to read on.

    Errors, images and other blocks that are not text, artifacts and short results stay as they are.

    Args:
        store: Where results are kept; None for the project around the working directory, or the user's own store.
        max_bytes: Results of up to so many bytes, or a size like ``16KiB``, are passed on as they are.
        cut_to: What is shown of a longer one.
    """

    def __init__(
        self, store: Store | None = None, *, max_bytes: int | str = MAX_BYTES, cut_to: int | str = CUT_TO
    ) -> None:
        super().__init__()
        self._keeper = Keeper(store, max_bytes=max_bytes, cut_to=cut_to, client="langchain")
        self.tools = [
            StructuredTool.from_function(
                self._keeper.read, name=TOOL, description=TOOL_HELP, args_schema=_SCHEMA, infer_schema=False
            )
        ]

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Call a tool, and shorten its result."""
        return self._shortened(handler(request), request.tool_call["name"])

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Call a tool, and shorten its result in a thread: 50 MB take a while."""
        result = await handler(request)
        return await asyncio.to_thread(self._shortened, result, request.tool_call["name"])

    def _shortened(self, result: Any, tool: str) -> Any:
        if tool == TOOL:
            return result
        if isinstance(result, ToolMessage):
            return self._message(result, tool)
        if isinstance(result, Command) and isinstance(result.update, dict):
            told = result.update.get("messages")
            if isinstance(told, list):
                messages = [self._message(one, tool) if isinstance(one, ToolMessage) else one for one in told]
                return dataclasses.replace(result, update={**result.update, "messages": messages})
        return result

    def _message(self, message: ToolMessage, tool: str) -> ToolMessage:
        if message.status == "error":
            return message
        content = message.content
        if isinstance(content, str):
            shown = self._keeper.shortened(content, tool)
            return message if shown is None else message.model_copy(update={"content": shown})
        texts = [text for text in map(_text_of, content) if text is not None]
        shown = self._keeper.shortened_parts(texts, tool) if texts else None
        if shown is None:
            return message
        others = [block for block in content if _text_of(block) is None]
        return message.model_copy(update={"content": [{"type": "text", "text": shown}, *others]})


def _text_of(block: Any) -> str | None:
    """Return the text of a block; None if it is something else."""
    if isinstance(block, str):
        return block
    text = block.get("text") if isinstance(block, dict) and block.get("type") == "text" else None
    return text if isinstance(text, str) else None
