"""The light reader and writer of JSON are held to `json`."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import examples
from maxstage import light_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@examples(100)
@given(VALUES)
def test_writes_and_reads_as_json_does(value):
    assert light_json.dumps(value) == json.dumps(value, ensure_ascii=False)
    assert light_json.loads(json.dumps(value)) == value
    assert light_json.loads(f" \n{json.dumps(value, indent=1)}\t".encode()) == value


@examples(100)
@given(st.binary(max_size=20) | st.text(alphabet='{}[]",:0 1e\\u\ufeff').map(str.encode))
def test_refuses_what_json_refuses(content):
    try:
        expected = json.loads(content)
    except ValueError:
        with pytest.raises(ValueError, match=r".*"):
            light_json.loads(content)
    else:
        assert light_json.loads(content) == expected


@pytest.mark.parametrize("text", ["", "{", '{"a": }', "[1", "nul", '"\\x"', "1 2"])
def test_refuses_in_a_process_that_has_not_imported_json(text):
    code = (
        "import sys; from maxstage import light_json\n"
        # What measures coverage has imported it.
        "for name in [name for name in sys.modules if name.split('.')[0] == 'json']: del sys.modules[name]\n"
        "try: light_json.loads(sys.argv[1])\nexcept ValueError: sys.exit(7)"
    )
    done = subprocess.run([sys.executable, "-c", code, text], capture_output=True)
    assert (done.returncode, done.stderr) == (7, b"")


def test_does_without_the_c_parts(monkeypatch):
    monkeypatch.setitem(sys.modules, "_json", None)
    monkeypatch.setattr(light_json, "_cached", {})
    assert light_json.loads(b'{"a": 1}') == {"a": 1}
    assert light_json.dumps({"a": "\u00e4"}) == '{"a": "\u00e4"}'


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_writes_no_number_that_json_has_not(monkeypatch, number):
    for _ in range(2):
        with pytest.raises(ValueError, match="JSON compliant"):
            light_json.dumps({"a": [number]})
        monkeypatch.setitem(sys.modules, "_json", None)
        monkeypatch.setattr(light_json, "_cached", {})


def test_refuses_what_is_no_json():
    with pytest.raises(TypeError):
        light_json.dumps({"a": object()})
