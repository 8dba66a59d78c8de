"""URLs by which those who have no credentials can read an item's data."""

from maxstage.codecs import CODECS
from maxstage.store.metadata import EXTENSIONS
from maxstage.store.storage.object.data import check_inline
from maxstage.store.storage.object.layout import data_key, new_nonce

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.storage.object.bucket import Bucket
    from maxstage.store.storage.object.layout import ObjectItem


def grant(bucket: "Bucket", item: "ObjectItem", seconds: float) -> str:
    """Return a URL by which anybody can read the data of an item for some time.

    Small data, which lies in the item after its line, is written as an object of its own first. No item names that, so
    it is swept after two days, and the URL may not live longer.

    Args:
        bucket: The items.
        item: The item.
        seconds: How long.
    """
    key = item.place.data
    if key is None:
        check_inline(item)
        ending = CODECS[item.codec].extension or EXTENSIONS[item.content_type]
        key = data_key(new_nonce(), ending)
        bucket.client.put(key, item.body)
    return bucket.client.signed(key, seconds)
