"""Values with named fields, a replacement for `dataclasses`.

Importing `dataclasses` imports `inspect`, which takes longer than anything else that ``max exec`` imports.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, Self, dataclass_transform
else:

    def dataclass_transform(**_: object) -> "Callable[[type], type]":
        """Do nothing: it is for type checkers."""
        return lambda cls: cls


class _Made:
    """A default that is created for each record."""

    __slots__ = ("make",)

    def __init__(self, make: "Callable[[], object]") -> None:
        self.make = make


def made_by(*, default_factory: "Callable[[], Any]") -> "Any":
    """Return the default of a field, which `default_factory` creates for each record."""
    return _Made(default_factory)


@dataclass_transform(frozen_default=True, field_specifiers=(made_by,))
class Record:
    """An immutable value with named fields. Two are equal if their classes are the same and their fields are equal.

    A subclass lists its fields as annotations, with their defaults. Its module must either quote annotations or
    begin with ``from __future__ import annotations``.

    >>> class Point(Record):
    ...     x: "int"
    ...     y: "int" = 0
    >>> Point(1), Point(1).replace(y=2) == Point(1, y=2)
    (Point(x=1, y=0), True)
    """

    fields: "ClassVar[tuple[str, ...]]"
    """The names of the fields, in order."""
    defaults: "ClassVar[dict[str, Any]]"
    """The defaults of the fields that have one."""

    def __init_subclass__(cls) -> None:
        """Record the fields of the class."""
        cls.fields = tuple(cls.__annotations__)
        cls.defaults = {name: cls.__dict__[name] for name in cls.fields if name in cls.__dict__}

    def __init__(self, *args: "Any", **values: "Any") -> None:
        fields, kind = self.fields, type(self).__name__
        if len(args) > len(fields):
            raise TypeError(f"{kind} has {len(fields)} fields, and {len(args)} values were given")
        given = dict(zip(fields, args, strict=False))
        for name, value in values.items():
            if name not in fields:
                raise TypeError(f"{kind} has no field {name!r}")
            if name in given:
                raise TypeError(f"{kind} was given {name!r} twice")
            given[name] = value
        for name in fields:
            if name in given:
                value = given[name]
            elif name in self.defaults:
                default = self.defaults[name]
                value = default.make() if isinstance(default, _Made) else default
            else:
                raise TypeError(f"{kind} needs {name!r}")
            self.__dict__[name] = value
        self._complete(frozenset(given))

    def _complete(self, given: "frozenset[str]") -> None:
        """Check a new record; `given` are the fields that were passed. It may still change, by ``self.__dict__``."""

    def replace(self, **changes: "Any") -> "Self":
        """Return a copy with other values in some fields."""
        return type(self)(**(self._values() | changes))

    __replace__ = replace  # for `copy.replace`

    def _values(self) -> "dict[str, Any]":
        return {name: self.__dict__[name] for name in self.fields}

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} can't be changed: use replace({name}=…)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} can't be changed")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(tuple(self._values().values()))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self._values().items())
        return f"{type(self).__name__}({values})"
