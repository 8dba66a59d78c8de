"""The command line: one file a verb, each thin: parse, call, print. `main` starts it."""

# The C module behind `signal`, whose own import makes enums of all signals: 4 ms, as long as staging takes.
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
    """Finds the modules of this package, which lie where their names say, and leaves all else to Python's own finders.

    Those list each folder, and ask several places for each name: a millisecond for what a small command imports.
    """

    @staticmethod
    def find_spec(name: str, path: "Sequence[str] | None", _target: object = None) -> "ModuleSpec | None":
        """Return where a module is; None where this can't tell. See `importlib.abc.MetaPathFinder`."""
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
"""What has loaded this module: as a rule `importlib.machinery.SourceFileLoader`, which would have to be imported."""

_OURS = f"{__package__.partition('.')[0]}."


def main() -> "NoReturn":
    """Run the command line with this process's arguments and exit."""
    # Until something is begun that wants to be cleaned up, Ctrl-C ends us as it ends any program: an import that it
    # interrupts would show a traceback, or swallow it. `maxstage.cli.process.catch_signals` is the end of that.
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    # Imports make no garbage, and would make Python look for it ten times. `catch_signals` is the end of this, too.
    gc.disable()
    if _loader.__name__ == "SourceFileLoader":  # not out of an archive, say
        sys.meta_path.insert(0, _Finder)
    from maxstage.cli.process import finish, run

    code = finish(run(command, sys.argv[1:]))
    threading = sys.modules.get("threading")
    if threading is None or threading.active_count() == 1:
        # Nothing runs and nothing is unwritten: taking the interpreter apart would cost a tenth of a small command.
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                try:
                    stream.flush()
                except OSError:
                    code = code or 1  # there is nobody left to tell
        os._exit(code)
    sys.exit(code)


def command(args: list[str]) -> int:
    """Run the command that `args` name, the short way if there is one; return its exit code."""
    from maxstage.cli import fast_path

    code = fast_path.run(args)
    if code is None:
        from maxstage.cli.dispatch import dispatch

        code = dispatch(args)
    return code
