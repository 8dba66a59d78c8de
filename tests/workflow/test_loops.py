"""Loops: the four kinds, what they go over, and when they end."""

import json
import time

import pytest

from helpers import FOREVER, bash, lines_of, longer_and_longer, text_of
from maxstage.workflow.workflow import Workflow

PEOPLE = [{"name": "Anna", "age": 7}, {"name": 'O\'Neil "x"', "age": 9}]


def each(collection, **rest):
    return {"for_each": {"collection": collection, **rest}}


@pytest.mark.parametrize(
    ("collection", "expected"),
    [
        (
            {"type": "inline", "items": ["a", 1, None, ["x"], {"k": True}]},
            ["a", "1", "", '["x"]', '{"k": true}'],
        ),
        ({"type": "inline", "items": []}, []),
        ({"type": "range", "end": 3}, ["0", "1", "2"]),
        ({"type": "range", "start": 9, "end": 3, "step": -3}, ["9", "6"]),
        ({"type": "state", "key": "inputs.list"}, ["p", "q"]),
        ({"type": "state", "key": "tasks.lines.output"}, ["l 1", "l 2"]),
        ({"type": "state", "key": "tasks.array.output"}, ["1", "two"]),
    ],
)
def test_collections_in_the_file_and_the_state(flow, collection, expected):
    tasks = {
        "a": bash("printf '%s\\n' {{ item }}", loop=each(collection)),
        "lines": bash("printf 'l 1\\nl 2\\n'"),
        "array": bash("""echo '[1, "two"]'"""),
    }
    result = flow(tasks, inputs={"list": {"default": ["p", "q"]}})
    assert text_of(result, "a").splitlines() == expected


@pytest.mark.parametrize("kind", ["file", "token"])
@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("json", json.dumps(PEOPLE, indent=2)),
        ("json_lines", "".join(json.dumps(one) + "\n" for one in PEOPLE)),
        ("csv", 'name,age\nAnna,7\n"O\'Neil ""x""",9\n'),
    ],
)
def test_records_of_files_and_of_staged_data(flow, kind, form, content):
    if kind == "file":
        (flow.folder / "people").write_text(content)
        collection = {"type": "file", "path": "{{ inputs.where }}", "format": form}
        where = "people"
    else:
        collection = {"type": "token", "token": "{{ inputs.where }}"}
        collection |= {"format": form} if form == "csv" else {}
        where = flow.store.stage(content.encode(), compress=True).token
    task = bash("echo {{ person.name }} is {{ person.age }}", loop=each(collection, iterator="person"))
    result = flow({"a": task}, inputs={"where": where})
    assert text_of(result, "a").splitlines() == ["Anna is 7", 'O\'Neil "x" is 9']


def test_lines_are_bytes_as_they_were(flow):
    (flow.folder / "names").write_bytes(b"caf\xe9\r\nno newline")
    loop = each({"type": "file", "path": "names"})
    result = flow({"a": {"command": {"executable": "printf", "args": ["%s|", "{{ item }}"]}, "loop": loop}})
    assert result.tasks["a"].output.content == b"caf\xe9|no newline|"


ODD = "a\rb\x0bc\x0c\x1cd\x85e\u2028f\u2029g"
"""One line: what Python's splitlines takes for ends of lines is none."""


@pytest.mark.parametrize("kind", ["file", "token", "state"])
@pytest.mark.parametrize("form", ["lines", "json_lines"])
def test_a_newline_alone_ends_a_record(flow, kind, form):
    one = (
        ODD
        if form == "lines"
        else '{"x":\r"' + ODD.replace("\r", "").translate(dict.fromkeys(range(32))) + '"}'
    )
    text = f"{one}\r\n\n{one}\n"
    collection = {"type": kind, "format": form}
    if kind == "file":
        (flow.folder / "data").write_bytes(text.encode())
        collection["path"] = "data"
    elif kind == "token":
        collection["token"] = flow.store.stage(text.encode()).token
        assert flow.store.info(collection["token"]).record_count == 3
    else:
        collection = {"type": "state", "key": "inputs.text"}
    task = {"command": {"executable": "printf", "args": ["%s|", "{{ item }}"]}, "loop": each(collection)}
    result = flow({"a": task}, inputs={"text": text})
    parts = text_of(result, "a").split("|")[:-1]
    if form == "lines" or kind == "state":
        assert parts == [one, "", one]
    else:
        assert [json.loads(part) for part in parts] == [json.loads(one)] * 2


