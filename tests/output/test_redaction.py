"""Masking on the way: what is shown, what is kept, what is staged; and what is told of it."""

import base64
import io
import os
import subprocess
import sys

import pytest

import maxstage
from helpers import FOREVER
from maxstage import Limits, Store, TaskOutput, run
from maxstage.output.bound import bound
from maxstage.output.run import capture

TOKEN = "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"
SECRET = "s3cr3t/value"
ENCODED = base64.b64encode(b"user:" + SECRET.encode()).decode()
LINE = f"{TOKEN} {SECRET} {ENCODED}\n".encode()
MASKED = b"*** *** " + ENCODED[:7].encode() + b"***U=\n"
"""Of the encoded one the first digits are those of `user:`, and the last is not the secret's alone."""
SMALL = {"max_stdout_bytes": 2000, "max_stderr_bytes": 1000}


def kept(store, output) -> bytes:
    with store.open(output.token) as file:
        return file.read()


def echo(times=1, stream="stdout"):
    code = f"import sys; sys.{stream}.write({LINE.decode()!r} * {times})"
    return [sys.executable, "-c", code]


def redacted(output) -> dict:
    return dict(output.redacted)


@pytest.mark.parametrize("combine", [False, True])
def test_what_is_masked_where(store, combine):
    options = {"store": store, "keep": "always", "combine": combine, "secrets": [SECRET]}
    for redact, shown, whole in (
        (None, LINE.replace(SECRET.encode(), b"***"), LINE.replace(SECRET.encode(), b"***")),
        (True, MASKED, LINE.replace(SECRET.encode(), b"***")),
        ("all", MASKED, MASKED),
    ):
        done = run(echo(), redact=redact, **options)
        encoded = MASKED.split()[2]
        assert done.content == shown.replace(ENCODED.encode(), encoded)
        assert kept(store, done) == whole.replace(ENCODED.encode(), encoded)
        of_all = {"secret": 2} | ({"github-token": 1} if redact == "all" else {})
        assert redacted(done) == {"secret": 2} | ({"github-token": 1} if redact else {})
        assert store.info(done.token).redacted == of_all
        assert done.original_size == len(LINE)


def test_only_what_is_shown_is_masked_unless_all_is_asked_for(store):
    done = run(echo(1000), store=store, limits=SMALL, redact="shown")
    assert done.truncated
    assert TOKEN.encode() not in done.content
    assert kept(store, done) == LINE * 1000
    assert (redacted(done), store.info(done.token).redacted) == ({"github-token": 1000}, {})
    assert done.original_size == len(LINE) * 1000
    assert len(done.content) <= 2000


def test_each_stream_has_its_counts_and_json_has_them(store):
    done = run(echo(2, "stderr"), store=store, secrets=[SECRET], redact="all")
    assert (redacted(done), redacted(done.stderr)) == ({}, {"github-token": 2, "secret": 4})
    assert TaskOutput.from_dict(done.to_dict()) == done
    assert done.stderr.content == MASKED * 2


def test_the_setting_of_the_store_holds_unless_the_caller_says_otherwise(store):
    store.settings.redact = "all"
    done = run(echo(), store=store, keep="always")
    assert TOKEN.encode() not in done.content + kept(store, done)
    assert run(echo(), store=store, redact=False).content == LINE
    assert TOKEN.encode() not in store.open(store.stage(LINE).token).read()
    assert store.open(store.stage(LINE, redact=False).token).read() == LINE
    assert TOKEN.encode() not in store.open(store.stage_many([LINE])[0].token).read()
    store.settings.redact = "shown"
    assert TOKEN.encode() not in run(echo(), store=store).content
    assert store.open(store.stage(LINE).token).read() == LINE  # staging is keeping


def test_what_is_held_back_comes_at_the_end(store):
    # The last line has no end, and may be an assignment.
    done = run(["printf", "a\\ntoken: abc"], store=store, redact="all", keep="always")
    assert (done.content, kept(store, done)) == (b"a\ntoken: abc", b"a\ntoken: abc")
    # Somebody holds the pipe: nobody sees its end.
    done = run(["sh", "-c", f"printf 'password='; sleep {FOREVER} & exit 3"], redact=True, store=store)
    assert (done.content, done.exit_code) == (b"password=", 3)
    # It is ended.
    done = run(["sh", "-c", f"printf 'password='; sleep {FOREVER}"], redact=True, store=store, timeout=1)
    assert (done.content, done.timed_out) == (b"password=", True)


def test_a_secret_in_pieces(store):
    halves = SECRET[:5], SECRET[5:]
    script = f"printf 'a {halves[0]}'; sleep 0.1; printf '{halves[1]} b'"
    done = run(["sh", "-c", script], secrets=[SECRET], store=store, keep="always")
    assert done.content == kept(store, done) == b"a *** b"


