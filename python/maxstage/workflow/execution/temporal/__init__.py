"""Running programs on other machines by Temporal (https://temporal.io), an engine that people already operate.

Each program is a *standalone activity* named ``RUN/PATH/ATTEMPT``; what decides (scheduler, loops, retries, the state)
stays in ``max run``. A driver that starts one that exists joins it, so a driver that was killed repeats nothing.

``driver.py`` starts them, ``worker.py`` takes them, ``supervisor.py`` has a process for each (``supervised.py``), and
``messages.py`` is what passes between driver and worker. ``server.py`` is the engine for trying it out.
"""

from importlib.util import find_spec

from maxstage.errors import MissingDependency

if find_spec("temporalio") is None:
    raise MissingDependency(
        'To run programs on other machines the package temporalio is needed: pip install "maxstage[temporal]"'
    )
