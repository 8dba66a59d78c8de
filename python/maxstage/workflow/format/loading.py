"""Reading a workflow file. All problems are reported at once, with file, line and column."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

from maxstage.errors import WorkflowError
from maxstage.files import Naming
from maxstage.humanize import printable
from maxstage.workflow.format import schema
from maxstage.workflow.format.agents import PROVIDERS
from maxstage.workflow.format.checking import check_workflow
from maxstage.workflow.format.defaults import with_defaults
from maxstage.workflow.format.matrix import as_loops
from maxstage.workflow.format.model import BAD
from maxstage.workflow.format.problems import LONGEST_TEXT, Problems
from maxstage.workflow.format.reading import FileReader
from maxstage.workflow.format.valid import ValidWorkflow
from maxstage.workflow.format.yaml_source import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maxstage.workflow.format.agents import Provider
    from maxstage.workflow.format.graph import TaskGraph


def load(
    path: str, providers: Mapping[str, Provider] = PROVIDERS, *, lenient: bool = False
) -> ValidWorkflow | Problems:
    """Read a workflow file.

    Args:
        path: The file.
        providers: The agents known by name.
        lenient: Whether to take documents that were written for another program: unknown fields, and programs that
            are not installed, get a warning only.

    Returns:
        The workflow, or all its problems if the file has errors.

    Raises:
        WorkflowError: It is too large, not a regular file, or not UTF-8.
        OSError: It can't be read.
    """
    content = _read(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WorkflowError(
            f"{printable(path, LONGEST_TEXT)} is not UTF-8 text: {error.reason} at byte {error.start:,}"
        ) from None
    return check(Source(text), path, providers, lenient=lenient)


def _read(path: str) -> bytes:
    if "\0" in path:
        raise WorkflowError(f"{printable(path, LONGEST_TEXT)} is not the name of a file")
    # Don't wait for a FIFO that nobody writes to.
    with Naming(path), open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        kind = os.fstat(file.fileno()).st_mode
        # The pipe that a shell makes for <(command) has no name in the file system, and has a writer.
        pipe = stat.S_ISFIFO(kind) and not os.path.exists(os.path.realpath(path))
        if not stat.S_ISREG(kind) and not pipe:
            raise WorkflowError(f"{printable(path, LONGEST_TEXT)} is not a regular file")
        os.set_blocking(file.fileno(), True)
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise WorkflowError(
            f"{printable(path, LONGEST_TEXT)} is larger than {_LARGEST >> 20} MiB; a workflow file names data, "
            "it does not hold it"
        )
    return content


def check(
    source: Source, file: str, providers: Mapping[str, Provider] = PROVIDERS, *, lenient: bool = False
) -> ValidWorkflow | Problems:
    """Check the content of a YAML text.

    Args:
        source: The text.
        file: What to call it.
        providers: The agents known by name.
        lenient: See `load`.

    Returns:
        The workflow, or all its problems if the text has errors.
    """
    problems = Problems(file, source)
    found = _check_fields(source, problems, providers, lenient=lenient) if source.is_whole else None
    for position, text in source.problems:
        problems.add_at(position, text)
    problems.sort()
    if found is None or problems.errors:
        return problems
    return ValidWorkflow(file, source.text, *found, problems)


def _check_fields(
    source: Source, problems: Problems, providers: Mapping[str, Provider], *, lenient: bool
) -> tuple[schema.WorkflowSpec, TaskGraph] | None:
    """Check the data; if a part is invalid, the others are checked nevertheless."""
    reader = FileReader(problems, lenient=lenient)
    spec = reader.part(schema.WorkflowSpec, (), source.data)
    if spec is BAD:
        return None
    spec = as_loops(with_defaults(spec))
    return spec, check_workflow(spec, providers, problems, reader.hidden, lenient=lenient)


_LARGEST = 16 << 20
"""The most bytes of a workflow file: a hundred times more than anybody writes."""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the format."""
    definitions: dict[str, Any] = {}
    made = schema.WorkflowSpec.json_schema(definitions)
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": schema.WorkflowSpec.__name__}
    return {**about, **made, "$defs": definitions}
