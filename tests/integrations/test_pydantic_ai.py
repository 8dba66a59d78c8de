"""Pydantic AI's agents with the capability, driven by a function; and the store of the harness."""

import asyncio
import dataclasses
import json

import pytest
from frameworks import HUGE, LONG, kept, token_in
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.messages import (
    BinaryContent,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturn,
)
from pydantic_ai.models.function import FunctionModel

from maxstage.integrations.pydantic_ai import KeepToolResults, MaxStore

IMAGE = BinaryContent(b"\x89PNG" + b"x" * 100_000, media_type="image/png")


def parts_of(store, returned, *, how="sync", name="work", arguments=None, capabilities=None):
    """Run an agent whose one tool returns this, and return the parts of the message that the model got."""
    got = []

    def model(messages, info):
        if len(messages) == 1:
            assert "max_retrieve" in {one.name for one in info.function_tools} or capabilities
            return ModelResponse([ToolCallPart(name, arguments or {}, tool_call_id="1")])
        got.extend(messages[-1].parts)
        return ModelResponse([TextPart("done")])

    agent = Agent(FunctionModel(model), capabilities=capabilities or [KeepToolResults(store)])

    if how == "sync":

        @agent.tool_plain
        def work():
            if isinstance(returned, Exception):
                raise returned
            return returned
    else:

        @agent.tool_plain
        async def work():
            return returned

    agent.run_sync("go") if how == "sync" else asyncio.run(agent.run("go"))
    return got


@pytest.mark.parametrize("how", ["sync", "async"])
def test_a_long_result(store, how):
    (part,) = parts_of(store, LONG, how=how)
    assert kept(store, part.content).decode() == LONG
    assert store.list()[0].source == "tool/work"


def test_50_mb(store):
    (part,) = parts_of(store, HUGE)
    assert kept(store, part.content).decode() == HUGE


@pytest.mark.parametrize("value", ["fine", {"a": [1, 2]}, 7, None, [], True])
def test_a_short_result(store, value):
    (part,) = parts_of(store, value)
    assert part.content == value
    assert store.list() == []


def test_what_is_not_text_is_kept_as_json(store):
    records = [
        {"id": number, "note": "error: 'frobnicate'" if number == 77 else ""} for number in range(5000)
    ]
    (part,) = parts_of(store, records)
    with store.open(token_in(part.content)) as file:
        assert json.loads(file.read()) == records


def test_an_image_stays(store):
    parts = parts_of(store, IMAGE)
    assert IMAGE.data in [getattr(one, "data", None) for part in parts for one in files_in(part)]
    assert store.list() == []


def files_in(part):
    """Return the files of a part of a message, wherever this version puts them."""
    content = part.content
    return content if isinstance(content, list) else [content]


def test_an_image_among_texts_stays(store):
    parts = parts_of(store, [LONG, IMAGE])
    assert IMAGE.data in [getattr(one, "data", None) for part in parts for one in files_in(part)]
    assert LONG not in str(parts)
    assert len(store.list()) == 1


def test_what_comes_with_a_result(store):
    parts = parts_of(store, ToolReturn(LONG, content=["see", IMAGE], metadata={"a": 1}))
    assert kept(store, parts[0].content).decode() == LONG
    assert parts[0].metadata == {"a": 1}
    assert IMAGE.data in [getattr(one, "data", None) for part in parts[1:] for one in files_in(part)]
    parts = parts_of(store, ToolReturn("fine", content=LONG))
    assert parts[0].content == "fine"
    assert kept(store, files_in(parts[1])[0]).decode() == LONG


def test_a_retry_stays(store):
    (part,) = parts_of(store, ModelRetry(LONG))
    assert part.content == LONG  # of a RetryPromptPart, or of a ToolReturnPart in later versions
    assert store.list() == []


def test_an_exception_passes(store):
    with pytest.raises(RuntimeError, match="broken"):
        parts_of(store, RuntimeError("broken"))


def test_the_model_reads_on(store):
    (part,) = parts_of(store, LONG)
    token = token_in(part.content)
    (part,) = parts_of(store, "", name="max_retrieve", arguments={"token": token, "lines": "5001"})
    assert part.content == "error: 'frobnicate' undeclared\n"
    (part,) = parts_of(store, "", name="max_retrieve", arguments={"token": "max:00000000"})
    assert "not found" in part.content


def test_the_store_of_the_harness(store):
    limits = pytest.importorskip("pydantic_ai_harness.tool_output_limits")
    keeping = MaxStore(store)
    assert isinstance(keeping, limits.OverflowStore)
    spilling = limits.ToolOutputLimits(store=keeping, bands=[limits.Band(over=5000, action=limits.Spill())])
    (part,) = parts_of(store, LONG, capabilities=[spilling])
    (item,) = store.list()
    assert item.token in str(part.content)
    with store.open(item.token) as file:
        assert file.read().decode() == LONG
    arguments = {"handle": item.token, "pattern": "frobnicate"}
    (part,) = parts_of(store, "", name="read_tool_result", arguments=arguments, capabilities=[spilling])
    assert "frobnicate" in part.content


def test_a_handle_that_is_not_there(store):
    for handle in ("max:00000000", "../../etc/passwd"):
        with pytest.raises(FileNotFoundError):
            asyncio.run(MaxStore(store).read(handle))


def test_it_is_what_it_was_where_nothing_was_shortened(store):
    returned = ToolReturn("fine", metadata={"a": 1})
    assert KeepToolResults(store)._shortened(returned, ToolCallPart("work", {})) is returned
    assert dataclasses.is_dataclass(returned)
