"""What the commands of a bash script make of their arguments: which of them read one again, as code or as a sum.

The rules are tables: a command that is not in one of them takes any value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from maxstage.workflow.format.references import PATTERN
from maxstage.workflow.format.scripts.places import INTEGER, NAME, OPERAND, PROGRAM

if TYPE_CHECKING:
    from collections.abc import Container

    from maxstage.workflow.format.scripts.places import Place


class Word(NamedTuple):
    """A word of a command.

    Attributes:
        text: As it stands in the script.
        places: Its references.
        level: How many commands within commands the word stands in.
    """

    text: str
    places: list[Place]
    level: int

    @property
    def bare(self) -> str | None:
        """The word without its quotes; None where it is only known once the script runs."""
        return None if self.places or re.search(r"[$`]", self.text) else re.sub(r"[\\'\"]", "", self.text)

    @property
    def is_made(self) -> bool:
        """Whether anything but references in it is expanded, and may become several words."""
        return bool(re.search(r"[$`]", PATTERN.sub("", self.text)))

    @property
    def is_reference(self) -> bool:
        """Whether it is one reference and nothing else, quoted or not."""
        if len(self.places) != 1:
            return False
        place = self.places[0]
        return len(self.text.strip("\"'")) == place.end - place.start

    @property
    def begins_with_reference(self) -> bool:
        """Whether its first character is that of a value."""
        return bool(self.places) and self.text.lstrip("\"'$").startswith(("{{", "{task.", "{workflow."))


class Command:
    """A command of a script, as far as it was read.

    Attributes:
        first: The number of the first reference that belongs to it.
        words: Its words; assignments before them are left out.
        piped: Whether it reads what the command before it prints.
        over: Whether it is a compound command, of which only redirections follow.
        read: The references in what it is given on its stdin.
        reads_code: What it does with its stdin, if it runs it.
        is_fed: Whether the script says what its stdin is, other than a pipe.
    """

    def __init__(self, first: int, *, piped: bool = False) -> None:
        self.first = first
        self.words: list[Word] = []
        self.piped = piped
        self.over = False
        self.read: list[Place] = []
        self.reads_code = ""
        self.is_fed = False

    @property
    def is_loop(self) -> bool:
        """Whether it is a ``for`` of which nothing more was read."""
        return [word.text for word in self.words] == ["for"]

    def refuse_read(self) -> None:
        """Refuse what it would run."""
        if self.reads_code:
            for place in self.read:
                place.refuse(self.reads_code)


_PREFIXES = frozenset(("command", "builtin"))
DECLARE = frozenset(("declare", "typeset", "local", "export", "readonly"))
_READ_AGAIN = frozenset(("eval", "source", ".", "trap", "alias", "complete", "compgen", "bind", "fc"))
_FOR_A_SHELL = frozenset(("watch", "parallel", "tmux", "screen", "at", "batch", "crontab"))
"""Programs that make a line for a shell of their arguments, or of what they read."""
_AFTER_A_HOST = frozenset(("ssh", "rsh", "autossh", "mosh"))
"""Programs that do so with what follows the name of a host."""
_OPTIONS_OF_NAMES = {
    "read": frozenset(("-p", "-d", "-i", "-n", "-N", "-t", "-u")),
    "mapfile": frozenset(("-d", "-n", "-O", "-s", "-u", "-c")),
    "readarray": frozenset(("-d", "-n", "-O", "-s", "-u", "-c")),
    "unset": frozenset[str](),
}
"""Commands whose arguments are names of variables, but for what follows these options."""

_SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "ash", "rbash", "fish", "su")
_CODE = {
    **dict.fromkeys(_SHELLS, r"-[A-Za-z]*c|--command"),
    **dict.fromkeys(("python", "python2", "python3", "pypy", "pypy3"), r"-[A-Za-z]*c"),
    "perl": r"-[A-Za-z0-9]*[eE]",
    "ruby": r"-[A-Za-z0-9]*e",
    "node": r"-[A-Za-z]*[ep]|--eval|--print",
    "nodejs": r"-[A-Za-z]*[ep]|--eval|--print",
    "php": r"-r|-B|-R|-E",
    "lua": r"-e",
    "julia": r"-[eE]|--eval|--print",
    "Rscript": r"-e",
    "pwsh": r"-[cC]\w*",
    "deno": r"eval",
    "bun": r"-[ep]|--eval|--print",
    "expect": r"-c",
    "tclsh": r"-c",
    "osascript": r"-e",
}
"""Programs that run code, and the option after which it stands."""
_WITH_VALUE = frozenset(
    ("-o", "+o", "-O", "+O", "-W", "-X", "-I", "-r", "--require", "--rcfile", "--init-file")
)
"""Options of theirs that a value follows."""
_WRAPPERS = frozenset(
    (
        "sudo",
        "doas",
        "env",
        "nohup",
        "timeout",
        "nice",
        "ionice",
        "xargs",
        "exec",
        "time",
        "ssh",
        "docker",
        "podman",
        "kubectl",
        "find",
        "parallel",
        "flock",
        "setsid",
        "stdbuf",
        "chroot",
        "watch",
        "strace",
        "unshare",
        "runuser",
        "uv",
        "poetry",
        "pipx",
        "npx",
        "unbuffer",
        "script",
        "entr",
        "chronic",
        "busybox",
        "taskset",
        "chrt",
        "numactl",
        "prlimit",
        "perf",
        "ltrace",
        "valgrind",
        "nsenter",
        "setpriv",
        "systemd-run",
        "fakeroot",
        "bwrap",
        "firejail",
        "xvfb-run",
        "gosu",
        "su-exec",
        "tini",
        "dumb-init",
    )
)
"""Programs that run another one, which their arguments name."""
_PROGRAM_FIRST = {
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk"), (frozenset(("-v", "-F", "-f")), frozenset(("-f",)))),
    **dict.fromkeys(
        ("sed", "gsed"), (frozenset(("-e", "-f", "--expression")), frozenset(("-e", "-f", "--expression")))
    ),
}
"""Programs whose first argument is code: options that a value follows, and those that take its place."""

_CHECK_FIRST = "assign the value to a variable, check that, and use the variable here"


def need(word: Word, what: str, why: str) -> None:
    """Note what the values in a word must be; those in a command within it can't be told and are refused."""
    for place in word.places:
        if place.level == word.level:
            place.need(what)
        else:
            place.refuse(why)


