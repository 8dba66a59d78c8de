"""The output of a task with subtasks or iterations: theirs, concatenated."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING

from maxstage.files import write_all
from maxstage.output.bound import bound
from maxstage.workflow.execution.outputs import gone, open_full, reading, unstage, why_not_kept
from maxstage.workflow.run.limits import keeping
from maxstage.workflow.run.outputs import PRUNED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.output.task_output import TaskOutput
    from maxstage.workflow.run.instance import TaskInstance
    from maxstage.workflow.run.run_context import RunContext


def gather(
    run: RunContext, instance: TaskInstance, paths: Iterator[str], *, ok: bool, started: float
) -> TaskOutput:
    """Return the outputs at `paths` as one, within the limits.

    Args:
        run: The run.
        instance: The task.
        paths: The parts, in order; those without output are left out.
        ok: Whether the task succeeded.
        started: When it started, by `time.monotonic`.
    """
    # If the full output is wanted, take each part in full, not within its limits.
    whole = run.is_wanted_whole(instance.spec_path)
    limits = keeping(instance.limits) if whole else instance.limits
    keep = instance.keep(run.graph)
    parts = _Parts(run, paths, whole=whole)
    theirs, ours = os.pipe()
    feeder = threading.Thread(target=parts.write, args=(ours,), daemon=True)
    feeder.start()
    try:
        output = bound(theirs, limits, run.store, keep=keep, task_id=instance.path, owner=run.run_id)
    finally:
        os.close(theirs)
        feeder.join()
    if parts.problem is not None:
        unstage(run.store, output)
        raise parts.problem
    return output.replace(
        truncated=output.truncated or parts.truncated,
        original_size=output.original_size if whole else parts.size,
        dropped_bytes=output.dropped_bytes + parts.dropped_bytes,
        dropped_lines=output.dropped_lines + parts.dropped_lines,
        exit_code=0 if ok else 1,
        duration=time.monotonic() - started,
    )


class _Parts:
    """Writes parts into a pipe, and adds up their metadata."""

    def __init__(self, run: RunContext, paths: Iterator[str], *, whole: bool) -> None:
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
                            raise gone(path, PRUNED)
                        self._write_one(fd, result.output)
        except Exception as error:  # noqa: BLE001 - it is raised in `gather`
            self.problem = error
        finally:
            os.close(fd)

    def _write_one(self, fd: int, output: TaskOutput) -> None:
        self.size += output.original_size
        if self._whole and output.truncated and output.token is not None:
            with reading(output.task_id), open_full(self._run.store, output) as opened:
                opened.copy_to(fd, output.task_id)
            return
        if self._whole and output.truncated:
            raise gone(output.task_id, why_not_kept(output))
        self.truncated |= output.truncated
        self.dropped_bytes += output.dropped_bytes
        self.dropped_lines += output.dropped_lines
        write_all(fd, output.content, output.task_id)
