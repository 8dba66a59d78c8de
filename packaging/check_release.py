"""Checks what is about to be uploaded: each wheel is what its tag says, and has in it what users need.

python packaging/check_release.py FOLDER
"""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

NEEDED = ["maxstage/__init__.py", "maxstage/py.typed", ".data/scripts/max", ".data/data/share/man/man1/max.1"]
"""What the names of files in a wheel end with."""

MOST_BYTES = 10 * 1024 * 1024
"""The most that a wheel takes; what is far larger has something in it that doesn't belong there."""


def problems_of(wheel: Path) -> list[str]:
    """Return what is wrong with a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    found = [f"has no {one}" for one in NEEDED if not any(name.endswith(one) for name in names)]
    if wheel.stat().st_size > MOST_BYTES:
        found.append(f"has {wheel.stat().st_size:,} bytes")
    pure = wheel.name.endswith("-none-any.whl")
    if pure == any(name.endswith(".so") for name in names):
        found.append("is pure and has a compiled module" if pure else "has no compiled module")
    if "linux" in wheel.name:
        found += _of_its_tag(wheel)
    return found


def _of_its_tag(wheel: Path) -> list[str]:
    """Return whether a wheel for Linux uses more of the system than its tag allows, as `auditwheel` sees it."""
    claimed = re.findall(r"(?:many|musl)linux_\d+_\d+_\w+?(?=\.|$)", wheel.stem.rpartition("-")[2])
    if not claimed:
        return ["its tag is one that PyPI refuses"]
    shown = subprocess.run(
        [sys.executable, "-m", "auditwheel", "show", wheel],
        capture_output=True,
        text=True,
        check=False,
    )
    text = " ".join((shown.stdout + shown.stderr).split())
    consistent = re.search(r'the following platform tag: "(\w+)"', text)
    if shown.returncode or consistent is None:
        return [f"auditwheel says: {text}"]
    # The tag that it finds may be one for an even older system.
    allowed, used = _version(claimed[0]), _version(consistent[1])
    same = allowed[0] == used[0] and allowed[2] == used[2]
    return [] if same and used[1] <= allowed[1] else [f"auditwheel finds {consistent[1]}"]


def _version(tag: str) -> tuple[str, tuple[int, int], str]:
    found = re.fullmatch(r"(\w+?linux)_(\d+)_(\d+)_(\w+)", tag)
    if found is None:
        raise ValueError(f"{tag} is no tag of a Linux")
    return found[1], (int(found[2]), int(found[3])), found[4]


def main(folder: str) -> int:
    """Check all files of a folder; return the exit code."""
    files = sorted(Path(folder).iterdir())
    bad = False
    for file in files:
        problems = problems_of(file) if file.suffix == ".whl" else []
        print(f"{file.name}: {'; '.join(problems) or 'good'}")  # noqa: T201
        bad |= bool(problems)
    checked = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], check=False)
    return int(bad or checked.returncode != 0 or not files)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
