"""Installing, again, and taking back: on settings as people have them, byte for byte."""

import json
import os
import subprocess
import tomllib

import pytest

from maxstage.agents import json_text
from maxstage.agents.client import Place
from maxstage.agents.clients import CLIENTS
from maxstage.agents.clients import client as known
from maxstage.agents.installing import install, plan_install, plan_uninstall, uninstall

SETTINGS = {
    "empty object": "{}",
    "empty object on lines": "{\n}\n",
    "no line end": '{\n  "model": "opus"\n}',
    "other hooks": """{
  "model": "opus",
  "hooks": {
    "PreToolUse": [
      {"matcher": "Bash", "hooks": [{"type": "command", "command": "~/bin/guard.sh"}]},
      {
        "matcher": "Edit|Write",
        "hooks": [{ "type": "command", "command": "prettier" }]
      }
    ],
    "Stop": []
  },
  "permissions": {"allow": ["Bash(ls:*)"], "deny": []}
}
""",
    "comments and trailing commas": """// mine
{
  /* what I use */
  "model": "opus", // the large one
  "permissions": {
    "allow": [
      "Bash(npm test:*)", // "Bash(set -o pipefail)" not yet
    ],
  },
  "hooks": {
    "PostToolUse": [
      // nothing
    ],
  },
}
""",
    "tabs": '{\n\t"b": 1,\n\t"permissions": {\n\t\t"allow": []\n\t},\n\t"a": [1, 2]\n}\n',
    "four blanks": '{\n    "permissions": {\n        "allow": [\n            "Read"\n        ]\n    }\n}\n',
    "one line": '{"model":"opus","permissions":{"allow":["Bash(ls:*)"]},"mcpServers":{}}',
    "windows": '{\r\n  "model": "opus",\r\n  "hooks": {\r\n  }\r\n}\r\n',
    "byte order mark": '\ufeff{\n  "model": "opus"\n}\n',
    "odd blanks": '\n\n  {  "model"  :\t"opus"  ,\n\n"x":{}   }  \n\n',
    "strings that look like it": '{\n  "note": "\\"hooks\\": [] // /* {",\n  "ünï": "\\u00e4\\ud83d\\ude00"\n}\n',
    "other servers": """{
  "numStartups": 12,
  "mcpServers": {
    "github": {"type": "http", "url": "https://example.org/mcp"}
  },
  "projects": {"/home/me/x": {"allowedTools": [], "history": [1e5, -0.5, null, true]}}
}
""",
    "one rule of ours": '{\n  "permissions": {"allow": ["Bash(set -o pipefail)", "Read"]}\n}\n',
    "other keys of opencode": '{\n  "$schema": "x://y",\n  "mcp": {},\n  "plugin": ["x"]\n}\n',
    "hooks of others everywhere": json.dumps(
        {
            "version": 1,
            "hooks": {
                name: [{"matcher": "Bash", "hooks": [{"type": "command", "command": "x"}]}]
                for name in ("PreToolUse", "PostToolUse", "PostToolUseFailure", "BeforeTool")
            },
            "mcp": {"x": {"type": "local", "command": ["x"]}},
            "mcpServers": {"x": {"command": "x"}},
        },
        indent=3,
    ),
}

TOML = {
    "empty": "",
    "a comment": "# mine",
    "keys": 'model = "gpt-5"\napproval_policy = "on-request"\n',
    "no line end": 'model = "gpt-5"\n[tui]\nnotifications = true',
    "other servers": '[mcp_servers.github]\ncommand = "x" # y\nargs = [\n"a",\n]\n[mcp_servers.github.env]\nA = 1\n',
    "windows": 'model = "gpt-5"\r\n\r\n[features]\r\nhooks = true\r\n',
    "blank lines": "\n\n[a]\nb = 1\n\n\n",
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    return folder


def tree(folder):
    """Return all that is in a folder: contents, modes and links."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_dir():
            found[name] = None
        else:
            found[name] = (path.read_bytes(), path.stat().st_mode)
    return found


def place_of(program, where):
    return Place(str(program.folder) if where == "--project" else None)


def files_of(program, client, where="--user"):
    """Return the settings that installing for a client would touch."""
    return [target.path for target in known(client).targets(place_of(program, where))]


@pytest.mark.parametrize("where", ["--user", "--project"])
@pytest.mark.parametrize("client", CLIENTS)
def test_into_nothing_and_back(program, home, client, where):
    before = tree(program.folder)
    program("agent", "install", client, where)
    installed = tree(program.folder)
    assert installed != before
    again = program.text("agent", "install", client, where)
    assert "already" in again
    assert tree(program.folder) == installed
    states = json.loads(program.text("agent", "-o", "json"))
    ours = [one["state"] for one in states if (one["client"], f"--{one['scope']}") == (client, where)]
    assert set(ours) == {"installed"}
    program("agent", "uninstall", client, where)
    left = {name for name in tree(program.folder) if not name.startswith("home/.local")}
    assert left == before.keys() | {"home"} - {"home/.local"}
    assert "Nothing is installed" in program.text("agent", "uninstall", client, where)


@pytest.mark.parametrize("where", ["--user", "--project"])
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_as_before(program, home, client, name, where):
    paths = [path for path in files_of(program, client, where) if path.endswith(".json")]
    for path in paths:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", newline="", encoding="utf-8") as file:
            file.write(SETTINGS[name])
        os.chmod(path, 0o640)
    before = tree(program.folder)
    place = place_of(program, where)
    install(plan_install(known(client), place))
    installed = tree(program.folder)
    for path in paths:
        with open(path, newline="", encoding="utf-8") as file:
            text = file.read()
        old, new = json_text.parse(SETTINGS[name]).value, json_text.parse(text).value
        assert is_within(old, new)
        assert all(
            line in text for line in SETTINGS[name].split("\n") if line.strip().startswith(("//", "/*"))
        )
        assert ("\r\n" in text) == ("\r\n" in SETTINGS[name])
        assert text.count("\n") == 0 or "\r\n" not in text or text.count("\r\n") == text.count("\n")
    install(plan_install(known(client), place))
    assert tree(program.folder) == installed
    uninstall(plan_uninstall(known(client), place))
    after = {key: what for key, what in tree(program.folder).items() if not key.startswith("home/.local")}
    assert after == {key: what for key, what in before.items() if not key.startswith("home/.local")}


def is_within(old, new):
    """Whether all that was there is still there."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(
            key in new and is_within(what, new[key]) for key, what in old.items()
        )
    if isinstance(old, list):
        return isinstance(new, list) and new[: len(old)] == old
    return old == new


