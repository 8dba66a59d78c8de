"""Requests to the server that keeps the objects, by `obstore`: retried within a time limit, with errors of our own."""

import os
import time

from maxstage.errors import ConfigError, MissingDependency, Unreachable
from maxstage.store.storage.object.problems import told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from maxstage.store.storage.object.facts import Facts

    Version = dict[str, str]

PART = 8 * 1024 * 1024
"""Bytes of a part of a large upload: few enough to hold `PARTS` of them, and 10,000 of them, which servers allow, are
80 GiB."""

PARTS = 4
"""Parts that are on their way at once."""

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0
"""Seconds before something is tried again, the first time, and at most."""


class Got:
    """An object, or a part of it.

    Attributes:
        content: Its bytes.
        size: The size of the whole object.
        version: Identifies this state of the object.
        modified: When it was last written by the server's clock, Unix time.
    """

    __slots__ = ("content", "modified", "size", "version")

    def __init__(self, content: bytes, meta: "Any") -> None:
        self.content = content
        self.size: int = meta["size"]
        self.version: Version = version_of(meta)
        self.modified: float = meta["last_modified"].timestamp()


def version_of(meta: "Any") -> "Version":
    """Return what identifies a state of an object, as obstore wants it."""
    # obstore refuses None.
    return {name: meta[name] for name in ("e_tag", "version") if meta[name] is not None}


class Client:
    """A bucket and a prefix in it. Safe to share between threads.

    Args:
        url: ``s3://bucket/prefix``, ``gs://…`` or ``az://…``.
        patience: Seconds after which a request that fails again and again is given up.
        kms_key: The key that the server encrypts with; None for its default.
        folder: A folder on this machine, for what is known of the server; None to ask it each time.

    Raises:
        MissingDependency: obstore is not installed.
        ConfigError: The URL, or a variable of the environment, is wrong.
    """

    def __init__(
        self, url: str, *, patience: float = 60, kms_key: str | None = None, folder: str | None = None
    ) -> None:
        try:
            import obstore
            from obstore import exceptions, store
        except ImportError:
            raise MissingDependency(
                f"{url} is reached by the package obstore, which is not installed: pip install 'maxstage[remote]'"
            ) from None
        self.url = url
        self.patience = patience
        self._folder = folder
        self._facts: Facts | None = None
        self._obstore = obstore
        self._exists = (exceptions.AlreadyExistsError, exceptions.PreconditionError)
        self._failed = (exceptions.BaseError, OSError, ValueError)
        scheme = url.partition("://")[0]
        config, http = _config_of(scheme, kms_key)
        try:
            self._store = store.from_url(
                url.rstrip("/"),
                client_options={
                    "allow_http": http,
                    "connect_timeout": "5s",
                    "read_timeout": f"{max(1, int(patience / 2))}s",
                    "timeout": f"{max(2, int(2 * patience))}s",
                },
                retry_config=_retries(patience),
                **config,
            )
        except (exceptions.BaseError, ValueError) as error:
            raise ConfigError(f"{url} can't be used as a store: {error}") from None

    # Reading

    def get(self, key: str, start: int | None = None, end: int | None = None) -> Got | None:
        """Return an object, or its bytes from `start` to before `end`, as far as there are; None if it is missing."""
        options = None if start is None or end is None else {"range": (start, end)}

        def ask() -> Got:
            result = self._obstore.get(self._store, key, options=options)
            return Got(bytes(result.bytes()), result.meta)

        try:
            got: Got = self._attempt(ask, key)
        except FileNotFoundError:
            return None
        return got

    def head_of(self, key: str, most: int) -> Got | None:
        """Return an object with the first `most` bytes of its content, or all of it; None if it is missing."""
        try:
            return self.get(key, 0, most)
        except Unreachable as error:
            # Of an empty object there is no range.
            if "InvalidRange" not in str(error):
                raise
        return self.get(key)

    def range(self, key: str, start: int, end: int) -> "Any":
        """Return the bytes of an object from `start` to before `end` as a buffer; None if it is missing."""
        try:
            return self._attempt(lambda: self._obstore.get_range(self._store, key, start=start, end=end), key)
        except FileNotFoundError:
            return None

    def list(self, prefix: str, after: str | None = None) -> "Iterator[Sequence[Any]]":
        """Yield the objects below a prefix, in the order of their names, in pages.

        Args:
            prefix: What their names begin with, up to a slash.
            after: Begin after this name.
        """
        pages = self._obstore.list(self._store, prefix, offset=after, chunk_size=1000)
        while True:
            try:
                page = next(pages)
            except StopIteration:
                return
            except self._failed as error:
                raise told(error, self.url, prefix) from None
            yield page

    # Writing

    def put(self, key: str, data: "bytes | memoryview") -> None:
        """Write an object, whatever was there."""
        self._attempt(lambda: self._obstore.put(self._store, key, data, use_multipart=False), key)

    def create(self, key: str, data: bytes, is_ours: "Callable[[], bool]") -> bool:
        """Write an object unless there is one; return whether it was written.

        Args:
            key: Its name.
            data: Its content.
            is_ours: Reads the object, and returns whether it is the one written here: an answer may have been lost.
        """
        return self._conditional(key, data, "create", is_ours)

    def update(self, key: str, data: bytes, version: "Version", is_ours: "Callable[[], bool]") -> bool:
        """Write an object if it is still in the state `version`; return whether it was written. See `create`."""
        return self._conditional(key, data, _mode(version, quotes=self.facts().quotes), is_ours)

    def put_if(self, key: str, data: bytes, version: "Version | None", *, quotes: bool) -> bool:
        """Write an object if there is none or, given a version, if it is in that state: to try a server out."""
        return self._conditional(
            key, data, "create" if version is None else _mode(version, quotes=quotes), lambda: False
        )

    def facts(self) -> "Facts":
        """Return what is known of the server. Raises as `load_facts`."""
        if self._facts is None:
            from maxstage.store.storage.object.facts import load_facts

            self._facts = load_facts(self, self._folder)
        return self._facts

    def _conditional(self, key: str, data: bytes, mode: "Any", is_ours: "Callable[[], bool]") -> bool:
        until = time.monotonic() + self.patience
        wait = _FIRST_WAIT
        while True:
            try:
                self._obstore.put(self._store, key, data, mode=mode, use_multipart=False)
            except self._exists:
                return is_ours()
            except FileNotFoundError as error:
                # What is to be changed is gone, unless the bucket is.
                if mode != "create" and not is_no_bucket(error):
                    return False
                raise told(error, self.url, key) from None
            except self._failed as error:
                # It may have been written all the same: if so, the next attempt is refused, and `is_ours` sees it.
                problem = told(error, self.url, key)
                if not problem.may_pass or time.monotonic() + wait > until:
                    raise problem from None
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
            else:
                return True

    def upload(self, key: str, chunks: "Iterable[Any]") -> None:
        """Write a large object in parts; if `chunks` raises, or the process dies, there is none."""
        self._attempt_once(
            lambda: self._obstore.put(
                self._store, key, chunks, use_multipart=True, chunk_size=PART, max_concurrency=PARTS
            ),
            key,
        )

    def copy(self, source: str, target: str) -> None:
        """Copy an object."""
        self._attempt(lambda: self._obstore.copy(self._store, source, target), source)

    def delete(self, *keys: str) -> None:
        """Delete objects; some may be missing."""
        for key in keys:
            try:
                self._attempt(lambda key=key: self._obstore.delete(self._store, key), key)  # type: ignore[misc]
            except FileNotFoundError:
                continue

    def signed(self, key: str, seconds: float) -> str:
        """Return a URL by which anybody can read an object for some time."""
        from datetime import timedelta

        return str(
            self._attempt_once(
                lambda: self._obstore.sign(self._store, "GET", key, timedelta(seconds=seconds)), key
            )
        )

    # Attempts

    def _attempt(self, request: "Callable[[], Any]", key: str) -> "Any":
        """Do what may be done twice, again and again until it works or the time is up.

        Raises:
            FileNotFoundError: The object is missing.
            Unreachable: It does not work.
        """
        until = time.monotonic() + self.patience
        wait = _FIRST_WAIT
        while True:
            try:
                return request()
            except self._failed as error:
                if isinstance(error, FileNotFoundError) and not is_no_bucket(error):
                    raise
                problem = told(error, self.url, key)
                if not problem.may_pass or time.monotonic() + wait > until:
                    raise problem from None
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _attempt_once(self, request: "Callable[[], Any]", key: str) -> "Any":
        try:
            return request()
        except self._failed as error:
            raise told(error, self.url, key) from None


