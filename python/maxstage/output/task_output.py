"""What a command printed: the text within its limits, what was dropped, and where the full output is."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from datetime import UTC, datetime

from maxstage.record import Record, made_by
from maxstage.store.project import project_around

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal

    OutputType = Literal["stdout", "stderr", "combined", "file", "summary"]

CANCELLED = "cancelled"
"""The warning of a command that was ended because nobody wanted it to go on, whatever its exit status."""


class TaskOutput(Record):
    """The output of one stream of a command, and how the command ended.

    Attributes:
        task_id: The task's name, or the program's.
        output_type: ``stdout``, ``stderr``, ``combined``, ``file`` or ``summary``.
        content: The text, within its limit, marker included; bytes, since a program may print any.
        original_size: The number of bytes that were printed.
        truncated: Whether `content` is not all of it.
        truncation_strategy: The strategy that was used; None if nothing was dropped.
        dropped_bytes: The number of bytes that are missing from `content`.
        dropped_lines: The number of lines whose end is missing.
        external_path: The file that holds the full output, or None.
        token: The token of the full output, or None.
        store: The folder of the project that has the full output under that token, or None.
        relevance_score: How relevant it is for the task that asks, 0 to 1, for executors that record it. A workflow
            records it with each prompt, since it differs between tasks (``max context``).
        last_accessed: When it was last used.
        depended_by: The tasks that depend on it.
        completed_at: When the command ended.
        exit_code: The exit status; 128 + n where signal n ended the command.
        signal: That signal, or None.
        duration: Seconds that the command took.
        timed_out: Whether it was ended because it timed out.
        warnings: What went wrong that was not the command's fault.
        stderr: The other stream, if this is stdout.
        redacted: How much was masked in it, by the names of the rules (`maxstage.redaction_rules`); known secrets are
            counted as ``secret``.
    """

    task_id: str
    output_type: OutputType
    content: bytes
    original_size: int
    truncated: bool = False
    truncation_strategy: str | None = None
    dropped_bytes: int = 0
    dropped_lines: int = 0
    external_path: str | None = None
    token: str | None = None
    store: str | None = None
    relevance_score: float = 1.0
    last_accessed: datetime = made_by(default_factory=lambda: datetime.now(UTC))
    depended_by: tuple[str, ...] = ()
    completed_at: datetime = made_by(default_factory=lambda: datetime.now(UTC))
    exit_code: int | None = None
    signal: int | None = None
    duration: float | None = None
    timed_out: bool = False
    warnings: tuple[str, ...] = ()
    stderr: TaskOutput | None = None
    redacted: Mapping[str, int] = made_by(default_factory=dict)

    @property
    def text(self) -> str:
        """The content as text; bytes that are not UTF-8 are shown as U+FFFD."""
        return self.content.decode("utf-8", "replace")

    @property
    def ok(self) -> bool:
        """Whether the command ended by itself with exit status 0, not because its time was over or it was cancelled."""
        return self.exit_code == 0 and not self.timed_out and CANCELLED not in self.warnings

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON. Content that is not UTF-8 is also in ``content_base64``, exactly."""
        values = self._values()
        values["ref"] = self.token  # as in the JSON of items, where `token` is the bare id
        values["content"] = self.text
        if self.text.encode() != self.content:
            values["content_base64"] = b2a_base64(self.content, newline=False).decode()
        for name in ("last_accessed", "completed_at"):
            values[name] = values[name].isoformat()
        values["depended_by"] = list(self.depended_by)
        values["warnings"] = list(self.warnings)
        values["redacted"] = dict(self.redacted)
        values["stderr"] = None if self.stderr is None else self.stderr.to_dict()
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TaskOutput:
        """Read what `to_dict` returned; keys that this version doesn't know are ignored.

        >>> output = TaskOutput("t", "stdout", b"\\xff", 1)
        >>> TaskOutput.from_dict(output.to_dict()) == output
        True
        """
        given = {name: value for name, value in values.items() if name in cls.fields}
        if given.get("store") is None and given.get("external_path") is not None:
            given["store"] = project_around(given["external_path"])
        exact = values.get("content_base64")
        given["content"] = values["content"].encode() if exact is None else a2b_base64(exact)
        for name in ("last_accessed", "completed_at"):
            if name in given:
                given[name] = datetime.fromisoformat(given[name])
        for name in ("depended_by", "warnings"):
            given[name] = tuple(given.get(name, ()))
        if given.get("stderr") is not None:
            given["stderr"] = cls.from_dict(given["stderr"])
        return cls(**given)
