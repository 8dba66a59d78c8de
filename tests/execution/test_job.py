"""A job, and what came of it, are plain data."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import examples
from maxstage import Limits
from maxstage.output.task_output import TaskOutput
from maxstage.workflow.execution.job import Job, JobResult, StagedInput

TEXT = st.text(st.characters(codec="utf-8") | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF))
STDIN = st.none() | st.binary() | st.builds(StagedInput, TEXT, TEXT, st.none() | TEXT)


@examples(100)
@given(
    st.builds(
        Job,
        run_id=TEXT,
        task=TEXT,
        argv=st.lists(TEXT, min_size=1).map(tuple),
        cwd=TEXT,
        script=st.none() | TEXT,
        stdin=STDIN,
        env=st.dictionaries(TEXT, TEXT),
        timeout_secs=st.none() | st.floats(min_value=0.01, max_value=1e9),
        limits=st.just(Limits(cleanup_strategy={"type": "lru", "keep_count": 3}).to_dict()),
        keep=st.sampled_from(["always", "truncated", "never"]),
        output=st.none() | TEXT,
    )
)
def test_a_job_comes_back_from_json(job):
    assert Job.from_dict(json.loads(json.dumps(job.to_dict()))) == job


def test_all_fields_are_told():
    job = Job("r", "t", ("true",), "/")
    assert set(job.to_dict()) == {field.name for field in dataclasses.fields(Job)}


@pytest.mark.parametrize(
    "result",
    [
        JobResult(None, "it failed"),
        JobResult(TaskOutput("t", "stdout", b"\xff\n", 2, exit_code=0)),
        JobResult(
            TaskOutput("t", "stdout", b"", 9, stderr=TaskOutput("t", "stderr", b"e", 1), exit_code=3), "why"
        ),
    ],
)
def test_a_result_comes_back_from_json(result):
    assert JobResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result
