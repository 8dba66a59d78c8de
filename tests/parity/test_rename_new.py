"""Renaming without replacing: both backends, and the way without the system's help."""

import errno
import os

import pytest

from maxstage import _pure
from maxstage._backend import core
from maxstage._pure import place


def by_link(moves):
    """Rename as where the system has no call for it."""
    codes = []
    for move in moves:
        try:
            place._by_link(*move)
            codes.append(0)
        except OSError as error:
            codes.append(error.errno)
    return codes


@pytest.mark.parametrize("rename", [core.rename_new, _pure.rename_new, by_link])
def test_nothing_is_replaced(tmp_path, rename):
    names = {b"a": b"1", b"taken": b"2", b"r\xff": b"3"}
    (tmp_path / "to").mkdir()
    for name, data in names.items():
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:
            file.write(data)
    (tmp_path / "link").symlink_to("nowhere")
    here = os.open(tmp_path, os.O_RDONLY)
    there = os.open(tmp_path / "to", os.O_RDONLY)
    moves = [
        (here, b"a", here, b"taken"),
        (here, b"a", here, b"link"),
        (here, b"gone", there, b"x"),
        (here, b"r\xff", there, b"r\xff"),
        (here, b"link", there, b"link"),
    ]
    assert rename(moves) == [errno.EEXIST, errno.EEXIST, errno.ENOENT, 0, 0]
    assert sorted(os.listdir(here)) == ["a", "taken", "to"]
    assert sorted(os.listdir(there)) == ["link", "r\udcff"]
    assert (tmp_path / "taken").read_bytes() == b"2"
    assert os.readlink(tmp_path / "to" / "link") == "nowhere"
    os.close(here)
    os.close(there)


@pytest.mark.parametrize("rename", [core.rename_new, _pure.rename_new])
def test_what_is_no_name_or_folder(tmp_path, rename):
    here = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(ValueError, match="nul"):
        rename([(here, b"a\0b", here, b"c")])
    with pytest.raises(OSError, match="Bad file descriptor"):
        rename([(-1, b"a", here, b"c")])
    os.close(here)
    assert rename([]) == []


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs another file system")
@pytest.mark.parametrize("rename", [core.rename_new, _pure.rename_new])
def test_the_first_failure_is_the_last(tmp_path, rename):
    for name in "abc":
        (tmp_path / name).write_text(name)
    here = os.open(tmp_path, os.O_RDONLY)
    there = os.open("/proc", os.O_RDONLY)
    moves = [
        (here, b"a", there, b"a"),
        (here, b"a", here, b"x"),
        (here, b"b", here, b"c"),
        (here, b"b", here, b"y"),
    ]
    assert rename(moves, stop=True) == [errno.EXDEV, 0, errno.EEXIST]
    assert sorted(os.listdir(tmp_path)) == ["b", "c", "x"]
    assert rename(moves[3:], stop=True) == [0]
    os.close(here)
    os.close(there)
