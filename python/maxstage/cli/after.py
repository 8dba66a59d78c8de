"""What comes after the answer of a command: the stores that it used are swept, if that is due."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.store.store import Store

_used: "list[Store]" = []


def use(store: "Store") -> "Store":
    """Return a store that the command uses, having noted it."""
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
