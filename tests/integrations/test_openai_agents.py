"""The OpenAI Agents SDK with the filter, driven by a model that does what it is told."""

import asyncio
import json

import pytest
from agents.items import ModelResponse
from agents.models.interface import Model
from agents.usage import Usage
from frameworks import HUGE, LONG, kept, token_in
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

import agents
from agents import Agent, RunConfig, Runner, function_tool
from maxstage.integrations.openai_agents import KeepToolResults

agents.set_tracing_disabled(disabled=True)


class Told(Model):
    """Calls the tools that it was told to call, and remembers what it was given."""

    def __init__(self, *calls):
        self.calls = list(calls)
        self.inputs = []

    async def get_response(self, *args, **kwargs):
        self.inputs.append(kwargs["input"] if "input" in kwargs else args[1])
        if self.calls:
            name, arguments = self.calls.pop(0)
            output = ResponseFunctionToolCall(
                type="function_call",
                call_id=f"call_{len(self.inputs)}",
                name=name,
                arguments=json.dumps(arguments),
            )
        else:
            text = ResponseOutputText(type="output_text", text="done", annotations=[])
            output = ResponseOutputMessage(
                id="1", type="message", role="assistant", status="completed", content=[text]
            )
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def stream_response(self, *args, **kwargs):
        raise NotImplementedError


def outputs(store, *calls, tools=(), how="sync"):
    """Run an agent; return the results of its tools, as the model got them in its last turn, and the model."""
    model, keep = Told(*calls), KeepToolResults(store)
    agent = Agent(name="a", model=model, tools=[*tools, keep.tool])
    config = RunConfig(call_model_input_filter=keep)
    if how == "sync":
        asyncio.set_event_loop(
            asyncio.new_event_loop()
        )  # older versions want one, which asyncio.run takes away
        Runner.run_sync(agent, "go", run_config=config)
    else:
        asyncio.run(Runner.run(agent, "go", run_config=config))
    got = [one["output"] for one in model.inputs[-1] if one.get("type") == "function_call_output"]
    return got, model


@function_tool
def build() -> str:
    """Build."""
    return LONG


@function_tool
async def abuild() -> str:
    """Build."""
    return LONG


@function_tool
def short() -> str:
    """Say little."""
    return "fine"


@function_tool
def huge() -> str:
    """Say much."""
    return HUGE


@function_tool
def broken() -> str:
    """Break."""
    raise RuntimeError("broken")


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("tool", [build, abuild], ids=["tool", "async tool"])
def test_a_long_result(store, how, tool):
    (told,), _ = outputs(store, (tool.name, {}), tools=[tool], how=how)
    assert kept(store, told).decode() == LONG
    assert store.list()[0].source == f"tool/{tool.name}"


def test_50_mb(store):
    (told,), _ = outputs(store, ("huge", {}), tools=[huge])
    assert kept(store, told).decode() == HUGE


def test_short_results_and_errors(store):
    (fine, error), _ = outputs(store, ("short", {}), ("broken", {}), tools=[short, broken])
    assert fine == "fine"
    assert "error occurred" in error
    assert store.list() == []


def test_each_turn_shows_the_same(store):
    _, model = outputs(store, ("build", {}), ("short", {}), ("build", {}), tools=[build, short])
    shown = [
        one["output"]
        for turn in model.inputs
        for one in turn
        if one.get("type") == "function_call_output" and one["output"] != "fine"
    ]
    assert len(shown) == 4
    assert len(set(shown)) == 1
    assert len(store.list()) == 1


def test_images_stay_and_texts_beside_them_are_shortened(store):
    image = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 100_000}
    keep = KeepToolResults(store)
    call = {"type": "function_call", "name": "look", "call_id": "1", "arguments": "{}"}
    items = [
        {"role": "user", "content": "go"},
        call,
        {"type": "function_call_output", "call_id": "1", "output": [image]},
        {
            "type": "function_call_output",
            "call_id": "1",
            "output": [{"type": "input_text", "text": LONG}, image],
        },
        {
            "type": "computer_call_output",
            "call_id": "2",
            "output": {"type": "computer_screenshot", "image_url": LONG},
        },
        {"role": "user", "content": LONG},
    ]
    shortened = [*keep._all(items)]
    assert shortened[:3] == items[:3]
    assert shortened[4:] == items[4:]
    text, same = shortened[3]["output"]
    assert same == image
    assert kept(store, text["text"]).decode() == LONG
    assert items[3]["output"][0]["text"] == LONG  # the history is the user's


def test_the_model_reads_on(store):
    (told,), _ = outputs(store, ("build", {}), tools=[build])
    arguments = {"token": token_in(told), "lines": "5001", "tail": None, "bytes": None}
    (told, missing, wrong), _ = outputs(
        store,
        ("max_retrieve", arguments),
        ("max_retrieve", {"token": "max:00000000"}),
        ("max_retrieve", {"nonsense": 1}),
    )
    assert told == "error: 'frobnicate' undeclared\n"
    assert "not found" in missing
    assert wrong.startswith("Error: ")
