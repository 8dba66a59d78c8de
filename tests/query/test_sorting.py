"""Sorting and counting more than memory may hold."""

import json
import random

import pytest

from maxstage.query import counting, scratch, sorting
from maxstage.query.inputs import open_inputs
from maxstage.query.search import Looked, Query, read_all


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(sorting, "_MOST_BYTES", 20_000)
    monkeypatch.setattr(counting, "_MOST_BYTES", 20_000)


def order(value):
    """What comes before what: numbers, texts, nothing."""
    return (2, 0) if value is None else (0, value) if isinstance(value, int) else (1, value.encode())


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_what_goes_through_files_is_in_order_too(store, tmp_path, little_memory, direction):
    draw = random.Random(3)
    rows = [
        {"n": number, "a": draw.choice([None, draw.randrange(-50, 50), chr(draw.randrange(97, 500)), ""])}
        for number in range(30_000)
    ]
    item = store.stage("".join(json.dumps(row) + "\n" for row in rows).encode())
    inputs, _ = open_inputs([item.token], lambda: store)
    text = b"".join(read_all(inputs, Query(sort=f"a:{direction}"), Looked(), scratch=str(tmp_path)))
    there, missing = ([row for row in rows if (row["a"] is None) == is_none] for is_none in (False, True))
    # Equal ones stay in the order of the data.
    expected = sorted(there, key=lambda row: order(row["a"]), reverse=direction == "desc")
    assert [json.loads(line) for line in text.splitlines()] == expected + missing
    assert [path.name for path in tmp_path.iterdir()] == [".max"]


def test_groups_of_which_there_are_many(store, tmp_path, little_memory):
    rows = [{"a": number % 9000 if number % 3 else str(number % 7000)} for number in range(40_000)]
    item = store.stage("".join(json.dumps(row) + "\n" for row in rows).encode())
    expected: dict = {}
    for row in rows:
        expected[row["a"]] = expected.get(row["a"], 0) + 1
    inputs, _ = open_inputs([item.token, item.token], lambda: store)
    looked = Looked()
    groups = list(counting.count_by(inputs, Query(), "a", looked, scratch=str(tmp_path)))
    found = {(int(one.text) if one.kind == "number" else one.text.decode()): one.count for one in groups}
    assert len(groups) == len(found)
    assert found == {value: 2 * count for value, count in expected.items()}
    assert [one.count for one in groups] == sorted((one.count for one in groups), reverse=True)
    assert looked.matched == 80_000


def test_a_full_disk_names_the_folder(tmp_path):
    """The file has no name of its own, and "No space left" alone doesn't tell which disk is full."""
    with (
        open("/dev/full", "wb", buffering=0) as file,
        pytest.raises(OSError, match="No space left") as caught,
    ):
        scratch.write(file, b"x", str(tmp_path))
    assert caught.value.filename == str(tmp_path)
