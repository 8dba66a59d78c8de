"""JSON for the hot commands: the C parts of `json`, without the module itself.

``import json`` imports `re` and `enum`, which takes as long as staging does. `json` itself is built on these C parts;
if an interpreter doesn't have them, or they reject a text, `json` is imported and decides.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_BLANK = " \t\n\r"
"""White space in JSON."""


def loads(content: "bytes | str") -> "Any":
    """Return a JSON text as a value. Raises as `json.loads` does.

    >>> loads(b'{"a": [1, null]} ')
    {'a': [1, None]}
    """
    scan = _scanner()
    if scan is not None:
        try:
            text = (content if isinstance(content, str) else content.decode()).strip(_BLANK)
            value, end = scan(text, 0)
        except (StopIteration, ValueError, SystemError):
            pass  # json.loads raises the proper error (SystemError: without `json` imported, the C code can't)
        else:
            if end == len(text):
                return value
    import json

    return json.loads(content)


def dumps(value: object) -> str:
    """Return `value` as one line of JSON; characters beyond ASCII stay as they are.

    Raises:
        ValueError: It contains NaN or infinity, which JSON doesn't have.
        TypeError: It contains an object of another type that JSON doesn't have.

    >>> dumps({"a": [1, None, "ä"]})
    '{"a": [1, null, "ä"]}'
    """
    try:
        return _plain(value)
    except _NotPlain:
        pass
    encode = _encoder()
    if encode is not None:
        return "".join(encode(value, 0))
    import json

    return json.dumps(value, ensure_ascii=False, allow_nan=False)


class _NotPlain(Exception):
    """A value needs more than quotes and separators."""


def _plain(value: object) -> str:
    """Return what nearly all metadata is, texts that need no escapes and whole numbers, as JSON.

    Loading even the C part of `json` would take ten times as long.
    """
    # Only these types themselves: a subclass may have its own way of being written.
    if type(value) is str and value.isprintable() and '"' not in value and "\\" not in value:
        return f'"{value}"'
    if type(value) is int:
        return repr(value)
    if value is None or type(value) is bool:
        return "null" if value is None else "true" if value else "false"
    if type(value) is dict and all(type(key) is str for key in value):
        return f"{{{', '.join([f'{_plain(key)}: {_plain(member)}' for key, member in value.items()])}}}"
    if type(value) is list:
        return f"[{', '.join([_plain(member) for member in value])}]"
    raise _NotPlain


_cached: "dict[str, Callable[..., Any] | None]" = {}


def _scanner() -> "Callable[[str, int], tuple[Any, int]] | None":
    if "scanner" not in _cached:
        try:
            from _json import make_scanner

            _cached["scanner"] = make_scanner(_Context())  # type: ignore[arg-type]
        except (ImportError, AttributeError, TypeError):
            _cached["scanner"] = None
    return _cached["scanner"]


def _encoder() -> "Callable[[object, int], tuple[str, ...]] | None":
    if "encoder" not in _cached:
        try:
            from _json import encode_basestring, make_encoder

            # The arguments of json.JSONEncoder.iterencode: markers, default, encoder, indent, the two separators,
            # sort_keys, skipkeys, allow_nan.
            _cached["encoder"] = make_encoder(
                None, _refuse, encode_basestring, None, ": ", ", ", False, False, False
            )
        except (ImportError, TypeError):
            _cached["encoder"] = None
    return _cached["encoder"]


class _Context:
    """The attributes of a default `json.JSONDecoder` that the scanner reads."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int

    def __init__(self) -> None:
        self.memo: dict[str, str] = {}
        self.parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.get


def _refuse(value: object) -> object:
    raise TypeError(f"{type(value).__name__} is not JSON")
