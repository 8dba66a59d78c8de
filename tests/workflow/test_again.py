"""Doing tasks again in the run that they are in: what follows is done again, and nothing else; attempts are kept."""

import pytest

from helpers import bash, lines_of, text_of
from maxstage.errors import WorkflowError
from maxstage.workflow.run.folder import import_run, runs_folder
from maxstage.workflow.run.state import RunState


def logging(name, *after, **rest):
    """A task that notes that it was done."""
    return bash(f"echo {name} >> log; echo {name} printed", depends_on=list(after), **rest)


def done(flow):
    """The names that were noted since this was asked last."""
    path = flow.folder / "log"
    names = lines_of(path)
    path.unlink(missing_ok=True)
    return sorted(names)


DIAMOND = {
    "a": logging("a"),
    "b": logging("b", "a"),
    "c": logging("c", "a"),
    "d": logging("d", "b", "c"),
    "e": logging("e"),
}


@pytest.mark.parametrize(
    ("how", "again"),
    [
        ({"rerun": ["a"]}, "abcd"),
        ({"rerun": ["b"]}, "bd"),
        ({"rerun": ["d", "e"]}, "de"),
        ({"start_from": "b"}, "bcde"),
        ({"start_from": "e"}, "e"),
        ({"start_from": "d"}, "de"),
        ({"rerun": ["e"], "start_from": "d"}, "de"),
    ],
)
def test_what_is_named_and_what_follows(flow, how, again):
    first = flow(DIAMOND)
    assert done(flow) == list("abcde")
    second = flow(DIAMOND, **how)
    assert (second.run_id, done(flow)) == (first.run_id, list(again))
    assert text_of(second, "d") == "d printed\n"


def test_what_had_failed_is_done_as_well(flow):
    tasks = {"a": logging("a"), "b": bash("echo b >> log; test -e go"), "c": logging("c", "b")}
    flow(tasks, check=False)
    (flow.folder / "go").touch()
    done(flow)
    flow(tasks, rerun=["a"])
    assert done(flow) == ["a", "b", "c"]


def test_subtasks(flow):
    tasks = {
        "build": {"subtasks": {"x": logging("x"), "y": logging("y", "x"), "z": logging("z")}},
        "after": bash("echo after >> log; echo {{ tasks.build.y.output }}", depends_on=["build"]),
        "other": logging("other"),
    }
    flow(tasks)
    done(flow)
    flow(tasks, rerun=["build.z"])
    assert done(flow) == ["after", "z"]
    flow(tasks, rerun=["build.x"])
    assert done(flow) == ["after", "x", "y"]
    flow(tasks, rerun=["build"])
    assert done(flow) == ["after", "x", "y", "z"]


def loop(*, parallel):
    collection = {"type": "range", "end": 4}
    return {"for_each": {"collection": collection, "parallel": parallel}}


@pytest.mark.parametrize(("parallel", "again"), [(True, ["1"]), (False, ["1", "2", "3"])])
def test_an_iteration(flow, parallel, again):
    tasks = {
        "each": bash("echo {{ item }} >> log; echo {{ item }}", loop=loop(parallel=parallel)),
        "sum": bash("echo sum >> log; echo {{ tasks.each.output }}"),
    }
    flow(tasks)
    done(flow)
    result = flow(tasks, rerun=["each[1]"])
    assert done(flow) == [*again, "sum"]
    assert text_of(result, "sum").split() == ["0", "1", "2", "3"]


def test_a_task_in_each_iteration_and_in_one(flow):
    inner = {"x": bash("echo x{{ item }} >> log"), "y": bash("echo y{{ item }} >> log", depends_on=["x"])}
    tasks = {"each": {"subtasks": inner, "loop": loop(parallel=True)}}
    flow(tasks)
    done(flow)
    flow(tasks, rerun=["each.y"])
    assert done(flow) == ["y0", "y1", "y2", "y3"]
    flow(tasks, rerun=["each[2].x"])
    assert done(flow) == ["x2", "y2"]


def test_a_loop_over_other_items_is_done_again(flow):
    items = flow.folder / "items"
    items.write_text("p\nq\n")
    collection = {"type": "file", "path": "items"}
    script = "echo {{ item }} >> log; test -e go || test {{ item }} != q"
    tasks = {"each": bash(script, loop={"for_each": {"collection": collection}})}
    flow(tasks, check=False)
    done(flow)
    (flow.folder / "go").touch()
    items.write_text("r\ns\n")
    failed = flow(tasks, check=False, resume=True)
    assert failed.to_rerun == "each"
    assert not failed.is_resumable
    flow(tasks, rerun=["each"])
    assert done(flow) == ["r", "s"]


def test_names_that_are_no_tasks(flow):
    with pytest.raises(WorkflowError, match="there is no run of <workflow> in which to do anything again"):
        flow(DIAMOND, rerun=["a"])
    first = flow(DIAMOND)
    for name, why in {
        "aa": "there is no task 'aa' in <workflow>",
        "a[0]": r"nothing of 'a\[0\]' was done in this run",
        "": "there is no task ''",
        "../x": "there is no task '../x'",
    }.items():
        with pytest.raises(WorkflowError, match=why):
            flow(DIAMOND, rerun=[name])
        with pytest.raises(WorkflowError, match=why):
            flow(DIAMOND, start_from=name)
    assert flow(DIAMOND, resume=first.run_id).ok


