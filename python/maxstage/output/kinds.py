"""The kinds of values that limits have: how each is parsed, and its JSON Schema."""

from maxstage.codecs import CODECS
from maxstage.sizes import MOST_COUNT, parse_count, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Kind:
    """A kind of value.

    Attributes:
        parse: Converts what YAML, TOML, JSON or an option gives; raises `ValueError`, which says what is expected.
        schema: Its JSON Schema.
        is_size: Whether it is a number of bytes.
    """

    __slots__ = ("is_size", "parse", "schema")

    def __init__(
        self, parse: "Callable[[object], Any]", schema: "dict[str, Any]", *, is_size: bool = False
    ) -> None:
        self.parse = parse
        self.schema = schema
        self.is_size = is_size


def _count(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = parse_count(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("must be a whole number, 1 or more")
    return min(value, MOST_COUNT)


def _directory(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be the path of a directory")
    return value


SIZE = Kind(parse_size, {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}]}, is_size=True)
COUNT = Kind(_count, {"type": "integer", "minimum": 1})
DIRECTORY = Kind(_directory, {"type": "string"})


def _codec(value: object) -> bool | str:
    if not isinstance(value, bool) and not (isinstance(value, str) and value in CODECS):
        raise ValueError(f"must be true, false or one of: {', '.join(CODECS)}")
    return value


CODEC = Kind(_codec, {"anyOf": [{"type": "boolean"}, {"enum": list(CODECS)}]})
"""As `maxstage.codecs.codec_named` takes it."""


def choice(*names: str) -> Kind:
    """Return the kind of a value that is one of these names."""

    def parse(value: object) -> str:
        if value not in names:
            raise ValueError(f"must be one of: {', '.join(names)}")
        return str(value)

    return Kind(parse, {"enum": list(names)})


def optional(kind: Kind) -> Kind:
    """Return the kind of a value that is of another kind, or None."""
    return Kind(
        lambda value: None if value is None else kind.parse(value),
        {"anyOf": [kind.schema, {"type": "null"}]},
        is_size=kind.is_size,
    )