@pytest.mark.parametrize("name", TOML)
def test_toml_is_as_before(program, home, name):
    path = home / ".codex" / "config.toml"
    path.parent.mkdir()
    path.write_bytes(TOML[name].encode())
    place = place_of(program, "--user")
    install(plan_install(known("codex"), place))
    found = tomllib.loads(path.read_bytes().decode())
    assert found["mcp_servers"]["max"] == {"command": "max", "args": ["mcp"]}
    assert is_within(tomllib.loads(TOML[name]), found)
    install(plan_install(known("codex"), place))
    uninstall(plan_uninstall(known("codex"), place))
    assert path.read_bytes() == TOML[name].encode()


@pytest.mark.parametrize("client", CLIENTS)
def test_what_others_added_meanwhile_stays(program, home, client):
    paths = files_of(program, client)
    program("agent", "install", client)
    for path in paths:
        if path.endswith(".json"):
            with open(path) as file:
                value = json.load(file)
            with open(path, "w") as file:
                json.dump(value | {"mine": [1]}, file, indent=8)  # as a client that writes all of it anew
    program("agent", "uninstall", client)
    for path in paths:
        if path.endswith(".json"):
            with open(path) as file:
                assert json.load(file) == {"mine": [1]}
        elif not path.endswith(".toml"):
            assert not os.path.exists(path)


def test_without_a_receipt_what_is_ours_is_found(program, home):
    settings = home / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(SETTINGS["comments and trailing commas"])
    program("agent", "install", "claude")
    (home / ".local" / "state" / "maxstage" / "agents.json").unlink()
    program("agent", "uninstall", "claude")
    text = settings.read_text()
    assert "max" not in text
    assert json_text.parse(text).value["permissions"] == {"allow": ["Bash(npm test:*)"]}
    assert not (home / ".claude" / "skills" / "maxstage" / "SKILL.md").exists()


def test_a_receipt_that_is_damaged_is_none(program, home):
    program("agent", "install", "claude")
    (home / ".local" / "state" / "maxstage" / "agents.json").write_text('{"files": [')
    program("agent", "uninstall", "claude")
    assert "Installed nowhere" in program.text("agent", "status")


