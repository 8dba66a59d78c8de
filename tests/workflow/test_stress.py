"""Much at once, in little memory. ``make stress`` runs these."""

import os
import subprocess

import pytest

pytestmark = pytest.mark.stress

MOST_MEMORY = 100 * 1024
"""KiB that the runner may take."""


def run(program, text):
    """Run a workflow; return what it printed, and the peak of its memory in KiB."""
    (program.folder / "flow.yaml").write_text(f"name: stress\nversion: 1\n{text}")
    with open(program.folder / "out", "wb") as out:
        child = subprocess.Popen(
            [*program.command, "run", "flow.yaml"], cwd=program.folder, stdout=out, stderr=subprocess.DEVNULL
        )
        # The peak of the greatest process is told; the tasks are smaller than the runner.
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return (program.folder / "out").read_text(), usage.ru_maxrss


def test_two_thousand_tasks(program):
    tasks = "".join(
        f"  t{n}: {{script: {{content: 'echo {n}; head -c 50000 /dev/zero'}}}}\n" for n in range(1000)
    )
    chain = "".join(
        f"  c{n}: {{command: {{executable: 'true'}}, depends_on: [c{n - 1}]}}\n" for n in range(1, 1000)
    )
    out, peak = run(program, f"tasks:\n{tasks}  c0: {{command: {{executable: 'true'}}}}\n{chain}")
    assert out.count(" completed ") == 2001
    assert peak < MOST_MEMORY


def test_a_loop_of_ten_thousand(program):
    loop = "loop: {for_each: {collection: {type: range, end: 10000}, parallel: true}}"
    out, peak = run(program, f"tasks:\n  t: {{{loop}, command: {{executable: echo, args: ['{{{{ item }}}}']}}}}\n"
                    "outputs: {all: '{{ tasks.t.output }}'}\n")  # fmt: skip
    assert "\n9999\n" in out
    assert peak < MOST_MEMORY


def test_ten_tasks_of_three_hundred_megabytes(program):
    script = "yes 'a line that is printed very often' | head -c 300000000"
    tasks = "".join(f'  t{n}: {{script: {{content: "{script}"}}}}\n' for n in range(10))
    out, peak = run(program, f"defaults: {{strict: false}}\ntasks:\n{tasks}")
    assert out.count("300.0 MB  truncated, full output: max:") == 10
    assert peak < MOST_MEMORY
