"""What the suites share: sizes, folders, one way to measure, and a table of ratios at the end.

``pytest benches`` runs them on the backend in force; ``python benches/inside.py`` runs them on both and joins
the results. A quick check is ``pytest benches --scale 0.01``. They want the group ``bench`` installed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from data import delete_gently, write_ndjson
from inside import read_figures, seconds_text

import maxstage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from pytest_benchmark.fixture import BenchmarkFixture

    Measure = Callable[..., Any]

OURS = f"maxstage ({maxstage.backend})"
"""The id of our implementation; all others are peers."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options."""
    group = parser.getgroup("maxstage")
    group.addoption("--scale", type=float, default=1.0, help="multiplies all sizes and counts (1.0)")
    group.addoption("--rounds", type=int, default=5, help="counted rounds of each benchmark (5)")
    group.addoption("--scratch", metavar="DIR", help="work in this folder, and leave what was made there")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lift the time limit that the tests have, where there is one."""
    for item in items:
        if item.config.pluginmanager.hasplugin("timeout"):
            item.add_marker(pytest.mark.timeout(0))


@pytest.fixture(scope="session")
def scale(request: pytest.FixtureRequest) -> float:
    """What all sizes are multiplied by."""
    factor: float = request.config.getoption("--scale")
    return factor


@pytest.fixture(scope="session")
def scratch(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Give a folder; it is deleted once everything is measured."""
    given = request.config.getoption("--scratch")
    folder = Path(tempfile.mkdtemp(prefix="maxstage-bench-", dir=given))
    yield folder
    if given is None:
        delete_gently(folder)


@pytest.fixture(scope="session")
def new_folder(scratch: Path) -> Callable[[], Path]:
    """Return what makes an empty folder in `scratch`."""
    return lambda: Path(tempfile.mkdtemp(dir=scratch))


@pytest.fixture(scope="session")
def text_file(scratch: Path, scale: float) -> Path:
    """A file of 256 MiB of records, times `scale`."""
    path = scratch / "text.ndjson"
    write_ndjson(path, int(256 * scale * (1 << 20)))
    return path


@pytest.fixture
def measure(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> Measure:
    """Return what measures a function and returns its last result.

    It takes the name of the group, the function, `args` (a tuple) or `setup` (returns it, called before each
    round, unmeasured), `items` (how many the function handles: results are told for each of them) and
    `iterations` of a round.
    """
    rounds: int = request.config.getoption("--rounds")

    def run(
        group: str,
        function: Callable[..., Any],
        *,
        args: tuple[Any, ...] = (),
        setup: Callable[[], tuple[Any, ...]] | None = None,
        items: int = 1,
        iterations: int = 1,
    ) -> Any:
        benchmark.group = group
        benchmark.extra_info["items"] = items
        # What others left to be written must not be written while this is measured.
        os.sync()
        return benchmark.pedantic(
            function,
            args=args if setup is None else (),
            setup=None if setup is None else lambda: (setup(), {}),
            rounds=rounds,
            warmup_rounds=1,
            iterations=iterations,
        )

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print, for each group, how long each implementation takes, and how long ours takes beside it."""
    session = getattr(config, "_benchmarksession", None)
    done = [bench for bench in session.benchmarks if bench and not bench.has_error] if session else []
    groups = read_figures([bench.as_dict(include_data=False) for bench in done])
    for group, figures in groups.items():
        terminalreporter.write_line(f"\n**{group}**\n")
        terminalreporter.write_line("| implementation | median | ours / this |\n| --- | --- | --- |")
        ours = figures.get(OURS)
        for impl, figure in sorted(figures.items(), key=lambda pair: pair[0] != OURS):
            ratio = f"{ours.median / figure.median:.3g}" if ours and impl != OURS else ""
            terminalreporter.write_line(f"| {impl} | {seconds_text(figure.median)} | {ratio} |")
