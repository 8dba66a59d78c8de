"""Regular expressions: what both backends take, and take for the same."""

from maxstage.errors import InvalidQuery

_NO_ESCAPES = {
    "A": "use ^",
    "Z": "use $",
    "z": "use $",
    "G": "",
    "K": "",
    "R": "",
    "X": "",
    "h": "use [ \\t]",
    "H": "",
    "N": "",
    "p": "write the characters in a class",
    "P": "write the characters in a class",
    "<": "use \\b",
    ">": "use \\b",
    "k": "back-references take time without bounds",
    "g": "back-references take time without bounds",
    "U": "",
    "Q": "",
    "E": "",
    "c": "",
}
_GROUPS = (":", "i)", "i:", "P<")


def check_regex(text: str) -> None:
    """Refuse a regular expression that the two backends would not both take for the same.

    Raises:
        InvalidQuery: It is none, or has look-around, back-references, sets of classes, flags but ``i``.
    """
    at, in_class = 0, False
    while at < len(text):
        char = text[at]
        if char == "\\":
            _check_escape(text, at)
            at += 1
        elif in_class:
            if char == "[" or text[at : at + 2] in {"&&", "--", "~~", "||"}:
                raise _error(text, at, f"{text[at : at + 2]!r} in a class; put a backslash before it")
            in_class = char != "]"
        elif char == "[":
            in_class = True
            # What stands first is no end.
            at += text[at + 1 : at + 2] == "^"
            at += text[at + 1 : at + 2] == "]"
        elif text[at : at + 2] == "(?" and not text.startswith(_GROUPS, at + 2):
            raise _error(text, at, "of groups with (? there are (?:, (?i), (?i: and (?P<name>")
        elif char in "*+?}" and text[at + 1 : at + 2] == "+":
            raise _error(text, at, "possessive repetitions are not known")
        at += 1
    _compile(text)


def matches_line(regex: str, text: bytes) -> bool:
    """Return whether a regular expression, which `check_regex` has taken, matches somewhere in a line of a text.

    >>> matches_line("^b", b"a" + bytes([10]) + b"bc")
    True
    """
    from maxstage._backend import core
    from maxstage.query.plan import Plan

    scan = core.Scan(Plan(is_json=False, regex=regex, most=1))
    scan.begin()
    scan.feed(text)
    scan.finish()
    return bool(scan.take())


def _check_escape(text: str, at: int) -> None:
    char = text[at + 1 : at + 2]
    if char in _NO_ESCAPES or (char.isdigit() and char != "0"):
        hint = _NO_ESCAPES.get(char, "back-references take time without bounds")
        raise _error(text, at, f"\\{char} is not known{'; ' + hint if hint else ''}")


def _error(text: str, at: int, message: str) -> InvalidQuery:
    del text
    return InvalidQuery(f"Invalid regular expression, column {at + 1}: {message}")


def _compile(text: str) -> None:
    from maxstage._backend import core
    from maxstage.query.plan import Plan

    try:
        core.Scan(Plan(is_json=False, regex=text))
    except ValueError as error:
        raise InvalidQuery(f"Invalid regular expression: {error}") from None
