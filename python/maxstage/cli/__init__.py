"""The command line: a thin module for each verb, which parses, calls and prints. `main` starts it."""

# The C module behind `signal`: importing `signal` makes enums of all signals, 4 ms, as long as staging takes.
import _signal  # type: ignore[import-not-found]
import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from typing import Any, NoReturn


class _Finder:
    """Finds the modules of this package directly by their names, and leaves all others to Python's own finders.

    Those list each folder and try several places for each name, which costs a small command a millisecond.
    """

    @staticmethod
    def find_spec(name: str, path: "Sequence[str] | None", _target: object = None) -> "ModuleSpec | None":
        """Return the spec of a module, or None if it isn't found. See `importlib.abc.MetaPathFinder`."""
        if path is None or not name.startswith(_OURS):
            return None
        folder = f"{path[0]}/{name.rpartition('.')[2]}"
        for file, is_package in ((f"{folder}.py", False), (f"{folder}/__init__.py", True)):
            try:
                os.stat(file)
            except OSError:
                continue
            spec = type(__spec__)(name, _loader(name, file), origin=file, is_package=is_package)
            spec.has_location = True
            if is_package:
                spec.submodule_search_locations = [folder]
            return spec
        return None


_loader: "Any" = type(__spec__.loader)
"""The loader of this module, normally `importlib.machinery.SourceFileLoader`, which would have to be imported."""

_OURS = f"{__package__.partition('.')[0]}."


def main() -> "NoReturn":
    """Run the command line with this process's arguments and exit."""
    # Until there is anything to clean up, Ctrl-C ends the process directly: an interrupted import would print a
    # traceback, or swallow the exception. `maxstage.cli.process.catch_signals` changes that.
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    # Imports produce no garbage, but would start ten collections. `catch_signals` turns them on again.
    gc.disable()
    if _loader.__name__ == "SourceFileLoader":  # not from an archive, for instance
        sys.meta_path.insert(0, _Finder)
    from maxstage.cli.process import finish, run

    code = finish(run(command, sys.argv[1:]))
    threading = sys.modules.get("threading")
    # The threads of Temporal's library may die of a lost connection while the interpreter shuts down.
    if threading is None or threading.active_count() == 1 or "temporalio" in sys.modules:
        # Nothing is running or unwritten: shutting down the interpreter would take a tenth of a small command's time.
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                try:
                    stream.flush()
                except OSError:
                    code = code or 1  # there is nowhere left to report it
        os._exit(code)
    sys.exit(code)


def command(args: list[str]) -> int:
    """Run the command that `args` name, on the fast path if possible; return its exit code."""
    from maxstage.cli import fast_path

    code = fast_path.run(args)
    if code is None:
        from maxstage.cli.dispatch import dispatch

        code = dispatch(args)
    return code
