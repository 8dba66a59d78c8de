"""Completion, typed into real shells on a terminal."""

import fcntl
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import termios
import time

import pytest

from helpers import PATIENCE
from maxstage import Store

BIN = os.path.dirname(sys.executable)
PROMPT = "READY>"
TAB, HOME, LEFT, CLEAR = "\t", "\x01", "\x02", "\x15"
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$({var}=bash_source {name})"'),
    "zsh": (["zsh", "-f", "-i"], 'autoload -U compinit; compinit -D; eval "$({var}=zsh_source {name})"'),
    "fish": (["fish", "--no-config", "-i"], "{var}=fish_source {name} | source"),
}
PROMPTS = {
    "bash": f"PS1='{PROMPT[:3]}''{PROMPT[3:]} '",
    "zsh": f"bindkey -e; PS1='{PROMPT[:3]}''{PROMPT[3:]} '",
    "fish": f"function fish_prompt; echo -n '{PROMPT[:3]}''{PROMPT[3:]} '; end",
}


class Shell:
    """A shell on a terminal of its own."""

    def __init__(self, name: str, folder) -> None:
        command, self._setup = SHELLS[name]
        self._ours, theirs = pty.openpty()
        environment = {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(folder),
            "TERM": "xterm",
            "COLUMNS": "200",
            "LC_ALL": "C.UTF-8",
        }
        environment |= {key: value for key, value in os.environ.items() if key.startswith("MAXSTAGE")}
        subprocess.run(["stty", "rows", "50", "cols", "200"], stdin=theirs, check=True)
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - no threads here
        )
        os.close(theirs)
        self._wait(lambda seen: len(seen) > 0)
        self.run(PROMPTS[name])
        for program in ("max", "maxstage"):
            self.run(self._setup.format(name=program, var=f"_{program.upper()}_COMPLETE"))

    def _wait(self, is_enough) -> str:
        seen = ""
        deadline = time.monotonic() + PATIENCE
        while not is_enough(seen):
            assert time.monotonic() < deadline, seen
            if select.select([self._ours], [], [], 0.1)[0]:
                seen += os.read(self._ours, 65536).decode("utf-8", "replace")
        return seen

    def run(self, line: str) -> str:
        """Type a line and another; return what the terminal showed until that was answered."""
        os.write(self._ours, f"{line}\recho do''ne\r".encode())
        return self._wait(lambda seen: PROMPT in seen.rpartition("done\r\n")[2] and "done\r\n" in seen)

    def complete(self, typed: str) -> list[str]:
        """Type this with its TABs; return the words that then stand on the line."""
        shown = self.run(f"{typed}{HOME}printf '<%s>\\n' ")
        return [word for word in re.findall(r"<([^<>\r\n\x1b]*)>", shown) if word != "%s"]

    def offers(self, typed: str) -> str:
        """Type this and TAB until the shell lists what there is; return that."""
        return self.run(f"{typed}{TAB}{TAB}{TAB}{CLEAR}{CLEAR}")

    def close(self) -> None:
        """End it."""
        os.close(self._ours)
        self._process.kill()
        self._process.wait()


@pytest.fixture(params=list(SHELLS))
def shell(request, tmp_path):
    """A shell in a new project."""
    if shutil.which(request.param) is None:
        assert request.param != "bash", "bash is everywhere"
        pytest.skip(f"{request.param} is not installed")
    Store.init(tmp_path)
    found = Shell(request.param, tmp_path)
    found.name = request.param
    yield found
    found.close()


def test_tokens(shell, tmp_path):
    token = Store.open(tmp_path).stage(b"data\n", source="a/b").token
    bare = token.removeprefix("max:")
    for program in ("max", "maxstage"):
        for typed in ("", "m", "max", "max:", token[:7], token):
            assert shell.complete(f"{program} retrieve {typed}{TAB}") == [program, "retrieve", token], typed
    for typed in (bare[:1], bare[:4], bare):
        assert shell.complete(f"max stage info {typed}{TAB}") == ["max", "stage", "info", bare], typed
    # The cursor stands in the middle of the line, and behind the colon.
    back = LEFT * len(" --head 1")
    words = ["max", "retrieve", token, "--head", "1"]
    assert shell.complete(f"max retrieve max: --head 1{back}{TAB}") == words
    assert shell.complete(f"max retrieve {token[:6]} --head 1{back}{TAB}") == words


def test_many_tokens_are_listed(shell, tmp_path):
    store = Store.open(tmp_path)
    tokens = [store.stage(b"data\n", source=source).token for source in ("one/x", "two/y")]
    shown = shell.offers("max unstage ")
    for token in tokens:
        assert token.removeprefix("max:") in shown
    if shell.name != "bash":  # bash shows no descriptions
        assert "two/y" in shown


