"""Which shell commands may be put before a pipe without changing what they do, and the pipe.

A command is changed only if nothing about it is unclear: one program with its arguments. The permission rules of every
client understand such commands, too. The programs and words below are known not to work in a pipe: they need a
terminal, they change the shell that they run in, or they name another program in their arguments.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BOUND = "max truncate --strategy summary --max-bytes 16KiB --cut-to 4KiB"
"""What bounds an output. What is short stays as it is; of what is longer a summary is left that no client cuts again:
they do so at 10,000 characters where a command fails, in the middle, where its error may be. The whole of it is kept.
"""

PIPEFAIL = "set -o pipefail"
"""Makes the pipe exit as the command does."""

_DYNAMIC = frozenset("$\\*?[]{}~!")
"""What makes words that are not there to be read."""

_LONGEST = 8192
"""The most characters of a command. A longer one carries data, and is not a plain call of a program."""

_STATEFUL = _words(
    "cd pushd popd dirs export unset set shopt alias unalias source . eval exec exit return trap ulimit umask wait "
    "jobs fg bg disown read declare local typeset readonly shift enable hash let mapfile readarray logout suspend "
    "setopt unsetopt autoload bindkey zmodload emulate break continue complete compgen history fc"
)
"""Builtins that affect the shell itself: in a pipe they would affect a copy."""

_RESERVED = _words(
    "if then elif else fi for while until do done case esac select function time coproc repeat foreach end "
    "noglob nocorrect"
)

_WRAPPERS = _words(
    "sudo doas su env command builtin nohup nice ionice time timeout setsid stdbuf chroot xargs strace ltrace "
    "unbuffer script expect faketime caffeinate runuser pkexec"
)
"""Programs that run another one, which may be any of these; `sudo` may also ask for a password."""

_INTERACTIVE = _words(
    "vi vim nvim view nano pico emacs ed ex joe micro helix hx less more most man info top htop btop atop iotop "
    "glances watch ssh slogin telnet ftp sftp mosh screen tmux zellij gdb lldb pdb fzf dialog whiptail mc ranger "
    "ncdu tig lazygit passwd login visudo crontab minicom claude codex gemini opencode cursor-agent aider"
)
"""Programs that need a terminal, or somebody who answers."""

_REPLS = _words(
    "python python2 python3 pypy pypy3 ipython node deno bun ruby irb perl php lua julia ghci scala sbt iex erl "
    "bash sh zsh fish dash ksh sqlite3 psql mysql mariadb mongosh redis-cli duckdb bc gnuplot octave R"
)
"""Programs that wait for input if no argument tells them what to do."""

_CONTAINERS = _words("docker podman nerdctl kubectl oc")
_RUNNERS = _words("npm yarn pnpm bun deno")

_ENDLESS = frozenset({"dev", "start", "serve", "watch", "preview"})
"""Scripts that don't end by themselves: their output is wanted while they run."""

_FOLLOWING = frozenset({"--follow", "--watch", "--watchAll"})
_FOLLOWERS = frozenset({"tail", "journalctl", "dmesg", "stern", *_CONTAINERS})

_OURS = frozenset({"max", "maxstage"})

_BLANKS = " \t"
_META = ";&|<>()"
"""What separates commands, redirects them or opens a subshell, where it isn't quoted."""

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_PROGRAM = _NAME | frozenset("./+-@,:")
"""What a clear name of a program consists of: no quotes, no variables, no assignment."""


def bounded(command: str, *, plain: bool = False, bound: str = BOUND) -> str | None:
    """Return the command with its output piped into what bounds it; None to leave it as it is.

    Args:
        command: The command that a model wants to run.
        plain: Without a redirection, and only where the words say exactly what is run: for clients whose permission
            rules no longer match a command that has more. Its stderr then goes by the pipe.
        bound: What to pipe it into.

    >>> bounded("make -j4 test")
    'set -o pipefail; make -j4 test 2>&1 | max truncate --strategy summary --max-bytes 16KiB --cut-to 4KiB'
    >>> bounded("cd src && make")
    """
    if len(command) > _LONGEST:
        return None
    command = command.strip(_BLANKS)
    words = simple_words(command)
    # Its name must be there to be read: a quoted one escapes the eye, and many a rule.
    if (
        not words
        or not f"{command} ".startswith((f"{words[0]} ", f"{words[0]}\t"))
        or not _stands_a_pipe(words)
    ):
        return None
    if plain and not _DYNAMIC.isdisjoint(command):
        return None
    return f"{PIPEFAIL}; {command}{'' if plain else ' 2>&1'} | {bound}"


