"""The three ways to install, each into a new environment. ``make test`` builds the wheels first."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
WHEELS = os.environ.get("MAXSTAGE_WHEELS")

pytestmark = [
    pytest.mark.skipif(WHEELS is None, reason="MAXSTAGE_WHEELS names no folder of wheels"),
    # What is installed does not depend on the backend under test: once is enough.
    pytest.mark.skipif(
        os.environ.get("MAXSTAGE_BACKEND") == "python" and shutil.which("cargo") is not None,
        reason="tested with the compiled backend",
    ),
]


class Environment:
    """A new virtual environment."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.variables = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MAXSTAGE_", "COVERAGE_", "COV_", "PYTEST_", "VIRTUAL_ENV"))
        }
        # Without a pip of its own, which takes longer to install than we do: ours installs into it.
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)

    def install(self, what: object, **variables: str) -> None:
        """Install a wheel, or a tree."""
        pip = [sys.executable, "-m", "pip", "--python", self.bin / "python"]
        self.run(*pip, "install", "-q", what, **variables)

    def run(self, *command: object, check: bool = True, **variables: str) -> subprocess.CompletedProcess:
        # A path that is absolute stays what it is.
        words = [str(self.bin / str(command[0])), *map(str, command[1:])]
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            env=self.variables | variables,
            cwd=self.bin.parent,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def works(self, backend: str) -> None:
        """Stage and retrieve with the installed program."""
        assert self.run("max", "--version").stdout.endswith(f"({backend} backend)\n")
        assert (self.bin.parent / "share" / "man" / "man1" / "max-stage-list.1").exists()
        self.run("max", "init")
        (self.bin.parent / "data").write_text("1\n2\n3\n")
        token = self.run("max", "stage", "data").stdout.strip()
        assert self.run("max", "retrieve", token).stdout == "1\n2\n3\n"
        assert self.run("maxstage", "retrieve", token, "--tail", "1").stdout == "3\n"


@pytest.fixture
def environment(tmp_path):
    return Environment(tmp_path / "venv")


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """One that the compiled wheel is installed into."""
    made = Environment(tmp_path_factory.mktemp("compiled") / "venv")
    made.install(wheel("*-cp311-abi3-*.whl"))
    return made


def wheel(pattern: str) -> Path:
    found = list(Path(WHEELS or "").glob(pattern))
    if not found and shutil.which("cargo") is None:
        pytest.skip("no cargo, no compiled wheel")
    assert len(found) == 1, found
    return found[0]


def test_the_compiled_wheel(compiled):
    compiled.works("rust")
    assert "(python backend)" in compiled.run("max", "--version", MAXSTAGE_BACKEND="python").stdout


def test_the_pure_wheel(environment):
    environment.install(wheel("*-py3-none-any.whl"))
    environment.works("python")
    done = environment.run("max", "--version", check=False, MAXSTAGE_BACKEND="rust")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "no compiled module" in done.stderr


def test_from_the_tree_without_cargo(environment, tmp_path):
    tree = tmp_path / "tree"
    ignored = shutil.ignore_patterns(
        ".git", ".venv", "target", "dist", "*.so", "__pycache__", ".*_cache", ".hypothesis", ".coverage*"
    )
    shutil.copytree(ROOT, tree, ignore=ignored)
    bare = tmp_path / "bin"
    bare.mkdir()
    path = os.pathsep.join([str(bare), "/usr/bin", "/bin"])
    if shutil.which("cargo", path=path):
        pytest.skip("cargo is among the system's programs here")
    environment.install(tree, PATH=path)
    environment.works("python")


def test_a_compiled_module_of_another_version_is_refused(compiled):
    (version,) = compiled.bin.parent.glob("lib/python*/site-packages/maxstage/__init__.py")
    ours = version.read_text()
    version.write_text(re.sub('__version__ = ".*"', '__version__ = "99.0.0"', ours))
    try:
        done = compiled.run("max", "--version", check=False)
    finally:
        version.write_text(ours)
    assert done.returncode == 1
    assert "maxstage 99.0.0 found a compiled module of version" in done.stderr
    assert "Reinstall: pip install --force-reinstall maxstage" in done.stderr
    assert done.stderr.count("\n") == 1
