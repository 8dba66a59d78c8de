"""Stores on a real S3 server: `make test-remote` starts one; without it these tests are skipped."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from proxy import Proxy

if not os.environ.get("MAXSTAGE_REMOTE"):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def url() -> str:
    """The URL of a new store on the server, which has been tried before."""
    from remote_kind import new_store

    return new_store()


@pytest.fixture
def program(program_in, tmp_path, url):
    """The program in a project whose items lie there."""
    folder = tmp_path / "project"
    folder.mkdir()
    program = program_in(folder)
    program("init", "--store", url)
    return program


@pytest.fixture
def store(program):
    """The store of that project."""
    from maxstage import Store

    return Store.open(program.folder)


@pytest.fixture
def proxy(monkeypatch) -> Iterator[Proxy]:
    """A proxy before the server, through which every client goes from now on."""
    proxy = Proxy(os.environ["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    yield proxy
    proxy.close()


@pytest.fixture
def keys_of(url) -> Callable[[], list[str]]:
    """Return a function that lists the names of all objects of the store."""
    from maxstage.store.storage.object.client import Client

    def keys():
        client = Client(url)
        return sorted(
            meta["path"]
            for prefix in ("items", "data", "newest")
            for page in client.list(prefix)
            for meta in page
        )

    return keys


@pytest.fixture
def requests_of(url) -> Callable[[], list[str]]:
    """Return a function that takes from the server's log the requests to the store since it was last called."""
    log = Path(os.environ["RGW_DIR"]) / "rgw.log"
    prefix = url.rpartition("/")[2]
    line = re.compile(rf'"([A-Z]+) (/\S*{prefix}\S*) HTTP')
    seen = 0

    def requests():
        nonlocal seen
        found = line.findall(log.read_text(errors="replace"))
        new, seen = found[seen:], len(found)
        return [f"{method} {path.partition(prefix)[2]}" for method, path in new]

    requests()
    return requests
