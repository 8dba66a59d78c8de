"""The pure-Python twin of the compiled module `_core`: same names, signatures, results and errors.

One file for each Rust module; `maxstage._backend` chooses between the two.
"""

from maxstage._pure.lines import count_newlines
from maxstage._version import __version__

__all__ = ["__version__", "count_newlines"]
