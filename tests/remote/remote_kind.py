"""The storage on a server, for the suite: `make test-remote` starts one."""

import os

from maxstage.store.storage.object import ObjectStorage
from maxstage.store.storage.object.client import Client
from maxstage.store.storage.object.layout import item_key, new_nonce
from maxstage.store.storage.object.setup import prepare


def url() -> str:
    """Return the URL of a store of its own."""
    return f"s3://{os.environ['RGW_BUCKET']}/{new_nonce()}"


def new_store() -> str:
    """Make a store on the server; return its URL."""
    from maxstage.store.storage.object.facts import Facts

    new = url()
    # The server was tried when its first store was made.
    Client(new).put("maxstage.json", Facts(quotes=server_quotes()).to_json())
    return new


_urls: dict[str, str] = {}


def make(layout):
    """Return the storage of a project; each project has a prefix of its own."""
    if layout.project not in _urls:
        _urls[layout.project] = new_store()
    return ObjectStorage(Client(_urls[layout.project], folder=layout.root), layout.root)


_quotes: list[bool] = []


def server_quotes() -> bool:
    """Return whether the server wants quotes around tags."""
    if not _quotes:
        client = Client(url())
        assert prepare(client)
        _quotes.append(client.facts().quotes)
    return _quotes[0]


def remove_upload(upload) -> None:
    """Leave an upload as the death of its process would: the pipe is closed, and nobody publishes what came."""
    if hasattr(upload, "_pump"):
        upload._pump.give_up()
        upload._bucket.uploads.discard(upload)
    else:
        upload.discard()


def replace_metadata(storage, item_id, content):
    storage.client.put(item_key(item_id), content)


def replace_data(storage, item, content):
    found = storage.head(item.id)
    if found.place.data is not None:
        storage.client.put(found.place.data, content)
        return
    from maxstage.store.storage.object.layout import line_of

    storage.client.put(item_key(item.id), line_of(found, found.place) + content)
