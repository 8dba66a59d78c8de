"""Keeping full outputs, besides their truncated text: as items of a store, from the first byte."""

from __future__ import annotations

import os

from maxstage._backend import core
from maxstage.errors import Error, Untrusted, describe, wrong_type
from maxstage.humanize import printable
from maxstage.interrupts import Deferred
from maxstage.output.strategies import KEEP
from maxstage.redaction import Redaction
from maxstage.settings import value_of
from maxstage.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from maxstage.output.limits import Limits
    from maxstage.output.strategies import Keep
    from maxstage.redaction import Redact
    from maxstage.settings import Settings
    from maxstage.store.draft import Draft

    Where = Store | Callable[[], Store] | None


_KEEP = {core.Event.KEEP_STDOUT: 0, core.Event.KEEP_STDERR: 1}
"""The stream of which an event asks to keep the full output."""

_TICK_MS = 250
"""Milliseconds between checks of the quota."""


class FullOutput:
    """The full output of one stream.

    If anything fails here, the copy is lost, but never the capture; `problem` then says why.

    Attributes:
        token: The token of the published item, or None.
        path: Its data file, or None.
        project: The folder of the project that has it, or None.
        problem: Why there is no item though there should be one.
    """

    def __init__(
        self,
        store: Store,
        limits: Limits,
        *,
        source: str,
        owner: str | None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self._store = store
        self._labels = dict(labels or {})
        self._compress = limits.compress_external
        self._directory = limits.external_storage_dir
        self._source = source
        self._owner = owner
        self._draft: Draft | None = None
        self.token: str | None = None
        self.path: str | None = None
        self.project: str | None = None
        self.problem: str | None = None

    def open(self) -> core.Writer:
        """Begin the item.

        Raises:
            OSError, Error: It can't be written.
        """
        self._draft = self._store.draft(compress=self._compress)
        return self._draft.writer

    def fail(self, error: Exception) -> None:
        """Give it up; nothing is left behind."""
        if isinstance(error, BrokenPipeError) and self._draft is not None:
            try:
                self._draft.upload.received()  # raises the reason why the storage takes no more
            except (OSError, Error) as reason:
                error = reason
        self.problem = f"the full output could not be kept: {describe(error)}"
        self.discard()

    def masked(self, counts: dict[str, int]) -> None:
        """Record how much was masked in it, by the names of the rules."""
        if self._draft is not None:
            self._draft.redacted = counts

    def check_quota(self) -> None:
        """Check that it is still within the quota.

        Raises:
            QuotaExceeded: It is not.
        """
        if self._draft is not None:
            self._draft.check_quota()

    def publish(self) -> None:
        """Make the item visible; it is pinned as long as it has an owner."""
        if self._draft is None:
            return
        minutes = None if self._owner is not None else self._store.settings.ttl_minutes
        try:
            item = self._draft.publish(
                ttl_minutes=minutes, source=printable(self._source), owner=self._owner, labels=self._labels
            )
        except (OSError, Error) as error:
            self.fail(error)
            return
        self._draft = None
        self.token = item.token
        self.path = self._store.storage.path(item)
        self.project = self._store.layout.project

    def discard(self) -> None:
        """Leave nothing behind."""
        if self._draft is not None:
            self._draft.discard()
            self._draft = None

    @property
    def hint(self) -> str | None:
        """How to get the full output, for the marker."""
        return None if self.token is None else retrieving(self.token, self._directory)


def retrieving(token: str, directory: str | None) -> str:
    """Return the command that prints an output, of the project or of a directory that was named for it."""
    import shlex  # only where the output was cut

    where = "" if directory is None else f"--dir {shlex.quote(directory)} "
    return f"max retrieve {where}{token}"


def store_for(limits: Limits, store: Where, *, needed: bool) -> Store | None:
    """Return the store for full outputs: that of the limits' directory, the given one, or the project's.

    Args:
        limits: The limits.
        store: The store, or a function that opens it; None for the project's.
        needed: Whether there must be one.

    Raises:
        NoProject: There is none; or ``MAX_DIR`` names what is not a project.
        Untrusted: It belongs to another user.
    """
    if limits.external_storage_dir is not None:
        return Store.init(limits.external_storage_dir)
    if callable(store):
        return store()
    return store or (Store.find() if needed else Store.find_or_none())


class FullOutputs:
    """The full outputs of both streams of a capture, if they must be kept.

    Attributes:
        above: The size in bytes above which a stream's full output is kept even if it was not cut; None for never.
        problems: What could not be kept, and why.
    """

    def __init__(
        self,
        limits: Limits,
        store: Where,
        *,
        keep: Keep,
        source: str,
        owner: str | None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        if keep not in tuple(KEEP):
            raise ValueError(f"keep must be one of {', '.join(KEEP)}; not {keep!r}")
        if store is not None and not isinstance(store, Store) and not callable(store):
            raise wrong_type("store", store, "a Store, a function that opens one, or None")
        threshold = limits.external_storage_threshold
        self._store: Store | None = None
        self._make: Callable[[], Store] | None = None
        self._missing = ""
        if callable(store) and keep != "always" and limits.external_storage_dir is None:
            self._make = store
        elif keep != "never" and threshold is not None:
            try:
                self._store = store_for(limits, store, needed=keep == "always")
                why = 'not in a Max project; run "max init" first'
            except Untrusted as error:
                if keep == "always" or limits.external_storage_dir is not None or os.environ.get("MAX_DIR"):
                    raise
                why = str(error)
            except OSError as error:
                # The folder that was named for full outputs is at fault: the command must not suffer from that.
                if keep == "always":
                    raise
                why = describe(error)
            self._missing = f"the full output was not kept: {why}"
        self.above = None if keep == "never" or threshold is None else 0 if keep == "always" else threshold
        self._limits = limits
        self._source = source
        self._owner = owner
        self._labels = labels
        self._streams: dict[int, FullOutput] = {}
        self.problems: list[str] = []

    @property
    def settings(self) -> Settings | None:
        """The settings of the store that they go to, if there is one."""
        return None if self._store is None else self._store.settings

    def end(self, capture: core.Capture) -> None:
        """Release what a capture held back, if it has not read to the end of its streams."""
        capture.close()
        self.pump(capture)
        for stream, full in self._streams.items():
            full.masked(capture.redacted(stream, kept=True))

    def pump(self, capture: core.Capture) -> None:
        """Let a capture continue to the end of its streams."""
        while self.step(capture, _TICK_MS) != core.Event.END:
            pass

    def step(self, capture: core.Capture, wait_ms: int) -> core.Event | None:
        """Let a capture continue until something happens; give it the writers that it asks for.

        Returns:
            What happened; None if the full output of a stream can't be kept, or no longer.
        """
        event = None
        try:
            event = capture.pump(wait_ms)
        except OSError as error:
            # A writer failed. The capture has all that was read, and continues without it.
            failed = self.fail(error)
            if not failed:
                raise
        else:
            stream = _KEEP.get(event)
            failed = [] if stream is None else self._keep(capture, stream)
            failed += self.check_quota() if event == core.Event.TIMEOUT else []
        for stream in failed:
            capture.never_keep(stream)
        return None if failed else event

    def _keep(self, capture: core.Capture, stream: int) -> list[int]:
        """Keep the full output of a stream from now on; return the stream if that is not possible."""
        if self._make is not None:
            make, self._make = self._make, None
            try:
                self._store = make()
            except (OSError, Error) as error:
                self._missing = f"the full output was not kept: {describe(error)}"
        if self._store is None:
            if self._missing and not self.problems:
                self.problems.append(self._missing)
            return [stream]
        full = FullOutput(
            self._store, self._limits, source=self._source, owner=self._owner, labels=self._labels
        )
        self._streams[stream] = full
        try:
            # Signals wait until the capture has its writer: or it would ask for another, and this one would be lost.
            with Deferred():
                capture.keep(stream, full.open())
        except (OSError, Error) as error:
            return self.fail(error, stream)
        return []

    def of(self, stream: int) -> FullOutput | None:
        """Return the full output of a stream, if it is kept."""
        return self._streams.get(stream)

    def fail(self, error: Exception, stream: int | None = None) -> list[int]:
        """Give up the item of a stream, or of all streams being written; return which."""
        failed = [number for number in self._streams if stream in (None, number)]
        for number in failed:
            full = self._streams.pop(number)
            full.fail(error)
            self.problems.append(full.problem or "")
        return failed

    def check_quota(self) -> list[int]:
        """Give up the items that exceed the quota; return their streams."""
        failed = []
        for stream, full in list(self._streams.items()):
            try:
                full.check_quota()
            except Error as error:
                failed += self.fail(error, stream)
        return failed

    def publish(self) -> None:
        """Publish what is kept."""
        for stream, full in list(self._streams.items()):
            full.publish()
            if full.problem is not None:
                self.problems.append(full.problem)
                del self._streams[stream]

    def discard(self) -> None:
        """Leave nothing behind of what was not published."""
        for full in self._streams.values():
            full.discard()


def redaction_of(
    redact: Redact | None, secrets: Iterable[str | bytes], store: Where, full_outputs: FullOutputs
) -> Redaction:
    """Return what is masked: as the caller says, otherwise by the settings of the store."""
    if redact is None:
        settings = store.settings if isinstance(store, Store) else full_outputs.settings
        # A store that does not exist yet only has the settings of the environment.
        redact = value_of("redact") if settings is None else settings.redact
    return Redaction(redact, secrets)
