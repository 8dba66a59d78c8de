"""The corpus of benches/facts: what it says of its outputs is true."""

import importlib.util
import json
import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def load():
    spec = importlib.util.spec_from_file_location("bench_facts", os.path.join(ROOT, "benches", "facts.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


facts = load()


@pytest.mark.parametrize(
    ("name", "folder"),
    [(name, folder) for folder in (facts.OUTPUTS, facts.FRESH, facts.BUILDS) for name in facts.names(folder)],
)
def test_each_alternative_of_each_fact_stands_in_its_output(name, folder):
    output = facts.read(name, folder)
    text = facts.plain(output.data.decode(errors="replace"))
    assert output.kind in facts.KINDS
    assert output.command
    assert output.facts
    assert all(output.facts)
    assert [
        one for fact in output.facts for one in fact if not facts.plain(one) or facts.plain(one) not in text
    ] == []


def test_an_excerpt_without_a_fact_misses_it():
    output = facts.Output("x", "logs", "x", [["disk  full"], ["a", "b"], ["gone"]], b"")
    assert facts.missing(output, b"\x1b[31mdisk\n full\x1b[0m b") == [["gone"]]


def test_the_split_is_the_one_of_its_rule():
    with open(facts.SPLIT, encoding="utf-8") as file:
        assert json.load(file) == facts.halves()


def test_grep_numbers_lines_and_stops_at_the_size():
    assert facts.grep(b"ok\nan Error\nfine\nWARN 2\n", 100) == b"2:an Error\n4:WARN 2\n"
    assert facts.grep(b"an error\n" * 9, 13) == b"1:an error\n2:"