def _refuse(word: Word, why: str) -> None:
    for place in word.places:
        place.refuse(why)


def _need_name(word: Word, of: str) -> None:
    if word.is_reference:
        need(word, NAME, f"{of} uses it as the name of a variable; {_CHECK_FIRST}")
    else:
        _refuse(word, f"{of} uses it as the name of a variable; {_CHECK_FIRST}")


_OPTIONS_OF_CODE = {
    "flock": re.compile(r"-[A-Za-z]*c|--command(=.*)?"),
    "script": re.compile(r"-[A-Za-z]*c|--command(=.*)?"),
    "split": re.compile(r"--filter(=.*)?"),
    "env": re.compile(r"-[A-Za-z0-9]*S|--split-string(=.*)?"),
    "hash": re.compile(r"-p"),
    "enable": re.compile(r"-f"),
    "find": re.compile(r"-(exec|ok)(dir)?"),
    "tar": re.compile(r"-[A-Za-z]*I|--(checkpoint-action|to-command|use-compress-program|rsh-command)(=.*)?"),
    "rsync": re.compile(r"-[A-Za-z]*e|--rsh(=.*)?"),
    "ssh": re.compile(r"-[A-Za-z0-9]*o\w*"),
    "scp": re.compile(r"-[A-Za-z0-9]*[oS]"),
    "sftp": re.compile(r"-[A-Za-z0-9]*[oS]"),
    "git": re.compile(r"-c|--(config-env|exec-path|upload-pack|receive-pack|exec)(=.*)?"),
    "sort": re.compile(r"--compress-program(=.*)?"),
    "vim": re.compile(r"-c|--cmd"),
    "vi": re.compile(r"-c|--cmd"),
    "ex": re.compile(r"-c|--cmd"),
    "gdb": re.compile(r"-ex|-iex|--eval-command(=.*)?"),
    "runuser": re.compile(r"-[A-Za-z]*c|--(session-)?command(=.*)?"),
    "psql": re.compile(r"-[A-Za-z]*c|--command(=.*)?"),
    "mysql": re.compile(r"-[A-Za-z]*e|--execute(=.*)?"),
    "mariadb": re.compile(r"-[A-Za-z]*e|--execute(=.*)?"),
    "sqlite3": re.compile(r"-cmd"),
    "duckdb": re.compile(r"-(c|cmd|s)"),
    "dc": re.compile(r"-[A-Za-z]*e|--expression(=.*)?"),
    "gnuplot": re.compile(r"-e"),
}
"""Programs that run what follows an option, or stands behind its ``=``."""
_OF_STDIN = frozenset(("ed", "red", "m4", "dc", "gnuplot", "gdb", "ftp", "sftp", "psql", "mysql", "mariadb"))
"""Programs with commands of their own, one of which runs a program, whatever their arguments are."""
_CODE_AFTER_FIRST = frozenset(("sqlite3", "duckdb"))
"""Programs that do so with their arguments after the first, or with stdin where there are none."""
_FEEDERS = frozenset(("xargs", "parallel"))
"""Programs that make arguments of what they read."""
_SETS_CODE = re.compile(r"[\"']?(BASH_ENV|ENV|PS[0124]|PROMPT_COMMAND)=")