def test_csv_keeps_its_own_rules(flow):
    (flow.folder / "data").write_bytes('k,v\r\n1,"a\r\nb\nc\rd"\r\n2,e\u2028f\r\n'.encode())
    collection = {"type": "file", "path": "data", "format": "csv"}
    task = {"command": {"executable": "printf", "args": ["%s|", "{{ item.v }}"]}, "loop": each(collection)}
    assert text_of(flow({"a": task}), "a") == "a\r\nb\nc\rd|e\u2028f|"


@pytest.mark.parametrize(
    ("collection", "error"),
    [
        ({"type": "file", "path": "gone"}, "No such file or directory"),
        ({"type": "file", "path": "bad", "format": "json_lines"}, "bad, line 2 is not JSON"),
        ({"type": "file", "path": "bad", "format": "json"}, "bad is not JSON"),
        (
            {"type": "file", "path": "huge", "format": "json_lines"},
            "huge, line 2 has a number of 4,001 characters",
        ),
        (
            {"type": "file", "path": "deep", "format": "json_lines"},
            "deep, line 1 is not JSON: it is nested too",
        ),
        (
            {"type": "file", "path": "deeper", "format": "json"},
            "deeper is not JSON that can be read: it is nested",
        ),
        ({"type": "file", "path": "array", "format": "json"}, "array has NaN, which is no JSON"),
        ({"type": "file", "path": "long", "format": "json"}, "long has a number of 4,002 characters, 0.111"),
        ({"type": "token", "token": "max:00000000"}, "max:00000000"),
        ({"type": "state", "key": "inputs.number"}, "'inputs.number' is not a list"),
        ({"type": "state", "key": "inputs.nothing"}, "'inputs.nothing' has no value"),
    ],
)
def test_what_cannot_be_gone_over(flow, collection, error):
    (flow.folder / "bad").write_text('{"a": 1}\n{"a"\n')
    (flow.folder / "huge").write_text('{"a": 1.5}\n{"a": ' + 4001 * "1" + "}\n")
    (flow.folder / "deep").write_text(100_000 * "[" + 100_000 * "]")
    (flow.folder / "deeper").write_text(100_000 * "[" + 100_000 * "]")
    (flow.folder / "array").write_text("[1, NaN]")
    (flow.folder / "long").write_text("[1.5, 0." + 4000 * "1" + "]")
    tasks = {"a": bash("true", loop=each(collection))}
    result = flow(tasks, check=False, inputs={"number": 5, "nothing": None})
    assert error in result.error


def test_repeat(flow):
    result = flow({"a": bash("echo {{ iteration }}", loop={"repeat": {"count": 3}})})
    assert text_of(result, "a") == "0\n1\n2\n"
    assert result.tasks["a[1]"].output.text == "1\n"
    assert result.tasks["a"].attempts == 3


def test_while_and_until_see_the_last_iteration(flow):
    until = {"repeat_until": {"condition": {"type": "state_equals", "key": "tasks.a.output", "value": 3}}}
    result = flow({"a": bash("echo {{ iteration }}", loop=until)})
    assert text_of(result, "a") == "0\n1\n2\n3\n"
    more = {"not": {"type": "state_equals", "key": "tasks.b.x.output", "value": "stop"}}
    tasks = {
        "b": {
            "subtasks": {"x": bash("echo x >> n; test $(wc -l < n) -ge 3 && echo stop || echo go")},
            "loop": {"while": {"condition": more, "delay_between_secs": 0.1}},
        }
    }
    started = time.monotonic()
    result = flow(tasks)
    assert time.monotonic() - started > 0.3
    assert text_of(result, "b") == "go\ngo\nstop\n"


