"""Where items are kept. `protocol` defines what a storage does; each is a module or a package of its own."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.store.project import Layout
    from maxstage.store.storage.protocol import Storage


def open_storage(layout: "Layout") -> "Storage":
    """Return the storage of a project.

    Args:
        layout: The paths of the project.
    """
    from maxstage.store.storage.local import LocalStorage

    return LocalStorage(layout.project)
