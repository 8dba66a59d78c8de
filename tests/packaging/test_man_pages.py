"""The man pages, which are made from the commands."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from maxstage.cli.app import COMMANDS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made():
    spec = importlib.util.spec_from_file_location("man_pages", ROOT / "packaging" / "man_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("man") / "man1"
    names = made.write_pages(str(folder))
    return {name: (folder / name).read_text() for name in names}


def test_there_is_one_for_each_command(pages):
    wanted = {"max.1", "maxstage.1", *(f"max-{name.replace(' ', '-')}.1" for name in COMMANDS)}
    assert set(pages) == wanted
    assert pages["maxstage.1"] == ".so man1/max.1\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_page_has_what_its_help_has(pages, name):
    page = pages[f"max-{name.replace(' ', '-')}.1"]
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SEE ALSO"):
        assert f"\n.SH {section}\n" in page
    assert "\x08" not in page
    assert "\\-h, \\-\\-help" in page


def test_every_line_is_text_or_a_command_that_we_mean(pages):
    known = {".TH", ".SH", ".PP", ".TP", ".nf", ".fi", ".so"}
    for page in pages.values():
        for line in page.splitlines():
            assert not line.startswith("'")
            assert not line.startswith(".") or line.split()[0] in known
            # A hyphen in an option must be copied as one.
            assert not re.search(r"(?<!\\)-", line.replace("\\-", "")) or line.startswith(".TH")


def test_text_that_looks_like_a_command(made):
    assert made._line(".PP is text") == "\\&.PP is text"
    assert made._line("'quoted' and \\n") == "\\&'quoted' and \\en"


def test_groff_has_nothing_to_say(pages, tmp_path):
    if shutil.which("groff") is None:
        pytest.skip("no groff")
    for name, page in pages.items():
        if name != "maxstage.1":
            done = subprocess.run(
                ["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True
            )
            assert (done.returncode, done.stderr) == (0, ""), name
