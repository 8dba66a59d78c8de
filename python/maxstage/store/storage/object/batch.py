"""Publishing many items at once."""

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maxstage.store.storage.object.bucket import Bucket
    from maxstage.store.storage.protocol import Upload

_WIDE = 16
"""Items on their way at once, of two requests each."""


class Batch:
    """The context manager that `Storage.batch` returns: within it, `Upload.publish` only begins to publish.

    When it is left, all of them are published; it raises the first error.
    """

    def __init__(self, bucket: "Bucket") -> None:
        self._bucket = bucket
        self._todo: list[Callable[[], None]] = []
        self._problems: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._more = threading.Condition()
        self._is_over = False

    def __enter__(self) -> "Callable[[Sequence[Upload]], None]":
        self._bucket.batches[threading.get_ident()] = self
        return lambda _uploads: None

    def __exit__(self, kind: object, *_: object) -> None:
        self._bucket.batches.pop(threading.get_ident(), None)
        with self._more:
            self._is_over = True
            self._more.notify_all()
        for thread in self._threads:
            thread.join()
        if kind is None and self._problems:
            raise self._problems[0]

    def publish(self, action: "Callable[[], None]") -> None:
        """Do it in a thread."""
        with self._more:
            self._todo.append(action)
            self._more.notify()
        if len(self._threads) < _WIDE:
            thread = threading.Thread(target=self._work, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while True:
            with self._more:
                while not self._todo and not self._is_over:
                    self._more.wait()
                if not self._todo:
                    return
                action = self._todo.pop(0)
            try:
                action()
            except BaseException as error:  # noqa: BLE001 - raised when the batch is left
                self._problems.append(error)
