"""Running a command from asyncio: `run` in a thread of its own, which ends when the waiting task is cancelled."""

from __future__ import annotations

import asyncio
import contextvars
import threading

from maxstage.output.run import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from maxstage.output.feed import Stdin
    from maxstage.output.limits import Limits
    from maxstage.output.strategies import Keep
    from maxstage.output.task_output import TaskOutput
    from maxstage.output.view import View
    from maxstage.redaction import Redact
    from maxstage.store.store import Store


class _Either(threading.Event):
    """An event that is set if it, or the caller's event, is set."""

    def __init__(self, other: threading.Event | None) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return super().is_set() or (self._other is not None and self._other.is_set())


async def arun(
    argv: Sequence[str | os.PathLike[str]],
    *,
    limits: Limits | Mapping[str, Any] | None = None,
    stdin: Stdin = None,
    timeout: float | None = None,  # noqa: ASYNC109 - as for `run`: the result says so, and nothing is raised
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    store: Store | Callable[[], Store] | None = None,
    keep: Keep = "truncated",
    combine: bool = False,
    cancel: threading.Event | None = None,
    on_output: Callable[[int, bytes], None] | None = None,
    follow: Callable[[int, bytes], None] | None = None,
    task_id: str | None = None,
    owner: str | None = None,
    labels: Mapping[str, str] | None = None,
    redact: Redact | None = None,
    secrets: Iterable[str | bytes] = (),
    view: View = "raw",
) -> TaskOutput:
    """Run a command without blocking the event loop: arguments, result and errors are those of `maxstage.run`.

    If the waiting task is cancelled, the command's whole process group is ended, what was captured is kept as usual,
    and `asyncio.CancelledError` is raised with the `TaskOutput` as its attribute ``output``. Each call has its own
    thread, so many can run at once. `on_output` and `follow` are called in the event loop.

    Raises:
        CancelledError: The task was cancelled; raised after the command has ended.

    >>> asyncio.run(arun(["echo", "hi"], keep="never")).text
    'hi\\n'
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[TaskOutput] = loop.create_future()
    wanted_no_more = _Either(cancel)

    def in_loop(call: Callable[[int, bytes], None] | None) -> Callable[[int, bytes], None] | None:
        if call is None:
            return None
        return lambda stream, data: _tell(loop, call, stream, data)

    def work() -> None:
        try:
            output = run(
                argv,
                limits=limits,
                stdin=stdin,
                timeout=timeout,
                cwd=cwd,
                env=env,
                store=store,
                keep=keep,
                combine=combine,
                cancel=wanted_no_more,
                on_output=in_loop(on_output),
                follow=in_loop(follow),
                task_id=task_id,
                owner=owner,
                labels=labels,
                redact=redact,
                secrets=secrets,
                view=view,
            )
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            _tell(loop, done.set_exception, error)
        else:
            _tell(loop, done.set_result, output)

    # A daemon: an interpreter that exits does not wait for the command, which its guard then ends.
    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(work,), daemon=True, name="max-arun"
    )
    thread.start()
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError as cancelled:
        if done.cancelled():
            raise
        wanted_no_more.set()
        cancelled.output = await _despite_cancelling(done)  # type: ignore[attr-defined]
        raise


async def _despite_cancelling(done: asyncio.Future[TaskOutput]) -> TaskOutput | None:
    """Wait for a command that is being ended, however often we are cancelled; return None if it failed."""
    while not done.done():
        try:
            await asyncio.wait([done])
        except asyncio.CancelledError:
            continue
    return None if done.exception() is not None else done.result()


def _tell(loop: asyncio.AbstractEventLoop, tell: Callable[..., None], *what: object) -> None:
    try:
        loop.call_soon_threadsafe(tell, *what)
    except RuntimeError:
        # The loop is closed: nobody is waiting.
        if not loop.is_closed():
            raise
