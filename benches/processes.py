"""Running whole processes side by side: how long each takes, and the most memory that any part of it holds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

BIN = Path(sys.executable).parent
PEAK_UNIT = 1 << 20 if sys.platform == "darwin" else 1 << 10
"""What ``ru_maxrss`` must be divided by for MiB: it counts bytes there, KiB elsewhere."""

# A process that is started counts the memory of the one that starts it as its own peak, until it replaces its
# program. So a small process does it: no larger than bare Python itself.
_LAUNCHER = """
import os, sys, time
report = int(sys.argv[1])
os.set_inheritable(report, False)
started = time.perf_counter()
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
seconds = time.perf_counter() - started
os.write(report, b"%.9f %d" % (seconds, usage.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


class Cost(NamedTuple):
    """What a script took: seconds, and the peak memory of its largest process in MiB."""

    seconds: float
    peak: float


def environment(backend: str | None = None) -> dict[str, str]:
    """Return what commands run in: maxstage on the path, its modules compiled, as an installer leaves them."""
    variables = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    variables.pop("MAXSTAGE_BACKEND", None)
    return variables if backend is None else variables | {"MAXSTAGE_BACKEND": backend}


def launch(command: Sequence[str], **streams: Any) -> tuple[Cost, bytes]:
    """Run a command; return what it cost and what it printed, where `stdout` is a pipe."""
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as report:
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(write_end), *command]
        try:
            process = subprocess.Popen(launcher, pass_fds=[write_end], **streams)
        finally:
            os.close(write_end)
        printed, _ = process.communicate()
        seconds, peak = report.read().split()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    return Cost(float(seconds), int(peak) / PEAK_UNIT), printed or b""


def run_script(script: str, folder: Path, backend: str | None = None) -> tuple[Cost, str]:
    """Run a bash script; return what it took, and what it printed. Raises as `launch` does."""
    bash = [shutil.which("bash") or "/bin/bash", "-c", f"set -o pipefail; {script}"]
    cost, printed = launch(bash, cwd=folder, env=environment(backend), stdout=subprocess.PIPE)
    return cost, printed.decode()
