"""Whether the plan of an intent is such as is written here: what stands in it is done, so an edited one is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maxstage.errors import Corrupt
from maxstage.intent.journal import ACTING, PREPARING, RUNNING, STATUSES
from maxstage.intent.operations import OPERATIONS

if TYPE_CHECKING:
    from maxstage.intent.journal import Journal

_NAMES = ", ".join(f"'{name}'" for name in OPERATIONS)
_SOURCED = ", ".join(f"'{name}'" for name in ("copy", "move", "delete", "restore"))
_TARGETED = ", ".join(f"'{name}'" for name in ("copy", "move", "write", "restore"))
_STATUSES = ", ".join(f"'{name}'" for name in (*STATUSES, PREPARING, ACTING, RUNNING))

_ODD_PLAN = f"""
SELECT 1 FROM ops WHERE n < 1 OR op NOT IN ({_NAMES})
OR typeof(source) NOT IN ('blob', 'null') OR typeof(target) NOT IN ('blob', 'null')
OR typeof(body) NOT IN ('blob', 'null') OR typeof(record) NOT IN ('blob', 'null')
OR typeof(fault) NOT IN ('text', 'null') OR typeof(seen) NOT IN ('text', 'null')
OR typeof(after) NOT IN ('integer', 'null')
OR (fault IS NULL AND ((source IS NULL AND op IN ({_SOURCED})) OR (target IS NULL AND op IN ({_TARGETED}))
    OR (body IS NULL AND op IN ('write', 'run'))))
LIMIT 1
"""  # noqa: S608 - no data
_ODD_JOURNAL = f"""
SELECT 1 FROM journal WHERE status NOT IN ({_STATUSES})
OR typeof(error) NOT IN ('text', 'null') OR typeof(target) NOT IN ('blob', 'null')
OR typeof(made) NOT IN ('text', 'null') OR typeof(crossed) NOT IN ('text', 'null')
OR typeof(over) NOT IN ('text', 'null') OR typeof(did) NOT IN ('text', 'null')
LIMIT 1
"""  # noqa: S608 - no data
_RESTORES = "SELECT 1 FROM ops WHERE op = 'restore' LIMIT 1"
"""Only an intent that takes another back has these."""
_ODD_FOLDERS = "SELECT 1 FROM folders WHERE typeof(path) != 'blob' LIMIT 1"


def check(journal: Journal) -> None:
    """Make sure that a plan and its journal are such as are written here.

    Raises:
        Corrupt: They are not.
    """
    queries = [_ODD_PLAN, _ODD_JOURNAL, _ODD_FOLDERS]
    if not journal.facts().get("undoes"):
        queries.append(_RESTORES)
    for query in queries:
        if journal.has(query):
            raise Corrupt(f"{journal.path} is damaged: an operation in it is not such as is written here")
