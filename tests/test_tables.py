"""Each choice is a table: help, validation, documentation and both backends are held to it."""

import inspect
import re
from pathlib import Path

import pytest

import maxstage
from maxstage._backend import core
from maxstage.cli.app import COMMANDS, app
from maxstage.codecs import CODECS
from maxstage.output.cleanup import CLEANUP, CleanupStrategy
from maxstage.output.limits import _KINDS, Limits, LimitsError, limits_schema
from maxstage.output.strategies import KEEP, STRATEGIES, line_strategy
from maxstage.redaction_rules import RULES
from maxstage.settings import SETTINGS, Settings, load_settings

DOCS = Path(__file__).parents[1] / "docs"


def choices(command, option):
    """Return what a command's option takes."""
    found = next(one for one in app.get_command(None, command).params if option in one.opts)
    return list(found.type.choices)


def table_in(page, heading):
    """Return the rows of the table below a heading, or below a head of columns: the first cell, bare, and the row."""
    text = (DOCS / page).read_text()
    lines = text[text.index(heading) :].split("\n")
    start = next(at for at, line in enumerate(lines) if line.startswith("| ---"))
    rows = {}
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[cells[0].strip("`")] = cells[1:]
    return rows


# Strategies


def test_both_backends_have_the_strategies_of_the_table():
    with pytest.raises(ValueError, match="use one of: ") as caught:
        core.truncate(b"x", "no such", 1, 1)
    assert str(caught.value).rpartition(": ")[2].split(", ") == list(STRATEGIES)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_is_what_the_table_says(name):
    text = b"".join(b"line %d\n" % number for number in range(1000))
    strategy = STRATEGIES[name]
    few, many = (core.truncate(text, name, 500, lines).content for lines in (3, 1000))
    assert (few != many) == strategy.counts_lines
    if strategy.counts_lines:
        assert few.count(b"\n") == 4  # and the marker
        assert strategy.by_lines == name
    try:
        core.truncate_ends(text[:600], text[-600:], len(text), 1000, name, 500, 10)
        needs_all = False
    except ValueError:
        needs_all = True
    assert needs_all == strategy.needs_all


def test_lines_are_kept_at_the_end_of_the_text_that_was_asked_for():
    for name, strategy in STRATEGIES.items():
        assert line_strategy(name) == (name if strategy.counts_lines else None)
        by_lines = line_strategy(None, name)
        assert STRATEGIES[by_lines].counts_lines
        assert strategy.by_lines in {None, by_lines}


@pytest.mark.parametrize("command", ["exec", "truncate", "retrieve"])
def test_commands_take_the_strategies_of_the_table(command):
    assert choices(command, "--strategy") == list(STRATEGIES)


def test_strategies_are_documented():
    page = (DOCS / "bounded-output.md").read_text()
    for name in STRATEGIES:
        assert f"`{name}`" in page or f"--strategy {name}`" in page, name


# When a full output is kept


def test_when_to_keep_is_one_table():
    for command in ("exec", "truncate"):
        assert choices(command, "--keep") == list(KEEP)
    for name in KEEP:
        assert f"``{name}``" in inspect.getdoc(maxstage.run)


# Rules of masking


def test_rules_are_documented():
    documented = {name: row[0] for name, row in table_in("bounded-output.md", "| rule |").items()}
    assert documented == {rule.name: rule.doc for rule in RULES}


# Codecs


def test_codecs_are_one_table():
    for name, command in (("stage", "--compress"), ("exec", "--compress"), ("truncate", "--compress")):
        assert choices(name, command) == list(CODECS)
    documented = table_in("store.md", "| codec |")
    assert documented == {
        name: [f"`{codec.extension}`" if codec.extension else "", codec.about]
        for name, codec in CODECS.items()
    }
    schema = {}
    limits_schema(schema)
    assert schema["properties"]["compress_external"]["anyOf"][1] == {"enum": list(CODECS)}


