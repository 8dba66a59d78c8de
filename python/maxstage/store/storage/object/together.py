"""Several requests at once, each in a thread: obstore waits for each without holding others up."""

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    Given = TypeVar("Given")
    Result = TypeVar("Result")

WIDE = 32
"""Requests on their way at once: a round trip of 40 ms then costs about a millisecond for each."""


def together(*requests: "Callable[[], Any]") -> "list[Any]":
    """Do all requests at once; return their results, or raise the first error, once all have ended."""
    return each(lambda request: request(), requests, wide=len(requests))


def each(do: "Callable[[Given], Result]", values: "Iterable[Given]", *, wide: int = WIDE) -> "list[Result]":
    """Return what `do` returns for each value, in their order; raise the first error, once all have ended.

    Args:
        do: The request.
        values: What it is for.
        wide: How many at once.
    """
    todo = list(values)
    results: list[Any] = [None] * len(todo)
    problems: list[BaseException] = []
    numbers = iter(range(len(todo)))
    lock = threading.Lock()

    def work() -> None:
        while not problems:
            with lock:
                at = next(numbers, None)
            if at is None:
                return
            try:
                results[at] = do(todo[at])
            except BaseException as error:  # noqa: BLE001 - the caller raises it
                problems.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(wide, len(todo)) - 1)]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    return results
