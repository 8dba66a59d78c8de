"""Warnings about values that bash reads as arithmetic once they are in a variable of the script."""

import subprocess
from pathlib import Path

import pytest

from maxstage.workflow.format import loading
from maxstage.workflow.format.problems import Problems
from maxstage.workflow.format.scripts.bash import computed_later
from maxstage.workflow.format.yaml_source import Source

WARNED = [
    "v={{ x }}; (( v > 3 ))",
    "v={{ x }}; (( $v > 3 )) || true",
    'v="a{{ x }}"; echo $(( ${v} + 1 ))',
    "v={{ x }}\nif [[ $v -gt 3 ]]; then echo; fi",
    'v={{ x }}; [[ 3 -lt "$v" && 1 -eq 1 ]]',
    "v={{ x }}; [[ v -eq 1 ]]",
    "v={{ x }}; let 'y = v + 1'",
    "v={{ x }}; let y=v",
    "v={{ x }}; echo ${a[v]}",
    "v={{ x }}; a[$v]=1",
    "v={{ x }}; s=abc; echo ${s:v}",
    "v={{ x }}; echo $[v]",
    "f() { local v={{ x }}; (( v++ )); }",
    "export v={{ x }}; (( v ))",
    "declare -r v={{ x }}; (( v ))",
    "read v <<< {{ x }}; (( v ))",
    "for v in 1 {{ x }}; do (( v )); done",
    "v=(1 {{ x }}); (( v ))",
    "v={{ x }}; for (( i = 0; i < v; i++ )); do echo; done",
    "v={{ x }}; echo $(echo $(( v )))",
    'v={{ x }}; [ "$v" -gt 3 ] || exit; (( v ))',
]
SILENT = [
    "(( {{ x }} > 3 ))",
    'v={{ x }}; [ "$v" -gt 3 ]',
    "v={{ x }}; test $v -gt 3",
    'v={{ x }}; echo "$v" ${#v}; [[ $v == 3 && ${#v} -gt 3 ]]',
    "v={{ x }}; [[ $v =~ ^[0-9]+$ ]] || exit 1; (( v > 3 ))",
    'v={{ x }}; case "$v" in *[!0-9]*) exit 2;; esac; (( v > 3 ))',
    "v={{ x }}; v=3; (( v > 3 ))",
    "v=$(echo {{ x }} | wc -c); (( v > 3 ))",
    "v=$(( {{ x }} + 1 )); (( v > 3 ))",
    "declare -i v={{ x }}; (( v > 3 ))",
    "v={{ x }}; (( vv > 3 && w_v ))",
    "(( v > 3 )); v={{ x }}",
    "declare -A m; v={{ x }}; m[$v]=1",
    "v={{ x }}; echo '(( v > 3 ))'  # (( v ))",
    "echo {{ x }}; (( v > 3 ))",
]


@pytest.mark.parametrize("script", WARNED)
def test_a_script_that_computes_with_a_value(script):
    assert [one.variable for one in computed_later(script)] == ["v"]


@pytest.mark.parametrize("script", SILENT)
def test_a_script_that_does_not(script):
    assert computed_later(script) == []


@pytest.mark.parametrize(
    "script", ["v=$1; (( v > 3 ))", "v=$1; [[ $v -gt 3 ]]", "v=$1; let y=v", "v=$1; echo ${a[v]}"]
)
def test_what_is_warned_of_is_true(tmp_path, script):
    """And of what is written instead it is not."""
    harmful = "a[$(touch did)]"
    subprocess.run(["bash", "-c", script, "_", harmful], cwd=tmp_path, check=False, capture_output=True)
    assert (tmp_path / "did").exists()
    (tmp_path / "did").unlink()
    subprocess.run(
        ["bash", "-c", 'v=$1; [ "$v" -gt 3 ]', "_", harmful], cwd=tmp_path, check=False, capture_output=True
    )
    assert not (tmp_path / "did").exists()


FLOW = """\
name: x
version: 1
inputs: {text: a, number: 3, whole: {type: integer}}
tasks:
  a: {script: {content: "v={{ inputs.text }}; (( v > 3 ))"}}
  b: {script: {content: "v={{ inputs.number }}; w={{ inputs.whole }}; (( v > w ))"}}
  c: {script: {content: "v={{ tasks.a.exit_code }}; (( v > 3 ))"}}
  d: {script: {content: "v={{ tasks.a.output }}; (( v > 3 ))"}}
  e:
    inputs: {text: 4, number: a}
    script: {content: "v={{ inputs.text }}; w={{ inputs.number }}; (( v > 3 )); (( w ))"}
  f: {loop: {repeat: {count: 3, iterator: i}}, script: {content: "v={{ iteration }}; w={{ i }}; (( v > w ))"}}
  g:
    loop: {for_each: {collection: {type: inline, items: [1, 2]}, iterator: i}}
    subtasks:
      one: {script: {content: "v={{ i }}; w={{ iteration }}; (( v > w ))"}}
      two:
        loop: {for_each: {collection: {type: inline, items: [a]}, iterator: i}}
        script: {content: "v={{ i }}; (( v ))"}
hooks: {post_task: ["v={{ inputs.text }}; (( v ))"]}
"""


def test_a_warning_has_its_place_and_numbers_have_none():
    checked = loading.check(Source(FLOW), "f")
    assert not isinstance(checked, Problems)
    told = [str(one) for one in checked.problems]
    assert [line.split(":")[1] for line in told] == ["5", "8", "11", "19", "20"]
    assert told[0] == (
        "f:5:28: warning: {{ inputs.text }}: bash computes with v in 'v > 3', and would run a command in its value, "
        'like a[$(date)]; compare with [ "$v" -gt 3 ], check v before, or give the input text type: integer'
    )
    assert "type: integer" not in told[1]


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "examples").rglob("*.yaml")), ids=lambda one: one.name
)
def test_no_example_is_warned_of(path):
    checked = loading.load(str(path), lenient=True)
    assert not [str(one) for one in checked.doubts if "computes" in str(one)]
