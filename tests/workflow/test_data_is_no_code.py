"""Data never becomes code: a corpus of payloads in places of all five languages, checked by what happens.

Each payload tries to make a file called `pwned`. Where a place takes any value, it must arrive byte for byte; in the
others only whole numbers pass, or the place is refused when the file is validated. Many payloads run in one process:
to start one for each would take half an hour.
"""

import shutil
import subprocess

import pytest

from helpers import FOREVER
from maxstage import WorkflowError
from maxstage.workflow.format.scripts.filling import fill, problems
from placements import bash, javascript, perl, python, ruby
from placements.payloads import BASH, PAYLOADS, PLAIN

LANGUAGES = {"bash": bash, "python": python, "javascript": javascript, "ruby": ruby, "perl": perl}
AT_ONCE = 15
"""Places that one process goes through."""

BASH_DRIVER = """
mapfile -d "" -t all
for one in "${all[@]}"; do
    ( eval "$one" ) </dev/null 2>/dev/null
    if [ -e pwned ]; then rm pwned; printf PWNED; fi
    printf "\\0"
done
"""
PYTHON_DRIVER = """
import os, sys
for text in sys.stdin.buffer.read().split(b"\\0")[:-1]:
    names = {}
    exec(compile(text, "script", "exec"), names)
    v = names["v"]
    v = v if isinstance(v, bytes) else v.encode("utf-8", "surrogateescape")
    if os.path.exists("pwned"):
        os.remove("pwned")
        v += b"PWNED"
    os.write(1, v + b"\\0")
"""
JAVASCRIPT_DRIVER = """
const fs = require('fs'), vm = require('vm');
globalThis.require = require;
const all = [];
for (const text of fs.readFileSync(0, 'utf8').split('\\0').slice(0, -1)) {
    globalThis.v = '';
    vm.runInThisContext(text);
    if (fs.existsSync('pwned')) { fs.unlinkSync('pwned'); v += 'PWNED' }
    all.push(v, '\\0');
}
fs.writeFileSync(1, all.join(''));
"""
RUBY_DRIVER = """
$stdin.set_encoding('UTF-8')
$stdout.binmode
$stdout.sync = true
$stdin.read.split("\\0").each do |text|
  eval(text, TOPLEVEL_BINDING.dup)
  (File.unlink('pwned'); $v += 'PWNED') if File.exist?('pwned')
  print($v, "\\0")
end
"""
PERL_DRIVER = """
$| = 1;
{ local $/; our @all = split /\\0/, <STDIN> }
for my $text (@all) {
    $v = "";
    eval "\\n$text\\n; 1" or die "$text: $@";
    if (-e "pwned") { unlink "pwned"; $v .= "PWNED" }
    print $v, "\\0";
}
"""
DRIVERS = {
    "bash": ["bash", "-c", BASH_DRIVER],
    "python": ["python3", "-c", PYTHON_DRIVER],
    "javascript": ["node", "-e", JAVASCRIPT_DRIVER],
    "ruby": ["ruby", "-e", RUBY_DRIVER],
    "perl": ["perl", "-e", PERL_DRIVER],
}
"""Each runs the scripts that it reads, and prints what each leaves in `v`; in bash, what it prints."""


def run(language, scripts, folder):
    """Run scripts, given as places with a value each; return what each printed."""
    texts = [fill(language, place, lambda _, value=value: value) for place, value in scripts]
    given = folder / "scripts"
    given.write_bytes(b"".join(text.encode("utf-8", "surrogateescape") + b"\0" for text in texts))
    printed = folder / "printed"
    with given.open("rb") as stdin, printed.open("wb") as stdout:
        done = subprocess.run(
            DRIVERS[language], stdin=stdin, stdout=stdout, stderr=-1, cwd=folder, timeout=FOREVER
        )
    assert not done.stderr, done.stderr[-2000:]
    return printed.read_bytes().split(b"\0")[:-1]


def chunks(table):
    return [
        pytest.param(language, places[at : at + AT_ONCE], id=f"{language}-{at}", marks=needs(language))
        for language, places in table.items()
        for at in range(0, len(places), AT_ONCE)
    ]


def needs(language):
    program = DRIVERS[language][0]
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_corpus_is_large(language):
    assert len({*PAYLOADS}) >= 60
    assert len({*LANGUAGES[language].ANY}) >= 60