def test_verbs_and_files_behind_stage(shell, tmp_path):
    (tmp_path / "lines of text.txt").write_bytes(b"x")
    (tmp_path / "other.json").write_bytes(b"x")
    shown = shell.offers("max stage ")
    for name in ("list", "info", "renew", "pin", "unpin", "gc", "verify", "other.json"):
        assert name in shown, name
    assert shell.complete(f"max stage ver{TAB}") == ["max", "stage", "verify"]
    assert shell.complete(f"max stage oth{TAB}") == ["max", "stage", "other.json"]
    assert shell.complete(f"max stage lin{TAB}") == ["max", "stage", "lines of text.txt"]
    assert shell.complete(f"max stage ./oth{TAB}") == ["max", "stage", "./other.json"]
    assert shell.complete(f"max retr{TAB}") == ["max", "retrieve"]
    assert shell.complete(f"max runs sh{TAB}") == ["max", "runs", "show"]
    shown = shell.offers("max ")
    assert "retrieve" in shown
    assert "truncate" in shown


def test_options_and_their_values(shell, tmp_path):
    assert shell.complete(f"max stage --comp{TAB}") == ["max", "stage", "--compress"]
    assert shell.complete(f"max stage --type nd{TAB}") == ["max", "stage", "--type", "ndjson"]
    assert shell.complete(f"max stage --type=nd{TAB}") == ["max", "stage", "--type=ndjson"]
    assert shell.complete(f"max stage --compress=zs{TAB}") == ["max", "stage", "--compress=zstd"]
    assert shell.complete(f"max exec --compress=g{TAB}") == ["max", "exec", "--compress=gzip"]
    (tmp_path / "zone.txt").write_bytes(b"x")
    # Without the "=" a file follows.
    assert shell.complete(f"max stage --compress z{TAB}") == ["max", "stage", "--compress", "zone.txt"]
    words = ["maxstage", "truncate", "--strategy", "summary"]
    assert shell.complete(f"maxstage truncate --strategy su{TAB}") == words
    assert "head_lines" in shell.offers("max retrieve max:a1b2c3d4 --strategy ")
    assert "head_lines" in shell.offers("max retrieve max:a1b2c3d4 --strategy=")
    (tmp_path / "elsewhere").mkdir()
    assert shell.complete(f"max stage --dir elsew{TAB}")[3].rstrip("/") == "elsewhere"
    assert shell.complete(f"max exec -- mkfif{TAB}") == ["max", "exec", "--", "mkfifo"]


def test_a_place_without_tokens_offers_nothing(shell, tmp_path):
    assert shell.complete(f"max retrieve a{TAB}") == ["max", "retrieve", "a"]
    (tmp_path / ".max" / "config.toml").write_text("nonsense = 1\n")
    assert shell.complete(f"max retrieve a{TAB}") == ["max", "retrieve", "a"]


def test_sources_and_fields(shell, tmp_path):
    (tmp_path / ".max" / "config.toml").write_text('[sources.hubspot]\ncommand = ["false"]\n')
    records = b'{"firstName": "A", "home": {"city": "Bonn"}, "amount": 1}\n'
    token = Store.open(tmp_path).stage(records).token
    (tmp_path / "contacts.csv").write_bytes(b"surname,age\nB,2\n")
    assert shell.complete(f"max search hub{TAB}") == ["max", "search", "hubspot"]
    assert shell.complete(f"max count fi{TAB}") == ["max", "count", "files"]
    assert shell.complete(f"max schema cont{TAB}") == ["max", "schema", "contacts.csv"]
    assert shell.complete(f"max search {token} --sort am{TAB}")[-1] == "amount"
    assert shell.complete(f"max search {token} --sort amount:d{TAB}")[-1] == "amount:desc"
    assert shell.complete(f"max search {token} --fields amount,fir{TAB}")[-1] == "amount,firstName"
    assert shell.complete(f"max count {token} --by home.{TAB}")[-1] == "home.city"
    assert shell.complete(f"max count contacts.csv --by=sur{TAB}")[-1] == "--by=surname"
    assert shell.complete(f"max search files --sort ext{TAB}")[-1] == "extension"
    assert shell.complete(f"max search {token} -f am{TAB}")[-1] == "amount"
    # A program is not run for a completion.
    assert shell.complete(f"max search hubspot --sort a{TAB}")[-1] == "a"


def test_a_filter_as_far_as_it_is_written(shell, tmp_path):
    token = Store.open(tmp_path).stage(b'{"name": "A", "amount": 1}\n').token
    for text, whole in {"'amount = 1 and na": "amount = 1 and name", "'name = x o": "name = x or"}.items():
        assert shell.complete(f"max search {token} -f {text}{TAB}")[-1].rstrip() == whole
    shown = shell.offers(f"max search {token} -f 'amount ")
    for operator in ("~=", "not in (", "is not null"):
        assert operator in shown