WRONG = {
    "no JSON": ('{"a": }', "line 1: this is no JSON"),
    "cut off": ('{\n  "a": [1,', "line 2"),
    "an array": ("[]", "this is no object"),
    "hooks of another kind": ('{"hooks": []}', '"hooks" is no object'),
    "an event of another kind": ('{"hooks": {"PreToolUse": {}}}', '"hooks.PreToolUse" is no array'),
    "twice": ('{"hooks": {}, "hooks": {}}', '"hooks" is there twice'),
    "no UTF-8": (b'{"a": "\xff"}', "no text in UTF-8"),
    "too deep": ("[" * 5000, "nested too deeply"),
    "two values": ("{} {}", "more after the end"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_understood_is_left_alone(program, home, name):
    content, message = WRONG[name]
    settings = home / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = tree(home)
    line = program.fails("agent", "install", "claude")
    assert message in line
    assert line.startswith(str(settings))
    assert tree(home) == before


@pytest.mark.parametrize(
    ("client", "path", "content"),
    [
        ("claude", ".claude.json", '{"mcpServers": {"max": {"command": "other"}}}'),
        ("claude", ".claude/skills/maxstage/SKILL.md", "mine"),
        ("codex", ".codex/config.toml", '[mcp_servers.max]\ncommand = "other"\n'),
        ("codex", ".codex/config.toml", 'mcp_servers = { x = { command = "y" } }\n'),
        ("codex", ".codex/config.toml", "a = [\n"),
    ],
)
def test_what_is_somebody_elses_is_left_alone(program, home, client, path, content):
    (home / path).parent.mkdir(parents=True, exist_ok=True)
    (home / path).write_text(content)
    before = tree(home)
    assert str(home / path) in program.fails("agent", "install", client)
    assert tree(home) == before


def test_a_symbolic_link_is_followed_and_the_mode_kept(program, home):
    real = home / "dotfiles" / "claude.json"
    real.parent.mkdir()
    real.write_text("{}\n")
    real.chmod(0o600)
    (home / ".claude").mkdir()
    (home / ".claude" / "settings.json").symlink_to(real)
    before = tree(home)
    program("agent", "install", "claude")
    assert (home / ".claude" / "settings.json").is_symlink()
    assert "max agent hook claude" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o600
    program("agent", "uninstall", "claude")
    assert {key: what for key, what in tree(home).items() if not key.startswith(".local")} == before


def test_a_dry_run_prints_a_diff_and_changes_nothing(program, home):
    settings = home / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(SETTINGS["other hooks"])
    before = tree(home)
    text = program.text("agent", "install", "claude", "--dry-run")
    assert f"--- {settings}\n+++ {settings}\n" in text
    assert '"command": "max agent hook claude 2>/dev/null || true",\n' in text
    assert tree(home) == before
    program("agent", "install", "claude")
    installed = tree(home)
    text = program.text("agent", "uninstall", "claude", "--dry-run")
    removed = [line for line in text.split("\n") if line.startswith("-") and "max agent hook claude" in line]
    assert len(removed) == 3
    assert tree(home) == installed


def test_the_files_of_each_client_are_what_it_takes(program, home):
    for client in CLIENTS:
        program("agent", "install", client)
    for path in home.rglob("SKILL.md"):
        head = path.read_text().split("---\n")[1]
        assert f"name: {path.parent.name}\n" in head
        assert len(head) < 1024
    if not any(os.access(os.path.join(folder, "node"), os.X_OK) for folder in os.environ["PATH"].split(":")):
        pytest.skip("no node to load the plugin of opencode with")
    plugin = home / ".config" / "opencode" / "plugins" / "maxstage.ts"
    module = home / "plugin.mjs"
    module.write_text(plugin.read_text())
    bin_ = home / "bin"
    bin_.mkdir()
    (bin_ / "max").write_text('#!/bin/sh\ncat > "$HOME/said"; echo \'{"command": "new"}\'\n')
    (bin_ / "max").chmod(0o755)
    code = (
        f"import {{ Maxstage }} from '{module}';"
        "const hooks = await Maxstage({directory: '/d'}); const output = {args: {command: 'old'}};"
        "await hooks['tool.execute.before']({tool: 'bash'}, output); console.log(JSON.stringify(output))"
    )
    for path, command in ((f"{bin_}:{os.environ['PATH']}", "new"), (os.path.dirname(find("node")), "old")):
        words = [find("node"), "--input-type=module", "-e", code]
        done = subprocess.run(words, env=os.environ | {"PATH": path}, capture_output=True, text=True)
        if path.startswith(str(bin_)) or not os.path.exists(os.path.join(path, "max")):
            assert json.loads(done.stdout) == {"args": {"command": command}}, done.stderr
    assert json.loads((home / "said").read_text()) == {"command": "old", "cwd": "/d"}


def find(program):
    import shutil

    return shutil.which(program)


def test_a_plugin_folder(program, tmp_path):
    folder = tmp_path / "plugin"
    program("agent", "plugin", str(folder))
    manifest = json.loads((folder / ".claude-plugin" / "plugin.json").read_text())
    assert manifest["name"] == "maxstage"
    hooks = json.loads((folder / "hooks" / "hooks.json").read_text())["hooks"]
    assert set(hooks) == {"PreToolUse", "PostToolUse", "PostToolUseFailure"}
    assert json.loads((folder / ".mcp.json").read_text())["mcpServers"]["max"]["args"] == ["mcp"]
    before = tree(folder)
    program("agent", "plugin", str(folder))
    assert tree(folder) == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine")
    assert "holds something else" in program.fails("agent", "plugin", str(tmp_path / "other"))


def test_what_an_earlier_version_wrote_is_replaced(program, home, tmp_path):
    """Of files that are ours alone; here since the program is found elsewhere."""
    paths = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "max").write_text("#!/bin/sh\n")
        (tmp_path / name / "max").chmod(0o755)
        paths.append(f"{tmp_path / name}:{os.environ['PATH']}")
    rules = home / ".codex" / "rules" / "maxstage.rules"
    for path, name in zip(paths, ("one", "two"), strict=True):
        program("agent", "install", "codex", env=os.environ | {"PATH": path})
        assert f'"{tmp_path / name / "max"}", "truncate"' in rules.read_text()
    program("agent", "uninstall", "codex", env=os.environ | {"PATH": paths[0]})
    assert not (home / ".codex").exists()
