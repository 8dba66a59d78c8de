"""Which commands are put before a pipe, and which stay as they are."""

import subprocess

import pytest

from maxstage.agents.shell import BOUND, bounded

REWRITTEN = [
    "make",
    "make -j4 test",
    "./gradlew build",
    "/usr/bin/git log --oneline -20",
    "python3 -m pytest -q tests",
    "python build.py 1",
    "grep -rn 'a;b && c | d > e' src",
    'echo "not; a && list | of > commands # here"',
    "echo it\\'s \\; plain \\| text",
    "ls *.py",
    "ls src/**/test_?.[ch]",
    "cp a.{txt,bak}",
    'echo $HOME ${HOME} "$HOME"',
    'echo 5$ "5$"',
    "echo a#b",
    "cat ~/notes",
    "npm run build",
    "docker build .",
    "docker logs web",
    "tail -n 100 log",
    "git commit -m 'done'",
    "sed -n 1,10p file",
    "bash script.sh",
    "node server-side-render.js",
    "find . -name '*.o'",
    "ls äöü",
]

LEFT = {
    "empty": ["", "   ", "\t"],
    "compound": ["cd src && make", "make; ls", "make || true", "make | tail", "make |& tail", "a & b"],
    "background": ["make &", "sleep 5 & wait"],
    "redirections": ["make > log", "make 2>&1", "make 2>/dev/null", "make >> log", "make < in", "cat <<< x"],
    "here-documents": ["cat <<END\nx\nEND", "cat << 'END'", "python3 - <<'EOF'\nprint(1)\nEOF"],
    "substitution": [
        "echo $(date)",
        "echo `date`",
        'echo "$(date)"',
        'echo "`date`"',
        "diff <(a) <(b)",
        "tee >(a)",
    ],
    "arithmetic": ["echo $((1 + 2))", "echo $[1 + 2]"],
    "expansion with an effect": ["echo ${X:=y}", "echo ${X:-$(date)}", 'echo "${X:?no}"'],
    "quotes of other kinds": ["echo $'a\\nb'", 'echo $"a"'],
    "subshells and groups": ["(make)", "{ make; }", "! make", "[[ -f x ]]", "[ -f x ]"],
    "newlines": ["make\nls", "make \\\n  test", "echo 'a\nb'", "make\r", "make\n"],
    "comments": ["make # all of it", "# nothing", "make #"],
    "open ends": ["echo 'a", 'echo "a', "echo a\\", 'echo "a\\'],
    "environment": ["X=1 make", "X=1", "PATH=/x:$PATH make", "env X=1 make"],
    "builtins": [
        "cd src",
        "export X=1",
        "source env.sh",
        ". env.sh",
        "exit 3",
        "eval make",
        "exec make",
        "set -e",
    ],
    "reserved words": ["if true", "for x in a b", "while true", "time make", "function f", "coproc make"],
    "wrappers": ["sudo make install", "nohup make", "timeout 5 make", "xargs rm", "command ls", "nice make"],
    "interactive": ["vim x", "/usr/bin/less log", "top", "ssh host", "man ls", "crontab -e", "gdb a.out"],
    "without arguments": ["python", "python3", "node", "bash", "sqlite3", "python3 -i x.py"],
    "terminals": ["git rebase -i HEAD~3", "git add -p", "docker run -it x", "kubectl exec --tty pod"],
    "endless": [
        "tail -f log",
        "tail -F log",
        "docker logs -f web",
        "journalctl -fu x",
        "npm run dev",
        "jest --watch",
    ],
    "ours": ["max retrieve max:a1b2c3d4", "maxstage exec -- make", f"make 2>&1 | {BOUND}", "max stage x"],
    "unclear programs": ["$CMD x", "'make' x", "ma\\ke", "*.sh", "~", "~/"],
    "control characters": ["make \x00", "make \x1b[0m", "make \x7f", "echo '\x01'", "make\x85"],
    "too long": ["echo " + "x" * 9000],
}


@pytest.mark.parametrize("command", REWRITTEN)
def test_a_simple_command_is_piped(command):
    assert bounded(command) == f"set -o pipefail; {command} 2>&1 | {BOUND}"
    assert bounded(f"  {command} ") == bounded(command)


@pytest.mark.parametrize("command", [one for some in LEFT.values() for one in some], ids=repr)
def test_any_other_command_is_left(command):
    assert bounded(command) is None
    assert bounded(command, plain=True) is None


@pytest.mark.parametrize(
    "command", ["echo $HOME", "ls *.py", "ls a\\ b", "cp a.{x,y} z", "cat ~/x", "ls x[1]"]
)
def test_where_a_client_must_read_the_words_they_say_what_is_run(command):
    assert bounded(command, plain=True) is None


def test_the_plain_form_has_no_redirection():
    assert bounded("make -j4 'a b'", plain=True) == f"set -o pipefail; make -j4 'a b' | {BOUND}"


@pytest.mark.parametrize(
    ("command", "code"), [("echo it\\'s \\; \"a;  b\" 'c | d'", 0), ("false", 1), ("ls /no/such/place", 2)]
)
def test_the_pipe_prints_and_exits_as_the_command_does(command, code, tmp_path):
    """With a `cat` in the place of the program: what is rewritten is the same for a shell."""
    (tmp_path / "max").write_text("#!/bin/sh\nexec cat\n")
    (tmp_path / "max").chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}

    def run(text):
        return subprocess.run(
            ["bash", "-c", text], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )

    plain, piped = run(command), run(bounded(command))
    assert (piped.returncode, piped.stdout) == (plain.returncode, plain.stdout)
    assert plain.returncode == code
