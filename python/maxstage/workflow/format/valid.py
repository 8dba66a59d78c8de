"""A workflow file that is valid."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from maxstage.workflow.format.graph import walk

if TYPE_CHECKING:
    from maxstage.workflow.format.graph import TaskGraph
    from maxstage.workflow.format.problems import Problem, Problems
    from maxstage.workflow.format.schema import Task, WorkflowSpec


@dataclasses.dataclass(frozen=True)
class ValidWorkflow:
    """A workflow file without errors.

    Attributes:
        file: The file's name.
        text: Its content.
        spec: Its parsed content.
        graph: The dependencies of its tasks.
        doubts: Its warnings.
    """

    file: str
    text: str
    spec: WorkflowSpec
    graph: TaskGraph
    doubts: Problems

    @property
    def problems(self) -> list[Problem]:
        """Its warnings."""
        return self.doubts.problems

    @functools.cached_property
    def tasks(self) -> dict[str, Task]:
        """All tasks by path, in the order of the file, each before its subtasks."""
        return dict(walk(self.spec.tasks))
