"""A program that runs a scenario in projects FOLDER/1, FOLDER/2, …, and is killed in each a moment later.

    killed.py SCENARIO FOLDER

For each project it prints the tokens that existed before as a line of JSON, until a scenario completes.
"""

import json
import os
import signal
import sys
from functools import partial
from pathlib import Path

import kills

from maxstage.settings import Settings
from maxstage.store.storage.local import LocalStorage
from maxstage.store.store import Store


def main() -> None:
    scenario, folder = getattr(kills, sys.argv[1]), Path(sys.argv[2])
    for at in range(1, 1000):
        store = Store.init(folder / str(at))
        before = kills.kept(store)
        child = os.fork()
        if child == 0:
            suicide = partial(os.kill, os.getpid(), signal.SIGKILL)
            mortal = kills.Mortal(LocalStorage(store.layout.project), at, suicide)
            scenario(Store(store.layout, mortal, Settings()), list(before))
            os._exit(0)
        ended = os.waitpid(child, 0)[1]
        sys.stdout.write(json.dumps({token: data.decode() for token, data in before.items()}) + "\n")
        sys.stdout.flush()
        if ended == 0:
            return
        assert os.WTERMSIG(ended) == signal.SIGKILL, ended


main()
