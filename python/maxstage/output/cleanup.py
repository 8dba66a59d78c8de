"""The cleanup strategies: which outputs a run keeps when it prunes.

Each is a line here, and a ranking in ``workflow/run/pruning.py``.
"""

from maxstage.config_file import unknown
from maxstage.output.kinds import COUNT, Kind, choice
from maxstage.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLEANUP = {
    "most_recent": "completed last",
    "lru": "were used last: when a prompt had them, or when they completed",
    "highest_relevance": "matter most to tasks that have not ended",
    "direct_dependencies": "(none)",
}
"""For each strategy, which outputs it keeps of those that no task is certain to need."""

DEFAULT = "most_recent"


class CleanupStrategy(Record):
    """Which outputs a run keeps when it prunes.

    Attributes:
        type: ``most_recent``, ``lru``, ``highest_relevance`` or ``direct_dependencies``.
        keep_count: How many.
    """

    type: "str" = DEFAULT
    keep_count: "int" = 20

    def to_dict(self) -> "dict[str, Any]":
        """Return both fields, as YAML, TOML and JSON have them."""
        return {"type": self.type, "keep_count": self.keep_count}


_KEYS = {"type": choice(*CLEANUP), "keep_count": COUNT}


def _parse(value: object) -> CleanupStrategy:
    if isinstance(value, CleanupStrategy):
        value = value.to_dict()
    if not isinstance(value, dict):
        raise ValueError(f"must be {{type, keep_count}}, type one of: {', '.join(CLEANUP)}")  # noqa: TRY004
    for key in value:
        if key not in _KEYS:
            raise ValueError(f"must be {{type, keep_count}} ({unknown('key', str(key), list(_KEYS))})")
    given: dict[str, Any] = {key: _KEYS[key].parse(one) for key, one in value.items()}
    return CleanupStrategy(**given)


KIND = Kind(
    _parse,
    {
        "type": "object",
        "properties": {key: kind.schema for key, kind in _KEYS.items()},
        "additionalProperties": False,
    },
)
"""How a cleanup strategy is read from YAML, TOML or JSON."""
