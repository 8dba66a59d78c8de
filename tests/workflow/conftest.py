"""What tests of workflows share."""

import os

import pytest

from maxstage.workflow.workflow import Workflow


class Flow:
    """Runs workflows in a store of their own."""

    def __init__(self, store, folder, on=None):
        self.store = store
        self.folder = folder
        self.on = on
        self.events = []

    def __call__(self, tasks, *, jobs=2, given=None, check=True, resume=False, **root):
        """Run tasks, given as plain data, with what else the file says; return the result."""
        how = {
            name: root.pop(name)
            for name in ("rerun", "start_from", "or_start", "use_cache", "ask")
            if name in root
        }
        if self.on is not None:
            # A folder that is named by its path is the same on workers of this machine.
            root.setdefault("cwd", str(self.folder))
        workflow = Workflow.from_dict(
            {"name": "test", "version": "1", "tasks": tasks, **root}, store=self.store
        )
        self.events = []
        result = workflow.run(
            **how,
            on=self.on,
            store=self.store,
            folder=self.folder,
            jobs=jobs,
            inputs=given,
            resume=resume,
            on_event=self.events.append,
        )
        if check:
            assert result.ok, result.error
        return result

    def kinds(self, task):
        """The events of one task."""
        return [event.kind for event in self.events if event.task == task]


@pytest.fixture
def flow(request, store, tmp_path):
    """Runs workflows: on this machine, or by an engine and a worker, as MAXSTAGE_TEST_ON says (`make test-remote`)."""
    if os.environ.get("MAXSTAGE_TEST_ON") != "temporal":
        yield Flow(store, tmp_path)
        return
    on = request.getfixturevalue("engine").on
    with request.getfixturevalue("worker_forks").worker(store.layout.project, on):
        yield Flow(store, tmp_path, on)
