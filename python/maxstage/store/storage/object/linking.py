"""Publishing the data of an item once more: small data is copied, large data is named by both items.

The new marker comes first, then the old item is marked as one that shares its data, which fails if it was deleted. So
from before the old marker may go, the new one names the data.
"""

from maxstage.errors import QuotaExceeded
from maxstage.store.storage.object.data import check_whole
from maxstage.store.storage.object.layout import Place, item_key, line_of, marker_key, new_nonce
from maxstage.store.storage.object.removal import replace_object
from maxstage.store.tokens import new_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.store.metadata import Item
    from maxstage.store.storage.object.bucket import Bucket

_TRIES = 100


def link(bucket: "Bucket", item: "Item", made: "Callable[[str], Item]", id_bytes: int) -> "Item":
    """Publish the data of an item once more. See `Storage.link`."""
    client = bucket.client
    for _ in range(_TRIES):
        old = bucket.head(item.id)
        check_whole(bucket, old)
        new = made(new_id(id_bytes))
        is_shared = old.place.data is not None
        nonce = old.place.nonce if is_shared else new_nonce()
        place = Place(nonce, new_nonce(), old.place.data, shared=is_shared)
        marker = marker_key(new, nonce)
        client.put(marker, b"")
        if is_shared and not old.place.shared:
            said = Place(nonce, new_nonce(), old.place.data, shared=True)
            if not replace_object(bucket, old, said, old.body):
                client.delete(marker)
                continue  # it was changed in between: look again

        def is_ours(new: "Item" = new, place: Place = place) -> bool:
            return bucket.is_written_by(new.id, place.write)

        if client.create(item_key(new.id), line_of(new, place) + old.body, is_ours):
            bucket.usage.add(new.stored_size)
            return new
        client.delete(marker)
    raise QuotaExceeded(f"no free token found in {_TRIES} tries; set token_bytes to 16 in .max/config.toml")