def _check_every_word(words: list[Word]) -> None:
    """Refuse what a shell runs whatever the command is: variables that hold code, options that take some."""
    program, option = "", None
    before = ""
    for word in words:
        # A program that runs another one does not end its options for good: `sudo env -S`.
        named = _program_of(word)
        if named in _OPTIONS_OF_CODE and (not program or words[0].bare in _WRAPPERS):
            program, option = named, _OPTIONS_OF_CODE[named]
        program = program or named or "?"
        if _SETS_CODE.match(word.text):
            _refuse(word, f"a shell reads what such a variable holds as code; {_CHECK_FIRST}")
        if word.places and option is not None and _follows(option, before, word.text):
            _refuse(word, f"{program} runs it; hand it over as an argument or in the environment")
        before = word.bare or ""


def _follows(option: re.Pattern[str], before: str, text: str) -> bool:
    """Whether a word is what an option takes: the word after it, behind its ``=``, or right behind its letter."""
    own = PATTERN.split(text.lstrip("\"'"), maxsplit=1)[0].rstrip("\"'")
    name = own.partition("=")[0]
    return bool(option.fullmatch(before) or (own.startswith("-") and option.fullmatch(name)))


def _program_of(word: Word) -> str:
    """Return which program a word names, if it names one: without its folder and version."""
    program = (word.bare or "").rpartition("/")[2]
    return re.sub(r"(?<=\d)\.\d+$", "", program)


def analyse(  # noqa: C901, PLR0912 - a table of commands
    command: Command, integers: Container[str], arrays: Container[str]
) -> None:
    """Note what the values in the words of a command must be.

    Args:
        command: The command.
        integers: Variables whose value is computed when one is assigned.
        arrays: Variables that are arrays: what looks like one is read again when it is assigned by a declaration.
    """
    words = command.words
    while words and words[0].bare in _PREFIXES:
        words = words[1:]
        while words and (words[0].bare or "").startswith("-"):
            words = words[1:]
    if not words:
        return
    _check_every_word(words)
    name, rest = words[0].bare, words[1:]
    if words[0].places:
        _of_any_program(command, words)
    elif name in _READ_AGAIN:
        for word in rest:
            _refuse(word, f"{name} reads it as code; {_CHECK_FIRST}")
        if name in {"source", "."}:
            command.reads_code = f"{name} reads it as code; {_CHECK_FIRST}"
    elif name in {"for", "select"}:
        for word in rest[:1]:
            _need_name(word, name or "")
    elif name in DECLARE:
        _declared(name or "", rest, integers, arrays)
    elif name in _SPECIAL:
        _SPECIAL[name](rest)
    elif name in _OPTIONS_OF_NAMES:
        _names(name or "", rest)
    else:
        _programs(command, words)


def _of_any_program(command: Command, words: list[Word]) -> None:
    """Let a value that names the command be none that makes code of the other values."""
    why = "a value names the command, which may read this as code; write the command's name"
    first = words[0]
    if first.is_made:
        _refuse(
            first, f"it becomes part of a command that is assembled while the script runs; {_CHECK_FIRST}"
        )
    elif any(word.places for word in words[1:]):
        need(first, PROGRAM, why)
    command.reads_code = why


