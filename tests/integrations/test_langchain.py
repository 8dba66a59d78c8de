"""LangChain's agents with the middleware, driven by a model that does what it is told."""

import asyncio

import pytest
from frameworks import HUGE, LONG, kept, token_in
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import ToolException, tool
from langgraph.types import Command

from maxstage.integrations.langchain import KeepToolResults


class Model(GenericFakeChatModel):
    """Calls the tools that it was told to call, one after the other."""

    def bind_tools(self, tools, **_):
        self.disable_streaming = True
        return self


def calls(*names, **arguments):
    """Return a model that calls these tools, and then is done."""
    messages = [
        AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": f"call_{at}"}])
        for at, name in enumerate(names)
    ]
    return Model(messages=iter([*messages, AIMessage("done")]))


def results(store, model, *tools, how="sync"):
    """Run an agent and return its messages from tools."""
    agent = create_agent(model, tools=list(tools), middleware=[KeepToolResults(store)])
    asked = {"messages": [("user", "go")]}
    done = agent.invoke(asked) if how == "sync" else asyncio.run(agent.ainvoke(asked))
    return [message for message in done["messages"] if isinstance(message, ToolMessage)]


@tool
def build() -> str:
    """Build."""
    return LONG


@tool
async def abuild() -> str:
    """Build."""
    return LONG


@tool
def short() -> str:
    """Say little."""
    return "fine"


@tool
def huge() -> str:
    """Say much."""
    return HUGE


@tool(response_format="content_and_artifact")
def artifact():
    """Return an artifact, too."""
    return LONG, {"whole": LONG}


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}


@tool
def picture() -> list:
    """Return an image."""
    return [IMAGE]


@tool
def both() -> list:
    """Return an image between texts."""
    return [{"type": "text", "text": LONG}, IMAGE, {"type": "text", "text": LONG}]


def fail() -> str:
    """Fail at length."""
    raise ToolException(LONG)


@tool
def command() -> Command:
    """Return a command."""
    return Command(update={"messages": [ToolMessage(LONG, tool_call_id="call_0")]})


def test_a_long_result(store):
    (told,) = results(store, calls("build"), build)
    assert kept(store, told.content).decode() == LONG
    assert (told.tool_call_id, told.name) == ("call_0", "build")


def test_asynchronously(store):
    (told,) = results(store, calls("abuild"), abuild, how="async")
    assert kept(store, told.content).decode() == LONG


@pytest.mark.parametrize("how", ["sync", "async"])
def test_50_mb(store, how):
    (told,) = results(store, calls("huge"), huge, how=how)
    assert kept(store, told.content).decode() == HUGE


def test_a_short_result(store):
    (told,) = results(store, calls("short"), short)
    assert told.content == "fine"
    assert store.list() == []


def test_an_artifact_stays(store):
    (told,) = results(store, calls("artifact"), artifact)
    assert kept(store, told.content).decode() == LONG
    assert told.artifact == {"whole": LONG}


def test_an_image_stays(store):
    (told,) = results(store, calls("picture"), picture)
    assert told.content == [IMAGE]
    (told,) = results(store, calls("both"), both)
    assert told.content[1:] == [IMAGE]
    assert kept(store, told.content[0]["text"]).decode() == f"{LONG}\n\n{LONG}"


def test_an_error_stays(store):
    from langchain_core.tools import StructuredTool

    failing = StructuredTool.from_function(fail, handle_tool_error=True)
    (told,) = results(store, calls("fail"), failing)
    assert (told.status, told.content) == ("error", LONG)
    assert store.list() == []


def test_an_exception_passes(store):
    @tool
    def broken() -> str:
        """Break."""
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        results(store, calls("broken"), broken)


def test_a_command(store):
    (told,) = results(store, calls("command"), command)
    assert kept(store, told.content).decode() == LONG


@pytest.mark.parametrize("how", ["sync", "async"])
def test_the_model_reads_on(store, how):
    (told,) = results(store, calls("build"), build)
    token = token_in(told.content)
    (told,) = results(store, calls("max_retrieve", token=token, lines="5001"), build, how=how)
    assert told.content == "error: 'frobnicate' undeclared\n"
    (told,) = results(store, calls("max_retrieve", token="max:00000000"), build, how=how)
    assert "not found" in told.content
