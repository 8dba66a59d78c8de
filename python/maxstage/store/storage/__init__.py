"""Where items are kept. `protocol` defines what a storage does; each is a module or a package of its own."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.settings import Settings
    from maxstage.store.project import Layout
    from maxstage.store.storage.protocol import Storage


def open_storage(layout: "Layout", settings: "Settings") -> "Storage":
    """Return the storage of a project: its folder, or the server that the settings name.

    Args:
        layout: The paths of the project.
        settings: Its settings.

    Raises:
        MissingDependency: What reaches the server is not installed.
        ConfigError: The URL is wrong.
    """
    if settings.store_url is not None:
        from maxstage.store.storage.object.opening import open_object_storage

        return open_object_storage(settings, layout.root)
    from maxstage.store.storage.local import LocalStorage

    return LocalStorage(layout.project)


def open_remote(settings: "Settings") -> "Storage":
    """Return the storage that the settings name by a URL, without a folder here. Raises as `open_storage`."""
    from maxstage.store.storage.object.opening import open_object_storage

    return open_object_storage(settings, None)