def test_a_condition_that_never_changes_is_a_failure(flow):
    always = {"condition": {"type": "always"}, "max_iterations": 3}
    result = flow({"a": bash("echo x >> n", loop={"while": always})}, check=False)
    assert result.error == "a: the condition still holds after 3 iterations (max_iterations)"
    assert (flow.folder / "n").read_text() == "x\n" * 3


def test_break_and_continue(flow):
    control = {
        "break_condition": {"type": "state_equals", "key": "item", "value": 7},
        "continue_condition": {"type": "state_equals", "key": "item", "value": 3},
    }
    task = bash("echo {{ item }}", loop=each({"type": "range", "end": 10}), loop_control=control)
    result = flow({"a": task})
    assert text_of(result, "a").split() == ["0", "1", "2", "4", "5", "6"]
    assert result.tasks["a[3]"].status == "skipped"


def test_a_loop_takes_only_its_time(flow):
    task = bash("sleep 0.2", loop={"repeat": {"count": 500}}, loop_control={"timeout_secs": 0.5})
    result = flow({"a": task}, check=False)
    assert "timed out after" in result.error
    assert len(result.tasks) < 10  # of 500


@pytest.mark.parametrize("kind", ["program", "subtasks", "parallel"])
def test_a_loop_s_time_begins_with_its_first_program(flow, kind):
    body = {"script": {"content": "echo {{ iteration }}"}}
    loop = {"repeat": {"count": 2}}
    if kind == "subtasks":
        body = {"subtasks": {"x": body}}
    elif kind == "parallel":
        loop = each({"type": "range", "end": 2}, parallel=True)
    task = {**body, "loop": loop, "priority": 1}
    for seconds in longer_and_longer(0.7):
        # With one program at a time it waits longer than it may take.
        timed = {**task, "loop_control": {"timeout_secs": seconds}}
        result = flow({"long": bash(f"sleep {1.3 * seconds}"), "a": timed}, jobs=1, check=False)
        if result.ok:
            break
    assert text_of(result, "a") == "0\n1\n"


def test_an_inner_loop_ends_with_the_time_of_the_outer(flow):
    inner = bash("sleep 0.2", loop={"repeat": {"count": 500}}, loop_control={"timeout_secs": FOREVER})
    outer = {
        "subtasks": {"x": inner},
        "loop": {"repeat": {"count": 1}},
        "loop_control": {"timeout_secs": 0.5},
    }
    result = flow({"a": outer}, check=False)
    assert "timed out after" in result.error
    assert len(result.tasks) < 10  # of 500


def test_an_iteration_that_fails(flow):
    fails = "test {{ item }} -ne 1"
    loop = each({"type": "range", "end": 3})
    result = flow({"a": bash(fails, loop=loop)}, check=False)
    assert result.error == "a: iteration 1: exit status 1"
    assert "a[2]" not in result.tasks
    result = flow({"a": bash(fails, loop=loop, on_error={"continue": True})})
    assert [result.tasks[f"a[{number}]"].status for number in range(3)] == [
        "completed",
        "failed",
        "completed",
    ]
    once = "test -e seen{{ item }} || { touch seen{{ item }}; exit 1; }"
    result = flow({"a": bash(once, loop=loop, on_error={"retry": 1})})
    assert result.tasks["a[2]"].attempts == 2


def test_iterations_side_by_side(flow):
    loop = each({"type": "range", "end": 8}, parallel=True, max_parallel=4)
    # Each waits until as many have begun as may run beside it.
    meet = "echo + >> log; until test $(grep -c + log) -ge {{ enough }}; do sleep 0.02; done; echo - >> log"
    task = bash(
        "enough=$(( {{ item }} < 4 ? 4 : 8 )); "
        + meet.replace("{{ enough }}", "$enough")
        + "; echo {{ item }}",
        loop=loop,
    )
    result = flow({"a": task}, jobs=8)
    assert text_of(result, "a").split() == [str(number) for number in range(8)]
    running = most = 0
    for line in lines_of(flow.folder / "log"):
        running += 1 if line == "+" else -1
        most = max(most, running)
    assert most == 4


