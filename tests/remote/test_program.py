"""The program, with a store on a server: commands, and what is said when the server refuses."""

import json
import os
import re
import subprocess
import sys

import pytest
from careless import Careless

from maxstage import Store
from maxstage.store.storage.object.client import Client

pytestmark = pytest.mark.started

LINES = b"".join(b'{"id": %d}\n' % number for number in range(200_000))


def test_two_machines_share_a_store(program, program_in, tmp_path, url):
    token = program.stage(LINES, "--source", "made/here", "--compress=zstd")
    assert re.fullmatch("max:[0-9a-f]{32}", token)
    other = tmp_path / "other"
    other.mkdir()
    elsewhere = program_in(other)
    said = json.loads(elsewhere.text("init", "--store", f"{url}/", "-o", "json"))
    assert (said["store"], said["storeMade"], said["made"]) == (url, False, True)
    assert json.loads(elsewhere.text("init", "--store", url, "-o", "json"))["made"] is False
    assert elsewhere("retrieve", token).stdout == LINES
    assert elsewhere.text("retrieve", token, "--tail", "1") == '{"id": 199999}\n'
    assert elsewhere.text("retrieve", token, "--lines", "150000:150001") == '{"id": 149999}\n{"id": 150000}\n'
    (shown,) = json.loads(elsewhere.text("stage", "list", "-o", "json"))
    assert (shown["source"], shown["token"]) == ("made/here", token.removeprefix("max:"))
    assert elsewhere.text("count", token, "--filter", "id >= 100000").strip().startswith("100")
    elsewhere("stage", "pin", token)
    assert json.loads(program.text("stage", "info", token, "-o", "json"))["expiresAt"] is None
    elsewhere("unstage", token)
    assert "not found" in program.fails("retrieve", token)
    # No credentials were written down.
    for folder in (program.folder, other):
        for path in (folder / ".max").rglob("*"):
            assert not path.is_file() or os.environ["AWS_SECRET_ACCESS_KEY"].encode() not in path.read_bytes()


def test_what_is_kept_of_an_output_lies_there_too(program):
    done = program("exec", "--max-stdout-bytes", "2KiB", "--", "seq", "200000")
    token = re.search(rb"max retrieve (max:[0-9a-f]{32})", done.stdout)[1].decode()
    assert program("retrieve", token).stdout.endswith(b"\n200000\n")
    parts = program.text("stage", "--split", "3", stdin=b"1\n2\n3\n").split()
    assert [program.text("retrieve", part) for part in parts] == ["1\n", "2\n", "3\n"]


def test_the_environment_names_a_store(program_in, tmp_path, url):
    program = program_in(tmp_path)
    program("init")
    done = program("stage", stdin=b"far\n", env=os.environ | {"MAX_STORE": url})
    assert (
        program("retrieve", done.stdout.decode().strip(), env=os.environ | {"MAX_STORE": url}).stdout
        == b"far\n"
    )
    assert "No staged data" in program.text("stage", "list")


def test_a_store_must_have_been_made(program_in, tmp_path, url):
    program = program_in(tmp_path)
    program("init")
    line = program.fails("stage", stdin=b"x", env=os.environ | {"MAX_STORE": f"{url}x"})
    assert f'run "max init --store {url}x" first' in line
    assert "another store" in program_with(program, url).fails("init", "--store", f"{url}x")


def program_with(program, url):
    (program.folder / ".max" / "config.toml").write_text(f'[store]\nurl = "{url}"\n')
    return program


@pytest.mark.parametrize(
    "wrong", ["bucket", "s3://", "http://a/b", "s3://a b", "s3://bucket/a//b", "s3://b/../c"]
)
def test_what_is_no_url(program_in, tmp_path, wrong):
    program = program_in(tmp_path)
    assert "s3://bucket/prefix" in program.fails("init", "--store", wrong, code=2)
    assert not (tmp_path / ".max").exists()
    line = program_with_folder(program).fails("stage", "list", env=os.environ | {"MAX_STORE": wrong})
    assert "MAX_STORE=" in line


def program_with_folder(program):
    program("init")
    return program


REFUSED = {
    "secret": ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "the secret key is wrong"),
    "key": ({"AWS_ACCESS_KEY_ID": "wrong"}, "the access key is unknown"),
    "server": ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "connection refused"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_is_told(program, url, what):
    change, said = REFUSED[what]
    env = os.environ | change | {"MAX_STORE_TIMEOUT_SECONDS": "1"}
    token = program.stage(b"data\n")
    commands = (("stage",), ("retrieve", token), ("stage", "list"), ("unstage", token), ("stage", "gc"))
    # Nobody answers: each takes all of its time.
    for args in commands[:2] if what == "server" else commands:
        line = program.fails(*args, env=env)
        assert said in line
        assert url in line
    assert program.text("retrieve", token) == "data\n"


