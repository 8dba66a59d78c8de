"""Settings: option > environment (``MAX_…``) > ``.max/config.toml`` > default.

A missing file, or one with nothing but comments, costs no import.
"""

import os

from maxstage.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

DEFAULT_TTL_MINUTES = 60


class Settings:
    """The settings of one project.

    Attributes:
        ttl_minutes: Minutes until an item expires, at least 1; in the file also text, like "2h".
        token_bytes: Random bytes in an id, 4 to 16.
        sync: Whether items survive power loss before their token is printed.
        compress: Whether items are compressed.
        max_item_bytes: The most that one item may take, in bytes as staged; None for no limit.
        max_store_bytes: The most that all items may take on disk, in bytes; None for no limit.
        limits: The limits of output (`maxstage.output.limits.Limits`) that differ from their defaults.
        providers: Agents that workflows know by name (`maxstage.workflow.agents`).
    """

    __slots__ = (
        "compress",
        "limits",
        "max_item_bytes",
        "max_store_bytes",
        "providers",
        "sync",
        "token_bytes",
        "ttl_minutes",
    )

    def __init__(
        self,
        *,
        ttl_minutes: float = DEFAULT_TTL_MINUTES,
        token_bytes: int = 4,
        sync: bool = False,
        compress: bool = False,
        max_item_bytes: int | None = None,
        max_store_bytes: int | None = None,
        limits: "dict[str, Any] | None" = None,
        providers: "dict[str, Any] | None" = None,
    ) -> None:
        self.ttl_minutes = ttl_minutes
        self.token_bytes = token_bytes
        self.sync = sync
        self.compress = compress
        self.max_item_bytes = max_item_bytes
        self.max_store_bytes = max_store_bytes
        self.limits = limits or {}
        self.providers = providers or {}


def _integer(least: int, most: int) -> "Callable[[object], int]":
    def parse(value: object) -> int:
        from maxstage.sizes import parse_count

        number = (
            parse_count(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
        )
        if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
            raise ValueError(f"wants a whole number from {least} to {most}")
        return number

    return parse


def _boolean(value: object) -> bool:
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    if not isinstance(value, bool):
        raise ValueError("wants true or false")  # noqa: TRY004
    return value


def _table(value: object) -> "dict[str, Any]":
    if not isinstance(value, dict):
        raise ValueError("wants to be a table")  # noqa: TRY004
    return value


def _minutes(value: object) -> float:
    from maxstage.durations import parse_minutes

    return parse_minutes(value)


def _size(value: object) -> int:
    from maxstage.sizes import parse_size

    return parse_size(value)


_PARSERS: "dict[str, Callable[[object], Any]]" = {
    "ttl_minutes": _minutes,
    "token_bytes": _integer(4, 16),
    "sync": _boolean,
    "compress": _boolean,
    "max_item_bytes": _size,
    "max_store_bytes": _size,
}
_TABLES: "dict[str, Callable[[object], Any]]" = {"limits": _table, "providers": _table}
"""What only the file can say."""


def load_settings(config: str, environ: "Mapping[str, str]" = os.environ) -> Settings:
    """Read the settings of a project.

    Args:
        config: The path of its ``config.toml``, which need not exist.
        environ: The environment.

    Raises:
        ConfigError: A key is unknown or its value no good; the message names the file, line and key.
    """
    values = _read_config(config)
    for key, parse in _PARSERS.items():
        name = f"MAX_{key.upper()}"
        text = environ.get(name)
        if text:
            try:
                values[key] = parse(text)
            except ValueError as error:
                raise ConfigError(f"{name}={text!r:.80} {error}") from None
    return Settings(**values)


def _read_config(path: str) -> "dict[str, Any]":
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return {}
    if all(not line or line.startswith(b"#") for line in map(bytes.strip, content.split(b"\n"))):
        return {}
    return _parse_config(path, content)


def _parse_config(path: str, content: bytes) -> "dict[str, Any]":
    import tomllib

    try:
        text = content.decode()
        table = tomllib.loads(text)
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    values = {}
    for key, value in table.items():
        parse = (_PARSERS | _TABLES).get(key)
        if parse is None:
            known = ", ".join(_PARSERS | _TABLES)
            raise ConfigError(f"{path}:{_line_of(key, text)}: unknown setting {key!r}; known are {known}")
        try:
            values[key] = parse(value)
        except ValueError as error:
            raise ConfigError(f"{path}:{_line_of(key, text)}: {key} {error}, not {value!r:.80}") from None
    return values


def where(config: str, key: str) -> str:
    """Return file and line of a key in the settings, for an error."""
    with open(config, encoding="utf-8") as file:
        return f"{config}:{_line_of(key, file.read())}"


def _line_of(key: str, text: str) -> int:
    """Return the line where a key, or a table of that name, is set; TOML's parser doesn't tell."""
    import re

    pattern = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[].=]""")
    return next((number for number, line in enumerate(text.split("\n"), 1) if pattern.match(line)), 1)
