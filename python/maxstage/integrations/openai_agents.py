"""For the OpenAI Agents SDK: a filter that shows long results of tools as a summary with a token.

Needs ``openai-agents>=0.3``::

    keep = KeepToolResults()
    agent = Agent(name="…", tools=[*tools, keep.tool])
    Runner.run(agent, "…", run_config=RunConfig(call_model_input_filter=keep))
"""

import asyncio
from typing import Any

from agents.run import CallModelData, ModelInputData

from agents import FunctionTool
from maxstage.integrations.keeping import ARGUMENTS, CUT_TO, MAX_BYTES, TOOL, TOOL_HELP, Keeper
from maxstage.store.store import Store

_RESULTS = ("function_call_output", "custom_tool_call_output")
"""The items of a model's input whose ``output`` is text, or a list of parts. Others are images, or the SDK's own."""

_SCHEMA = {
    "type": "object",
    "properties": {
        name: {"type": ["integer" if name == "tail" else "string", *(["null"] if name != "token" else [])]}
        | {"description": text}
        for name, text in ARGUMENTS.items()
    },
    # In strict mode all must be required, so that those that may be left out are null.
    "required": list(ARGUMENTS),
    "additionalProperties": False,
}


class KeepToolResults:
    """Before a model is called, replaces long results of tools in its input; `tool` lets the agent read on.

    The run's own history keeps the results as they were. The same result is shown by the same text in each turn.
    Images, files and short results stay as they are; so do errors, which are short texts here.

    Args:
        store: Where results are kept; None for the project around the working directory, or the user's own store.
        max_bytes: Results of up to so many bytes, or a size like ``16KiB``, are passed on as they are.
        cut_to: What is shown of a longer one.

    Attributes:
        tool: The tool ``max_retrieve``, to be given to the agent.
    """

    def __init__(
        self, store: Store | None = None, *, max_bytes: int | str = MAX_BYTES, cut_to: int | str = CUT_TO
    ) -> None:
        self._keeper = Keeper(store, max_bytes=max_bytes, cut_to=cut_to, client="openai_agents")
        self.tool = FunctionTool(
            name=TOOL, description=TOOL_HELP, params_json_schema=_SCHEMA, on_invoke_tool=self._read
        )

    async def __call__(self, data: CallModelData[Any]) -> ModelInputData:
        """Return a model's input with its long results shortened."""
        items = data.model_data.input
        shortened = await asyncio.to_thread(lambda: [*self._all(items)])
        return ModelInputData(input=shortened, instructions=data.model_data.instructions)

    def _all(self, items: Any) -> Any:
        tools: dict[Any, str] = {}
        for item in items:
            if isinstance(item, dict) and "name" in item and "call_id" in item:
                tools[item["call_id"]] = str(item["name"])
            is_result = isinstance(item, dict) and item.get("type") in _RESULTS
            yield self._shortened(item, tools.get(item.get("call_id"), "")) if is_result else item

    def _shortened(self, item: dict[str, Any], tool: str) -> dict[str, Any]:
        output = item.get("output")
        if tool == TOOL:
            return item
        if isinstance(output, str):
            shown = self._keeper.shortened(output, tool)
            return item if shown is None else {**item, "output": shown}
        if not isinstance(output, list):
            return item
        texts = [text for text in map(_text_of, output) if text is not None]
        shown = self._keeper.shortened_parts(texts, tool) if texts else None
        if shown is None:
            return item
        others = [part for part in output if _text_of(part) is None]
        return {**item, "output": [{"type": "input_text", "text": shown}, *others]}

    async def _read(self, _context: Any, arguments: str) -> str:
        import json

        try:
            given = {name: value for name, value in json.loads(arguments).items() if value is not None}
            return await asyncio.to_thread(lambda: self._keeper.read(**given))
        except (ValueError, TypeError, AttributeError) as error:
            return f"Error: {error}"


def _text_of(part: Any) -> str | None:
    """Return the text of a part; None if it is something else."""
    text = part.get("text") if isinstance(part, dict) and part.get("type") == "input_text" else None
    return text if isinstance(text, str) else None