@pytest.mark.parametrize("codec", CODECS)
def test_both_backends_have_the_codecs_of_the_table(codec, tmp_path):
    with (tmp_path / "data").open("wb") as file:
        core.Writer(file.fileno(), "data", codec=codec).finish()
        with pytest.raises(ValueError, match="use one of: ") as caught:
            core.Writer(file.fileno(), "data", codec="no such")
    assert str(caught.value).rpartition(": ")[2].split(", ") == list(CODECS)


# Cleanup strategies


def test_cleanup_strategies_are_one_table():
    from maxstage.workflow.run.pruning import RANKINGS

    assert list(RANKINGS) == list(CLEANUP)
    assert choices("runs prune", "--strategy") == list(CLEANUP)
    for name in CLEANUP:
        assert f"``{name}``" in inspect.getdoc(CleanupStrategy)
        assert Limits.parse({"cleanup_strategy": {"type": name}}).cleanup_strategy.type == name
    documented = {name: row[0] for name, row in table_in("context.md", "`cleanup_strategy.type`").items()}
    assert documented == CLEANUP


# Limits


def test_limits_are_one_table():
    fields = list(Limits.fields)
    schema = {}
    limits_schema(schema)
    assert list(_KINDS) == fields == list(schema["properties"])
    for name in fields:
        assert f"{name}: " in inspect.getdoc(Limits)
    documented = "".join(page.read_text() for page in DOCS.glob("*.md"))
    assert [name for name in fields if f"`{name}`" not in documented] == []


@pytest.mark.parametrize("name", _KINDS)
def test_what_a_limit_refuses_names_it(name):
    with pytest.raises(LimitsError, match=f"^{name} "):
        Limits.parse({name: ["no", "such"]})
    assert Limits.parse({name: getattr(Limits(), name)}).given == {name}


# Settings


def test_settings_are_one_table(tmp_path):
    keys = [setting.key for setting in SETTINGS]
    assert list(Settings.__annotations__) == [
        *(one.attribute for one in SETTINGS),
        "limits",
        "providers",
        "sources",
    ]
    documented = table_in("store.md", "## Settings")
    assert list(documented) == keys
    maxstage.Store.init(tmp_path)
    config = (tmp_path / ".max" / "config.toml").read_text()
    for setting in SETTINGS:
        default = {None: "none", False: "false", True: "true"}.get(setting.default, str(setting.default))
        assert documented[setting.key] == [default, setting.doc]
        assert f"\n# {setting.doc}." in config
        shown = re.search(rf"^# {setting.key} = (.*)$", config, re.MULTILINE)[1]
        assert shown == (setting.example or default)
        assert getattr(Settings(), setting.attribute) == setting.default


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.key)
def test_a_setting_comes_from_the_file_and_the_environment(tmp_path, setting):
    config = tmp_path / "config.toml"
    text = {True: "false", False: "true"}.get(setting.default, setting.example or "7")
    config.write_text(f"{setting.key} = {text}\n")
    by_file = load_settings(str(config), str(tmp_path), {})
    by_variable = load_settings("/no/such/file", "/no", {setting.variable: text.strip('"')})
    values = [getattr(settings, setting.attribute) for settings in (by_file, by_variable)]
    assert values[0] == values[1] != setting.default
    config.write_text(f"{setting.key} = []\n")
    with pytest.raises(maxstage.ConfigError, match=f"config.toml:1: {setting.key} .*, not "):
        load_settings(str(config), str(tmp_path), {})


# Commands


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_what_the_table_says(name):
    command = app.get_command(None, name)
    assert command.help
    assert re.fullmatch(r"[A-Z][^\n]{1,60}\.", COMMANDS[name][1])


# Tools of the MCP server


def test_tools_are_one_table():
    from maxstage.mcp.tools import PERMITTED, TOOLS

    assert list(table_in("agents.md", "| tool |")) == list(TOOLS)
    assert choices("mcp", "--allow") == PERMITTED
    for name, tool in TOOLS.items():
        assert tool.name == name
        # Clients cut longer ones, and every session pays for them.
        assert len(tool.description) < 400
