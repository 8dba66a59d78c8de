"""The graph of a workflow's tasks, as text for mermaid or Graphviz."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from maxstage.workflow.format.schema import Task
    from maxstage.workflow.format.valid import ValidWorkflow


def graph(workflow: ValidWorkflow, form: str) -> str:
    """Return the graph of the tasks as text for ``mermaid`` or ``dot`` (Graphviz)."""
    return _mermaid(workflow) if form == "mermaid" else _dot(workflow)


def _edges(workflow: ValidWorkflow) -> Iterator[tuple[str, str]]:
    for path in workflow.tasks:
        prefix = path.rpartition(".")[0]
        for name in workflow.graph.dependencies[path]:
            yield (f"{prefix}.{name}" if prefix else name), path


def _mermaid(workflow: ValidWorkflow) -> str:
    def name_of(path: str) -> str:
        # The prefix avoids keywords of mermaid like "end".
        return "t_" + path.replace(".", "__").replace("-", "_0")

    def nodes(tasks: Mapping[str, Task], prefix: str, indent: str) -> Iterator[str]:
        for name, task in tasks.items():
            path = f"{prefix}{name}"
            if task.subtasks is not None:
                yield f'{indent}subgraph {name_of(path)}["{name}"]'
                yield from nodes(task.subtasks, f"{path}.", indent + "  ")
                yield f"{indent}end"
            else:
                left, right = ("([", "])") if task.agent else ("[[", "]]") if task.loop else ("[", "]")
                yield f'{indent}{name_of(path)}{left}"{name}"{right}'

    lines = ["flowchart TD", *nodes(workflow.spec.tasks, "", "  ")]
    lines += [f"  {name_of(first)} --> {name_of(second)}" for first, second in _edges(workflow)]
    return "\n".join(lines)


def _dot(workflow: ValidWorkflow) -> str:
    def nodes(tasks: Mapping[str, Task], prefix: str, indent: str) -> Iterator[str]:
        for name, task in tasks.items():
            path = f"{prefix}{name}"
            if task.subtasks is not None:
                yield f'{indent}subgraph "cluster_{path}" {{ label="{name}";'
                # Edges need a node as their end; this one represents all subtasks.
                yield f'{indent}  "{path}" [label="{name}", shape=plaintext];'
                yield from nodes(task.subtasks, f"{path}.", indent + "  ")
                yield f"{indent}}}"
            else:
                shape = "ellipse" if task.agent else "box3d" if task.loop else "box"
                yield f'{indent}"{path}" [label="{name}", shape={shape}];'

    lines = ["digraph workflow {", "  rankdir=TB;", *nodes(workflow.spec.tasks, "", "  ")]
    lines += [f'  "{first}" -> "{second}";' for first, second in _edges(workflow)]
    return "\n".join([*lines, "}"])
