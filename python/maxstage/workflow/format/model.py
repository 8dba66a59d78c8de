"""Parts of a format: classes whose fields each have a kind, from which files are read and the JSON Schema is made.

All that is wrong with a value is told at once, each at its own place, and what is right of it is read nevertheless.

>>> class Point(Model):
...     '''A place.'''
...     x: int = field(Integer())
...     y: int = field(Integer(least=0), default=0)
>>> told = []
>>> class Told(Reader):
...     def tell(self, path, text):
...         told.append((path, text))
>>> Told().part(Point, (), {"x": 1}).y
0
>>> Told().part(Point, ("p",), {"y": -1, "z": 2}) is BAD
True
>>> told
[(('p', 'y'), 'y: must be at least 0'), (('p', 'z'), "unknown field 'z'"), (('p',), "field 'x' is missing")]
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from maxstage.humanize import printable
from maxstage.workflow.format.references import as_text

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import ClassVar, Self, dataclass_transform

    from maxstage.workflow.format.yaml_source import Path
else:

    def dataclass_transform(**_: object) -> Callable[[type], type]:
        """Do nothing: it is for type checkers."""
        return lambda cls: cls


_SHOWN = 60
"""Characters of a name that a message shows."""

BAD: Final[Any] = object()
"""What reading returns instead of a value that is invalid; why has been told then."""
_REQUIRED: Final[Any] = object()

Definitions = dict[str, Any]
"""The JSON Schemas of the parts, by the names of their classes."""


def named(path: Path) -> str:
    """Return what messages call the value at a path.

    >>> named(("a", "args")), named(("a", "args", 1))
    ('args', 'args[1]')
    """
    name = path[-1] if path else ""
    if isinstance(name, int) and len(path) > 1:
        return f"{named(path[:-1])}[{name}]"
    return printable(str(name), _SHOWN) or '""'  # an empty name is nothing to be seen


class Reader:
    """Reads plain data. Subclasses say what becomes of what is wrong with it.

    Attributes:
        lenient: Whether unknown fields are no errors.
    """

    lenient = False

    def tell(self, path: Path, text: str) -> None:
        """Take a message about the value at a path."""

    def leave_out(self, path: Path, value: Any) -> None:
        """Take note that the value at a path is invalid, and not part of what is read."""

    def unknown(self, path: Path, value: Any, _model: type[Model] | None) -> None:
        """Take note of a field that a part doesn't have; None as the part stands for limits."""
        self.tell(path, f"unknown field {printable(repr(path[-1]), 80)}")
        self.leave_out(path, value)

    def fault(self, path: Path, text: str) -> Any:
        """Tell what is wrong with the value at a path, and return `BAD`."""
        self.tell(path, f"{named(path)}: {text}")
        return BAD

    def part(self, model: type[Model], path: Path, value: Any) -> Any:
        """Return a part as an object of its class; `BAD` if that can't be made of it."""
        if not isinstance(value, dict):
            return self.fault(path, "must be a mapping")
        values, broken = self._fields(model, path, value)
        for name, one in model.FIELDS.items():
            if one.required and name not in values:
                if name not in broken:
                    self.tell(path, f"field {one.name!r} is missing")
                if name not in model.STAND_INS:
                    return BAD
                values[name] = model.STAND_INS[name]
        part = model(**values)
        is_whole = not (broken and model.ALL_OR_NOTHING)
        for fault in part.faults(broken):
            is_whole = False
            self.fault(path if fault.field is None else (*path, fault.field), fault.text)
        if is_whole and not broken:
            return part
        mended = part.mended() if not model.ALL_OR_NOTHING else None
        for name in part.given - (part if mended is None else mended).given:
            self.leave_out((*path, model.FIELDS[name].name), value.get(model.FIELDS[name].name))
        return BAD if mended is None else mended

    def _fields(
        self, model: type[Model], path: Path, value: dict[str, Any]
    ) -> tuple[dict[str, Any], frozenset[str]]:
        """Return the valid fields of a part, and the names of those that are invalid."""
        values: dict[str, Any] = {}
        broken = set()
        for name, one in value.items():
            here = (*path, name)
            attribute = model.NAMES.get(name)
            if attribute is None:
                self.unknown(here, one, model)
                continue
            spec = model.FIELDS[attribute]
            found = None if one is None and spec.default is None else spec.kind.read(self, here, one)
            if found is BAD:
                self.leave_out(here, one)
                broken.add(attribute)
            else:
                values[attribute] = found
        return values, frozenset(broken)


