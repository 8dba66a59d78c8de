"""A TOML file with settings, and where its keys are. Imported only if there is one with any settings."""

from maxstage.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_SHOWN = 60
"""The most characters of a value that an error quotes."""


class ConfigFile:
    """A parsed file.

    Attributes:
        table: Its content.
    """

    def __init__(self, path: str, content: bytes) -> None:
        import tomllib

        self._path = path
        try:
            self._text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise ConfigError(f"{path}:{line}: not UTF-8") from None
        try:
            self.table: dict[str, Any] = tomllib.loads(self._text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{path} is not TOML: {clip(str(error), 200)}") from None

    def error(self, keys: "Sequence[str]", message: str) -> ConfigError:
        """Return an error about a key; `keys` are the tables that it is in and the key itself."""
        return ConfigError(f"{self._path}:{self._line_of(keys)}: {message}")

    def _line_of(self, keys: "Sequence[str]") -> int:
        """Return the line where a key, or the innermost of its tables that is found, is set; tomllib has no lines."""
        import re

        # Blank out multi-line strings, which contain no keys.
        text = re.sub(
            r'"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'',
            lambda match: "\n" * match[0].count("\n"),
            self._text,
            flags=re.DOTALL,
        )
        part = r"""\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)\s*"""
        line_of_key = re.compile(rf"\s*(\[?\[?)({part}(?:\.{part})*)[\]=]")
        table: list[str] = []
        depth, found = 0, 1
        for number, line in enumerate(text.split("\n"), 1):
            match = line_of_key.match(line)
            if match is None:
                continue
            names = [name.strip().strip("\"'") for name in re.findall(part, match[2])]
            if match[1]:
                table = names
            else:
                names = table + names
            common = next(
                (i for i, (a, b) in enumerate(zip(keys, names, strict=False)) if a != b),
                min(len(keys), len(names)),
            )
            if common > depth:
                depth, found = common, number
        return found


def clip(text: str, most: int = _SHOWN) -> str:
    """Return text on one line, cut to `most` characters."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def show(value: object) -> str:
    """Return a value as errors quote it: on one line, and shortened."""
    try:
        return clip(repr(value))
    except ValueError:
        return "a number of thousands of digits"  # which Python refuses to write out


def unknown(kind: str, name: str, known: "Sequence[str]") -> str:
    """Return a message that a name is unknown, with what was probably meant."""
    import difflib  # only needed for errors

    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"use one of: {', '.join(known)}"
    return f"unknown {kind} {show(name)}; {hint}"
