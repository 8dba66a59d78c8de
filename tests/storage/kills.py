"""A storage whose process dies at a given moment: before or after any of the calls that a store makes."""

import contextlib
from collections.abc import Callable

from maxstage.errors import Expired, NotFound

WEEK = 7 * 24 * 60


class Died(BaseException):
    """The process is dead: nothing that it would still do happens."""


class Mortal:
    """Forwards calls to a storage, and dies at one of them; so do the uploads and leftovers that it returns.

    Args:
        storage: The storage.
        at: The moment to die; each call has two, before and after it. None for never.
        end: Ends the process. If it returns, `Died` is raised, now and by every further call.
        die: Leaves an upload of the storage as the death of its process would.
    """

    def __init__(
        self,
        storage,
        at: int | None,
        end: Callable[[], object] = lambda: None,
        die: Callable = lambda _: None,
    ) -> None:
        self.moments = 0
        self.is_dead = False
        self._at = at
        self._end = end
        self._die = die
        self._uploads: list = []
        self._mortal = _Calls(storage, self)

    def __getattr__(self, name: str):
        return getattr(self._mortal, name)

    def call(self, function: Callable, args: tuple, options: dict):
        self._moment()
        result = self._wrapped(function(*args, **options))
        self._moment()
        return result

    def _moment(self) -> None:
        self.moments += 1
        if self.moments == self._at:
            self._end()
            self.is_dead = True
            for upload in self._uploads:
                self._die(upload)
        if self.is_dead:
            raise Died

    def _wrapped(self, result):
        if hasattr(result, "put_metadata"):
            self._uploads.append(result)
            return _Calls(result, self)
        if isinstance(result, list) and result and isinstance(result[0], list):
            return [[_Calls(one, self) for one in group] for group in result]  # leftovers
        if hasattr(result, "__exit__"):
            return self._within(result)
        return result

    @contextlib.contextmanager
    def _within(self, context):
        """Release the locks when the process dies."""
        with context as given:
            self._moment()
            yield _flushing(given, self) if callable(given) else given
            self._moment()


def _flushing(flush: Callable, mortal: Mortal) -> Callable:
    return lambda uploads: mortal.call(flush, ([upload.inner for upload in uploads],), {})


class _Calls:
    """An object of a storage, any of whose calls may be the last."""

    def __init__(self, inner, mortal: Mortal) -> None:
        self.inner = inner
        self._mortal = mortal

    def __getattr__(self, name: str):
        value = getattr(self.inner, name)
        if not callable(value):
            return value
        return lambda *args, **options: self._mortal.call(value, args, options)


# What the process is doing when it dies, next to items that existed before


LINES = b"".join(b"record %d\n" % number for number in range(30))
LARGE = b"".join(b"a line of many, number %d\n" % number for number in range(42_000))
"""More than a pipe holds, and more than one frame."""


def kept(store) -> dict[str, bytes]:
    """Stage the items that exist before every scenario; return their data by token."""
    datas = [b"pinned\n", b"renewed\n", b"unstaged\n", LARGE]
    items = [
        store.stage(data, ttl=WEEK, source=f"kept/{at}", compress="zstd") for at, data in enumerate(datas)
    ]
    return {item.token: data for item, data in zip(items, datas, strict=True)}


def _pieces(data: bytes):
    yield from (data[at : at + 1000] for at in range(0, len(data), 1000))


def stage(store, _tokens):
    store.stage(LINES, ttl=WEEK)


def stage_zstd_sync(store, _tokens):
    store.stage(LARGE, ttl=WEEK, compress="zstd", sync=True)


def stage_many(store, _tokens):
    store.stage_many([b"one\n", b"two\n", LINES], ttl=WEEK, sync=True)


def split(store, _tokens):
    store.split(_pieces(LINES), parts=3, ttl=WEEK, compress="gzip")


def take_back(store, _tokens):
    store.take_back(store.stage_many([b"one\n", b"two\n"], ttl=WEEK))


def change(store, tokens):
    store.pin(tokens[0])
    store.renew(tokens[1], 2 * WEEK)
    store.unpin(tokens[0], WEEK)


def unstage(store, tokens):
    store.unstage(tokens[2])


def cleanup(store, _tokens):
    store.stage(b"gone\n", ttl=1)
    later = store.storage.expired(0, hurried=False)[0]
    for item_id in later:
        store.storage.replace(item_id, _end_if_short, sync=False)
    store.cleanup()


def _end_if_short(item):
    if item.expires is not None and item.byte_size == len(b"gone\n"):
        item.expires = 1


SCENARIOS = (stage, stage_zstd_sync, stage_many, split, take_back, change, unstage, cleanup)

WHOLE = {LINES, LARGE, b"one\n", b"two\n", b"gone\n"}
"""The items that scenarios stage, other than parts."""


def is_part(data: bytes) -> bool:
    """Return whether data is something that a scenario stages: one of its items, or a third of the lines."""
    return data in WHOLE or (data in LINES and data.endswith(b"\n"))


def check(store, before: dict[str, bytes], scenario: Callable, die_later: Callable[[], object]) -> None:
    """Check that a fresh store has no incomplete items, and that leftovers are removed in time.

    Args:
        store: A store on the storage, in a living process.
        before: The data of the items that existed before, by token.
        scenario: What the process was doing when it died.
        die_later: Moves the clock forward by hours.
    """
    _check_items(store, before, scenario)
    tokens = {item.token for item in store.list()}
    die_later()
    swept = store.cleanup()
    assert swept.failed == {}
    assert {item.token for item in store.list()} <= tokens
    _check_items(store, before, scenario)
    items = store.list()
    assert store.storage.usage() == sum(item.stored_size for item in items)
    assert store.storage.usage() == store.storage.usage(published=True)
    assert sorted(item.id for item in items) == store.ids()
    assert store.cleanup().orphans == []
    with store.open(store.stage(LINES, ttl=WEEK).token) as file:
        assert file.read() == LINES


def _check_items(store, before: dict[str, bytes], scenario: Callable) -> None:
    items, damaged = store.scan()
    assert damaged == []
    assert store.strays() == []
    for item in items:
        with store.open(item.token) as file:  # this verifies the checksum
            data = file.read()
        assert len(data) == item.byte_size
        assert data == before[item.token] if item.token in before else is_part(data)
    missing = before.keys() - {item.token for item in items}
    assert missing <= ({list(before)[2]} if scenario is unstage else set())
    for token in missing:
        try:
            store.info(token)
        except Expired:
            raise
        except NotFound:
            continue
        raise AssertionError(token)
