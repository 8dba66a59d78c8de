"""A job: one program to run, as plain data that could be sent to another machine, and its result."""

from __future__ import annotations

import dataclasses
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from maxstage.output.task_output import TaskOutput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maxstage.output.strategies import Keep


ANSWER = "run/answer"
"""The source of items that are the results of jobs. They are kept as long as the run is, whose state may be lost."""


@dataclass(frozen=True)
class StagedInput:
    """Staged data that a program reads on its stdin.

    Attributes:
        token: The item.
        task: The task whose full output it is.
        store: The folder of the project that has it; None for that of the run.
    """

    token: str
    task: str
    store: str | None = None


@dataclass(frozen=True)
class Job:
    """A program that is ready to run. It only has values that JSON can represent, no open files and no store.

    Attributes:
        run_id: The run that it belongs to, which owns what is kept of the output.
        task: The path of the task.
        argv: The program and its arguments.
        attempt: Which attempt of the task it is, from 1; a run that goes on asks for the same one again.
        script: A script that is too long for an argument: its text goes into a file, whose name is added to `argv`.
        script_path: A script that is a file: its path is added to `argv`. To another machine its content travels.
        stdin: What the program reads; None for nothing.
        cwd: Its working directory.
        base: The folder of the run, if `cwd` is that or below it. On another machine a new, empty folder takes its
            place. None: `cwd` is a folder of whichever machine runs it.
        upload: Files in `base` that are laid into that new folder: patterns like ``data/*.csv``.
        queue: The queue of the workers that may run it, where programs run on other machines; None for the default.
        local: Whether it is for this machine, wherever other programs run: it writes files here.
        env: The environment that the workflow declares, with MAX_RUN, MAX_TASK and MAX_DIR. The executor decides
            what else it inherits.
        timeout_secs: Seconds until it is ended; None for no limit.
        limits: The limits of its output, as `maxstage.Limits.to_dict` returns them.
        keep: When its full output is kept in the store: ``always``, ``truncated`` or ``never``.
        secrets: Variables of the executor's own environment whose values are masked in everything that it prints.
        output: The file for its full output, which the caller writes; None if there is none.
    """

    run_id: str
    task: str
    argv: tuple[str, ...]
    cwd: str
    attempt: int = 1
    script: str | None = None
    script_path: str | None = None
    base: str | None = None
    upload: tuple[str, ...] = ()
    queue: str | None = None
    local: bool = False
    stdin: bytes | StagedInput | None = None
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    timeout_secs: float | None = None
    limits: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    keep: Keep = "truncated"
    output: str | None = None
    secrets: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the job as plain data for JSON, with bytes in base64."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values |= {"secrets": list(self.secrets), "upload": list(self.upload)}
        values |= {"argv": list(self.argv), "env": dict(self.env), "limits": dict(self.limits)}
        if isinstance(self.stdin, bytes):
            values["stdin"] = {"base64": b2a_base64(self.stdin, newline=False).decode()}
        elif self.stdin is not None:
            values["stdin"] = dataclasses.asdict(self.stdin)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Job:
        """Create an object from what `to_dict` returned.

        >>> job = Job("r", "t", ("cat",), "/", stdin=b"\\xff")
        >>> Job.from_dict(job.to_dict()) == job
        True
        """
        stdin = values["stdin"]
        if stdin is not None:
            stdin = a2b_base64(stdin["base64"]) if "base64" in stdin else StagedInput(**stdin)
        tuples = {name: tuple(values.get(name, ())) for name in ("argv", "secrets", "upload")}
        return cls(**{**values, **tuples, "stdin": stdin})


@dataclass(frozen=True)
class JobResult:
    """The result of a job.

    Attributes:
        output: What the program printed and how it ended; None if it could not be started.
        error: Why it failed; None if it succeeded.
    """

    output: TaskOutput | None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data for JSON."""
        return {"output": None if self.output is None else self.output.to_dict(), "error": self.error}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> JobResult:
        """Create an object from what `to_dict` returned."""
        output = None if values["output"] is None else TaskOutput.from_dict(values["output"])
        return cls(output, values["error"])
