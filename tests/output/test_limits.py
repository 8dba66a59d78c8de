"""Limits: one validator for all who set them."""

import copy
import pickle

import pytest

from maxstage import CleanupStrategy, Limits, LimitsError

DEFAULTS = {
    "max_stdout_bytes": 1048576,
    "max_stderr_bytes": 262144,
    "max_combined_bytes": 1572864,
    "truncation_strategy": "tail",
    "max_lines": 1000,
    "max_context_bytes": 102400,
    "max_context_tokens": None,
    "max_context_tasks": 10,
    "external_storage_threshold": 5242880,
    "external_storage_dir": None,
    "compress_external": True,
    "cleanup_strategy": None,
    "prune_every_tasks": 50,
    "prune_memory_bytes": 67108864,
}


def test_defaults_are_those_of_the_contract():
    assert Limits().to_dict() == DEFAULTS
    assert Limits.parse({}) == Limits()
    assert Limits.parse(DEFAULTS) == Limits()


def test_sizes_may_be_text():
    limits = Limits.parse(
        {"max_stdout_bytes": "512KiB", "max_lines": "7", "external_storage_threshold": None}
    )
    assert (limits.max_stdout_bytes, limits.max_lines, limits.external_storage_threshold) == (524288, 7, None)
    assert Limits(max_stdout_bytes="1MB").max_stdout_bytes == 1_000_000
    assert Limits(cleanup_strategy={"type": "lru"}).cleanup_strategy == CleanupStrategy("lru", 20)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_stdout_bytes", 0),
        ("max_stdout_bytes", -1),
        ("max_stdout_bytes", "many"),
        ("max_stdout_bytes", None),
        ("max_stdout_bytes", True),
        ("max_lines", 0),
        ("max_lines", "1KiB"),
        ("max_context_tokens", 0),
        ("truncation_strategy", "middle"),
        ("compress_external", "yes"),
        ("external_storage_dir", ""),
        ("cleanup_strategy", {"type": "oldest"}),
        ("cleanup_strategy", {"keep": 1}),
        ("cleanup_strategy", {"keep_count": 0}),
        ("cleanup_strategy", "lru"),
    ],
)
def test_bad_values_are_named(name, value):
    for make in (lambda: Limits.parse({name: value}), lambda: Limits(**{name: value})):
        with pytest.raises(LimitsError, match=name) as error:
            make()
        assert "must be" in str(error.value)


def test_all_problems_are_told_at_once():
    with pytest.raises(LimitsError) as error:
        Limits.parse({"max_stdout_byte": 1, "max_lines": 0, "colour": "red"})
    assert len(error.value.problems) == 3
    assert "did you mean 'max_stdout_bytes'?" in error.value.problems["max_stdout_byte"]


def test_fields_that_were_set_override_one_by_one():
    outer = Limits.parse({"max_lines": 5, "max_stdout_bytes": 100})
    # A value that is the default still counts where it was given.
    inner = Limits.parse({"max_lines": 1000, "truncation_strategy": "head"})
    merged = outer.override(inner)
    assert (merged.max_lines, merged.max_stdout_bytes, merged.truncation_strategy) == (1000, 100, "head")
    assert outer.override(merged) == merged
    assert Limits(max_lines=3).override(Limits()).max_lines == 3


def test_what_was_set_to_its_default_overrides_too():
    outer = Limits(max_stdout_bytes=2000, truncation_strategy="head", max_lines=7)
    inner = Limits(1024 * 1024, truncation_strategy="tail")
    assert inner.given == {"max_stdout_bytes", "truncation_strategy"}
    for one in (inner, copy.deepcopy(inner), pickle.loads(pickle.dumps(inner)), inner.replace()):
        assert one == inner
        merged = outer.override(one)
        assert (merged.max_stdout_bytes, merged.truncation_strategy, merged.max_lines) == (1048576, "tail", 7)
    assert Limits().replace(max_lines=8).given == {"max_lines"}
    assert Limits().given == Limits.parse({}).given == Limits().override(Limits()).given == frozenset()


def test_warnings():
    assert Limits().warnings() == []
    small, large = Limits(max_stdout_bytes=1023, max_stderr_bytes="101MiB").warnings()[::-1]
    assert "max_stdout_bytes" in small
    assert "below 1 KiB" in small
    assert "above 100 MiB" in large


def test_limits_do_not_change():
    with pytest.raises(AttributeError, match=r"Limits can't be changed: use replace\(max_lines=…\)"):
        Limits().max_lines = 3