def test_live_output_is_masked(store):
    shown = [b"", b""]

    def show(stream, data):
        shown[stream] += data

    script = f"echo {TOKEN}; printf {SECRET[:4]}; sleep 0.1; echo {SECRET[4:]}; echo {TOKEN} >&2"
    done = run(["sh", "-c", script], on_output=show, redact=True, secrets=[SECRET], store=store)
    assert shown == [b"***\n***\n", b"***\n"] == [done.content, done.stderr.content]
    shown = [b"", b""]
    run(["sh", "-c", script], follow=show, redact=True, secrets=[SECRET], store=store)
    assert shown == [b"***\n***\n", b"***\n"]


def test_other_ways_in(store, tmp_path):
    process = subprocess.Popen(echo(), stdout=subprocess.PIPE, start_new_session=True)
    assert capture(process, redact=True, secrets=[SECRET], store=store).content == MASKED
    (tmp_path / "text").write_bytes(LINE)
    with (tmp_path / "text").open("rb") as file:
        done = bound(
            file.fileno(), Limits(), store, task_id="x", redact="all", secrets=[SECRET], keep="always"
        )
    assert done.content == kept(store, done) == MASKED
    assert (done.original_size, redacted(done)) == (len(LINE), {"github-token": 1, "secret": 2})


@pytest.mark.parametrize("redact", ["some", 1.5, "yes"])
def test_what_redact_may_be(store, redact):
    with pytest.raises(ValueError, match="true, false or one of: shown, all"):
        run(["true"], redact=redact, store=store)


def test_a_secret_that_is_too_short_is_refused(store):
    with pytest.raises(maxstage.Error, match="at least 4 bytes"):
        run(["true"], secrets=["abc"], store=store)


@pytest.mark.parametrize("secrets", ["secret", b"secret", [None]], ids=["text", "bytes", "None"])
def test_what_is_no_list_of_secrets_is_told(store, secrets):
    for use in (lambda: run(["true"], secrets=secrets), lambda: store.stage(b"x", secrets=secrets)):
        with pytest.raises(
            TypeError, match=r"secrets must be a list|each secret must be text or bytes, not NoneType"
        ):
            use()


# Staging


@pytest.mark.parametrize("kind", ["bytes", "path", "descriptor", "file", "chunks", "split", "split file"])
def test_whatever_is_staged_is_masked(tmp_path, kind):
    store = Store.init(tmp_path)
    path = tmp_path / "data"
    path.write_bytes(LINE * 4000)
    options = {"redact": True, "secrets": [SECRET]}
    if kind.startswith("split"):
        items = store.split(str(path) if "file" in kind else LINE * 4000, parts=3, **options)
    else:
        with path.open("rb") as file:
            chunks = (LINE[:30], LINE[30:], *[LINE] * 3999)
            data = {
                "bytes": LINE * 4000,
                "path": path,
                "descriptor": file.fileno(),
                "file": io.BytesIO(LINE * 4000),
            }
            items = [store.stage(data.get(kind, chunks), **options)]
    assert b"".join(store.open(item.token).read() for item in items) == MASKED * 4000
    for item in items:
        assert item.redacted == store.info(item.token).redacted == {"github-token": 4000, "secret": 8000}
    assert store.list()[0].to_dict()["redacted"] == {"github-token": 4000, "secret": 8000}
    assert path.read_bytes() == LINE * 4000


def test_what_was_staged_without_a_secret_says_nothing(store):
    assert "redacted" not in store.stage(b"plain\n", redact=True).to_dict()


def test_a_slow_pipe_that_does_not_block_is_masked(store):
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    writer = subprocess.Popen(["sh", "-c", f"sleep 0.2; echo {TOKEN}"], stdout=writing)
    os.close(writing)
    item = store.stage(reading, redact=True)
    os.close(reading)
    writer.wait()
    assert store.open(item.token).read() == b"***\n"


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_secret_with_escape_sequences_in_it_is_masked_once_they_are_gone(everywhere):
    from maxstage._backend import core
    from maxstage.redaction_rules import compiled

    reading, writing = os.pipe()
    coloured = b"hun\x1b[31mter2-\x1b[0msecret ghp_\x1b[1m" + TOKEN[4:].encode() + b"\n"
    os.write(writing, coloured)
    os.close(writing)
    limits = core.StreamLimits("tail", 1000, 1000, None, plain=True)
    capture = core.Capture(reading, -1, -1, limits, limits, 1000)
    capture.mask([b"hunter2-secret"], compiled(), everywhere=everywhere)
    while capture.pump(1000) != core.Event.END:
        pass
    os.close(reading)
    assert capture.render(0, 1000).content == b"*** ***\n"
    assert capture.redacted(0) == {"github-token": 1, "secret": 1}
    assert capture.size(0) == len(coloured)
