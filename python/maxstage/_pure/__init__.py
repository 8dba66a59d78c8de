"""The pure-Python twin of the compiled module `_core`: same names, signatures, results and errors.

One file for each Rust module; `maxstage._backend` chooses between the two.
"""

from maxstage._pure.capture import Capture
from maxstage._pure.copy import Writer
from maxstage._pure.descriptor import sync_file_system
from maxstage._pure.detect import content_type
from maxstage._pure.lines import count_newlines
from maxstage._pure.publish import claim, rename
from maxstage._pure.read import Reader
from maxstage._pure.truncate import Truncated, Truncator, truncate, truncate_ends
from maxstage._version import __version__

__all__ = [
    "Capture",
    "Reader",
    "Truncated",
    "Truncator",
    "Writer",
    "__version__",
    "claim",
    "content_type",
    "count_newlines",
    "rename",
    "sync_file_system",
    "truncate",
    "truncate_ends",
]
