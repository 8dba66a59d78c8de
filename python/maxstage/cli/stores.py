"""The stores that a command uses: they are found here, and swept after its answer, if that is due."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.store.store import Store

_used: "list[Store]" = []


def open_store(folder: str | None) -> "Store":
    """Open the store of the project in `folder`; None: found as `Store.find` does it, and raises."""
    from maxstage.store.store import Store

    store = Store.find() if folder is None else Store.open_dir(folder)
    _used.append(store)
    return store


def open_store_or_none(folder: str | None) -> "Store | None":
    """Open the store of a project that need not be there, as `Store.find_or_none` does it, and raises."""
    from maxstage.store.store import Store

    store = Store.find_or_none(folder)
    if store is not None:
        _used.append(store)
    return store


def spare() -> None:
    """Sweep nothing after this command: it was interrupted, or has only said what would be swept."""
    _used.clear()


def sweep_used(let_go: "Callable[[], None]") -> None:
    """Sweep what was used and is due; before that `let_go` of stdout and stderr, which somebody may wait for."""
    for store in _used:
        if store.sweep_is_due():
            try:
                let_go()
            except OSError:
                return  # no descriptor to be had: the next command sweeps
            store.sweep_if_due()
