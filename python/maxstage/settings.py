"""Settings: option > environment (``MAX_…``) > ``.max/config.toml`` > default.

A missing file, or one with only comments, needs no imports. Tables are checked by the modules that use them, such as
`maxstage.output.limits`, which are imported only if the file has such a table.
"""

import os

from maxstage.codecs import CODECS
from maxstage.errors import ConfigError
from maxstage.files import is_trusted, read_settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Literal

    from maxstage._backend import core
    from maxstage.config_file import ConfigFile


class Settings:
    """The settings of one project. Those in `SETTINGS` are attributes with the same names, dots as underscores.

    Attributes:
        limits: The output limits (`maxstage.output.limits.Limits`) that differ from their defaults.
        providers: Agents that workflows refer to by name (`maxstage.workflow.format.agents`).
        sources: Programs that are searched by name (`maxstage.query.sources`).
        file: The file to change them in, as errors name it.
    """

    ttl_minutes: float
    token_bytes: int
    sync: bool
    compress: bool | str
    max_item_bytes: int | None
    max_store_bytes: int | None
    max_cache_bytes: int
    redact: "Literal['shown', 'all', False]"
    gain: bool
    exec_profile: str
    require_approval: bool
    store_url: str | None
    store_kms_key: str | None
    store_timeout_seconds: int
    limits: "dict[str, Any]"
    providers: "dict[str, Any]"
    sources: "dict[str, Any]"

    def __init__(self, **values: "Any") -> None:
        for setting in SETTINGS:
            setattr(self, setting.attribute, values.pop(setting.key, setting.default))
        self.limits = values.pop("limits", {})
        self.providers = values.pop("providers", {})
        self.sources = values.pop("sources", {})
        self.file: str = values.pop("file", ".max/config.toml")
        if values:
            raise TypeError(f"unknown settings: {', '.join(values)}")

    def redactor(
        self, redact: bool | None = None, secrets: "Iterable[str | bytes]" = ()
    ) -> "core.Redactor | None":
        """Return a redactor for data that is staged; None if nothing is to be masked.

        Args:
            redact: Whether to mask what looks like a credential; None to do so if the setting is ``all``.
            secrets: Values to mask.
        """
        if self.redact != "all" and not redact and secrets == ():
            return None
        from maxstage.redaction import redactor_for

        return redactor_for(self.redact, redact, secrets)


class Setting:
    """The definition of a setting.

    Attributes:
        key: Its name in the file; one with a dot is in a table.
        parse: Returns the value for what the file or the environment says; raises `ValueError` with what is expected.
        default: Its value unless it is set.
        doc: What it is for, in a few words.
        example: The value shown in the file that ``max init`` writes, if that can't be the default.
        variable: Its name in the environment.
    """

    __slots__ = ("default", "doc", "example", "key", "parse", "variable")

    def __init__(
        self,
        key: str,
        parse: "Callable[[object], Any]",
        default: object,
        doc: str,
        example: str = "",
        variable: str = "",
    ) -> None:
        self.key = key
        self.parse = parse
        self.default = default
        self.doc = doc
        self.example = example
        self.variable = variable or f"MAX_{self.attribute.upper().removeprefix('MAX_')}"

    @property
    def attribute(self) -> str:
        """Its name as an attribute of `Settings`."""
        return self.key.replace(".", "_")


