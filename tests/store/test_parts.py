"""The small rooms: tokens, times, sizes, wording, settings, preview, progress."""

import io
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import maxstage
from helpers import examples
from maxstage.cli.progress import Progress
from maxstage.humanize import format_duration, format_size
from maxstage.settings import load_settings
from maxstage.sizes import llm_tokens, parse_size
from maxstage.store.clock import format_time, parse_time
from maxstage.store.preview import describe_fields, preview_lines, show_example
from maxstage.store.store import Store
from maxstage.store.tokens import format_token, new_id, parse_token


@examples(100)
@given(st.binary(min_size=4, max_size=16))
def test_tokens_round_trip(raw):
    assert parse_token(format_token(raw.hex())) == raw.hex()
    assert parse_token(f"\t{format_token(raw.hex()).upper()} ") == raw.hex()


@examples(100)
@given(st.text())
def test_tokens_are_hex_or_refused(text):
    try:
        item_id = parse_token(text)
    except maxstage.InvalidToken as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert str(error).isascii()  # noqa: PT017
    else:
        assert len(item_id) >= 8
        assert set(item_id) <= set("0123456789abcdef")


def test_ids_are_random():
    assert len({new_id(4) for _ in range(1000)}) > 990
    assert len(new_id(16)) == 32


@examples(100)
@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2999, 12, 31)))  # noqa: DTZ001
def test_times_agree_with_the_standard_library(moment):
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert parse_time(text) == moment.timestamp()
    assert format_time(moment.timestamp()) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-01-28",
        "2024-01-28T12:00:00",
        "2024-01-28 12:00:00Z",
        "2024-00-28T12:00:00Z",
        "2024-13-28T12:00:00Z",
        "2024-01-32T12:00:00Z",
        "2024-01-28T24:00:00Z",
        "2024-01-28T12:60:00Z",
        "2024-01-28T12:00:00.Z",
        "2024-01-28T12:00:00.xZ",
        "2024-01-28T12:00:00+01:00",
        "٢024-01-28T12:00:00Z",
        "0000-01-28T12:00:00Z",
    ],
)
def test_bad_times(text):
    with pytest.raises(ValueError, match="time"):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (1, 1),
        ("1", 1),
        ("1b", 1),
        ("2 KB", 2000),
        ("512KiB", 524288),
        ("1.5mb", 1_500_000),
        ("3GiB", 3 << 30),
        (2.0, 2),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "value", [0, -1, "0", "-1", "", "KiB", "1.5", "1..5MB", "1.MB", "1XB", "one", True, None, 1.5, []]
)
def test_bad_sizes(value):
    if value == "1.5":
        assert parse_size(value) == 1  # a fraction of a byte is no byte
        return
    with pytest.raises(ValueError, match="positive number of bytes"):
        parse_size(value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172800, "2 d"),
    ],
)
def test_durations(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (999_949, "999.9 KB"),
        (999_950, "1.0 MB"),
        (2 * 10**15, "2.0 PB"),
    ],
)
def test_sizes_for_people(size, text):
    assert format_size(size) == text


def test_settings_come_in_order(tmp_path):
    config = tmp_path / "config.toml"
    assert load_settings(str(config), str(tmp_path), {}).ttl_minutes == 60
    config.write_text("# nothing\n\n  # more\n")
    assert load_settings(str(config), str(tmp_path), {}).max_item_bytes is None
    config.write_text('ttl_minutes = 5\nsync = true\nmax_item_bytes = "1KiB"\n')
    settings = load_settings(
        str(config), str(tmp_path), {"MAX_TTL_MINUTES": "7", "MAX_COMPRESS": "on", "MAX_TOKEN_BYTES": ""}
    )
    assert (settings.ttl_minutes, settings.sync, settings.compress) == (7, True, True)
    assert (settings.max_item_bytes, settings.token_bytes) == (1024, 4)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TTL_MINUTES", "0"),
        ("TTL_MINUTES", "x"),
        ("TOKEN_BYTES", "17"),
        ("SYNC", "2"),
        ("ITEM_BYTES", "-1"),
    ],
)
def test_bad_settings_in_the_environment(name, text):
    with pytest.raises(maxstage.ConfigError, match=f"MAX_{name}='{text}'"):
        load_settings("/no/such/file", "/no", {f"MAX_{name}": text})