def test_an_output_that_is_gone_names_what_to_do_again(flow):
    tasks = {
        "group": {
            "subtasks": {"big": bash("echo big >> log; seq 3000", limits={"max_stdout_bytes": "2KiB"})}
        },
        "use": bash(
            "echo use >> log; test -e go && echo {{ tasks.group.big.output }} | tail -n 1",
            depends_on=["group"],
        ),
    }
    first = flow(tasks, check=False)
    flow.store.unstage(first.tasks["group.big"].output.token)
    (flow.folder / "go").touch()
    failed = flow(tasks, check=False, resume=True)
    assert failed.error.endswith("do it again with --rerun group.big")
    assert failed.to_rerun == "group.big"
    done(flow)
    again = flow(tasks, rerun=[failed.to_rerun])
    assert (done(flow), again.tasks["use"].output.text.split()[-1]) == (["big", "use"], "3000")


INPUTS = {
    "say": bash("echo say >> log; echo {{ inputs.x }}"),
    "then": bash("echo then >> log; cat", stdin_from="say"),
    "other": bash("echo other >> log; echo {{ inputs.y }}"),
}


def test_other_inputs_name_what_to_do_again(flow):
    inputs = {"x": "1", "y": "2"}
    flow(INPUTS, inputs=inputs)
    done(flow)
    with pytest.raises(WorkflowError, match=r"other inputs \(x\); .* do what uses them again: --rerun say$"):
        flow(INPUTS, inputs=inputs, given={"x": "9"}, rerun=["other"])
    result = flow(INPUTS, inputs=inputs, given={"x": "9"}, rerun=["say"])
    assert (done(flow), text_of(result, "then")) == (["say", "then"], "9\n")
    # They are the run's from now on.
    result = flow(INPUTS, inputs=inputs, rerun=["say"])
    assert text_of(result, "then") == "9\n"


def test_an_input_that_all_tasks_have_by_the_environment(flow):
    tasks, rest = (
        {"a": logging("a"), "b": logging("b")},
        {"inputs": {"x": "1"}, "env": {"X": "{{ inputs.x }}"}},
    )
    flow(tasks, **rest)
    with pytest.raises(WorkflowError, match=r"--rerun b$"):
        flow(tasks, **rest, given={"x": "2"}, rerun=["a"])


def test_resume_or_start(flow):
    tasks = {"a": logging("a"), "b": bash("echo b >> log; test -e {{ inputs.x }}", depends_on=["a"])}
    how = {"inputs": {"x": "go"}, "resume": True, "or_start": True, "check": False}
    first = flow(tasks, **how)
    assert (first.ok, done(flow)) == (False, ["a", "b"])
    other = flow(tasks, given={"x": "other"}, **how)
    assert (other.run_id != first.run_id, done(flow)) == (True, ["a", "b"])
    (flow.folder / "go").touch()
    second = flow(tasks, **how)
    assert (second.run_id, second.ok, done(flow)) == (first.run_id, True, ["b"])
    third = flow(tasks, **how)
    assert (third.run_id != first.run_id, third.ok, done(flow)) == (True, True, ["a", "b"])


def state_of(flow, result):
    return RunState(runs_folder(flow.store), result.run_id)


def texts(state, path):
    """What is kept of the earlier attempts of a task, the oldest first; None where nothing is."""
    found = [state.find_attempt(path, number) for number in range(1, state.count_attempts(path) + 1)]
    return [None if one.output is None else one.output.text.strip() for one in found]


def test_earlier_attempts_are_kept_and_bounded(flow):
    script = "echo x >> count; n=$(wc -l < count); seq $n 3000; echo try $n; test $n -ge 6"
    limits = {"max_stdout_bytes": "1KiB", "truncation_strategy": "tail_lines", "max_lines": 1}
    tasks = {"a": bash(script, on_error={"retry": 9}, limits=limits)}
    result = flow(tasks)
    state = state_of(flow, result)
    kept = texts(state, "a")
    assert kept[:2] == [None, None]
    assert [text.splitlines()[-1] for text in kept[2:]] == ["try 3", "try 4", "try 5"]
    # What was dropped is no longer in the store; what was not, is.
    tokens = {state.find_attempt("a", number).output.token for number in (3, 4, 5)}
    tokens.add(result.tasks["a"].output.token)
    assert {item.token for item in flow.store.list()} == tokens
    state.close()

    def last_lines(state):
        return [text and text.splitlines()[-1] for text in texts(state, "a")]

    kept = [None, None, None, "try 4", "try 5", "try 6"]
    flow(tasks, rerun=["a"])
    state = state_of(flow, result)
    assert last_lines(state) == kept
    assert {item.token for item in flow.store.list()} == state.tokens()
    # An exported run brings them along.
    exported = state.export()
    state.close()
    folder = flow.folder / "elsewhere"
    folder.mkdir()
    state = import_run(str(folder), exported, "it")
    assert last_lines(state) == kept
    state.close()


def test_what_failed_before_a_resume_is_an_attempt(flow):
    tasks = {"a": bash("echo first; test -e go")}
    failed = flow(tasks, check=False)
    (flow.folder / "go").touch()
    flow(tasks, resume=True)
    state = state_of(flow, failed)
    assert texts(state, "a") == ["first"]
    assert state.find_attempt("a", 1).status == "failed"
    state.close()
