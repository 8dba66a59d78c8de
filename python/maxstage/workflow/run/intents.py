"""The command line of a task that plans and executes many writes."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from maxstage.workflow.run import files

if TYPE_CHECKING:
    from maxstage.workflow.format import schema
    from maxstage.workflow.run.instance import TaskInstance
    from maxstage.workflow.run.run_context import RunContext
    from maxstage.workflow.run.scope import Scope


def command_line(run: RunContext, part: schema.Intent, instance: TaskInstance, scope: Scope) -> list[str]:
    """Return the command that does the intent of a task; started again it goes on with the same intent.

    Raises:
        WorkflowError: Something that it refers to is not there.
    """
    root = run.folder if part.root is None else files.locate_to_read(run.folder, part.root, scope)
    spec = part.plain() | {
        "key": f"{run.run_id}/{instance.path}",
        "root": root,
        "records": None if part.records is None else scope.render(part.records),
    }
    return [sys.executable, "-P", "-m", "maxstage.cli.intent_task", json.dumps(spec)]