def _mode(version: "Version", *, quotes: bool) -> "Version":
    tag = version.get("e_tag")
    return version if quotes or tag is None else {**version, "e_tag": tag.strip('"')}


def is_no_bucket(error: Exception) -> bool:
    """Return whether what is missing is the bucket."""
    return any(sign in str(error) for sign in ("NoSuchBucket", "ContainerNotFound", "bucket does not exist"))


def _retries(patience: float) -> "dict[str, Any]":
    """Return how obstore itself tries again what it may: each request, before we do."""
    from datetime import timedelta

    return {
        "max_retries": 3,
        "retry_timeout": timedelta(seconds=patience),
        "backoff": {
            "init_backoff": timedelta(seconds=_FIRST_WAIT),
            "max_backoff": timedelta(seconds=_LONGEST_WAIT),
            "base": 2,
        },
    }


def _config_of(scheme: str, kms_key: str | None) -> "tuple[dict[str, Any], bool]":
    """Return the options of obstore besides the environment, and whether the server speaks HTTP without encryption."""
    config: dict[str, Any] = {}
    if scheme != "s3":
        return config, False
    from maxstage.store.storage.object.aws_files import options_from_files

    # Each object is deleted by a request of its own: not all servers delete several as one should expect.
    config |= {"disable_bulk_delete": True, **options_from_files(os.environ)}
    if kms_key is not None:
        config |= {"sse_kms_key_id": kms_key, "server_side_encryption": "aws:kms"}
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    endpoint = next((value for value in map(os.environ.get, names) if value), None) or config.get("endpoint")
    if endpoint:
        config["endpoint"] = endpoint
    return config, bool(endpoint and endpoint.startswith("http://"))
