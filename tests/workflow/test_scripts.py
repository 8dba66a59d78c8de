"""Values in scripts: data can't become code, wherever the reference stands."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helpers import PATIENCE, examples
from maxstage.workflow.format.languages import LANGUAGES, SHELL
from maxstage.workflow.format.loading import json_schema
from maxstage.workflow.format.scripts.filling import fill, problems

PROGRAMS = {
    "bash": ["bash", "-c"],
    "python": ["python3", "-c"],
    "javascript": ["node", "-e"],
    "perl": ["perl", "-e"],
}
EVIL = "a\"b'c $(touch pwned) `touch pwned` ; \\ \n x* ${HOME} {{ x }} \u20ac"


def run(language, script, folder, value=EVIL):
    text = fill(language, script, lambda _: value)
    done = subprocess.run([*PROGRAMS[language], text], capture_output=True, cwd=folder)
    assert not (folder / "pwned").exists()
    return done.stdout.decode("utf-8", "replace")


@pytest.mark.parametrize(
    "script",
    [
        "printf %s {{ item }}",
        'printf %s "{{ item }}"',
        "printf %s '{{ item }}'",
        'printf %s "$(printf %s {{ item }})"',
        'printf %s "$(printf %s "{{ item }}")"',
        "printf %s $(true)'{{ item }}'",
        "cat <<END\n{{ item }}\nEND\n",
        "cat <<-END\n\t{{ item }}\n\tEND\n",
        "# it's \" here\nprintf %s {{ item }}",
        'printf %s%s "a # b" {{ item }}',
        "printf %s%s $'it\\'s' {{ item }}",
        "cat <<'END' >/dev/null; printf %s {{ item }}\nbody' \"\nEND",
        "x=${1:-'}'}; printf %s \"{{ item }}\"",
        'printf %s \\"{{ item }}',
    ],
)
def test_bash(script, tmp_path):
    assert EVIL in run("bash", script, tmp_path)


@pytest.mark.parametrize(
    ("language", "script"),
    [
        ("python", "print({{ item }})"),
        ("python", 'print("x {{ item }}")'),
        ("python", "print('''x {{ item }}''')"),
        ("python", "print(f'{1}{{ item }}')"),
        ("python", "# don't\nprint({{ item }})"),
        ("javascript", "console.log({{ item }})"),
        ("javascript", "console.log('{{ item }}')"),
        ("javascript", "console.log(`{{ item }}`) // it's"),
        ("perl", "print {{ item }}"),
        ("perl", 'print "{{ item }}"'),
    ],
)
def test_other_languages(language, script, tmp_path):
    import shutil

    if shutil.which(PROGRAMS[language][0]) is None:
        pytest.skip(f"{language} is not installed")
    assert EVIL in run(language, script, tmp_path)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, "3 int"),
        (2.5, "2.5 float"),
        (True, "True bool"),
        (None, "None NoneType"),
        ([1, "a"], "[1, 'a'] list"),
    ],
)
def test_values_keep_their_type_in_python(value, expected, tmp_path):
    script = "x = {{ item }}\nprint(x, type(x).__name__)"
    assert run("python", script, tmp_path, value).strip() == expected


def test_a_quoted_here_document_is_refused():
    assert problems("bash", "cat <<'E'\n{{ item }}\nE") == [
        "{{ item }}: it is in a here-document whose delimiter is quoted; write <<END without quotes"
    ]
    assert problems("bash", "cat <<'E'\nx\nE\necho {{ item }}") == []
    assert "double quotes" in problems("perl", "print '{{ item }}'")[0]


pieces = st.lists(
    st.sampled_from(["'", '"', "`", "$(", ")", "\\", "\n", "#", " ", "x", "<<E", "<<'E'", "E", "$'", ";"])
)


@examples(60)
@example(["'", '"'], ["$("])
@given(pieces, pieces)
def test_no_place_lets_data_become_code(tmp_path_factory, before, after):
    folder = tmp_path_factory.getbasetemp()
    script = f"{''.join(before)}{{{{ item }}}}{''.join(after)}"
    for value in (
        "'; touch pwned; '",
        '"; touch pwned; "',
        "$(touch pwned)",
        "`touch pwned`",
        "\nE\ntouch pwned\n",
    ):
        if not problems("bash", script):
            text = fill("bash", script, lambda _, value=value: value)
            subprocess.run(
                ["bash", "-c", text],
                capture_output=True,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                timeout=PATIENCE,
            )
            assert not (folder / "pwned").exists(), text


def test_languages_are_told_once():
    """A language is a line in `LANGUAGES`: the format, its schema and the documentation follow from it."""
    script = json_schema()["$defs"]["Script"]["properties"]["language"]
    assert script["enum"] == list(LANGUAGES)
    assert script["default"] == SHELL
    docs = (Path(__file__).parents[2] / "docs" / "workflows.md").read_text()
    assert f"`language` ({', '.join(LANGUAGES)})" in docs


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_writes_values(language):
    assert problems(language, "x = {{ inputs.x }}") == []
    filled = fill(language, "x = {{ inputs.x }}", lambda _: "a'b")
    assert "{{" not in filled
    assert "a'b" not in filled