def _integer(least: int, most: int) -> "Callable[[object], int]":
    def parse(value: object) -> int:
        from maxstage.sizes import parse_count

        number = (
            parse_count(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
        )
        if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return number

    return parse


def parse_boolean(value: object) -> bool:
    """Return the boolean value of a setting or an environment variable.

    Raises:
        ValueError: It is not a boolean.
    """
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
        raise ValueError("must be true or false")  # noqa: TRY004
    return value


def _codec(value: object) -> bool | str:
    if isinstance(value, str) and value in CODECS:
        return value
    try:
        return parse_boolean(value)
    except ValueError:
        raise ValueError(f"must be true, false or one of: {', '.join(CODECS)}") from None


def _profile(value: object) -> str:
    if value not in PROFILES:
        raise ValueError(f"must be one of: {', '.join(PROFILES)}")
    return str(value)


def _redact(value: object) -> "Literal['shown', 'all', False]":
    from maxstage.redaction import parse_mode

    try:
        return parse_mode(value) or False
    except ValueError:
        pass
    try:
        return parse_mode(parse_boolean(value)) or False
    except ValueError:
        raise ValueError('must be true, false, "shown" or "all"') from None


def _minutes(value: object) -> float:
    from maxstage.durations import parse_minutes

    return parse_minutes(value)


def _url(value: object) -> str:
    from maxstage.store_urls import parse_store_url

    return parse_store_url(_text(value))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError("must be a text")
    return value


def _size(value: object) -> int:
    from maxstage.sizes import parse_size

    return parse_size(value)


SETTINGS = (
    Setting("ttl_minutes", _minutes, 60, 'Minutes until an item expires, or text like "2h" or "1d"'),
    Setting(
        "token_bytes",
        _integer(4, 16),
        4,
        "Random bytes in an id, 4 to 16; take 16 where several machines share the directory",
    ),
    Setting("sync", parse_boolean, False, "Make items survive power loss before their token is printed"),
    Setting("compress", _codec, False, 'Compress items: true is "gzip", or name a codec, like "zstd"'),
    Setting(
        "max_item_bytes",
        _size,
        None,
        'The most that one item may take, as staged: bytes, or text like "2GiB"',
        '"10GiB"',
    ),
    Setting("max_store_bytes", _size, None, "The most that all items together may take on disk", '"50GiB"'),
    Setting("max_cache_bytes", _size, 10 * 10**9, "The most that decompressed copies for max path may take"),
    Setting(
        "redact",
        _redact,
        False,
        'Mask what looks like a credential: true is "shown", in output that is shown; "all", in what is kept, too',
    ),
    Setting("gain", parse_boolean, True, "Count what is kept out of prompts, for max gain"),
    Setting(
        "exec.profile",
        _profile,
        "default",
        "How max exec shows output: default, or agent, as its option --agent does",
        '"agent"',
    ),
    Setting(
        "require_approval",
        parse_boolean,
        False,
        "Execute an intent only once a person has approved it at a terminal",
    ),
    Setting(
        "store.url",
        _url,
        None,
        "Where the items lie, if not in this folder: a bucket and a prefix in it, as max init --store sets it",
        '"s3://bucket/prefix"',
        "MAX_STORE",
    ),
    Setting("store.kms_key", _text, None, "The key that the server encrypts items with", '"alias/items"'),
    Setting(
        "store.timeout_seconds",
        _integer(1, 3600),
        60,
        "Seconds after which a request to the server that fails again and again is given up",
    ),
)
"""All settings except the tables. To add one, add a line here and an attribute to `Settings`. ``max init`` writes its
file from this table, and a test checks the documentation against it."""

SHARED_TOKEN_BYTES = 16
"""The default of ``token_bytes`` for a store on a server."""

PROFILES = ("default", "agent")
"""The values of ``exec.profile``."""

_BY_KEY = {setting.key: setting for setting in SETTINGS}
_PLAIN = [key for key in _BY_KEY if "." not in key]
_SECTIONS = {
    section: [key for key in _BY_KEY if key.startswith(f"{section}.")]
    for section in {key.partition(".")[0] for key in _BY_KEY if "." in key}
}
"""The settings that are in tables, by table."""


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


def _sources(values: "dict[str, Any]", config: "ConfigFile") -> None:
    from maxstage.config_file import show, unknown

    for name, value in values.items():
        # What is a token, standard input or built in would never be looked up here, and all of it is printed.
        if name in {"", "-", "files"} or ":" in name or not name.isprintable():
            raise config.error(
                ["sources", name],
                f"a source can't be named {show(name)}: files is built in, - is stdin, and max: begins a token",
            )
        if not isinstance(value, dict) or ("command" in value) == ("sql" in value):
            raise config.error(
                ["sources", name],
                f'sources.{name} must be a table with a command, like ["my-exporter"], or with sql = "SELECT ..."',
            )
        words = value.get("command", ["sql"])
        if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
            raise config.error(
                ["sources", name, "command"],
                f'sources.{name}.command must be a list of words, like ["my-exporter", "{{type}}"]',
            )
        for key, number in value.items():
            if key not in _SOURCE:
                raise config.error(
                    ["sources", name, key], f"sources.{name}: {unknown('setting', key, list(_SOURCE))}"
                )
            if key in {"type", "sql"} and not (isinstance(number, str) and number):
                raise config.error(
                    ["sources", name, key], f"sources.{name}.{key} must be a text, not {show(number)}"
                )
            if key not in _TEXTS and not _is_between(number, _SOURCE[key]):
                raise config.error(
                    ["sources", name, key],
                    f"sources.{name}.{key} must be a number from {_SOURCE[key]:g} to {_LONG}, not {show(number)}",
                )


def _is_between(number: object, least: float) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and least <= number <= _LONG


_SOURCE = {"command": 0, "sql": 0, "type": 0, "cache_minutes": 1, "timeout_seconds": 0.1}
"""What is said of a source, and the least that it may be where it is a number."""
_TEXTS = {"command", "sql", "type"}
_LONG = 10**7
"""Minutes, or seconds, that nobody waits."""


_TABLES: "dict[str, Callable[[dict[str, Any], ConfigFile], None]]" = {
    "limits": _limits,
    "providers": _providers,
    "sources": _sources,
}
"""The tables, which only the file can have, and their checks, which run whether a command uses the table or not."""


class ProviderError(ConfigError):
    """A provider is invalid.

    Attributes:
        keys: The invalid keys in it; empty for the whole provider.
    """

    def __init__(self, message: str, keys: "Sequence[str]" = ()) -> None:
        super().__init__(message)
        self.keys = keys


def check_provider(name: str, value: object) -> "dict[str, list[str]]":
    """Check an agent from the settings: a list of words, or a table of ``command`` and ``model``.

    Returns:
        The table.

    Raises:
        ProviderError: It is neither.

    >>> check_provider("mine", ["my-agent", "--fast"])
    {'command': ['my-agent', '--fast']}
    """
    from maxstage.config_file import unknown

    table: dict[str, Any] = value if isinstance(value, dict) else {"command": value}
    for key, words in table.items():
        if key not in {"command", "model"}:
            raise ProviderError(
                f"providers.{name}: {unknown('setting', str(key), ['command', 'model'])}", [str(key)]
            )
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ProviderError(
                f'providers.{name} must be a list of words, like ["my-agent", "--fast"]',
                [key] if isinstance(value, dict) else [],
            )
    return table


def value_of(key: str, environ: "Mapping[str, str]" = os.environ) -> "Any":
    """Return the value of a setting in the environment, or else its default.

    Raises:
        ConfigError: The environment has an invalid value.
    """
    setting = _BY_KEY[key]
    text = environ.get(setting.variable)
    if not text:
        return setting.default
    try:
        return setting.parse(text)
    except ValueError as error:
        from maxstage.config_file import show

        raise ConfigError(f"{setting.variable}={show(text)} {error}") from None


_NO_DEFAULTS: "Mapping[str, Any]" = {}


def load_settings(
    config: str,
    project: str,
    environ: "Mapping[str, str]" = os.environ,
    defaults: "Mapping[str, Any]" = _NO_DEFAULTS,
) -> Settings:
    """Read the settings of a project.

    Args:
        config: The absolute path of its ``config.toml``, which need not exist.
        project: The folder that holds ``.max``, absolute.
        environ: The environment.
        defaults: Defaults that differ from those in `SETTINGS`.

    Raises:
        Untrusted: The file belongs to another user.
        ConfigError: A key is unknown or its value invalid; the message names the file, line and key.
        OSError: It can't be read.
    """

    def check(status: os.stat_result) -> None:
        if not is_trusted(status):
            from maxstage.trust import check_owner

            check_owner(status, config, project)

    content = read_settings(config, check)
    values = {**defaults} if content is None else {**defaults, **_values_of(config, content)}
    values |= {
        setting.key: value_of(setting.key, environ) for setting in SETTINGS if environ.get(setting.variable)
    }
    if values.get("store.url"):
        # Several machines share it: nobody should be able to guess an id.
        values.setdefault("token_bytes", SHARED_TOKEN_BYTES)
    return Settings(**values)


def _values_of(config: str, content: bytes) -> "dict[str, Any]":
    from maxstage.config_file import ConfigFile, show, unknown
    from maxstage.user_settings import SAFE_DIRECTORIES, USER_STORE, user_config

    file = ConfigFile(config, content)
    values = {}
    for key, value in file.table.items():
        if key in _TABLES:
            if not isinstance(value, dict):
                raise file.error([key], f"{key} must be a table, not {show(value)}")
            _TABLES[key](value, file)
            values[key] = value
        elif key in _SECTIONS and isinstance(value, dict):
            for inner, said in value.items():
                if f"{key}.{inner}" not in _BY_KEY:
                    raise file.error([key, inner], unknown("setting", f"{key}.{inner}", _SECTIONS[key]))
                values[f"{key}.{inner}"] = _parsed(file, [key, inner], said)
        elif key in _SECTIONS:
            raise file.error([key], f"{key} must be a table, not {show(value)}")
        elif key in _BY_KEY:
            values[key] = _parsed(file, [key], value)
        elif key in {SAFE_DIRECTORIES, USER_STORE}:
            raise file.error(
                [key], f"{key} belongs in your own settings ({user_config()}), not in a project's"
            )
        else:
            raise file.error([key], unknown("setting", key, [*_PLAIN, *_SECTIONS, *_TABLES]))
    return values


def _parsed(file: "ConfigFile", keys: "list[str]", value: object) -> "Any":
    key = ".".join(keys)
    try:
        return _BY_KEY[key].parse(value)
    except ValueError as error:
        from maxstage.config_file import show

        raise file.error(keys, f"{key} {error}, not {show(value)}") from None
