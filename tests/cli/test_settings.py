"""Settings and the folder of the project: what is wrong with them is one line, the same for every command."""

import os

import pytest

from helpers import PATIENCE

COMMANDS = [
    ["stage"],
    ["stage", "--ttl", "5", "--label", "a=b"],
    ["retrieve", "a1b2c3d4"],
    ["retrieve", "a1b2c3d4", "--head=1"],
    ["stage", "list"],
    ["stage", "info", "a1b2c3d4"],
    ["stage", "renew", "a1b2c3d4"],
    ["stage", "pin", "a1b2c3d4"],
    ["stage", "unpin", "a1b2c3d4"],
    ["stage", "gc"],
    ["stage", "verify"],
    ["unstage", "a1b2c3d4"],
    ["exec", "true"],
    ["exec", "--combine", "true"],
    ["truncate"],
    ["run", "flow.yaml"],
    ["validate", "flow.yaml"],
    ["runs"],
    ["runs", "show", "x"],
    ["runs", "clean", "--completed", "--yes"],
    ["context", "x", "t"],
]


@pytest.fixture
def flow(program):
    """A project with a workflow."""
    (program.folder / "flow.yaml").write_text(
        "name: x\nversion: 1\ntasks: {t: {command: {executable: 'true'}}}\n"
    )
    return program


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
def test_an_unknown_key_is_an_error_for_every_command(flow, args):
    config = flow.folder / ".max" / "config.toml"
    for content, words in (
        ("\nttl_minute = 5\n", f"{config}:2: unknown setting 'ttl_minute'; did you mean 'ttl_minutes'?"),
        ("[limits]\nmax_line = 5\n", f"{config}:2: unknown limit 'max_line'; did you mean 'max_lines'?"),
        (
            "[providers.mine]\ncommand = ['x']\ncomand = ['y']\n",
            f"{config}:3: providers.mine: unknown setting 'comand'; did you mean 'command'?",
        ),
    ):
        config.write_text(content)
        assert flow.fails(*args, timeout=PATIENCE) == words


DEEP = "a = " + "[" * 100_000
HUGE = "9" * 5000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("max_lines = 1\n[limits]\n", ":1: unknown setting 'max_lines'"),
        ("[providers.max_line]\ncommand=['x']\n[limits]\nmax_line = 1\n", ":4: unknown limit"),
        ('[limits]\n"max_line" = 1\n', ":2: unknown limit"),
        ("limits.max_line = 1\n", ":1: unknown limit"),
        ("\nlimits = {max_line = 1}\n", ":2: unknown limit"),
        ("[limits]\nmax_lines = 0\nmax_lins = 1\n", ":2: max_lines must be a whole number"),
        ("[limits]\nmax_lines = 0\nmax_lins = 1\n", ":3: unknown limit 'max_lins'"),
        (
            "[limits.cleanup_strategy]\nkind = 'lru'\n",
            ":1: cleanup_strategy must be {type, keep_count} (unknown key 'kind'",
        ),
        (
            "[limits]\ncleanup_strategy = {keep_cont = 3}\n",
            ":2: cleanup_strategy must be {type, keep_count} (unknown key",
        ),
        ("[limits]\nmax_lines = nan\n", "max_lines must be a whole number, 1 or more, not nan"),
        ("[limits]\nmax_stdout_bytes = inf\n", "max_stdout_bytes must be a positive number of bytes"),
        (f"[limits]\nmax_stdout_bytes = 0x{HUGE}\n", "not a number of thousands of digits"),
        ("x = '''\n[limits]\n'''\n[limits]\nmax_line = 1\n", ":1: unknown setting 'x'"),
        (
            "[providers]\nx = '''\n[limits]\nmax_line = 1'''\n[limits]\nmax_line = 1\n",
            ":2: providers.x must be a list",
        ),
        ("limits = 5\n", ":1: limits must be a table, not 5"),
        ("[[providers]]\n", ":1: providers must be a table, not [{}]"),
        ("providers = 'x'\n", ":1: providers must be a table"),
        ("[providers]\nmine = 5\n", ":2: providers.mine must be a list of words"),
        ("[providers.mine]\n\ncommand = [1]\n", ":3: providers.mine must be a list of words"),
        ("ttl_minutes = nan\n", ":1: ttl_minutes must be from 1 minute"),
        ("ttl_minutes = inf\n", ":1: ttl_minutes must be"),
        ("ttl_minutes = [1]\n", ":1: ttl_minutes must be"),
        ("ttl_minutes = 1979-05-27\n", ":1: ttl_minutes must be"),
        (f"ttl_minutes = {HUGE}\n", "is not TOML"),
        (f"ttl_minutes = 0x{HUGE}\n", "not a number of thousands of digits"),
        (f"max_item_bytes = 0x{HUGE}\n", "not a number of thousands of digits"),
        (f"max_item_bytes = '{HUGE}'\n", "max_item_bytes must be a positive number of bytes"),
        (f"max_item_bytes = '1.{HUGE}'\n", "max_item_bytes must be a positive number of bytes"),
        (f"sync = '{'x' * 100_000}'\n", "…"),
        (f"{'x' * 100_000} = 1\n", "…"),
        ('"a\\nb" = 1\n', "unknown setting 'a\\nb'"),
        ("sync = {}\n", "sync must be true or false"),
        ("sync = true\nsync = true\n", "is not TOML"),
        (DEEP, "is not TOML"),
        ("a\0b", "is not TOML"),
        ("\n\n# ok\nsync = 'caf\xe9'\n", ":4: not UTF-8"),
        ("\xff\xfe", ":1: not UTF-8"),
        ("#\n" * (1 << 20), "is larger than 1 MiB"),
        ("sync = true # " + "x" * 10_000_000, "is larger than 1 MiB"),
    ],
    ids=lambda value: value[:40],
)
def test_content_beyond_reason(program, content, words):
    config = program.folder / ".max" / "config.toml"
    config.write_bytes(content.encode("latin-1"))
    line = program.fails("stage", stdin=b"x", timeout=PATIENCE)
    assert str(config) in line
    assert words in line
    assert len(line) < 600