every_place = pytest.mark.parametrize(
    ("language", "places"), chunks({name: module.ANY for name, module in LANGUAGES.items()})
)


@every_place
def test_any_value_arrives_as_it_is(language, places, tmp_path):
    """Every place with a quarter of the payloads: each payload comes in every fourth place."""
    arrive(language, places, 4, tmp_path)


@pytest.mark.stress
@every_place
def test_any_value_arrives_everywhere(language, places, tmp_path):
    arrive(language, places, 1, tmp_path)


def arrive(language, places, share, tmp_path):
    assert {place: problems(language, place) for place in places} == {place: [] for place in places}
    payloads = [*BASH, *PLAIN] if language == "bash" else PAYLOADS
    if language == "javascript":
        # Its strings can't hold bytes that are not characters.
        payloads = [payload for payload in PAYLOADS if "\udcff" not in payload]
    scripts = [
        (place, payload)
        for number, place in enumerate(places)
        for payload in payloads[number % share :: share]
    ]
    got = run(language, scripts, tmp_path)
    for (place, payload), output in zip(scripts, got, strict=True):
        assert output == payload.encode("utf-8", "surrogateescape"), place


@pytest.mark.parametrize(
    ("language", "place"),
    [(name, place) for name, module in LANGUAGES.items() for place in module.REFUSED],
)
def test_where_a_value_would_be_code_it_is_refused(language, place):
    assert problems(language, place)


def test_what_is_computed_takes_whole_numbers_alone(tmp_path):
    for place in bash.WHOLE_NUMBERS:
        assert problems("bash", place) == [], place
        for payload in PAYLOADS:
            with pytest.raises(WorkflowError, match=r"\{\{ x \}\} is used in arithmetic"):
                fill("bash", place, lambda _, payload=payload: payload)
    good = [(place, value) for place in bash.WHOLE_NUMBERS for value in ("5", 5, " 5", "005")]
    for script, output in zip(good, run("bash", good, tmp_path), strict=True):
        assert output[:3] == b"yes", script
    # Some of these are wrong there, and make bash say so; none is run.
    others = [(place, value) for place in bash.WHOLE_NUMBERS for value in ("-3", "0")]
    assert not [output for output in run("bash", others, tmp_path) if output.endswith(b"PWNED")]


def test_names_of_variables_are_names(tmp_path):
    for place in bash.NAMES:
        assert problems("bash", place) == [], place
        for payload in PAYLOADS:
            with pytest.raises(WorkflowError, match="must be the name of a variable"):
                fill("bash", place, lambda _, payload=payload: payload)
    run("bash", [(place, "v") for place in bash.NAMES], tmp_path)


def test_what_would_be_an_option_fails(tmp_path):
    good = [payload for payload in PAYLOADS if not payload.startswith("-")]
    for place in bash.OPTIONS:
        assert problems("bash", place) == [], place
        for payload in set(PAYLOADS) - set(good):
            with pytest.raises(WorkflowError, match="begins with '-'"):
                fill("bash", place, lambda _, payload=payload: payload)
    scripts = [(place, payload) for place in bash.OPTIONS for payload in good]
    for script, output in zip(scripts, run("bash", scripts, tmp_path), strict=True):
        assert not output.endswith(b"PWNED"), script


@pytest.mark.parametrize(
    "name", ["eval", "let", "bash", "/bin/sh", "python3.11", "printf", "sudo", "awk", ".", "test"]
)
def test_a_value_that_names_the_command(name):
    assert problems("bash", "{{ x }} a {{ x }}") == []
    with pytest.raises(WorkflowError, match="names the command"):
        fill("bash", "{{ x }} a {{ x }}", lambda _: name)


def test_other_values_may_name_the_command(tmp_path):
    scripts = [("{{ x }} a {{ x }} b", payload) for payload in PAYLOADS]
    assert set(run("bash", scripts, tmp_path)) == {b""}
    assert run("bash", [("{{ x }}", "pwd")], tmp_path) == [f"{tmp_path}\n".encode()]


@pytest.mark.parametrize(
    "value", ["1.5", "", "1 2", "0x10", "1e3", "9" * 19, "five", "1\n;2", None, True, [1]]
)
def test_what_is_no_whole_number(value):
    with pytest.raises(WorkflowError, match="not a whole number"):
        fill("bash", "(( {{ x }} ))", lambda _: value)
