"""Where items lie. What a storage does is told in `protocol`; each is a file, or a folder, of its own."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.project import Layout
    from maxstage.store.storage.protocol import Storage


def open_storage(layout: "Layout") -> "Storage":
    """Return the storage of a project.

    Args:
        layout: Where the project is.
    """
    from maxstage.store.storage.local import LocalStorage

    return LocalStorage(layout.project)