def test_a_bucket_that_is_missing(program_in, tmp_path):
    program = program_in(tmp_path)
    assert "there is no such bucket" in program.fails("init", "--store", "s3://no-such-bucket/x")
    assert not (tmp_path / ".max").exists()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("403 RequestTimeTooSkewed", "clock is off"),
        ("403 AccessDenied", "may not do that"),
        ("400 ExpiredToken", "credentials have expired"),
        ("507 Strange", "507 Strange"),
    ],
)
def test_the_servers_codes(program, proxy, code, said):
    proxy.decide = lambda _method, _path: code
    line = program.fails("stage", "list", env=os.environ | {"MAX_STORE_TIMEOUT_SECONDS": "1"})
    assert said in line
    assert "tx-of-the-proxy" in line


def test_without_obstore(program):
    """A package that is missing is named; a store on this machine needs none."""
    code = "import sys; sys.modules['obstore'] = None; from maxstage.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "stage", "list"], cwd=program.folder, capture_output=True
    )
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"pip install 'maxstage[remote]'" in done.stderr


@pytest.mark.parametrize("knows", [(), ("If-None-Match",), ("If-None-Match", "If-Match")])
def test_a_server_that_looks_and_then_writes_is_refused(program_in, tmp_path, monkeypatch, knows):
    server = Careless(*knows)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    try:
        line = program_in(tmp_path).fails("init", "--store", "s3://bucket/prefix")
    finally:
        server.close()
    assert "can't keep a store" in line
    assert not (tmp_path / ".max").exists()
    assert not any("maxstage.json" in path for path in server.objects)


