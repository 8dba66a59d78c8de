"""What the values of fields may be, beside the kinds that any format has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from maxstage.output.limits import Limits, LimitsError, limits_schema
from maxstage.sizes import parse_size
from maxstage.workflow.format.model import BAD, Flag, Integer, Kind, ListOf, MapOf, Number, Text
from maxstage.workflow.format.references import PATTERN

if TYPE_CHECKING:
    from maxstage.workflow.format.model import Definitions, Reader
    from maxstage.workflow.format.yaml_source import Path

LONGEST = 1_000_000_000
"""Thirty years, in seconds; the system's clocks allow little more."""
_MOST = 2**53
"""The largest whole number that every program reads exactly."""
MODES = ("default", "acceptEdits", "plan", "bypassPermissions")
"""What an agent may do without being asked, as the upstream DSL and Claude Code call it."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_VARIABLE = re.compile(r"[^=]+")
_OF_NAMES = "a name may have letters, digits, _ and -, and must not begin with a digit"
_OF_VARIABLES = "a variable's name must not be empty or contain ="

QUEUE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
"""The name of a queue; the engine takes longer ones, and nobody wants them."""
OF_QUEUES = "a queue's name has letters, digits, '_', '.' and '-', 100 at most"

TEXT = Text()
FLAG = Flag()
TEXTS = ListOf(TEXT)
NAME = Text(_NAME, "must be a name: letters, digits, _ and -, and no digit first")
VARIABLE = Text(_VARIABLE, _OF_VARIABLES)
VARIABLES = MapOf(TEXT, _VARIABLE, _OF_VARIABLES)
SECONDS = Number(least=0, most=LONGEST)
PRIORITY = Integer(least=-_MOST, most=_MOST)
COUNTED = Integer(least=1, most=_MOST)


class Named(MapOf):
    """Entries whose names the user chooses.

    Args:
        kind: What they may be.
        least: How many there must be.
    """

    def __init__(self, kind: Kind, least: int = 0) -> None:
        super().__init__(kind, _NAME, _OF_NAMES, least)


class OrReference(Kind):
    """A number, or a reference to one."""

    def __init__(self, number: Number) -> None:
        self._number = number

    def read(self, reader: Reader, path: Path, value: Any) -> Any:
        """See `Kind.read`."""
        if not isinstance(value, str):
            return self._number.read(reader, path, value)
        if PATTERN.fullmatch(value) is not None:
            return value
        return reader.fault(path, "must be a number, or a reference like {{ inputs.n }}")

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        """See `Kind.schema`."""
        return {"anyOf": [self._number.schema(definitions), {"type": "string"}]}


NUMBER = OrReference(PRIORITY)
COUNT = OrReference(Integer(least=0, most=_MOST))
TIMEOUT = OrReference(Number(above=0, most=LONGEST))


class Size(Kind):
    """A number of bytes, or text with a unit."""

    def read(self, reader: Reader, path: Path, value: Any) -> Any:
        """See `Kind.read`."""
        if isinstance(value, bool) or not isinstance(value, int | str):
            return reader.fault(path, "must be a whole number or text")
        try:
            parse_size(value)
        except ValueError as error:
            return reader.fault(path, str(error))
        return value

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        """See `Kind.schema`."""
        return {"type": ["integer", "string"]}


class Secrets(ListOf):
    """Names of environment variables."""

    def read(self, reader: Reader, path: Path, value: Any) -> Any:
        """See `Kind.read`."""
        if isinstance(value, dict):
            return reader.fault(path, "must be a list of names of environment variables, like [API_TOKEN]")
        return super().read(reader, path, value)


class Output(Text):
    """An output of the workflow: a text that refers to tasks."""

    def read(self, reader: Reader, path: Path, value: Any) -> Any:
        """See `Kind.read`."""
        if isinstance(value, dict):
            return reader.fault(path, 'must be text, like "{{ tasks.NAME.output }}"')
        return super().read(reader, path, value)


SECRETS = Secrets(TEXT)
OUTPUT = Output()


class LimitsKind(Kind):
    """Limits, as `Limits.parse` takes them."""

    def read(self, reader: Reader, path: Path, value: Any) -> Any:
        """See `Kind.read`."""
        if not isinstance(value, dict):
            return reader.fault(path, "must be a mapping")
        for name in [name for name in value if name not in Limits.fields] if reader.lenient else ():
            reader.unknown((*path, name), value[name], None)
            value = {known: one for known, one in value.items() if known != name}
        try:
            Limits.parse(value)
        except LimitsError as error:
            for name, text in error.problems.items():
                reader.tell((*path, name), text)
            return BAD
        return value

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        """See `Kind.schema`."""
        made: dict[str, Any] = {"type": "object"}
        limits_schema(made)
        return made


LIMITS = LimitsKind()
SIZE = Size()


class Version(Text):
    """A version, which YAML may read as a number."""

    def read(self, reader: Reader, path: Path, value: Any) -> Any:
        """See `Kind.read`."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return super().read(reader, path, str(value) if is_number else value)

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        """See `Kind.schema`."""
        return {"type": ["string", "number"]}


VERSION = Version()
