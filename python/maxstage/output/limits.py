"""The limits of output: one type, one validator, wherever they come from.

>>> outer = Limits.parse({"max_stdout_bytes": "64KiB", "truncation_strategy": "both"})
>>> inner = Limits.parse({"max_lines": 10})
>>> merged = outer.override(inner)
>>> merged.max_stdout_bytes, merged.truncation_strategy, merged.max_lines
(65536, 'both', 10)
"""

from __future__ import annotations

from maxstage.config_file import show, unknown
from maxstage.errors import Error
from maxstage.humanize import counted
from maxstage.output.cleanup import KIND as CLEANUP_STRATEGY
from maxstage.output.kinds import CODEC, COUNT, DIRECTORY, SIZE, choice, optional
from maxstage.output.strategies import DEFAULT, STRATEGIES
from maxstage.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from maxstage.output.cleanup import CleanupStrategy

_SMALL = 1024
"""A limit of fewer bytes gets a warning: it is less than a screenful."""
_LARGE = 100 * 1024 * 1024
"""A limit of more bytes gets a warning: this much memory is used for each running task."""


class LimitsError(Error, ValueError):
    """Limits are not valid; all problems are reported.

    Attributes:
        problems: What is wrong, by the name of the limit.
    """

    def __init__(self, problems: dict[str, str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems.values()))

    @property
    def names(self) -> list[str]:
        """The limits at fault."""
        return list(self.problems)


class Limits(Record):
    """The limits of a workflow, a task or a command. All are optional; sizes are bytes.

    Attributes:
        max_stdout_bytes: The most that is kept of stdout, marker included.
        max_stderr_bytes: The most that is kept of stderr.
        max_combined_bytes: The most that is kept of both together; stderr is cut last.
        truncation_strategy: What is kept, a name in `maxstage.output.strategies.STRATEGIES`.
        max_lines: For the strategies that count lines; the limit in bytes applies, too.
        max_context_bytes: The most context that is injected into one prompt, everything included.
        max_context_tokens: The same in tokens; None for no limit.
        max_context_tasks: The most tasks whose output is injected into one prompt.
        external_storage_threshold: The full output is kept if it is larger than this, or was cut; None for never.
        external_storage_dir: Where it is kept; None for the project's store.
        compress_external: Whether it is compressed, or by which codec: true is ``gzip``.
        cleanup_strategy: Which outputs a run keeps when it prunes; None for all.
        prune_every_tasks: The number of tasks after which a run prunes automatically.
        prune_memory_bytes: The size of the outputs in a run's state above which they are moved into the store.
    """

    max_stdout_bytes: int = 1024 * 1024
    max_stderr_bytes: int = 256 * 1024
    max_combined_bytes: int = 1536 * 1024
    truncation_strategy: str = DEFAULT
    max_lines: int = 1000
    max_context_bytes: int = 100 * 1024
    max_context_tokens: int | None = None
    max_context_tasks: int = 10
    external_storage_threshold: int | None = 5 * 1024 * 1024
    external_storage_dir: str | None = None
    compress_external: bool | str = True
    cleanup_strategy: CleanupStrategy | None = None
    prune_every_tasks: int = 50
    prune_memory_bytes: int = 64 * 1024 * 1024

    @property
    def given(self) -> frozenset[str]:
        """The names of the fields that were set, to their defaults or not, which `override` takes over."""
        return self.__dict__["_given"]  # type: ignore[no-any-return]

    def _complete(self, given: frozenset[str]) -> None:
        """Check the values; sizes may be text."""
        values = {name: self.__dict__[name] for name in given}
        self.__dict__.update(_check({k: v for k, v in values.items() if v != self.defaults[k]}))
        self.__dict__["_given"] = given

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Limits:
        """Read limits from a mapping, as YAML, TOML, JSON or options give it.

        Raises:
            LimitsError: A name is unknown or a value is not valid; all problems are reported.
        """
        return cls(**_check(values))

    def override(self, inner: Limits) -> Limits:
        """Return these limits with those fields of `inner` that were set there."""
        return self.replace(**{name: getattr(inner, name) for name in inner.given})

    def replace(self, **changes: Any) -> Limits:
        """Return these limits with other values in some fields; those count as set then."""
        return Limits(**({name: getattr(self, name) for name in self.given} | changes))

    def warnings(self) -> list[str]:
        """Return what is allowed but looks wrong."""
        found = []
        for name in sorted(name for name, kind in _KINDS.items() if kind.is_size):
            size = getattr(self, name)
            if size is not None and size < _SMALL:
                found.append(
                    f"{name} is {counted(size, 'byte')}: below 1 KiB there is room for little but the marker"
                )
            elif size is not None and size > _LARGE:
                found.append(
                    f"{name} is {counted(size, 'byte')}: above 100 MiB tasks that run in parallel may run out of memory"
                )
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, as `parse` takes them."""
        values = self._values()
        if self.cleanup_strategy is not None:
            values["cleanup_strategy"] = self.cleanup_strategy.to_dict()
        return values


_KINDS = {
    "max_stdout_bytes": SIZE,
    "max_stderr_bytes": SIZE,
    "max_combined_bytes": SIZE,
    "truncation_strategy": choice(*STRATEGIES),
    "max_lines": COUNT,
    "max_context_bytes": SIZE,
    "max_context_tokens": optional(COUNT),
    "max_context_tasks": COUNT,
    "external_storage_threshold": optional(SIZE),
    "external_storage_dir": optional(DIRECTORY),
    "compress_external": CODEC,
    "cleanup_strategy": optional(CLEANUP_STRATEGY),
    "prune_every_tasks": COUNT,
    "prune_memory_bytes": SIZE,
}
"""What kind of value each limit has."""


def _check(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as their types; raise with all problems at once."""
    checked: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, value in values.items():
        if name not in _KINDS:
            problems[str(name)] = unknown("limit", str(name), list(_KINDS))
            continue
        try:
            checked[name] = _KINDS[name].parse(value)
        except ValueError as error:
            problems[name] = f"{name} {error}, not {show(value)}"
    if problems:
        raise LimitsError(problems)
    return checked


def limits_schema(schema: dict[str, Any]) -> None:
    """Put the limits into a part of a JSON Schema, for editors."""
    defaults = Limits().to_dict()
    schema["properties"] = {name: kind.schema | {"default": defaults[name]} for name, kind in _KINDS.items()}
    schema["additionalProperties"] = False
