"""Completion in bash, zsh and fish: the scripts that they load, and the answers to their requests.

These replace the scripts of the command-line library. They pass the line up to the cursor unsplit, because bash splits
words at ``:``, which every token has; and they complete commands of two words.
"""

import os

from click.shell_completion import CompletionItem, ShellComplete, add_completion_class, split_arg_string

from maxstage.cli.app import COMMANDS
from maxstage.cli.compression import with_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from click.shell_completion import CompletionItem as Item

    Items = list[CompletionItem[str]]

_BASH = """\
%(complete_func)s() {
    local kind value programs=0 files=0 folders=0
    COMPREPLY=()
    while IFS=$'\\t' read -r kind value; do
        case $kind in
            command) programs=1 ;;
            file) files=1 ;;
            dir) folders=1 ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORD="$2" %(complete_var)s=bash_complete "$1")
    if (( folders )); then
        compopt -o dirnames
    elif (( programs )); then
        mapfile -t COMPREPLY < <(compgen -c -- "$2")
    elif (( files && ${#COMPREPLY[@]} )); then
        compopt -o filenames
        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$2")
    elif (( files )); then
        compopt -o default
    fi
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local line="${(j: :)words[1,CURRENT-1]} ${QIPREFIX}${PREFIX}" kind value help
    local -a values shown
    local -i programs=0 files=0 folders=0
    while IFS=$'\\t' read -r kind value help; do
        case $kind in
            command) programs=1 ;;
            file) files=1 ;;
            dir) folders=1 ;;
            plain) values+=("$value"); shown+=("$value${help:+  -- $help}") ;;
        esac
    done < <(COMP_LINE="$line" %(complete_var)s=zsh_complete ${~words[1]})
    (( ${#values} )) && compadd -V %(prog_name)s -l -d shown -- "${values[@]}"
    (( programs )) && _command_names -e
    (( files )) && _files
    (( folders )) && _path_files -/
}
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

_FISH = """\
function %(complete_func)s
    set -l program (commandline -opc)[1]
    set -l line (commandline -cp | string collect)
    for answer in (COMP_LINE=$line %(complete_var)s=fish_complete $program)
        set -l parts (string split -m 2 \\t -- $answer)
        switch $parts[1]
            case command
                __fish_complete_command
            case file
                __fish_complete_path (commandline -ct)
            case dir
                __fish_complete_directories (commandline -ct)
            case plain
                printf '%%s\\t%%s\\n' $parts[2] "$parts[3]"
        end
    end
end
complete --no-files --keep-order --command %(prog_name)s --arguments '(%(complete_func)s)'
"""


class _Shell(ShellComplete):
    """What the shells have in common: the input is the line up to the cursor, the output one answer per line."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the complete words after the program's name, and the word before the cursor."""
        # The mark shows where the last word ends, even if it is empty, quoted or escaped.
        words = split_arg_string(os.environ["COMP_LINE"] + "|")
        return words[1:-1], words[-1][:-1] if len(words) > 1 else ""

    def get_completions(self, args: list[str], incomplete: str) -> "Items":
        """Return the completions of `incomplete`, as whole words."""
        # The word after a bare `--compress` is not its value.
        found = [*_second_words(args, incomplete), *super().get_completions(with_values(args), incomplete)]
        option, equals, _ = incomplete.partition("=")
        if not equals or not option.startswith("--") or "--" in args:
            return found
        for item in found:
            item.value = f"{option}={item.value}"
        return found

    def format_completion(self, item: "Item[str]") -> str:
        """Return an answer as a line: kind, value, help."""
        help_text = "".join(letter if letter.isprintable() else "?" for letter in item.help or "")
        return f"{item.type}\t{item.value}\t{help_text}"


class Bash(_Shell):
    """Completion in bash, which only replaces the last piece of a word, and shows no help."""

    name = "bash"
    source_template = _BASH

    def get_completions(self, args: list[str], incomplete: str) -> "Items":
        """Remove from each completion what comes before the piece that bash replaces."""
        found = super().get_completions(args, incomplete)
        piece = os.environ.get("COMP_WORD", "")
        kept = incomplete[: len(incomplete) - len(piece)] if incomplete.endswith(piece) else ""
        for item in found:
            if item.value.lower().startswith(kept.lower()):
                item.value = item.value[len(kept) :]
        return found

    def format_completion(self, item: "Item[str]") -> str:
        """Return an answer as a line: kind and value."""
        return f"{item.type}\t{item.value}"


class Zsh(_Shell):
    """Completion in zsh."""

    name = "zsh"
    source_template = _ZSH


class Fish(_Shell):
    """Completion in fish."""

    name = "fish"
    source_template = _FISH


def _second_words(args: list[str], incomplete: str) -> "Items":
    """Return the verbs that may follow ``stage`` and ``runs``."""
    words = (
        args[1:] if args[:1] and args[0].startswith("--dir=") else args[2:] if args[:1] == ["--dir"] else args
    )
    pairs = [(name.split(), text) for name, (_, text) in COMMANDS.items()]
    return [
        CompletionItem(name[1], help=text)
        for name, text in pairs
        if len(name) > 1 and name[:1] == words and name[1].startswith(incomplete)
    ]


def install() -> None:
    """Replace the library's own scripts."""
    for shell in (Bash, Zsh, Fish):
        add_completion_class(shell)
