"""The pure-Python twin of the compiled module `_core`, with the same names, signatures, results and errors.

One file for each Rust module; `maxstage._backend` chooses between the two.
"""

from maxstage import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage._pure.capture import Capture, Event, StreamLimits
    from maxstage._pure.copy import Writer
    from maxstage._pure.descriptor import sync_file_system
    from maxstage._pure.detect import content_type
    from maxstage._pure.lines import count_newlines, crc32
    from maxstage._pure.place import rename_new
    from maxstage._pure.plain import Plain
    from maxstage._pure.publish import claim, rename
    from maxstage._pure.query.elements import Elements
    from maxstage._pure.query.scan import Scan
    from maxstage._pure.read import Reader
    from maxstage._pure.redact import RedactionRules, Redactor
    from maxstage._pure.truncation import Truncated, Truncator, truncate, truncate_ends

_HOMES = {
    "Capture": "capture",
    "Event": "capture",
    "StreamLimits": "capture",
    "Writer": "copy",
    "sync_file_system": "descriptor",
    "content_type": "detect",
    "count_newlines": "lines",
    "crc32": "lines",
    "rename_new": "place",
    "Plain": "plain",
    "claim": "publish",
    "rename": "publish",
    "Elements": "query.elements",
    "Scan": "query.scan",
    "Reader": "read",
    "RedactionRules": "redact",
    "Redactor": "redact",
    "Truncated": "truncation",
    "Truncator": "truncation",
    "truncate": "truncation",
    "truncate_ends": "truncation",
}
"""The module of each name, imported on first use, since staging needs only a fifth of them. (No module is named like a
function, which importing it would replace.)"""

__all__ = [
    "Capture",
    "Elements",
    "Event",
    "Plain",
    "Reader",
    "RedactionRules",
    "Redactor",
    "Scan",
    "StreamLimits",
    "Truncated",
    "Truncator",
    "Writer",
    "__version__",
    "claim",
    "content_type",
    "count_newlines",
    "crc32",
    "rename",
    "rename_new",
    "sync_file_system",
    "truncate",
    "truncate_ends",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'maxstage._pure' has no attribute {name!r}")
    home = f"maxstage._pure.{_HOMES[name]}"
    # `__import__`, since most commands don't need `importlib`.
    value: object = getattr(__import__(home, fromlist=[name]), name)
    globals()[name] = value
    return value
