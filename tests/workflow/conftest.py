"""What tests of workflows share."""

import pytest

from maxstage.workflow.workflow import Workflow


class Flow:
    """Runs workflows in a store of their own."""

    def __init__(self, store, folder):
        self.store = store
        self.folder = folder
        self.events = []

    def __call__(self, tasks, *, jobs=2, given=None, check=True, resume=False, **root):
        """Run tasks, given as plain data, with what else the file says; return the result."""
        how = {
            name: root.pop(name)
            for name in ("rerun", "start_from", "or_start", "use_cache", "ask")
            if name in root
        }
        workflow = Workflow.from_dict(
            {"name": "test", "version": "1", "tasks": tasks, **root}, store=self.store
        )
        self.events = []
        result = workflow.run(
            **how,
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
def flow(store, tmp_path) -> Flow:
    """Runs workflows."""
    return Flow(store, tmp_path)
