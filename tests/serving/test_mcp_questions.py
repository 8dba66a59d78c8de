"""The tools ``pending`` and ``answer``."""

import json

import pytest

from maxstage.mcp.tools import TOOLS
from maxstage.workflow.workflow import Workflow


class Options:
    max_bytes = 16384


class Access:
    def __init__(self, store):
        self.store = store


class Call:
    """As much of a call as these tools ask for."""

    def __init__(self, store):
        self.access = Access(store)
        self.options = Options()


def said(store, tool, **arguments):
    (content,) = TOOLS[tool].run(Call(store), TOOLS[tool].check(arguments))
    return content["text"]


def test_an_agent_answers(store, tmp_path):
    assert said(store, "pending") == "No workflow waits for an answer."
    tasks = {"ok": {"await": {"prompt": "Go on?", "choices": ["yes", "no"]}}}
    workflow = Workflow.from_dict({"name": "w", "version": "1", "tasks": tasks})
    result = workflow.run(store=store, folder=tmp_path)
    question = json.loads(said(store, "pending"))
    assert (question["run"], question["task"], question["prompt"]) == (result.run_id, "ok", "Go on?")
    with pytest.raises(Exception, match="must be one of yes, no, not perhaps"):
        said(store, "answer", run=result.run_id, task="ok", value="perhaps")
    assert said(store, "answer", run=result.run_id, task="ok", value="yes").startswith("Answered ok of run ")
    again = workflow.run(store=store, folder=tmp_path, resume=True)
    assert (again.ok, again.tasks["ok"].output.text) == (True, "yes\n")
