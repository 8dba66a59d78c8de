"""Keeping an output whole, beside its cut text: as an item of a store, from its first byte."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from maxstage.errors import Error
from maxstage.store.store import Store

if TYPE_CHECKING:
    from maxstage._backend import core
    from maxstage.output.limits import Limits
    from maxstage.store.draft import Draft


class External:
    """The whole output of one stream.

    Whatever fails here costs the copy and never the capture: `problem` then says what.

    Attributes:
        token: The token of the published item, or None.
        path: Its data file, or None.
        problem: Why there is no item though there should be one.
    """

    def __init__(self, store: Store, limits: Limits, *, source: str, owner: str | None) -> None:
        self._store = store
        self._compress = limits.compress_external
        self._directory = limits.external_storage_dir
        self._source = source
        self._owner = owner
        self._draft: Draft | None = None
        self.token: str | None = None
        self.path: str | None = None
        self.problem: str | None = None

    def open(self) -> core.Writer:
        """Begin the item.

        Raises:
            OSError, Error: It can't be written.
        """
        self._draft = self._store.draft(compress=self._compress)
        return self._draft.writer

    def fail(self, error: Exception) -> None:
        """Give it up, leaving nothing behind."""
        self.problem = f"the whole output could not be kept: {error}"
        self.discard()

    def check_quota(self) -> None:
        """Look whether it is still within the quota.

        Raises:
            QuotaExceeded: It is not.
        """
        if self._draft is not None:
            self._draft.check_quota()

    def publish(self) -> None:
        """Make the item visible; it is pinned as long as somebody owns it."""
        if self._draft is None:
            return
        extra: dict[str, Any] = {} if self._owner is None else {"owner": self._owner}
        minutes = None if self._owner is not None else self._store.settings.ttl_minutes
        try:
            item = self._draft.publish(
                ttl_minutes=minutes, source=self._source, sync=self._store.settings.sync, extra=extra
            )
        except (OSError, Error) as error:
            self.fail(error)
            return
        self._draft = None
        self.token = item.token
        self.path = self._store.layout.path(item.file_name)

    def discard(self) -> None:
        """Leave nothing behind."""
        if self._draft is not None:
            self._draft.discard()
            self._draft = None

    @property
    def hint(self) -> str | None:
        """How to get the whole, for the marker."""
        if self.token is None:
            return None
        directory = "" if self._directory is None else f"--dir {shlex.quote(self._directory)} "
        return f"max retrieve {directory}{self.token}"


def store_for(limits: Limits, store: Store | None) -> Store | None:
    """Return the store that whole outputs go to: of the limits' directory, the given, the project's, or none."""
    from maxstage.errors import NoProject

    if limits.external_storage_dir is not None:
        return Store.init(limits.external_storage_dir)
    if store is not None:
        return store
    try:
        return Store.find()
    except NoProject:
        return None