class Kind:
    """What a field's value may be."""

    def read(self, _reader: Reader, _path: Path, value: Any) -> Any:
        """Return a value as the field has it, or `BAD`."""
        return value

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        """Return its JSON Schema; the parts in it go into `_definitions`."""
        return {}

    def models(self) -> Iterator[type[Model]]:
        """Yield the parts that may stand there."""
        yield from ()


ANY = Kind()
"""Any value."""


class Text(Kind):
    """Text, which may have to match a regular expression as a whole.

    Args:
        pattern: The expression; None for any text.
        words: What it must be, in words.
    """

    def __init__(self, pattern: re.Pattern[str] | None = None, words: str = "") -> None:
        self._pattern = pattern
        self._words = words

    def read(self, reader: Reader, path: Path, value: Any) -> Any:
        """See `Kind.read`."""
        if isinstance(value, str):
            if self._pattern is not None and self._pattern.fullmatch(value) is None:
                return reader.fault(path, self._words)
            return value
        quoted = ""
        if isinstance(value, bool | int | float):
            quoted = f'; put quotes around it: "{printable(as_text(value), 40)}"'
        return reader.fault(path, f"must be text{quoted}")

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        """See `Kind.schema`."""
        pattern = {} if self._pattern is None else {"pattern": f"^{self._pattern.pattern}$"}
        return {"type": "string", **pattern}


class Flag(Kind):
    """True or false."""

    def read(self, reader: Reader, path: Path, value: Any) -> Any:
        """See `Kind.read`."""
        return value if isinstance(value, bool) else reader.fault(path, "must be true or false")

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        """See `Kind.schema`."""
        return {"type": "boolean"}


class Number(Kind):
    """A finite number.

    Args:
        least: The least that it may be.
        above: What it must be greater than.
        most: The most that it may be.
    """

    words = "must be a number"
    types: tuple[type, ...] = (int, float)
    json_type = "number"

    def __init__(
        self, least: float | None = None, above: float | None = None, most: float | None = None
    ) -> None:
        self._least, self._above, self._most = least, above, most

    def read(self, reader: Reader, path: Path, value: Any) -> Any:
        """See `Kind.read`."""
        problem = self._problem(value)
        return self.plain(value) if problem is None else reader.fault(path, problem)

    def _problem(self, value: Any) -> str | None:
        if not isinstance(value, self.types) or isinstance(value, bool):
            return self.words
        number: Any = value
        if isinstance(value, float) and not math.isfinite(value):
            return "must be a finite number"
        if self._above is not None and not number > self._above:
            return f"must be greater than {self._above:g}"
        if self._least is not None and number < self._least:
            return f"must be at least {self._least:,}"
        if self._most is not None and number > self._most:
            return f"must be at most {self._most:,}"
        return None

    def plain(self, value: Any) -> Any:
        """Return a valid number without how it was written."""
        return float(value)

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        """See `Kind.schema`."""
        bounds = {"minimum": self._least, "exclusiveMinimum": self._above, "maximum": self._most}
        return {"type": self.json_type, **{name: one for name, one in bounds.items() if one is not None}}


class Integer(Number):
    """A whole number."""

    words = "must be a whole number"
    types = (int,)
    json_type = "integer"

    def plain(self, value: Any) -> Any:
        """See `Number.plain`."""
        return int(value)


class AsWritten(Number):
    """A finite number, which remembers how it was written."""

    def plain(self, value: Any) -> Any:
        """See `Number.plain`."""
        return value


