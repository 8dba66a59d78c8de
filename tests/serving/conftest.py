"""Servers, and clients at the other end of their pipes."""

import pytest
from schemas import LEGACY, MODERN
from wire import Wire


@pytest.fixture
def connect(program):
    """Starts servers in a project, which end with the test."""
    wires = []

    def start(*args, **options):
        wires.append(Wire(options.pop("program", program), *args, **options))
        return wires[-1]

    yield start
    for wire in wires:
        if wire.process.poll() is None:
            wire.process.kill()
        wire.process.wait()
        for file in (wire.process.stdin, wire.process.stdout, wire.process.stderr):
            try:
                file.close()
            except (OSError, ValueError):
                continue


@pytest.fixture
def wire(connect):
    """A server in a project, and a client of the revision in force."""
    return connect()


@pytest.fixture(params=[MODERN, *LEGACY])
def any_wire(connect, request):
    """The same with each revision."""
    return connect(version=request.param)
