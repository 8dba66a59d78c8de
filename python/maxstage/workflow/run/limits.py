"""The limits in force: those of a task override those of the tasks around it, the workflow, and the settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from maxstage.output.limits import Limits
from maxstage.workflow.run.paths import around, spec_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maxstage.store.store import Store
    from maxstage.workflow.format.valid import ValidWorkflow


def workflow_limits(store: Store, workflow: ValidWorkflow, folder: str) -> Limits:
    """Return the limits of a workflow, which override those of the project's settings.

    Args:
        store: The project.
        workflow: The workflow.
        folder: The working directory of the run; relative paths in limits start there.
    """
    return _parse(store.settings.limits, folder).override(_parse(workflow.spec.limits, folder))


def effective_limits(workflow: ValidWorkflow, path: str, limits: Limits, folder: str) -> Limits:
    """Return the limits in force for a task.

    Args:
        workflow: The workflow.
        path: The task's path, in the run or in the file; a task that is no longer in the file adds no limits.
        limits: The limits of the workflow, from `workflow_limits`.
        folder: The working directory of the run; relative paths in limits start there.
    """
    for name in around(spec_path(path)):
        task = workflow.tasks.get(name)
        if task is None:
            break
        limits = limits.override(_parse(task.limits, folder))
    return limits


def keeping(limits: Limits) -> Limits:
    """Return the same limits, but keeping the full output if it is cut, since another task needs it."""
    if limits.external_storage_threshold is not None:
        return limits
    return limits.replace(external_storage_threshold=Limits().external_storage_threshold)


def _parse(values: Mapping[str, Any], folder: str) -> Limits:
    limits = Limits.parse(values)
    if limits.external_storage_dir is None:
        return limits
    return limits.replace(external_storage_dir=os.path.join(folder, limits.external_storage_dir))
