"""What keeps a wheel from being uploaded. (What `auditwheel` finds is tested by `make release` itself.)"""

import importlib.util
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def check():
    path = Path(__file__).parents[2] / "packaging" / "check_release.py"
    spec = importlib.util.spec_from_file_location("check_release", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wheel(folder, tag, *more, without=""):
    """Make a wheel with nothing in its files."""
    path = folder / f"maxstage-1-{tag}.whl"
    base = "maxstage-1.data"
    names = [
        "maxstage/__init__.py",
        "maxstage/py.typed",
        f"{base}/scripts/max",
        f"{base}/data/share/man/man1/max.1",
    ]
    with zipfile.ZipFile(path, "w") as archive:
        for name in [*names, *more]:
            if not without or not name.endswith(without):
                archive.writestr(name, "")
    return path


def test_a_good_one(check, tmp_path):
    assert check.problems_of(wheel(tmp_path, "py3-none-any")) == []
    assert check.problems_of(wheel(tmp_path, "cp311-abi3-macosx_11_0_arm64", "maxstage/_core.abi3.so")) == []


@pytest.mark.parametrize("missing", ["py.typed", "scripts/max", "max.1"])
def test_what_is_missing(check, tmp_path, missing):
    (problem,) = check.problems_of(wheel(tmp_path, "py3-none-any", without=missing))
    assert missing in problem


def test_a_module_where_none_belongs_or_none_where_one_does(check, tmp_path):
    assert check.problems_of(wheel(tmp_path, "py3-none-any", "maxstage/_core.abi3.so")) == [
        "is pure and has a compiled module"
    ]
    assert check.problems_of(wheel(tmp_path, "cp311-abi3-macosx_11_0_arm64")) == ["has no compiled module"]


def test_a_tag_that_is_refused(check, tmp_path):
    found = check.problems_of(wheel(tmp_path, "cp311-abi3-linux_x86_64", "maxstage/_core.abi3.so"))
    assert found == ["its tag is one that PyPI refuses"]


def test_tags(check):
    assert check._version("manylinux_2_17_x86_64") == ("manylinux", (2, 17), "x86_64")
    assert check._version("musllinux_1_2_aarch64") == ("musllinux", (1, 2), "aarch64")
    with pytest.raises(ValueError, match="no tag"):
        check._version("linux_x86_64")
