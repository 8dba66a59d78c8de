"""What happens to a run on an engine whose parts are killed, stopped or cut off: one round of each (see `rounds`)."""

import pytest
import rounds

pytestmark = [pytest.mark.remote, pytest.mark.stress]


@pytest.mark.parametrize("name", rounds.SCENARIOS)
def test_each_is_done_once_and_never_by_two(name, tmp_path):
    engines = pytest.importorskip("engines")
    if engines.MISSING:
        pytest.skip("temporalio is not installed: make test-remote")
    (tmp_path / "engine").mkdir()
    (tmp_path / "round").mkdir()
    engine = engines.Engine(tmp_path / "engine")
    engine.start()
    try:
        rounds.play(name, tmp_path / "round", engine, 0.5)
    finally:
        engine.stop()
