"""Settings: option > environment (``MAX_…``) > ``.max/config.toml`` > default.

A missing file, or one with nothing but comments, costs no import. What may lie in a table is known where it is used:
`maxstage.output.limits` is asked when there is such a table.
"""

import os

from maxstage.config_file import read_config, show, unknown
from maxstage.errors import ConfigError
from maxstage.trust import SETTING, check_owner, user_config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from maxstage.config_file import ConfigFile

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
        providers: Agents that workflows know by name (`maxstage.workflow.format.agents`).
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


def _limits(values: "dict[str, Any]", config: "ConfigFile") -> None:
    from maxstage.output.limits import Limits, LimitsError

    try:
        Limits.parse(values)
    except LimitsError as error:
        told = [str(config.error(["limits", name], text)) for name, text in error.problems.items()]
        raise ConfigError("; ".join(told)) from None


def _providers(values: "dict[str, Any]", config: "ConfigFile") -> None:
    for name, value in values.items():
        try:
            check_provider(name, value)
        except ProviderError as error:
            raise config.error(["providers", name, *error.keys], str(error)) from None


_TABLES: "dict[str, Callable[[dict[str, Any], ConfigFile], None]]" = {
    "limits": _limits,
    "providers": _providers,
}
"""What only the file can say, and what checks it: for every command, whether it uses that table or not."""


class ProviderError(ConfigError):
    """A provider is no good.

    Attributes:
        keys: What in it is at fault; empty for all of it.
    """

    def __init__(self, message: str, keys: "Sequence[str]" = ()) -> None:
        super().__init__(message)
        self.keys = keys


def check_provider(name: str, value: object) -> "dict[str, list[str]]":
    """Check an agent that the settings name: a list of words, or a table of ``command`` and ``model``.

    Returns:
        The table.

    Raises:
        ProviderError: It is neither.

    >>> check_provider("mine", ["my-agent", "--fast"])
    {'command': ['my-agent', '--fast']}
    """
    table: dict[str, Any] = value if isinstance(value, dict) else {"command": value}
    for key, words in table.items():
        if key not in {"command", "model"}:
            raise ProviderError(
                f"providers.{name}: {unknown('setting', str(key), ['command', 'model'])}", [str(key)]
            )
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ProviderError(
                f'providers.{name} wants a list of words, like ["my-agent", "--fast"]',
                [key] if isinstance(value, dict) else [],
            )
    return table


def load_settings(config: str, project: str, environ: "Mapping[str, str]" = os.environ) -> Settings:
    """Read the settings of a project.

    Args:
        config: The absolute path of its ``config.toml``, which need not exist.
        project: The folder that holds ``.max``, absolute.
        environ: The environment.

    Raises:
        Untrusted: The file belongs to another user.
        ConfigError: A key is unknown or its value no good; the message names the file, line and key.
        OSError: It can't be read.
    """
    file = read_config(config, lambda status: check_owner(status, config, project))
    values = {} if file is None else _values_of(file)
    for key, parse in _PARSERS.items():
        name = f"MAX_{key.upper()}"
        text = environ.get(name)
        if text:
            try:
                values[key] = parse(text)
            except ValueError as error:
                raise ConfigError(f"{name}={show(text)} {error}") from None
    return Settings(**values)


def _values_of(file: "ConfigFile") -> "dict[str, Any]":
    values = {}
    for key, value in file.table.items():
        if key in _TABLES:
            if not isinstance(value, dict):
                raise file.error([key], f"{key} wants to be a table, not {show(value)}")
            _TABLES[key](value, file)
            values[key] = value
        elif key in _PARSERS:
            try:
                values[key] = _PARSERS[key](value)
            except ValueError as error:
                raise file.error([key], f"{key} {error}, not {show(value)}") from None
        elif key == SETTING:
            raise file.error(
                [key], f"{key} stands in your own settings ({user_config()}), not in a project's"
            )
        else:
            raise file.error([key], unknown("setting", key, [*_PARSERS, *_TABLES]))
    return values
