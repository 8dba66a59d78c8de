"""The version stands in two files, which have to agree."""

import tomllib
from pathlib import Path

import maxstage

ROOT = Path(__file__).parent.parent


def test_cargo_and_python_agree():
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())
    assert cargo["package"]["version"] == maxstage.__version__


def test_changelog_tells_of_it():
    assert f"## {maxstage.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_what_is_tested_is_the_installed_package():
    if (ROOT / ".venv" / "installed").exists() and "site-packages" not in maxstage.__file__:
        raise AssertionError(f"the suite imports the source tree: {maxstage.__file__}")
