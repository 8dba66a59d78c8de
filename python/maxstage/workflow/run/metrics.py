"""The sizes of a run's outputs, in memory and in stores, and of its prompts; and warnings about them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from maxstage.humanize import counted, format_size
from maxstage.sizes import llm_tokens
from maxstage.workflow.run.results import held_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from maxstage.context.selection import Selection
    from maxstage.output.limits import Limits
    from maxstage.store.store import Store
    from maxstage.workflow.run.results import TaskResult

_NEAR = 0.8
"""The share of a limit from which a warning is given."""
_FREE = 0.1
"""The share of free disk space below which a warning is given."""
_ENOUGH = 10
"""The number of outputs from which their shares are meaningful."""


class Metrics:
    """The metrics of one run, all of its starts together.

    Attributes:
        held: Bytes of outputs that are held.
        prunings: How many times outputs were dropped.
    """

    def __init__(self, earlier: dict[str, Any] | None = None) -> None:
        known = earlier or {}
        self.held: int = known.get("held_bytes", 0)
        self._peak: int = known.get("peak_held_bytes", 0)
        self._external_bytes: int = known.get("external_bytes", 0)
        self._external_stored: int = known.get("external_stored_bytes", 0)
        self._outputs: int = known.get("outputs", 0)
        self._truncated: int = known.get("truncated", 0)
        self._external: int = known.get("external", 0)
        self._moved: int = known.get("moved", 0)
        self._pruned: int = known.get("pruned", 0)
        self.prunings: int = known.get("prunings", 0)
        self._prompts: int = known.get("prompts", 0)
        self._context_bytes: int = known.get("context_bytes", 0)
        self._context_tokens: int = known.get("context_tokens", 0)
        self._whole_tokens: int = known.get("whole_tokens", 0)
        self._items: int = known.get("items", 0)
        self._relevance: float = known.get("relevance", 0.0)
        self._largest: int = known.get("largest", 0)

    def task_ended(self, result: TaskResult) -> None:
        """Count an output."""
        output = result.output
        if output is None:
            return
        self._outputs += 1
        self._truncated += output.truncated
        self.held += held_bytes(output)
        self._peak = max(self._peak, self.held)
        self._largest = max(self._largest, output.original_size)
        for part in (output, output.stderr):
            if part is not None and part.token is not None and part.external_path is not None:
                self._external += 1
                self._external_bytes += part.original_size
                self._external_stored += _size_of(part.external_path)

    def injected(self, selection: Selection, whole_bytes: int) -> None:
        """Count what was put into a prompt; `whole_bytes` is the size of all outputs."""
        self._prompts += 1
        self._context_bytes += len(selection.content)
        self._context_tokens += selection.tokens
        self._whole_tokens += llm_tokens(whole_bytes)
        used = [candidate for candidate in selection.candidates if candidate.state != "dropped"]
        self._items += len(used)
        self._relevance += sum(candidate.relevance for candidate in used)

    def moved(self, size: int) -> None:
        """Count an output whose text was moved into the store."""
        self._moved += 1
        self.held -= size

    def pruned(self, size: int) -> None:
        """Count an output that was dropped."""
        self._pruned += 1
        self.held -= size

    def to_dict(self) -> dict[str, Any]:
        """Return all metrics; sizes are in bytes."""
        return {
            "held_bytes": self.held,
            "peak_held_bytes": self._peak,
            "external_bytes": self._external_bytes,
            "external_stored_bytes": self._external_stored,
            "outputs": self._outputs,
            "truncated": self._truncated,
            "external": self._external,
            "moved": self._moved,
            "pruned": self._pruned,
            "prunings": self.prunings,
            "prompts": self._prompts,
            "context_bytes": self._context_bytes,
            "context_tokens": self._context_tokens,
            "whole_tokens": self._whole_tokens,
            "tokens_saved": max(0, self._whole_tokens - self._context_tokens),
            "average_relevance": round(self._relevance / self._items, 3) if self._items else 0.0,
            "items": self._items,
            "relevance": self._relevance,
            "largest": self._largest,
        }


class Warnings:
    """Warns once about each problem, with a setting that would help."""

    def __init__(self, limits: Limits, store: Store, warn: Callable[[str], None]) -> None:
        self._limits = limits
        self._store = store
        self._warn = warn
        self._told: set[str] = set()

    def check(self, metrics: dict[str, Any]) -> None:
        """Check the metrics, and the disk."""
        outputs = metrics["outputs"]
        if outputs >= _ENOUGH and metrics["truncated"] > outputs / 2:
            self._tell(
                "truncated",
                f"{metrics['truncated']:,} of {counted(outputs, 'output')} were truncated; the largest had "
                f"{format_size(metrics['largest'])}: raise max_stdout_bytes, or choose the strategy summary",
            )
        if outputs >= _ENOUGH and metrics["pruned"] > outputs / 2:
            self._tell(
                "pruned",
                f"{metrics['pruned']:,} of {counted(outputs, 'output')} were pruned; raise keep_count of "
                "cleanup_strategy if later tasks need them",
            )
        self._check_disk()

    def _check_disk(self) -> None:
        disk = os.statvfs(self._store.layout.base)
        if disk.f_blocks and disk.f_bavail < _FREE * disk.f_blocks:
            free = format_size(disk.f_bavail * disk.f_frsize)
            self._tell(
                "disk", f"the disk of the store has {free} left; set external_storage_dir to another one"
            )
        most = self._store.settings.max_store_bytes
        if most is not None:
            used = sum(item.stored_size for item in self._store.list())
            if used > _NEAR * most:
                self._tell(
                    "quota",
                    f"the store takes {format_size(used)} of the {format_size(most)} of max_store_bytes; "
                    '"max runs clean" deletes what old runs keep',
                )

    def _tell(self, kind: str, text: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            self._warn(text)


def _size_of(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
