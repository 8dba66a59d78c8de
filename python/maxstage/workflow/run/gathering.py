"""The output of a task that has several parts, subtasks or iterations: theirs, one after the other."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
from typing import TYPE_CHECKING

from maxstage.files import write_all
from maxstage.output.bound import bound
from maxstage.workflow.run import jobs as leaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.output.strategies import Keep
    from maxstage.output.task_output import TaskOutput
    from maxstage.workflow.run.instances import Place, Run


def gather(
    run: Run, place: Place, paths: Iterator[str], *, keep: Keep, whole: bool, ok: bool, started: float
) -> TaskOutput:
    """Return the outputs at `paths` as one, within the limits.

    Args:
        run: The run.
        place: Where the task stands.
        paths: The parts, in order; one that has no output is left out.
        keep: When all of it is kept.
        whole: Whether each part is taken whole, and not within its limits.
        ok: Whether the task succeeded.
        started: When it began, as `time.monotonic` tells it.
    """
    parts = _Parts(run, paths, whole=whole)
    theirs, ours = os.pipe()
    feeder = threading.Thread(target=parts.write, args=(ours,), daemon=True)
    feeder.start()
    try:
        limits = leaf.keeping(place.limits) if whole else place.limits
        output = bound(theirs, limits, run.given.store, keep=keep, task_id=place.path, owner=run.given.run_id)
    finally:
        os.close(theirs)
        feeder.join()
    if parts.problem is not None:
        leaf.unstage(run.given.store, output)
        raise parts.problem
    return dataclasses.replace(
        output,
        truncated=output.truncated or parts.truncated,
        original_size=output.original_size if whole else parts.size,
        dropped_bytes=output.dropped_bytes + parts.dropped_bytes,
        dropped_lines=output.dropped_lines + parts.dropped_lines,
        exit_code=0 if ok else 1,
        duration=time.monotonic() - started,
    )


class _Parts:
    """Writes parts into a pipe, and adds up what is known of them."""

    def __init__(self, run: Run, paths: Iterator[str], *, whole: bool) -> None:
        self._run = run
        self._paths = paths
        self._whole = whole
        self.problem: Exception | None = None
        self.truncated = False
        self.size = self.dropped_bytes = self.dropped_lines = 0

    def write(self, fd: int) -> None:
        """Write all of them, and close the pipe."""
        try:
            with contextlib.suppress(BrokenPipeError):
                for path in self._paths:
                    result = self._run.state.find(path)
                    if result is not None and result.output is not None:
                        if result.pruned:
                            raise leaf.gone(path, leaf.PRUNED)
                        self._write_one(fd, result.output)
        except Exception as error:  # noqa: BLE001 - it is raised in `gather`
            self.problem = error
        finally:
            os.close(fd)

    def _write_one(self, fd: int, output: TaskOutput) -> None:
        self.size += output.original_size
        if self._whole and output.truncated and output.token is not None:
            with leaf.reading(output.task_id), leaf.open_whole(self._run.given.store, output) as opened:
                opened.copy_to(fd, output.task_id)
            return
        if self._whole and output.truncated:
            raise leaf.gone(output.task_id, "; ".join(output.warnings) or "it was cut, and not kept whole")
        self.truncated |= output.truncated
        self.dropped_bytes += output.dropped_bytes
        self.dropped_lines += output.dropped_lines
        write_all(fd, output.content, output.task_id)
