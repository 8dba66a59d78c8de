"""The operations: a file each, and the table of them. One more is a file with an `Operation`, and a line here."""

from maxstage.intent.operations.copy import COPY
from maxstage.intent.operations.delete import DELETE
from maxstage.intent.operations.move import MOVE
from maxstage.intent.operations.restore import RESTORE
from maxstage.intent.operations.run import RUN
from maxstage.intent.operations.write import WRITE

OPERATIONS = {one.name: one for one in (COPY, MOVE, DELETE, WRITE, RUN, RESTORE)}

PLANNED = [name for name, one in OPERATIONS.items() if one.fill is not None]
"""Those that can be asked for."""