def test_the_settings_that_init_shows_are_the_defaults(store):
    from pathlib import Path

    config = Path(store.storage.layout.root).parent / "config.toml"
    shown = config.read_text()
    config.write_text(
        "".join(
            line[2:] + "\n"
            for line in shown.split("\n")
            if line.startswith(("# [", "# ")) and (" = " in line or "[" in line)
        )
    )
    settings = load_settings(str(config), store.layout.project, {})
    default = load_settings("/no/such/file", "/no", {})
    for name in ("ttl_minutes", "token_bytes", "sync", "compress"):
        assert getattr(settings, name) == getattr(default, name)
    assert settings.max_item_bytes == 10 << 30
    assert maxstage.Limits.parse(settings.limits) == maxstage.Limits()


def describe(store, data: bytes, **options):
    with store.open_item(store.stage(data, **options).token) as opened:
        return preview_lines(opened), *describe_fields(opened)


def test_fields(store):
    records = b'{"a": 1, "b": null}\n{"a": "x", "c": [1]}\n{"a": true}\n{"b": {"d": 1}}\n'
    lines, count, fields, more = describe(store, records)
    assert len(lines) == 3
    assert (count, more) == (4, 0)
    assert fields["a"] == {"type": "number|string|boolean", "present": 0.75, "example": 1}
    assert fields["b"] == {"type": "null|object", "present": 0.5, "example": {"d": 1}}
    assert fields["c"]["type"] == "array"
    assert describe(store, b'[{"a": 1}, 5]')[1:] == (
        1,
        {"a": {"type": "number", "present": 1.0, "example": 1}},
        0,
    )
    assert describe(store, b"text\n")[1:] == (0, {}, 0)
    assert describe(store, b"not json\n", content_type="ndjson")[1:] == (0, {}, 0)
    # A record that can't be read costs itself alone.
    assert describe(store, b'{"a":1}\nnot json\n{"a":2}\n', content_type="ndjson")[1] == 2
    assert describe(store, b'{"a":1}\n' * 100_000)[1] < 100_000


def test_previews(store):
    assert describe(store, b"")[0] == []
    assert describe(store, b"a\tb\r\n\xff\n")[0] == ["a b", "\N{REPLACEMENT CHARACTER}"]
    assert describe(store, "é".encode() * 200)[0] == ["é" * 100 + "..."]
    assert show_example("x" * 99) == '"' + "x" * 39 + "..."
    assert llm_tokens(0) == 0


def test_progress_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    now = iter([0.0, 0.1, 0.7, 0.75, 2.0])
    monkeypatch.setattr("maxstage.cli.progress.time.monotonic", lambda: next(now))
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress("staged", 4_000_000) as progress:
        for _ in range(4):
            progress(1_000_000)
    shown = sys.stderr.getvalue().split("\r\x1b[K")
    assert shown[1] == "staged 2.0 MB, 2.9 MB/s [############------------] 50%"
    assert shown[2] == "staged 4.0 MB, 2.0 MB/s [########################] 100%"
    assert shown[3] == ""


def test_no_progress_elsewhere(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Progress("staged") as progress:
        progress._next = 0
        progress(1)
    assert sys.stderr.getvalue() == ""


def test_a_project_that_need_not_be_there(tmp_path, monkeypatch):
    monkeypatch.delenv("MAX_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    assert Store.find_or_none() is None
    with pytest.raises(maxstage.NoProject, match=r"^/nope does not exist; "):
        Store.find_or_none("/nope")
    project = Store.init(tmp_path / "a")
    assert Store.find_or_none(tmp_path / "a").layout.root == project.layout.root
    monkeypatch.chdir(tmp_path / "a")
    assert Store.find_or_none().layout.root == project.layout.root
    monkeypatch.setenv("MAX_DIR", "/nope")
    with pytest.raises(maxstage.NoProject, match=r"^MAX_DIR=/nope does not exist; "):
        Store.find_or_none()


def test_the_store_of_another_project(tmp_path):
    first, second = (Store.init(tmp_path / name) for name in "ab")
    assert first.at(None) is first
    assert first.at(str(tmp_path / "a")) is first
    assert first.at(str(tmp_path / "b")).layout.root == second.layout.root