def _let(words: list[Word]) -> None:
    for word in words:
        need(word, INTEGER, f"let evaluates it; {_CHECK_FIRST}")


def _printf(words: list[Word]) -> None:
    if not words:
        return
    first = words[0]
    if first.bare == "-v":
        for word in words[1:2]:
            _need_name(word, "printf -v")
    elif first.places and first.text.lstrip("\"'").startswith("-v"):
        _refuse(first, f"printf -v uses it as the name of a variable; {_CHECK_FIRST}")
    elif first.begins_with_reference and len(words) > 1:
        need(first, OPERAND, "it may begin with -v, which names a variable; write printf -- …")


def _test(words: list[Word]) -> None:
    before: Word | None = None
    for word in words:
        if before is not None and before.bare in {"-v", "-R"}:
            _need_name(word, f"test {before.bare}")
        elif before is not None and word.places and before.begins_with_reference:
            # Together they could be an operator and the name of a variable.
            need(before, OPERAND, f"it may be an operator; {_CHECK_FIRST}")
        before = word


def _getopts(words: list[Word]) -> None:
    for word in words[1:2]:
        _need_name(word, "getopts")


def _wait(words: list[Word]) -> None:
    for word in words:
        need(word, OPERAND, f"it may begin with -p, which names a variable; {_CHECK_FIRST}")


_SPECIAL = {
    "let": _let,
    "printf": _printf,
    "test": _test,
    "[": _test,
    "getopts": _getopts,
    "wait": _wait,
}


def _names(name: str, words: list[Word]) -> None:
    before = ""
    for word in words:
        if before == "-C":
            _refuse(word, f"{name} -C reads it as code; {_CHECK_FIRST}")
        elif before not in _OPTIONS_OF_NAMES[name]:
            _need_name(word, name)
        before = word.bare or ""


def _declared(name: str, words: list[Word], integers: Container[str], arrays: Container[str]) -> None:
    flags = "".join(word.bare or "" for word in words if word.text.startswith(("-", "+")))
    for word in words:
        if not word.places:
            continue
        found = re.match(r"[\"']?([A-Za-z_]\w*)\+?=(\()?", word.text)
        why = f"{name} reads it again; {_CHECK_FIRST}"
        if found is None:
            _need_name(word, name)
        elif "i" in flags or found[1] in integers:
            need(word, INTEGER, why)
        elif "n" in flags or (found[2] is None and (set(flags) & set("aA") or found[1] in arrays)):
            _refuse(word, why)


def _programs(command: Command, words: list[Word]) -> None:
    """Look for a program that runs code among the words."""
    for number, word in enumerate(words):
        program = _program_of(word)
        if program in _FOR_A_SHELL:
            _for_a_shell(command, program, words[number + 1 :])
            return
        if program in _AFTER_A_HOST:
            _after_a_host(command, program, words[number + 1 :])
        if program in _CODE:
            _interpreter(command, program, words[number + 1 :])
            options = [other.bare or "" for other in words[number + 1 :]]
            takes_code = any(re.fullmatch(_CODE[program], text) for text in options)
            if words[0].bare in _FEEDERS and (takes_code or all(text.startswith("-") for text in options)):
                command.reads_code = f"{words[0].bare} may make it part of the code that {program} runs"
            return
        if program in _WRAPPERS and number and number == len(words) - 1 and words[0].bare in _FEEDERS:
            command.reads_code = f"{words[0].bare} makes it the command that {program} runs"
        if _has_language(command, program, words[number + 1 :]):
            return
        if number == 0 and program not in _WRAPPERS:
            return


def _has_language(command: Command, program: str, words: list[Word]) -> bool:
    """Note what a program that has a language of its own makes of its arguments; return whether it is one."""
    if program in _PROGRAM_FIRST:
        _program_first(program, words)
    elif program in _CODE_AFTER_FIRST:
        _code_after_first(command, program, words)
    elif program in _OF_STDIN:
        command.reads_code = (
            f"{program} reads it as commands; hand it over as an argument or in the environment"
        )
    else:
        return False
    return True


def _code_after_first(command: Command, program: str, words: list[Word]) -> None:
    """Refuse what a program runs: the words after the first, else what is read."""
    why = f"{program} reads it as code; hand it over by a parameter of the statement, or as data on stdin"
    given = [word for word in words if not (word.bare or "").startswith("-")]
    for word in given[:1]:
        need(word, OPERAND, why)
    for word in given[1:]:
        _refuse(word, why)
    if not given[1:]:
        command.reads_code = why


