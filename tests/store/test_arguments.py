"""Arguments from Python that are no good: an error that names the argument, the same with both backends."""

import io
import os
import subprocess

import pytest

import maxstage
from maxstage import InvalidMetadata, Store

TOKEN = "max:a1b2c3d4"
TEXT = b"some text\n" * 1000


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"source": 5}, TypeError, "source must be text or None, not int"),
        ({"source": b"x"}, TypeError, "source must be text or None, not bytes"),
        ({"source": ""}, InvalidMetadata, "source is empty"),
        ({"ttl": []}, TypeError, 'ttl must be a timedelta, minutes, or text like "2h", not list'),
        ({"ttl": "soon"}, ValueError, "ttl must be from 1 minute"),
        ({"ttl": True}, ValueError, "ttl must be from 1 minute"),
        ({"labels": "a=b"}, TypeError, "labels must be a mapping"),
        ({"labels": [("a", "b")]}, TypeError, "labels must be a mapping"),
        ({"labels": {"a": 5}}, InvalidMetadata, "a label is two printable texts"),
        ({"content_type": 5}, ValueError, "content_type must be ndjson, json or text, not 5"),
        ({"compress": 5}, TypeError, "compress must be true, false or one of: none, gzip, zstd; not int"),
        ({"compress": []}, TypeError, "compress must be"),
        ({"sync": "yes"}, TypeError, "sync must be true or false, not str"),
        ({"pin": "no"}, TypeError, "pin must be true or false, not str"),
    ],
)
def test_staging(store, options, error, words):
    with pytest.raises(error, match=words):
        store.stage(b"data", **options)
    if "pin" not in options:
        with pytest.raises(error, match=words):
            store.split(b"data", parts=2, **options)
    with pytest.raises(error, match=words):
        store.stage_many([b"data"], **options)
    assert set(os.listdir(store.layout.root)) <= {".lock"}


def test_a_time_to_live_may_be_text(store):
    assert store.stage(b"data", ttl="2h").expires - store.stage(b"data", ttl=60).expires in (3599, 3600, 3601)


@pytest.mark.parametrize("data", [5.5, None, True, object()])
def test_data_of_a_wrong_type(store, data):
    wanted = "data must be bytes, a path, a descriptor, a binary file or an iterable of bytes, not "
    with pytest.raises(TypeError, match=wanted + type(data).__name__):
        store.stage(data)
    with pytest.raises(TypeError, match=wanted):
        store.stage_many([b"good", data])
    assert set(os.listdir(store.layout.root)) <= {".lock"}


@pytest.mark.parametrize("data", [5, b"text", "text", None])
def test_many_are_several(store, data):
    with pytest.raises(TypeError, match="data must be several things to stage, like a list of bytes, not "):
        store.stage_many(data)


@pytest.mark.parametrize("token", [None, 5, TOKEN.encode(), [TOKEN]])
def test_tokens(store, token):
    for method in ("open", "open_item", "info", "verify", "renew", "pin", "unpin", "unstage"):
        with pytest.raises(TypeError, match=f'token must be text like "{TOKEN}", not {type(token).__name__}'):
            getattr(store, method)(token)


@pytest.mark.parametrize("folder", [None, 5, b"/tmp", []])
def test_folders(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for function in (Store.open, Store.init, Store.find):
        if (function, folder) != (Store.find, None):
            with pytest.raises(TypeError, match="folder must be text or a path, not "):
                function(folder)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"parts": "2"}, TypeError, "parts must be a whole number or None, not str"),
        ({"parts": 1.5}, TypeError, "parts must be a whole number or None, not float"),
        ({"lines": True}, TypeError, "lines must be a whole number or None, not bool"),
        ({"parts": 0}, ValueError, "parts must be at least 1, not 0"),
        ({"lines": -1}, ValueError, "lines must be at least 1, not -1"),
        ({"parts": 1, "lines": 1}, ValueError, "give either parts or lines"),
        ({}, ValueError, "give either parts or lines"),
    ],
)
def test_splitting(store, options, error, words):
    with pytest.raises(error, match=words):
        store.split(b"data", **options)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"source": 5}, TypeError, "source must be a shell pattern or None, not int"),
        ({"labels": ["a"]}, TypeError, "labels must be a mapping"),
        ({"limit": "x"}, TypeError, "limit must be a whole number or None, not str"),
        ({"limit": -1}, ValueError, "limit must be at least 0, not -1"),
    ],
)
def test_listing(store, options, error, words):
    with pytest.raises(error, match=words):
        store.list(**options)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"max_bytes": 0}, ValueError, "max_bytes must be a positive number of bytes.*, not 0"),
        ({"max_bytes": "x"}, ValueError, "max_bytes must be a positive number of bytes.*, not 'x'"),
        ({"max_bytes": None}, ValueError, "max_bytes must be a positive number of bytes.*, not None"),
        ({"strategy": 5}, TypeError, "strategy must be one of head, tail,.*, not int"),
        ({"strategy": "no"}, ValueError, "'no' is not a strategy; use one of: head, tail,"),
        ({"max_lines": 0}, ValueError, "max_lines must be at least 1, not 0"),
        ({"max_lines": "x"}, TypeError, "max_lines must be a whole number, not str"),
    ],
)
def test_truncating(options, error, words):
    with pytest.raises(error, match=words):
        maxstage.truncate(TEXT, **{"max_bytes": 100} | options)
    with pytest.raises(error, match=words):
        maxstage.truncate_stream(io.BytesIO(TEXT), **{"max_bytes": 100} | options)


def test_truncating_what_is_no_text():
    for data in (5, None, bytearray(TEXT), [TEXT]):
        with pytest.raises(TypeError, match="data must be bytes or text, not "):
            maxstage.truncate(data, 100)
    with pytest.raises(TypeError, match="file must be a binary file, not float"):
        maxstage.truncate_stream(5.5, 100)
    with pytest.raises(TypeError, match="file must give bytes, not str; open text files in binary mode"):
        maxstage.truncate_stream(io.StringIO("text"), 100)
    cut = maxstage.truncate(TEXT, 100, "head_lines", max_lines=10**30)
    assert len(cut.content) <= 100


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"limits": 5}, TypeError, "limits must be Limits, a mapping of them, or None, not int"),
        ({"keep": "no"}, ValueError, "keep must be one of always, truncated, never; not 'no'"),
        ({"stdin": 5.5}, TypeError, "stdin must be bytes, a path, a token,.*, not float"),
        ({"store": "/tmp"}, TypeError, "store must be a Store, a function that opens one, or None, not str"),
        ({"timeout": "x"}, TypeError, "timeout must be a number of seconds or None, not str"),
        ({"argv": 5}, TypeError, "argv must be a list like .*, not int"),
        ({"argv": ["true", 5]}, TypeError, "each word of argv must be text or a path, not int"),
    ],
)
def test_running(options, error, words):
    with pytest.raises(error, match=words):
        maxstage.run(**{"argv": ["true"]} | options)


def test_capturing():
    true = subprocess.Popen(["true"], stdout=subprocess.PIPE)
    with true as process, pytest.raises(TypeError, match="limits must be"):
        maxstage.capture(process, limits=5)
