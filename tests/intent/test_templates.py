"""What templates make of records, whatever these hold."""

import pytest

from maxstage import InvalidQuery
from maxstage.intent.operations import OPERATIONS
from maxstage.intent.paths import relative
from maxstage.intent.plan import parse_templates
from maxstage.intent.templates import Fault, MissingField, Template, TemplateError

RECORD = {
    "name": "a b.pdf",
    "size": 1234,
    "at": "2024-02-03T04:05:06Z",
    "path": "x/y.pdf",
    "deep": {"a": [1, "two"]},
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{name}", "a b.pdf"),
        ("{{{name}}}", "{a b.pdf}"),
        ("{deep.a[1]}-{#:03}", "two-007"),
        ("{at:%Y/%m}/{name}", "2024/02/a b.pdf"),
        ("{size:08}", "00001234"),
        ("{path!p}", "x/y.pdf"),
        ('{"name"}', "a b.pdf"),
        ("plain", "plain"),
    ],
)
def test_filled(text, wanted):
    assert Template(text).fill_path(RECORD, 7) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "}",
        "{}",
        "a{b",
        "{name!x}",
        "{name!}",
        "{a b}",
        "{a:{b}}",
        "{[}",
        "{a:1000}",
        "{#:0999999999}",
        "{a:.1000f}",
        "{a:%99999Y}",
    ],
)
def test_what_is_no_template(text):
    with pytest.raises(TemplateError, match=r"column|not a field"):
        Template(text)


@pytest.mark.parametrize(
    "record",
    [
        {"name": "../x"},
        {"name": "/etc/passwd"},
        {"name": "a/b"},
        {"name": "a/../../b"},
    ],
)
def test_a_value_adds_no_folder(record):
    with pytest.raises(Fault, match=r"write \{name!p\} to allow folders"):
        Template("out/{name}").fill_path(record, 1)
    # A slash in a format is one in a time alone.
    with pytest.raises(Fault, match="to allow folders"):
        Template("out/{name:/>1}").fill_path(record, 1)


def test_a_missing_field_names_the_record_and_the_fields():
    with pytest.raises(MissingField, match=r"record 3 has no value for \{b\}; it has: a, c$"):
        Template("{b}").fill({"a": 1, "c": 2}, 3)
    with pytest.raises(MissingField, match="it is no object"):
        Template("{b}").fill([1], 1)
    with pytest.raises(MissingField):
        Template("{a.b.c[3]}").fill({"a": {"b": {"c": [0]}}}, 1)


@pytest.mark.parametrize(
    ("value", "form"), [("no date", "%Y"), (True, "%Y"), (1e300, "%Y"), ("x", "08.3f"), ([1], "5")]
)
def test_what_can_t_be_formatted_is_a_fault(value, form):
    with pytest.raises(Fault, match="can't format"):
        Template(f"{{a:{form}}}").fill({"a": value}, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/etc/passwd", "is absolute"),
        ("../x", "has .."),
        ("a/../../x", "has .."),
        ("a/..", "has .."),
        ("", "is empty"),
        ("a/", "names a folder"),
        ("a//b", "empty folder name"),
        (".", "names a folder"),
        (".max/config.toml", "is in a store"),
        ("a/.max/staging/x", "is in a store"),
        ("a\0b", "null character"),
        ("a\ud800b", "half of a character"),
    ],
)
def test_what_is_no_path_below_the_root(text, words):
    with pytest.raises(Fault, match=words):
        relative(text, "the target")


def test_paths_are_those_of_the_file_system():
    assert relative("./a/./b\udcff", "it") == b"a/b\xff"
    assert relative("..a/b..", "it") == b"..a/b.."


@pytest.mark.parametrize(
    "argv",
    [
        ["bash", "-c", "echo {name}"],
        ["/bin/sh", "-ec", "echo {name}"],
        ["env", "A=b", "bash", "-o", "pipefail", "-c", "rm {name}"],
        ["python3.12", "-c", "print('{name}')"],
        ["perl", "-ne", "print {name}"],
        ["node", "--eval={name}"],
        ["bash", "-c{name}"],
        ["ssh", "host", "rm", "{name}"],
        ["{name}", "x"],
        [],
    ],
)
def test_a_value_is_never_code(argv):
    with pytest.raises(InvalidQuery):
        parse_templates("run", {"argv": argv})


@pytest.mark.parametrize(
    "argv",
    [
        ["bash", "-c", 'echo "$1"', "_", "{name}"],
        ["bash", "script.sh", "-c", "{name}"],
        ["gh", "issue", "edit", "{number}", "--add-label", "{label}"],
        ["python3", "tool.py", "-c", "{name}"],
    ],
)
def test_a_value_is_an_argument(argv):
    parse_templates("run", {"argv": argv})


def test_a_value_is_no_option():
    with pytest.raises(Fault, match=r"'-rf' would be taken for an option; write \{a!o\} to allow that"):
        Template("{a}").fill_word({"a": "-rf"}, 1)
    assert Template("{a!o}").fill_word({"a": "-rf"}, 1) == "-rf"
    assert Template("--x={a}").fill_word({"a": "-rf"}, 1) == "--x=-rf"


@pytest.mark.parametrize(("value", "words"), [("a\0b", "null character"), ("\ud800", "half of a character")])
def test_what_no_argument_can_be(value, words):
    for argv in (["x", "{v}"], ["x", "--", "{v}"]):
        templates = parse_templates("run", {"argv": argv})
        with pytest.raises(Fault, match=words):
            OPERATIONS["run"].fill(templates, {"v": value}, 1)
    assert Template("{v}").fill_word({"v": "\udcff"}, 1) == "\udcff"


def test_templates_that_an_operation_needs_and_those_it_does_not():
    with pytest.raises(TemplateError, match="move needs a template for to"):
        parse_templates("move", {"from": "a"})
    with pytest.raises(TemplateError, match="delete has no use for to; it takes from"):
        parse_templates("delete", {"from": "a", "to": "b"})
    with pytest.raises(TemplateError, match="'restore' is no operation"):
        parse_templates("restore", {})