def test_what_is_no_file(program):
    config = program.folder / ".max" / "config.toml"
    config.unlink()
    config.mkdir()
    assert (
        program.fails("stage", stdin=b"x") == f"{config} is not a regular file; it can't be read as settings"
    )
    config.rmdir()
    os.mkfifo(config)
    for command in (["stage"], ["stage", "list"], ["exec", "true"]):
        assert "is not a regular file" in program.fails(*command, timeout=PATIENCE)
    config.unlink()
    config.symlink_to("/dev/zero")
    assert "is not a regular file" in program.fails("stage", timeout=PATIENCE)
    config.unlink()
    config.symlink_to(config)
    assert program.fails("stage") == f"Too many levels of symbolic links: {config}"


def test_a_byte_order_mark_is_no_content(program):
    (program.folder / ".max" / "config.toml").write_text("\ufeffttl_minutes = 5\n", encoding="utf-8")
    program.stage(b"x")


@pytest.mark.parametrize("value", ["9" * 5000, "nan", "-1", "1" + "0" * 30, "x" * 5000])
def test_the_environment_beyond_reason(program, value):
    for name in ("MAX_TTL_MINUTES", "MAX_ITEM_BYTES", "MAX_SYNC"):
        line = program.fails("stage", stdin=b"x", env=os.environ | {name: value})
        assert line.startswith(f"{name}=")
        assert len(line) < 300


WAYS = ("environment", "option", "first")


def named(flow, args, way, folder):
    """Name the folder of the project in one of the ways; return the error."""
    words = list(args)
    if way == "first":
        words = ["--dir", folder, *args]
    elif way == "option":
        verb = 2 if args[0] in {"stage", "runs"} and len(args) > 1 and args[1][0] != "-" else 1
        words = [*args[:verb], "--dir", folder, *args[verb:]]
    line = flow.fails(*words, env=os.environ | ({"MAX_DIR": folder} if way == "environment" else {}))
    prefix = "MAX_DIR=" if way == "environment" else ""
    assert line.startswith(prefix)
    return line.removeprefix(prefix)


@pytest.mark.parametrize("args", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("way", WAYS)
def test_a_folder_that_is_not_there_is_named_by_every_command(flow, args, way):
    assert named(flow, args, way, "/nope") == "/nope does not exist; name the folder that holds .max"


@pytest.mark.parametrize("args", [["stage"], ["stage", "list"], ["exec", "true"], ["truncate"]], ids=" ".join)
@pytest.mark.parametrize("way", WAYS)
def test_a_folder_that_is_no_project_is_named(flow, args, way):
    empty, file = flow.folder / "em pty", flow.folder / "file"
    empty.mkdir()
    file.write_bytes(b"")
    (flow.folder / "odd").mkdir()
    (flow.folder / "odd" / ".max").write_bytes(b"")
    for folder, why in (
        (str(file), f"{file} is not a directory; name the folder that holds .max"),
        (str(empty), f"{empty} is not a Max project. Run \"max init '{empty}'\" first."),
        ("odd", "odd is not a Max project: its .max is not a directory"),
    ):
        assert named(flow, args, way, folder) == why


def test_commands_that_need_no_project_care_for_none(program):
    env = os.environ | {"MAX_DIR": "/nope"}
    for args in (["--help"], ["--version"], ["template"], ["validate", "--schema"], ["init"]):
        program(*args, env=env)


def test_an_empty_name(program):
    """An empty variable is as good as none; an empty option is a variable that was not set."""
    token = program.text("stage", stdin=b"x", env=os.environ | {"MAX_DIR": ""}).strip()
    for args in (["retrieve", token, "--dir", ""], ["exec", "--dir", "", "true"], ["--dir", "", "stage"]):
        line = program.fails(*args, code=2)
        assert "Invalid value for '--dir': it is empty; name the folder that holds .max" in line


def test_a_working_directory_that_is_gone(program):
    gone = program.folder / "gone"
    for command, code in ((["stage"], 1), (["stage", "list"], 1), (["exec", "true"], 0)):
        gone.mkdir()
        done = program(
            "exec",
            "sh",
            "-c",
            'cd gone; rmdir ../gone; exec "$@"',
            "sh",
            *program.command,
            *command,
            check=code,
        )
        assert b"Traceback" not in done.stderr
        assert (b"working directory does not exist" in done.stderr) == bool(code)