class OneOf(Kind):
    """One of some texts."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def read(self, reader: Reader, path: Path, value: Any) -> Any:
        """See `Kind.read`."""
        if isinstance(value, str) and value in self._names:
            return value
        *others, last = map(repr, self._names)
        return reader.fault(path, f"must be {', '.join(others)} or {last}" if others else f"must be {last}")

    def schema(self, _definitions: Definitions) -> dict[str, Any]:
        """See `Kind.schema`."""
        return {"enum": list(self._names)}


class ListOf(Kind):
    """A list. If one of its values is invalid, none of them is read.

    Args:
        kind: What its values may be.
        least: How many there must be.
    """

    def __init__(self, kind: Kind, least: int = 0) -> None:
        self.kind = kind
        self._least = least

    def read(self, reader: Reader, path: Path, value: Any) -> Any:
        """See `Kind.read`."""
        if not isinstance(value, list):
            return reader.fault(path, "must be a list")
        if len(value) < self._least:
            return reader.fault(path, "must not be empty")
        found = [self.kind.read(reader, (*path, number), one) for number, one in enumerate(value)]
        return BAD if any(one is BAD for one in found) else found

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        """See `Kind.schema`."""
        least = {"minItems": self._least} if self._least else {}
        return {"type": "array", "items": self.kind.schema(definitions), **least}

    def models(self) -> Iterator[type[Model]]:
        """See `Kind.models`."""
        return self.kind.models()


class MapOf(Kind):
    """A mapping whose keys the user chooses. Entries that are invalid are left out, or a stand-in takes their place.

    Args:
        kind: What its values may be.
        names: What a key must match as a whole; None for any.
        words: What a key must be, in words.
        least: How many entries there must be.
    """

    def __init__(
        self, kind: Kind, names: re.Pattern[str] | None = None, words: str = "", least: int = 0
    ) -> None:
        self.kind = kind
        self._names = names
        self._words = words
        self._least = least

    def read(self, reader: Reader, path: Path, value: Any) -> Any:
        """See `Kind.read`."""
        if not isinstance(value, dict):
            return reader.fault(path, "must be a mapping")
        if len(value) < self._least:
            return reader.fault(path, "must not be empty")
        found = {}
        for name, one in value.items():
            here = (*path, name)
            inside = self.kind.read(reader, here, one)
            if self._names is not None and self._names.fullmatch(name) is None:
                reader.fault(here, self._words)
                reader.leave_out(here, one)
                inside = None
            elif inside is BAD:
                reader.leave_out(here, one)
                inside = self._stand_in()
            if inside is not None or one is None:
                found[name] = inside
        return found

    def _stand_in(self) -> Any:
        """Return what stands for an invalid entry, so that what names it is no error as well; None for nothing."""
        model = self.kind.model if isinstance(self.kind, Part) else None
        return None if model is None else model.stand_in()

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        """See `Kind.schema`."""
        names = {} if self._names is None else {"propertyNames": {"pattern": f"^{self._names.pattern}$"}}
        least = {"minProperties": self._least} if self._least else {}
        return {"type": "object", "additionalProperties": self.kind.schema(definitions), **names, **least}

    def models(self) -> Iterator[type[Model]]:
        """See `Kind.models`."""
        return self.kind.models()


class Part(Kind):
    """A part with fields of its own.

    Args:
        model: Its class, or a function that returns it, for a class that is made later.
    """

    def __init__(self, model: type[Model] | Callable[[], type[Model]]) -> None:
        self._model = model

    @property
    def model(self) -> type[Model]:
        """Its class."""
        return self._model if isinstance(self._model, type) else self._model()

    def read(self, reader: Reader, path: Path, value: Any) -> Any:
        """See `Kind.read`."""
        return reader.part(self.model, path, value)

    def schema(self, definitions: Definitions) -> dict[str, Any]:
        """See `Kind.schema`."""
        name = self.model.__name__
        if name not in definitions:
            definitions[name] = None  # for a part that contains itself
            definitions[name] = self.model.json_schema(definitions)
        return {"$ref": f"#/$defs/{name}"}

    def models(self) -> Iterator[type[Model]]:
        """See `Kind.models`."""
        yield self.model


class Fault(NamedTuple):
    """What is wrong with a part whose fields are each valid.

    Attributes:
        text: What is wrong.
        field: The name of the field at fault; None if none of them is more so than the others.
    """

    text: str
    field: str | None = None


class Field:
    """A field of a part.

    Attributes:
        kind: What its value may be.
        default: Its default; `None` also allows ``null``.
        name: Its name in files.
    """

    __slots__ = ("default", "kind", "name")

    def __init__(self, kind: Kind, default: Any, name: str) -> None:
        self.kind = kind
        self.default = default
        self.name = name

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is _REQUIRED


def field(kind: Kind, *, default: Any = _REQUIRED, name: str = "") -> Any:
    """Return a field for the body of a class.

    Args:
        kind: What its value may be.
        default: Its default. Without one it must be given.
        name: Its name in files, if that is no name in Python.
    """
    return Field(kind, default, name)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class Model:
    """A part of a format, which can't be changed.

    Attributes:
        given: The attributes that were given, not taken from the defaults.
    """

    FIELDS: ClassVar[Mapping[str, Field]] = {}
    """The fields by attribute."""
    NAMES: ClassVar[Mapping[str, str]] = {}
    """The attribute of each field, by its name in files."""
    ALL_OR_NOTHING: ClassVar[bool] = False
    """Whether a part with one invalid field is of no use: its fields need each other."""
    STAND_INS: ClassVar[Mapping[str, Any]] = {}
    """What takes the place of required fields that are invalid, so that the rest can be checked."""
    given: frozenset[str]

    def __init_subclass__(cls) -> None:
        """Record the fields of the class."""
        own = {name: value for name, value in cls.__dict__.items() if isinstance(value, Field)}
        for name, value in own.items():
            value.name = value.name or name
        cls.FIELDS = {**cls.FIELDS, **own}
        cls.NAMES = {value.name: name for name, value in cls.FIELDS.items()}

    def __init__(self, **values: Any) -> None:
        unknown = values.keys() - self.FIELDS.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {min(unknown)!r}")
        for name, one in self.FIELDS.items():
            if name in values:
                value = values[name]
            elif one.required:
                raise TypeError(f"{type(self).__name__} needs {name!r}")
            else:
                value = one.default.copy() if isinstance(one.default, dict | list) else one.default
            self.__dict__[name] = value
        self.__dict__["given"] = frozenset(values)

    def faults(self, _broken: frozenset[str]) -> Iterable[Fault]:
        """Yield what is wrong with it although each field is valid.

        Args:
            _broken: The attributes whose value in the file is invalid, which have their default here.
        """
        return ()

    def mended(self) -> Self | None:
        """Return as much of it as fits together, to be checked further; None if it is to be left out.

        Called if it has faults, or invalid fields.
        """
        return None if any(self.faults(frozenset())) else self

    def those_of(self, broken: frozenset[str], *names: str) -> list[str]:
        """Return those of some attributes, by their names in files, that the file has."""
        return [self.FIELDS[name].name for name in names if self.__dict__[name] is not None or name in broken]

    @classmethod
    def stand_in(cls) -> Self | None:
        """Return what stands for an entry of this class that is invalid; None for nothing."""
        return None

    def replace(self, **changes: Any) -> Self:
        """Return a copy with other values in some fields."""
        return type(self)(**{name: self.__dict__[name] for name in self.given} | changes)

    def plain(self) -> dict[str, Any]:
        """Return the fields by their names in files."""
        return {one.name: self.__dict__[name] for name, one in self.FIELDS.items()}

    @classmethod
    def json_schema(cls, definitions: Definitions) -> dict[str, Any]:
        """Return its JSON Schema; the parts in it go into `definitions`."""
        found: dict[str, Any] = {"type": "object", "description": (cls.__doc__ or "").partition("\n")[0]}
        found["properties"] = {one.name: _schema(one, definitions) for one in cls.FIELDS.values()}
        required = [one.name for one in cls.FIELDS.values() if one.required]
        return {**found, **({"required": required} if required else {}), "additionalProperties": False}

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} can't be changed: use replace({name}=…)")

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={self.__dict__[name]!r}" for name in self.FIELDS if name in self.given)
        return f"{type(self).__name__}({values})"


def _schema(one: Field, definitions: Definitions) -> dict[str, Any]:
    made = one.kind.schema(definitions)
    if one.default is None and made:
        made = {"anyOf": [made, {"type": "null"}]}
    is_plain = isinstance(one.default, bool | int | float | str | list | dict)
    return made | ({"default": one.default} if is_plain else {})