def test_the_same_server_with_a_lock_is_accepted(program_in, tmp_path, monkeypatch):
    """So it is the race that is refused, not something else that it lacks."""
    server = Careless("If-None-Match", "If-Match", lock=True, gap=0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    try:
        program = program_in(tmp_path)
        program("init", "--store", "s3://bucket/prefix")
        token = program.stage(b"data\n")
        program("stage", "renew", token, "--ttl", "2h")
        assert program.text("retrieve", token) == "data\n"
    finally:
        server.close()


def test_credentials_from_files(program, tmp_path, url):
    folder = tmp_path / "aws"
    folder.mkdir()
    (folder / "credentials").write_text(
        f"[one]\naws_access_key_id = {os.environ['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {os.environ['AWS_SECRET_ACCESS_KEY']}\n"
    )
    (folder / "config").write_text(
        f"[profile one]\nregion = us-east-1\nendpoint_url = {os.environ['AWS_ENDPOINT_URL']}\n"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env |= {
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_PROFILE": "one",
    }
    done = subprocess.run(
        [*program.command, "stage"], input=b"x", cwd=program.folder, env=env, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert program.text("retrieve", done.stdout.decode().strip()) == "x"


def test_items_go_from_store_to_store(program, program_in, tmp_path, url):
    local = program_in(tmp_path / "local")
    local.folder.mkdir()
    local("init")
    for codec in ("none", "gzip", "zstd"):
        token = local.stage(LINES, f"--compress={codec}", "--source", "a/b", "--label", "k=v", "--ttl", "3h")
        there = local.text("stage", "copy", token, "--to", url).strip()
        assert re.fullmatch("max:[0-9a-f]{32}", there)
        assert program("retrieve", there).stdout == LINES
        back = local.text("stage", "copy", f"{url}#{there}").strip()
        assert local("retrieve", back).stdout == LINES
        first, last = (json.loads(local.text("stage", "info", one, "-o", "json")) for one in (token, back))
        for key in ("source", "labels", "contentType", "byteSize", "recordCount", "checksum", "compression"):
            assert first[key] == last[key]
        assert (
            abs(Store.open(local.folder).info(back).expires - Store.open(local.folder).info(token).expires)
            <= 2
        )
        # The folder of another project, too; and a pinned item stays pinned.
        program("stage", "pin", there)
        pinned = program.text("stage", "copy", there, "--to", str(local.folder)).strip()
        assert Store.open(local.folder).info(pinned).pinned
    assert "not found" in local.fails("stage", "copy", "a1b2c3d4", "--to", url)
    assert "There is no store" in local.fails("stage", "copy", token, "--to", f"{url}x")
    assert "--to must be a URL" in local.fails("stage", "copy", token, "--to", "s3://", code=2)


def test_what_is_named_by_a_url_needs_no_project(program, program_in, tmp_path, url):
    token = program.stage(LINES)
    outside = program_in(tmp_path)
    assert outside("retrieve", f"{url}#{token}").stdout == LINES
    assert (
        outside.text("retrieve", f"{url}#{token.removeprefix('max:')}", "--tail", "1") == '{"id": 199999}\n'
    )
    assert outside("retrieve", f"{url}#{token}", f"{url}#{token}", "--head", "0").stdout == b""
    assert "not found" in outside.fails("retrieve", f"{url}#max:a1b2c3d4")
    assert "Invalid token" in outside.fails("retrieve", f"{url}#nothing", code=2)
    assert "Invalid reference" in outside.fails("retrieve", f"s3://#{token}", code=2)
    assert "Invalid token" in program.fails("retrieve", f"ftp://x#{token}", code=2)
    assert not (tmp_path / ".max").exists()


def test_a_url_for_those_without_credentials(program, keys_of):
    import gzip
    import urllib.error
    import urllib.request

    for data, codec in ((b"small\n", "none"), (LINES, "none"), (LINES, "gzip")):
        token = program.stage(data, f"--compress={codec}")
        granted = json.loads(program.text("grant", token, "--ttl", "5m", "-o", "json"))
        with urllib.request.urlopen(granted["url"]) as answer:
            content = answer.read()
        assert len(content) == granted["bytes"]
        assert (gzip.decompress(content) if codec == "gzip" else content) == data
        with pytest.raises(urllib.error.HTTPError):  # it is for reading alone
            urllib.request.urlopen(urllib.request.Request(granted["url"], data=b"x", method="PUT"))
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(granted["url"].partition("?")[0])
    assert "at most 1d" in program.fails("grant", token, "--ttl", "2d", code=2)
    for hours in (100, 200):
        program.later(hours * 3600, "stage", "gc")
    assert keys_of() == []


def test_expiry_and_its_tombstone(program, store, keys_of):
    short, long = store.stage(b"short\n", ttl=1), store.stage(LINES, ttl=600)
    # Clocks may be half an hour apart: it is not served, and not swept yet.
    assert "0 expired" in program.later(120, "stage", "gc")
    assert "1 expired" in program.later(40 * 60, "stage", "gc")
    line = program.fails("retrieve", short.token)
    assert "expired" in line or "not found" in line
    assert program("retrieve", long.token).stdout == LINES
    for hours in (100, 200):  # the tombstone of the longer one is made by the first
        program.later(hours * 3600, "stage", "gc")
    assert keys_of() == []


def test_data_that_nobody_names_is_swept(program, url, keys_of):
    client = Client(url)
    client.put("data/" + "0" * 32 + ".txt", b"x")
    client.put("newest/9999999999999999999." + "1" * 32 + "." + "2" * 32 + ".never.5", b"")
    assert len(keys_of()) == 2
    program.later(3600 * 2, "stage", "gc")
    assert keys_of() == ["data/" + "0" * 32 + ".txt"]
    program.later(3600 * 49, "stage", "gc")
    assert keys_of() == []


def test_an_item_that_has_lost_its_marker_keeps_its_data(program, store, url, keys_of):
    item = store.stage(LINES, ttl=6000)
    assert len(keys_of()) == 3
    client = Client(url)
    client.delete(*[key for key in keys_of() if key.startswith("newest/")])
    # Nobody has swept for days.
    assert "0 left behind" in program.later(72 * 3600, "stage", "gc", "--dry-run")
    program.later(72 * 3600, "stage", "gc")
    assert len(keys_of()) == 3
    assert program("retrieve", item.token).stdout == LINES


def test_the_quota(program, url):
    config = program.folder / ".max" / "config.toml"
    config.write_text(f'max_store_bytes = 100000\n[store]\nurl = "{url}"\n')
    first = program.stage(b"x" * 60_000)
    assert "max_store_bytes" in program.fails("stage", stdin=b"x" * 60_000)
    program("unstage", first)
    program.stage(b"x" * 60_000)


def test_an_automatic_sweep(program, store):
    """The first command after an item has expired long ago sweeps; output is out before."""
    item = store.stage(b"short\n", ttl=1)
    program("stage", "list")
    program.later(45 * 60, "stage", "list")
    program.later(50 * 60, "stage", "list")
    assert Store.open(program.folder).storage.tombstone(item.id).id == item.id
