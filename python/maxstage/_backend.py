"""The one place that chooses between the compiled module and its pure-Python twin.

``MAXSTAGE_BACKEND=rust|python`` decides; unset, the compiled module is used if it is there. A compiled
module of another version than the Python around it is refused: a stale file after an upgrade would
otherwise fail later and stranger.
"""

import os

from maxstage._version import __version__

TYPE_CHECKING = False

_CHOICES = ("rust", "python")


def _load_compiled() -> bool:
    """Bind the compiled module as `core`; False where this installation has none."""
    global core  # noqa: PLW0603
    try:
        from maxstage import _core
    except ModuleNotFoundError:
        return False
    if _core.__version__ != __version__:
        msg = (
            f"maxstage {__version__} found a compiled module of version {_core.__version__} beside it. "
            "Reinstall: pip install --force-reinstall maxstage"
        )
        raise ImportError(msg)
    core = _core
    return True


def _choose() -> str:
    """Bind `core` and return the name of the backend."""
    global core  # noqa: PLW0603
    choice = os.environ.get("MAXSTAGE_BACKEND", "")
    if choice not in ("", *_CHOICES):
        raise ImportError(f"MAXSTAGE_BACKEND={choice!r} is not a backend; use one of: {', '.join(_CHOICES)}")
    if choice != "python" and _load_compiled():
        return "rust"
    if choice == "rust":
        raise ImportError(
            "MAXSTAGE_BACKEND=rust, but this installation has no compiled module; "
            "unset it or install a wheel for this platform"
        )
    from maxstage import _pure

    core = _pure  # type: ignore[assignment]
    return "python"


backend: str = _choose()
