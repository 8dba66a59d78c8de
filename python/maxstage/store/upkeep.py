"""What is looked after whenever a store is swept, besides its items."""

from maxstage.store.cache import Cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage.settings import Settings
    from maxstage.store.project import Layout
    from maxstage.store.storage.protocol import Storage
    from maxstage.store.sweep import Swept


class Upkeep:
    """Sweeps copies of items, and turns the log of what was kept out of prompts into counters.

    Args:
        layout: The paths of the project.
        settings: Its settings.
        storage: Where the items are kept.

    Attributes:
        cache: The copies.
    """

    def __init__(self, layout: "Layout", settings: "Settings", storage: "Storage") -> None:
        self._base = layout.base
        self.cache = Cache(layout, settings, storage)

    def __call__(self, swept: "Swept", *, dry_run: bool = False) -> None:
        """Do it, after the items of the store were swept."""
        self.cache.sweep(swept, dry_run=dry_run)
        if not dry_run:
            from maxstage.store.gain import is_large

            if is_large(self._base):
                from maxstage.store.gain_book import Book

                Book(self._base).move()