def bound_of(program: str) -> str | None:
    """Return `BOUND` with the path of the program; None if that would have to be quoted."""
    return program + BOUND.removeprefix("max") if _PROGRAM.issuperset(program) else None


def simple_words(command: str) -> list[str] | None:
    """Return the words of a command that is one program with its arguments, quotes removed; None for any other."""
    words: list[str] = []
    word: list[str] | None = None
    at = 0
    while at < len(command):
        char = command[at]
        if not (char.isprintable() or char == "\t"):
            return None
        if char in _BLANKS:
            if word is not None:
                words.append("".join(word))
            word = None
            at += 1
            continue
        if char in _META or (char == "#" and word is None):
            return None
        piece, at = _piece(command, at)
        if piece is None:
            return None
        word = [*(word or ()), piece]
    if word is not None:
        words.append("".join(word))
    return words


def _piece(command: str, at: int) -> tuple[str | None, int]:
    """Return what a quoted part or a character of a word means, and where the next begins; None if that is unclear."""
    char = command[at]
    if char == "'":
        end = command.find("'", at + 1)
        inside = command[at + 1 : end]
        return (inside if end > 0 and _is_one_line(inside) else None), end + 1
    if char == '"':
        return _double_quoted(command, at + 1)
    if char == "\\":
        following = command[at + 1 : at + 2]
        return (following if following.isprintable() and following else None), at + 2
    if char == "`" or (char == "$" and not _is_plain_variable(command, at)):
        return None, at
    return char, at + 1


def _double_quoted(command: str, at: int) -> tuple[str | None, int]:
    found: list[str] = []
    while at < len(command):
        char = command[at]
        if char == '"':
            return "".join(found), at + 1
        if char == "\\":
            at += 1
            char = command[at : at + 1]
        elif char == "`" or (char == "$" and not _is_plain_variable(command, at)):
            return None, at
        if not _is_one_line(char) or not char:
            return None, at
        found.append(char)
        at += 1
    return None, at


def _is_plain_variable(command: str, at: int) -> bool:
    """Whether a dollar sign begins no more than ``$NAME`` or ``${NAME}``, or is a dollar sign."""
    following = command[at + 1 : at + 2]
    if following == "{":
        end = command.find("}", at)
        name = command[at + 2 : end]
        return end > 0 and bool(name) and _NAME.issuperset(name)
    return following not in {"(", "[", "'", '"'} or (following == '"' and _closes(command, at + 1))


def _closes(command: str, at: int) -> bool:
    """Whether a double quote after a dollar sign closes a quoted part, in which the dollar sign stands for itself."""
    return command.count('"', 0, at) % 2 == 1


def _is_one_line(text: str) -> bool:
    return all(char.isprintable() or char == "\t" for char in text)


def _stands_a_pipe(words: list[str]) -> bool:
    if not _PROGRAM.issuperset(words[0]):
        return False
    program = words[0].rpartition("/")[2]
    arguments = words[1:]
    if (
        not program
        or program in _OURS
        or program in _STATEFUL
        or program in _RESERVED
        or program in _WRAPPERS
        or program in _INTERACTIVE
    ):
        return False
    if program in _REPLS and (not arguments or "-i" in arguments):
        return False
    return not _wants_a_terminal(program, arguments) and not _goes_on(program, arguments)


def _wants_a_terminal(program: str, arguments: list[str]) -> bool:
    if program == "git":
        return any(word in {"-i", "-p", "--interactive", "--patch"} for word in arguments)
    if program in _CONTAINERS:
        return any(word in {"-i", "-t", "-it", "-ti", "--interactive", "--tty"} for word in arguments)
    return False


def _goes_on(program: str, arguments: list[str]) -> bool:
    """Whether a command prints until it is stopped: through the pipe it would print nothing until then."""
    if _FOLLOWING.intersection(arguments):
        return True
    if program in _FOLLOWERS and any(word.startswith(("-f", "-F")) for word in arguments):
        return True
    return program in _RUNNERS and not _ENDLESS.isdisjoint(arguments)
