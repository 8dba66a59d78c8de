"""maxstage: pass large data between agents and shell commands by a short token, and keep output within bounds.

>>> import tempfile
>>> store = Store.init(tempfile.mkdtemp())
>>> item = store.stage(b"one\\ntwo\\n")
>>> with store.open(item.token) as file:
...     file.read()
b'one\\ntwo\\n'
"""

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage._backend import backend
    from maxstage.context.selection import ContextBudget, select_context
    from maxstage.errors import (
        ConfigError,
        Corrupt,
        Error,
        Expired,
        InvalidMetadata,
        InvalidQuery,
        InvalidToken,
        NoProject,
        NotFound,
        QuotaExceeded,
        Untrusted,
        WorkflowError,
    )
    from maxstage.intent.intent import Intent
    from maxstage.output.arun import arun
    from maxstage.output.cleanup import CleanupStrategy
    from maxstage.output.limits import Limits, LimitsError
    from maxstage.output.run import capture, run
    from maxstage.output.task_output import TaskOutput
    from maxstage.output.truncation import Truncation, truncate, truncate_stream
    from maxstage.store.metadata import Item
    from maxstage.store.store import Store
    from maxstage.workflow.workflow import Workflow

_HOMES = {
    "backend": "maxstage._backend",
    "Intent": "maxstage.intent.intent",
    "Item": "maxstage.store.metadata",
    "Store": "maxstage.store.store",
    "CleanupStrategy": "maxstage.output.cleanup",
    "Limits": "maxstage.output.limits",
    "LimitsError": "maxstage.output.limits",
    "TaskOutput": "maxstage.output.task_output",
    "ContextBudget": "maxstage.context.selection",
    "select_context": "maxstage.context.selection",
    "Workflow": "maxstage.workflow.workflow",
    "arun": "maxstage.output.arun",
    "capture": "maxstage.output.run",
    "Truncation": "maxstage.output.truncation",
    "run": "maxstage.output.run",
    "truncate": "maxstage.output.truncation",
    "truncate_stream": "maxstage.output.truncation",
    "ConfigError": "maxstage.errors",
    "Corrupt": "maxstage.errors",
    "Error": "maxstage.errors",
    "Expired": "maxstage.errors",
    "InvalidMetadata": "maxstage.errors",
    "InvalidQuery": "maxstage.errors",
    "InvalidToken": "maxstage.errors",
    "NoProject": "maxstage.errors",
    "NotFound": "maxstage.errors",
    "QuotaExceeded": "maxstage.errors",
    "Untrusted": "maxstage.errors",
    "WorkflowError": "maxstage.errors",
}
"""The module of each public name, imported on first use so that commands only pay for what they need."""

__all__ = [
    "CleanupStrategy",
    "ConfigError",
    "ContextBudget",
    "Corrupt",
    "Error",
    "Expired",
    "Intent",
    "InvalidMetadata",
    "InvalidQuery",
    "InvalidToken",
    "Item",
    "Limits",
    "LimitsError",
    "NoProject",
    "NotFound",
    "QuotaExceeded",
    "Store",
    "TaskOutput",
    "Truncation",
    "Untrusted",
    "Workflow",
    "WorkflowError",
    "__version__",
    "arun",
    "backend",
    "capture",
    "run",
    "select_context",
    "truncate",
    "truncate_stream",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'maxstage' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
