"""Reading from a pipe that stays silent: a signal is noticed, whenever it arrives."""

import os
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import os, signal, sys
from maxstage.store.store import Store
# A handler that raises, but a call that nothing interrupts: as if the signal had arrived just before it.
class Stop(Exception):
    pass
def stop(*_):
    raise Stop
signal.signal(signal.SIGUSR1, stop)
signal.siginterrupt(signal.SIGUSR1, False)
print("ready", flush=True)
try:
    Store.find().stage(0)
except Stop:
    print("stopped")
"""


def test_a_signal_that_interrupts_no_call_is_noticed(program):
    reader, writer = os.pipe()
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=reader, stdout=subprocess.PIPE, cwd=program.folder
    )
    with started:
        try:
            assert started.stdout.readline() == b"ready\n"
            time.sleep(0.3)  # it may be reading by then, or not: both must do
            started.send_signal(signal.SIGUSR1)
            assert started.communicate(timeout=20)[0] == b"stopped\n"
        except subprocess.TimeoutExpired:
            started.kill()
            pytest.fail("the signal was not noticed")
        finally:
            os.close(reader)
            os.close(writer)
