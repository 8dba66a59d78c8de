"""The scheduler: one thread makes decisions, a few run programs.

All decisions (what starts, what is retried, what a loop does next) are made in the thread that called `Scheduler.run`,
so no locks are needed and the order is always the same: work that is ready starts in the order of its key, which is
priority and then place in the file, level by level.
"""

from __future__ import annotations

import contextlib
import heapq
import signal
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from maxstage.errors import Error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

Key = tuple[int, ...]
Timer = tuple[float, int, "Callable[[], None]", "Callable[[], bool]"]
"""When to call back, a serial number, what to call, and whether it is still wanted."""

_TICK = 0.25
"""Seconds between two checks of the caller's cancel event, and for signals."""


class Work(NamedTuple):
    """Work for one of the threads.

    Attributes:
        prepare: Returns the work; called in the deciding thread, right before the start.
        done: Called with what the work returned or raised; None if it never started.
        wanted: Returns whether it should still be started.
        always: Whether to start it even if the run is stopping, unless it must stop now.
    """

    prepare: Callable[[], Callable[[], Any]]
    done: Callable[[Any], None]
    wanted: Callable[[], bool]
    always: bool


class Waiting(Protocol):
    """Something that waits for an event outside."""

    def is_over(self) -> bool:
        """Return whether it no longer waits; what follows is then submitted, or called soon."""


