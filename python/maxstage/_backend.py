"""The one place that chooses between the compiled module and its pure-Python twin.

``MAXSTAGE_BACKEND=rust|python`` decides; if unset, the compiled module is used if there is one. A compiled module of
another version than the Python code is refused: left over from an upgrade, it would fail later in stranger ways.
"""

import os

from maxstage import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maxstage import _core as core

__all__ = ["backend", "core"]

_CHOICES = ("rust", "python")


def _choose() -> tuple[str, object]:
    """Return the name of the backend and its module."""
    choice = os.environ.get("MAXSTAGE_BACKEND", "")
    if choice not in {"", *_CHOICES}:
        raise ImportError(f"MAXSTAGE_BACKEND={choice!r} is not a backend; use one of: {', '.join(_CHOICES)}")
    compiled = None if choice == "python" else _load_compiled()
    if compiled is not None:
        return "rust", compiled
    if choice == "rust":
        raise ImportError(
            "MAXSTAGE_BACKEND=rust, but this installation has no compiled module; "
            "unset it or install a wheel for this platform"
        )
    from maxstage import _pure

    return "python", _pure


def _load_compiled() -> object | None:
    """Return the compiled module; None if this installation has none."""
    try:
        import maxstage._core as _core  # noqa: PLR0402 - "from maxstage import" would hide that it is missing
    except ModuleNotFoundError:
        return None
    if _core.__version__ != __version__:
        raise ImportError(
            f"maxstage {__version__} found a compiled module of version {_core.__version__} beside it. "
            "Reinstall: pip install --force-reinstall maxstage"
        )
    return _core


backend: str
# The twin has the signatures of the stub; stubtest and the parity tests check both.
backend, core = _choose()  # type: ignore[assignment]
