"""Opening the storage that settings name."""

from maxstage.store.storage.object import ObjectStorage
from maxstage.store.storage.object.client import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.settings import Settings


def open_object_storage(settings: "Settings", folder: str | None) -> ObjectStorage:
    """Return the storage of a store whose items lie in object storage; nothing is asked of the server yet.

    Args:
        settings: The settings, which have its URL.
        folder: A folder on this machine for what is temporary; None for none of the store's own.

    Raises:
        MissingDependency: obstore is not installed.
        ConfigError: The URL is wrong.
    """
    client = Client(
        settings.store_url or "",
        patience=settings.store_timeout_seconds,
        kms_key=settings.store_kms_key,
        folder=folder,
    )
    return ObjectStorage(client, folder)