class Scheduler:
    """Runs a limited number of jobs at once, and calls back in order.

    Attributes:
        stopping: Whether no new work may start.
        cancel: Set once running programs must be ended.
        ended_by: The signal that ended the run, or None.
        is_cancelled: Returns whether somebody outside wants the run to end now; None if nobody can.
        ask: Called with what waits once there is nothing else to do, and with a function that returns whether it
            no longer waits; returns whether to go on. None: nobody is asked.
    """

    def __init__(self, jobs: int, cancel: threading.Event, on_stopping: Callable[[bool], None]) -> None:
        self.stopping = False
        self.cancel = cancel
        self.ended_by: int | None = None
        self._jobs = jobs
        self._on_stopping = on_stopping
        self._ready: list[tuple[Key, int, Work]] = []
        self._timers: list[Timer] = []
        self._soon: deque[Callable[[], None]] = deque()
        self._running = 0
        self._number = 0
        self._waiting: list[Any] = []
        self._next_look = 0.0
        self._next_check = 0.0
        self.is_cancelled: Callable[[], bool] | None = None
        self.ask: Callable[[Any, Callable[[], bool]], bool] | None = None
        # A SimpleQueue, since signal handlers put into it: its put is reentrant, and may interrupt its get.
        self._events: SimpleQueue[tuple[Work, Any] | int] = SimpleQueue()

    def submit(
        self,
        key: Key,
        prepare: Callable[[], Callable[[], Any]],
        done: Callable[[Any], None],
        wanted: Callable[[], bool] = lambda: True,
        *,
        always: bool = False,
    ) -> None:
        """Queue work.

        Args:
            key: Its position: the work with the smallest key starts first.
            prepare: Returns the work; called in the thread of `run`, right before the start.
            done: Called with what the work returned or raised; None if it never started.
            wanted: Returns whether it should still be started.
            always: Whether to start it even if the run is stopping, unless it must stop now.
        """
        self._number += 1
        heapq.heappush(self._ready, (key, self._number, Work(prepare, done, wanted, always)))

    def soon(self, callback: Callable[[], None]) -> None:
        """Call back from the main loop, so that chains of thousands of tasks don't nest."""
        self._soon.append(callback)

    def after(self, seconds: float, callback: Callable[[], None], wanted: Callable[[], bool]) -> None:
        """Call back after some seconds; earlier if the run stops, or the callback is no longer wanted."""
        self._number += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._number, callback, wanted))

    def wait_for(self, one: Waiting) -> None:
        """Look now and then whether something no longer waits."""
        self._waiting.append(one)

    @property
    def is_waiting(self) -> bool:
        """Whether something waits still; once `run` has returned, there was nothing else left to do."""
        return bool(self._waiting)

    def run(self) -> None:
        """Work until nothing is left to do but to wait for what is outside.

        It can be called again for what was submitted since.

        Raises:
            WorkflowError: The state can't be written. Running programs were ended.
        """
        with ThreadPoolExecutor(self._jobs, thread_name_prefix="max-task") as pool:
            try:
                while self._step(pool):
                    pass
            except BaseException:
                self.stopping = True
                self.cancel.set()
                raise

    def _step(self, pool: ThreadPoolExecutor) -> bool:
        self._check_cancelled()
        while self._soon:
            self._soon.popleft()()
        self._call_back()
        if self._waiting:
            self._look()
        if self._soon:
            return True
        self._start(pool)
        if self._soon:
            return True
        if not self._running and not self._timers:
            return bool(self._ready) or self._asked()
        self._wait()
        return True

    def _check_cancelled(self) -> None:
        now = time.monotonic()
        if self.is_cancelled is not None and now >= self._next_check:
            self._next_check = now + _TICK
            if self.is_cancelled():
                self.cancel.set()
        if self.cancel.is_set() and not self.stopping:
            # The caller has set it, or the executor: stop before anything else is started.
            self._stop(now=True)

    def _look(self) -> None:
        """See what no longer waits: not in each of thousands of steps, but always where nothing else is left."""
        now = time.monotonic()
        is_idle = not (self._running or self._timers or self._ready)
        if is_idle or self.stopping or now >= self._next_look:
            self._next_look = now + _TICK
            self._waiting = [one for one in self._waiting if not one.is_over()]

    def _asked(self) -> bool:
        """Ask about the first that waits; return whether to go on."""
        if not self._waiting or self.ask is None or self.stopping:
            return False
        first = self._waiting[0]

        def is_over() -> bool:
            with contextlib.suppress(Empty):
                while True:
                    self._handle(self._events.get_nowait())
            self._check_cancelled()
            return self.stopping or self.cancel.is_set() or first.is_over()

        return self.ask(first, is_over) or is_over()

    def _call_back(self) -> None:
        """Run the callbacks that are due, or need not wait any longer."""
        now = time.monotonic()
        due: list[Timer] = []
        waiting: list[Timer] = []
        for one in self._timers:
            (due if self.stopping or one[0] <= now or not one[3]() else waiting).append(one)
        if not due:
            return
        # Update the timers before the callbacks, which may add new ones.
        heapq.heapify(waiting)
        self._timers = waiting
        for _, _, callback, _ in sorted(due, key=lambda one: one[:2]):
            callback()

    def _start(self, pool: ThreadPoolExecutor) -> None:
        while self._ready and (self.stopping or self._running < self._jobs):
            _, _, job = heapq.heappop(self._ready)
            stopped = self.cancel.is_set() if job.always else self.stopping
            if stopped or not job.wanted():
                job.done(None)
                continue
            try:
                call = job.prepare()
            except (Error, OSError) as error:
                job.done(error)
                continue
            self._running += 1
            pool.submit(self._perform, job, call)

    def _perform(self, work: Work, call: Callable[[], Any]) -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - it is raised where it can be handled
            result = error
        self._events.put((work, result))

    def _wait(self) -> None:
        # Always with a timeout: a signal that arrives right before the wait is only handled after it.
        timeout = min(self._timers[0][0] - time.monotonic(), _TICK) if self._timers else _TICK
        try:
            event = self._events.get(timeout=max(0.0, timeout))
        except Empty:
            return
        self._handle(event)

    def _handle(self, event: tuple[Work, Any] | int) -> None:
        if isinstance(event, int):
            self._interrupted(event)
            return
        job, result = event
        self._running -= 1
        job.done(result)

    def _interrupted(self, number: int) -> None:
        self.ended_by = number if self.ended_by is None else self.ended_by
        # After Ctrl-C, running programs may finish. After a second one, or SIGTERM, they are ended now.
        self._stop(now=self.stopping or number != signal.SIGINT)

    def _stop(self, *, now: bool) -> None:
        self.stopping = True
        if now:
            self.cancel.set()
        self._on_stopping(now)

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Treat signals that ask to end as events: raised as exceptions anywhere, they would leave work half done."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        old: dict[int, Any] = {}

        def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
            self._events.put(number)

        for asked in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            handler = signal.getsignal(asked)
            if handler is not signal.SIG_IGN:
                old[asked] = handler
                signal.signal(asked, note)
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