def test_nested_loops(flow):
    tasks = {
        "outer": {
            "loop": each({"type": "inline", "items": ["x", "y"]}, iterator="row"),
            "subtasks": {
                "inner": bash(
                    "echo {{ row }}{{ item }}{{ iteration }} {{ tasks.first.output }}",
                    loop=each({"type": "range", "start": 5, "end": 7}),
                ),
                "last": bash("echo {{ tasks.inner.output }} | wc -w"),
                "first": bash("echo {{ row }}"),
            },
        }
    }
    result = flow(tasks)
    assert text_of(result, "outer") == "x50 x\nx61 x\n4\nx\ny50 y\ny61 y\n4\ny\n"
    assert text_of(result, "outer[1].inner[0]") == "y50 y\n"


def test_a_loop_s_output_is_bounded(flow):
    loop = {"repeat": {"count": 20}}
    result = flow({"a": bash("seq 1000", loop=loop, limits={"max_stdout_bytes": 2000})})
    output = result.tasks["a"].output
    assert len(output.content) <= 2000
    assert output.truncated
    assert output.original_size == 20 * 3893


def test_checkpoints_are_written_every_so_often(flow):
    task = bash("true", loop={"repeat": {"count": 10}}, loop_control={"checkpoint_interval": 4})
    assert len(flow({"a": task}).tasks) == 11


def test_memory_stays_flat(flow):
    # Outputs lie in the state: what a loop of 250 holds is what one of 70 holds.
    import tracemalloc

    # Small limits: else the buffers of what gathers the loop's output are most of it.
    limits = {"max_stdout_bytes": "32KiB", "external_storage_threshold": "32KiB"}
    task = {"command": {"executable": "printf", "args": ["%20000s"]}, "limits": limits}

    def peak(count):
        tasks = {"a": task | {"loop": {"repeat": {"count": count}}}}
        workflow = Workflow.from_dict({"name": "m", "version": "1", "tasks": tasks}, store=flow.store)
        tracemalloc.start()
        try:
            assert workflow.run(store=flow.store, folder=flow.folder, jobs=1).ok
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(20)  # what is imported and allocated once
    # The 70 fill every buffer on the way; 180 more outputs are 3.6 MB.
    assert peak(250) < peak(70) + 2 * 1024 * 1024


@pytest.mark.parametrize("extra", [{}, {"external_storage_threshold": None}])
def test_the_file_of_a_loop_and_of_subtasks_has_all_of_it(flow, extra):
    limits = {"max_stdout_bytes": 1024, **extra}
    tasks = {
        "loop": bash("seq 1000", loop={"repeat": {"count": 3}}, output="loop.txt"),
        "each": bash(
            "echo {{ iteration }}", loop={"repeat": {"count": 2}}, output="each-{{ iteration }}.txt"
        ),
        "group": {"subtasks": {"x": bash("seq 1000"), "y": bash("echo y")}, "output": "group.txt"},
        "bad": {
            "subtasks": {"x": bash("exit 1")},
            "output": "bad.txt",
            "on_error": {"continue": True},
        },
    }
    flow(tasks, limits=limits)
    lines = "".join(f"{number}\n" for number in range(1, 1001))
    assert (flow.folder / "loop.txt").read_text() == lines * 3
    assert [(flow.folder / f"each-{number}.txt").read_text() for number in range(2)] == ["0\n", "1\n"]
    assert (flow.folder / "group.txt").read_text() == lines + "y\n"
    assert not (flow.folder / "bad.txt").exists()


def test_a_file_that_is_missing_is_told_in_words(flow):
    loop = each({"type": "file", "path": "none", "format": "lines"})
    result = flow({"a": bash("true", loop=loop)}, check=False)
    assert "No such file or directory: " in result.error
    assert "Errno" not in result.error
