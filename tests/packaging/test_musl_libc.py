"""Writing a wheel anew with another module in it. (That `patchelf` does what it should is seen by `make release`.)"""

import base64
import hashlib
import importlib.util
import zipfile
from pathlib import Path

import pytest


@pytest.fixture
def musl_libc(monkeypatch):
    path = Path(__file__).parents[2] / "packaging" / "musl_libc.py"
    spec = importlib.util.spec_from_file_location("musl_libc", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "_renamed", lambda data, name: data + name.encode())
    return module


def test_a_wheel_is_whole_afterwards(musl_libc, tmp_path):
    wheel = tmp_path / "maxstage-1-cp311-abi3-musllinux_1_2_aarch64.whl"
    record = "maxstage/a.py,sha256=x,1\nmaxstage/_core.abi3.so,sha256=y,6\nmaxstage-1.dist-info/RECORD,,\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("maxstage/a.py", "1")
        archive.writestr("maxstage/_core.abi3.so", "module", zipfile.ZIP_DEFLATED)
        archive.writestr("maxstage-1.dist-info/RECORD", record)
    musl_libc.rename_libc(wheel)
    with zipfile.ZipFile(wheel) as archive:
        module = archive.read("maxstage/_core.abi3.so")
        assert module == b"modulelibc.musl-aarch64.so.1"
        digest = base64.urlsafe_b64encode(hashlib.sha256(module).digest()).rstrip(b"=").decode()
        lines = archive.read("maxstage-1.dist-info/RECORD").decode().splitlines()
        assert lines[1] == f"maxstage/_core.abi3.so,sha256={digest},{len(module)}"
        assert [lines[0], lines[2]] == [record.splitlines()[0], record.splitlines()[2]]
        assert archive.read("maxstage/a.py") == b"1"
        assert archive.getinfo("maxstage/_core.abi3.so").compress_type == zipfile.ZIP_DEFLATED
    assert [path.name for path in tmp_path.iterdir()] == [wheel.name]


def test_other_wheels_are_refused(musl_libc, tmp_path):
    with pytest.raises(ValueError, match="no wheel for musl"):
        musl_libc.rename_libc(tmp_path / "maxstage-1-py3-none-any.whl")
