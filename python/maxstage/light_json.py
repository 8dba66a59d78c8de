"""JSON for the hot commands: the C parts of `json`, without the module itself.

``import json`` brings `re` and `enum`, which take as long as staging does. The C parts are those that `json` itself
is made of; where an interpreter has others, or the text is none that they take, `json` is asked and has the last word.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_BLANK = " \t\n\r"
"""White space as JSON has it."""


def loads(content: "bytes | str") -> "Any":
    """Return what JSON says. Raises as `json.loads` does.

    >>> loads(b'{"a": [1, null]} ')
    {'a': [1, None]}
    """
    scan = _scanner()
    if scan is not None:
        try:
            text = (content if isinstance(content, str) else content.decode()).strip(_BLANK)
            value, end = scan(text, 0)
        except (StopIteration, ValueError, SystemError):
            pass  # json.loads says what is wrong with it (SystemError: as long as its module is missing, C can't)
        else:
            if end == len(text):
                return value
    import json

    return json.loads(content)


def dumps(value: object) -> str:
    """Return `value` as one line of JSON; characters beyond ASCII stay as they are.

    Raises:
        ValueError: It holds a number that JSON has not: NaN or infinity.
        TypeError: It holds what JSON has not.

    >>> dumps({"a": [1, None, "ä"]})
    '{"a": [1, null, "ä"]}'
    """
    encode = _encoder()
    if encode is not None:
        return "".join(encode(value, 0))
    import json

    return json.dumps(value, ensure_ascii=False, allow_nan=False)


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

            # As json.JSONEncoder.iterencode calls it: markers, default, encoder, indent, the two separators, sort_keys,
            # skipkeys, allow_nan.
            _cached["encoder"] = make_encoder(
                None, _refuse, encode_basestring, None, ": ", ", ", False, False, False
            )
        except (ImportError, TypeError):
            _cached["encoder"] = None
    return _cached["encoder"]


class _Context:
    """What the scanner asks of its `json.JSONDecoder`, with the values that one has by default."""

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