def _for_a_shell(command: Command, program: str, words: list[Word]) -> None:
    """Refuse what becomes part of a line that a shell runs."""
    why = f"{program} lets a shell run it; {_CHECK_FIRST}"
    for word in words:
        _refuse(word, why)
    if program not in {"watch", "tmux", "screen"}:
        command.reads_code = why


def _after_a_host(command: Command, program: str, words: list[Word]) -> None:
    """Refuse what a shell runs on another machine: the words after the host's name, else what is read."""
    why = f"{program} lets a shell run it on the other machine; send it on stdin, to a program that reads it as data"
    host = ""
    before = ""
    for word in words:
        if host:
            _refuse(word, why)
        elif not (word.bare or "").startswith("-") and before not in _HOST_OPTIONS:
            need(word, OPERAND, why)
            host = word.text
        before = word.bare or ""
    last = words[-1].text if words else ""
    if last == host:
        command.reads_code = why


_HOST_OPTIONS = frozenset(
    ("-B", "-b", "-c", "-D", "-E", "-e", "-F", "-I", "-i", "-J", "-L", "-l", "-m", "-O", "-o", "-P", "-p")
) | {"-Q", "-R", "-S", "-W", "-w"}
"""Options of ssh that a value follows."""


def _interpreter(command: Command, program: str, words: list[Word]) -> None:  # noqa: C901 - its options
    """Refuse what an interpreter is given as code, and know whether it reads its code from stdin."""
    why = f"{program} reads it as code; hand it over as an argument or in the environment"
    option = re.compile(_CODE[program])
    given = False
    number = 0
    while number < len(words):
        word = words[number]
        number += 1
        text = word.bare
        if text is not None and option.fullmatch(text):
            given = True
            for code in words[number : number + 1]:
                _refuse(code, why)
            number += 1
            if program in _SHELLS or program.startswith(("python", "pypy")):
                return
        elif text in _WITH_VALUE:
            number += 1
        elif text in {"-", "-s", "/dev/stdin"}:
            break
        elif text == "-m" or (text == "--" and given):
            return
        elif text is None and word.text.startswith("-"):
            _refuse(word, why)
        elif text is None or not text.startswith("-"):
            # After code, too: perl -e CODE -e MORE.
            need(word, OPERAND, why)
            if program != "su":
                return
    if not given:
        command.reads_code = why


def _program_first(program: str, words: list[Word]) -> None:
    """Let what stands in a program of awk or sed be a whole number at most."""
    with_value, instead = _PROGRAM_FIRST[program]
    why = f"{program} reads it as code; {_CHECK_FIRST}"
    given = False
    before = ""
    for word in words:
        if before in with_value:
            given |= before in instead
            if before in instead and before != "-f":
                need(word, INTEGER, why)
            elif before == "-f" and (word.is_made or word.text.startswith("<(")):
                _refuse(word, why)
            before = ""
            continue
        before = word.bare or ""
        if before.startswith("-"):
            continue
        if word.text.startswith("-"):
            if program.endswith("sed"):
                need(word, INTEGER, why)
        elif not given:
            need(word, INTEGER, why)
            return


_READS_CODE = frozenset(
    {
        *_PREFIXES,
        *DECLARE,
        *_READ_AGAIN,
        *_OPTIONS_OF_NAMES,
        *_SPECIAL,
        *_WRAPPERS,
        *_PROGRAM_FIRST,
        *_OPTIONS_OF_CODE,
        *_FOR_A_SHELL,
        *_AFTER_A_HOST,
        *_OF_STDIN,
        *_CODE_AFTER_FIRST,
        *(name.rstrip("0123456789") for name in _CODE),
    }
)


def reads_code(program: str) -> bool:
    """Whether a command makes code, a name or a sum of its arguments.

    >>> reads_code("/usr/bin/python3.11"), reads_code("eval"), reads_code("ls")
    (True, True, False)
    """
    name = program.rpartition("/")[2]
    return name in _READS_CODE or name.rstrip("0123456789.") in _READS_CODE


__all__ = ["Command", "Word", "analyse", "need", "reads_code"]
