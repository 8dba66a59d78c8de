"""Finding out where references stand in a script of Python, JavaScript, Ruby or Perl, and writing values there.

A value becomes a literal of which every character is an escape, or the inside of one: where it lands in the wrong
place it is an error of syntax and no more. Where a language takes escapes as they are (a raw text of Python), the
literal is ended before and begun again after. Where it would run the text (backticks), the reference is refused.

>>> [place.quote for place in places("python", "print({{ x }}, 'a {{ y }}') # {{ z }}")]
['', "'", '#']
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from maxstage.workflow.format.references import as_text
from maxstage.workflow.format.scripts.places import (
    AFTER_BACKSLASH,
    COMMENT,
    Lost,
    Place,
    completed,
    references_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_CHECK_FIRST = "assign the value to a variable, and use that"
_RUN = "is run by a shell; start the program with a list of arguments"

_PYTHON = re.compile(r"#|(?<!\w)(?P<prefix>[rRbBuUfFtT]{0,2})(?P<quote>'''|\"\"\"|'|\")|(?P<any>['\"])")
_WORDS = re.compile(r"[A-Za-z_$][\w$]*|[0-9][\w.]*")
_BEFORE_REGEX = frozenset(
    (
        "return",
        "typeof",
        "case",
        "in",
        "of",
        "void",
        "delete",
        "throw",
        "new",
        "await",
        "yield",
        "else",
        "do",
        "instanceof",
        "and",
        "or",
        "not",
        "if",
        "unless",
        "while",
        "until",
        "when",
        "then",
        "split",
        "grep",
        "map",
        "join",
        "x",
        "lt",
        "gt",
        "le",
        "ge",
        "eq",
        "ne",
        "cmp",
        "puts",
        "print",
        "p",
    )
)
"""Words after which a slash begins a regular expression, and backticks no tagged text."""
_AHEAD = 20
"""Characters that are looked at to know what begins: the rest of a long script is not copied for it."""
_CLOSERS = {"(": ")", "[": "]", "{": "}", "<": ">"}

_READ_AGAIN = {
    "python": r"\b(?:eval|exec|compile|os\.system|os\.popen|getoutput|getstatusoutput)\s*\(\s*\w*$",
    "javascript": r"\b(?:eval|Function|execSync)\s*\(\s*$",
    "ruby": r"\b(?:eval|instance_eval|class_eval|module_eval|system|exec|spawn|popen)(?:\s*\(\s*|\s+)$",
    "perl": r"\b(?:eval|system|exec|readpipe)(?:\s*\(\s*|\s+)$",
}
"""What stands before a text that is run."""


def places(language: str, text: str) -> list[Place]:
    """Return where the references of a script stand; the quote says in which kind of text."""
    if not references_in(text):
        return []
    reader = _READERS[language](text)
    try:
        reader.code("")
    except (Lost, RecursionError):
        return completed(text, [], lost=True)
    again = re.compile(_READ_AGAIN[language])
    for place in reader.found:
        if again.search(text, 0, reader.began.get(place.start, place.start)):
            place.refuse(f"it is read as code there; {_CHECK_FIRST}")
    return completed(text, reader.found, lost=False)


class _Reader:
    """Goes through a script once."""

    def __init__(self, text: str) -> None:
        self.found: list[Place] = []
        # Where the text begins that a reference stands in.
        self.began: dict[int, int] = {}
        self._text = text
        self._at = 0
        self._references = references_in(text)
        # What came last that is no blank: a word, or a character.
        self._last = ""

    def code(self, end: str) -> None:
        """Go over code up to the bracket that ends it."""
        raise NotImplementedError

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise Lost
        return self._text[self._at]

    def _sees(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _reference(self, quote: str, why: str = "", began: int | None = None) -> bool:
        end = self._references.get(self._at)
        if end is None:
            return False
        place = Place(self._at, end, quote)
        if why:
            place.refuse(why)
        self.found.append(place)
        self.began[self._at] = self._at if began is None else began
        self._at = end
        self._last = "x"
        return True

    def _escape(self, quote: str) -> None:
        self._at += 1
        if self._reference(quote):
            self.found[-1].refuse(AFTER_BACKSLASH)
        else:
            self._at += 1

    def _comment(self, end: str) -> None:
        while self._at < len(self._text) and not self._sees(end):
            if not self._reference(COMMENT):
                self._at += 1
        self._at = min(self._at + len(end), len(self._text))

    def _up_to(
        self,
        end: str,
        quote: str,
        *,
        why: str = "",
        opening: str = "",
        inner: dict[str, Callable[[], None]] | None = None,
        began: int | None = None,
    ) -> None:
        """Go over a text up to its end.

        Args:
            end: What ends it.
            quote: The kind of text.
            why: Why references in it are refused, if they are.
            opening: What opens an inner pair, where such texts nest.
            inner: What begins code within it.
            began: Where the text began.
        """
        depth = 0
        while depth or not self._sees(end):
            self._next()
            if self._reference(quote, why, began):
                continue
            begins = next((mark for mark in inner or {} if self._sees(mark)), None)
            if begins is not None and inner is not None:
                self._at += len(begins)
                inner[begins]()
            elif self._next() == "\\":
                self._escape(quote)
            else:
                depth += (self._next() == opening) - (depth > 0 and self._sees(end))
                self._at += 1
        self._at += len(end)
        self._last = "x"

    def _plain(self) -> None:
        """Go over a word or a character of code."""
        word = _WORDS.match(self._text, self._at)
        if word is not None:
            self._last = word[0]
            self._at = word.end()
            return
        if not self._next().isspace():
            self._last = self._next()
        self._at += 1

    @property
    def _value_before(self) -> bool:
        """Whether a value ends here, so that a slash divides."""
        last = self._last
        return last not in _BEFORE_REGEX and (last[-1:].isalnum() or last[-1:] in {"_", "$", ")", "]", "}"})


class _Python(_Reader):
    def code(self, end: str) -> None:
        depth = 0
        while self._at < len(self._text):
            if self._reference(""):
                continue
            if end and not depth and self._sees(end):
                return
            mark = _PYTHON.match(self._text, self._at)
            if mark is None:
                depth += (self._next() in "([{") - (self._next() in ")]}")
                self._at += 1
            elif mark[0] == "#":
                self._comment("\n")
            else:
                self._string(mark)
        if end:
            raise Lost

    def _string(self, mark: re.Match[str]) -> None:
        began = self._at
        self._at = mark.end()
        prefix, end = (mark["prefix"] or "").lower(), mark["quote"] or mark["any"]
        formatted = "f" in prefix or "t" in prefix
        while not self._sees(end):
            if self._next() == "\n" and len(end) == 1:
                raise Lost
            if self._reference(f"{prefix}{end}", began=began):
                continue
            if self._next() == "\\":
                self._escape(end)
            elif formatted and (self._sees("{{") or self._sees("}}")):
                self._at += 2
            elif formatted and self._next() == "{":
                self._field()
            else:
                self._at += 1
        self._at += len(end)

    def _field(self) -> None:
        """Go over what an f-string fills in: an expression, where no literal may stand before Python 3.12."""
        count = len(self.found)
        self._at += 1
        self.code("}")
        self._at += 1
        for place in self.found[count:]:
            place.refuse(f"it stands in the braces of an f-string; {_CHECK_FIRST}")


class _JavaScript(_Reader):
    def code(self, end: str) -> None:
        depth = 0
        while self._at < len(self._text):
            if self._reference(""):
                continue
            mark = self._next()
            if end and not depth and mark == end:
                self._at += 1
                return
            if self._sees("//"):
                self._comment("\n")
            elif self._sees("/*"):
                self._comment("*/")
            elif mark in "'\"":
                began = self._at
                self._at += 1
                self._up_to(mark, mark, began=began)
            elif mark == "`":
                self._template()
            elif mark == "/" and not self._value_before:
                self._regex()
            else:
                depth += (mark == "{") - (mark == "}")
                self._plain()
        if end:
            raise Lost

    def _template(self) -> None:
        why = f"a tag reads the text as it is written; {_CHECK_FIRST}" if self._value_before else ""
        began = self._at
        self._at += 1
        self._up_to("`", "`", why=why, inner={"${": self._within}, began=began)

    def _within(self) -> None:
        self._last = ""
        self.code("}")

    def _regex(self) -> None:
        self._at += 1
        inside = False
        while inside or self._next() != "/":
            if self._reference("/"):
                continue
            if self._next() == "\n":
                raise Lost
            if self._next() == "\\":
                self._escape("/")
                continue
            inside = self._next() == "[" or (inside and self._next() != "]")
            self._at += 1
        self._at += 1
        self._last = "x"


class _Ruby(_Reader):
    _PERCENT = re.compile(r"%([qQwWiIxrs]?)([^\w\s])")
    _DOCUMENT = re.compile(r"<<([~-]?)(['\"`]?)([A-Z_]\w*)\2")

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._documents: list[tuple[str, str]] = []

    def code(self, end: str) -> None:  # noqa: C901, PLR0912 - a table of marks
        depth = 0
        while self._at < len(self._text):
            if self._reference(""):
                continue
            mark = self._next()
            if end and not depth and mark == end:
                self._at += 1
                return
            percent = self._PERCENT.match(self._text, self._at)
            document = self._DOCUMENT.match(self._text, self._at)
            if mark == "#":
                self._comment("\n" if not self._documents else "")
                if self._documents:
                    raise Lost
            elif self._sees("=begin") and self._text[self._at - 1 : self._at] in {"", "\n"}:
                self._comment("\n=end")
            elif self._sees("__END__") and self._text[self._at - 1 : self._at] in {"", "\n"}:
                self._rest()
            elif document is not None and (document[1] or document[2] or not self._value_before):
                self._documents.append((document[3], document[2]))
                self._at = document.end()
                self._last = "x"
            elif mark == "\n":
                self._at += 1
                self._here()
            elif mark in "'\"`":
                self._quoted(mark, mark, mark)
            elif mark == "/" and not self._value_before:
                self._quoted("/", "/", "/")
            elif percent is not None and (percent[1] or not self._value_before):
                kind = {"": '"', "Q": '"', "r": "/", "x": "`", "W": "%W", "I": "%W"}.get(percent[1], "'")
                self._quoted(kind, _CLOSERS.get(percent[2], percent[2]), percent[0])
            elif mark == "?" and re.match(r"\?[^\w\s](?!\w)", self._text[self._at : self._at + _AHEAD]):
                self._at += 2
            else:
                depth += (mark == "{") - (mark == "}")
                self._plain()
        if end:
            raise Lost

    def _quoted(self, kind: str, end: str, mark: str) -> None:
        began = self._at
        self._at += len(mark)
        inner = {"#{": self._within} if kind != "'" else None
        opening = mark[-1] if mark[-1] != end else ""
        self._up_to(end, kind, why=_why(kind), opening=opening, inner=inner, began=began)

    def _within(self) -> None:
        self._last = ""
        self.code("}")

    def _rest(self) -> None:
        while self._at < len(self._text):
            if not self._reference("", "it stands in the data after __END__"):
                self._at += 1

    def _here(self) -> None:
        documents, self._documents = self._documents, []
        for end, written in documents:
            kind = written or '"'
            stop = re.compile(rf"^[ \t]*{re.escape(end)}$", re.MULTILINE).search(self._text, self._at)
            if stop is None:
                raise Lost
            while self._at < stop.start():
                if self._reference("<<", _why(kind)):
                    continue
                if kind != "'" and self._sees("#{"):
                    self._at += 2
                    self._within()
                elif kind != "'" and self._next() == "\\":
                    self._escape("<<")
                else:
                    self._at += 1
            self._at = stop.end()


class _Perl(_Reader):
    _LIKE_QUOTES = re.compile(r"(?<![\w$@%&>{])(q|qq|qw|qx|qr|m|s|y|tr)(?!\s*(?:=>|,|;|\)|\}))(\s*)([^\w\s])")
    _DOCUMENT = re.compile(r"<<(~?)(?:(['\"`])([^\n]*?)\2|([A-Z_]\w*))")

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._documents: list[tuple[str, str, bool]] = []

    def code(self, end: str) -> None:  # noqa: C901, PLR0912 - a table of marks
        del end
        while self._at < len(self._text):
            if self._reference(""):
                continue
            mark = self._next()
            line_begins = self._text[self._at - 1 : self._at] in {"", "\n"}
            like = self._LIKE_QUOTES.match(self._text, self._at)
            document = self._DOCUMENT.match(self._text, self._at)
            if mark == "#":
                self._comment("" if self._documents else "\n")
                if self._documents:
                    raise Lost
            elif line_begins and re.match(r"=[a-z]", self._text[self._at : self._at + _AHEAD]):
                self._comment("\n=cut")
            elif line_begins and re.match(
                r"__(END|DATA)__\s*(\n|$)", self._text[self._at : self._at + _AHEAD]
            ):
                self._rest()
            elif mark == "$" and re.match(r"\$[#'\"`/&,;.!@]", self._text[self._at : self._at + _AHEAD]):
                self._at += 2
                self._last = "x"
            elif (
                like is not None
                and like.end(3) - 1 not in self._references
                and (like[3] != "#" or not like[2])
            ):
                self._like_quotes(like[1], like[3], like.end())
            elif document is not None and not (
                self._value_before and document[4] is None and not document[1]
            ):
                self._documents.append(
                    (document[3] or document[4] or "", document[2] or '"', bool(document[1]))
                )
                self._at = document.end()
                self._last = "x"
            elif mark == "\n":
                self._at += 1
                self._here()
            elif mark in "'\"`":
                self._quoted(mark, mark, mark)
            elif mark == "/" and not self._value_before:
                self._quoted("/", "/", "/")
            else:
                self._plain()

    def _quoted(self, kind: str, end: str, mark: str) -> None:
        began = self._at
        self._at += len(mark)
        self._text_up_to(kind, end, mark[-1], began)

    def _text_up_to(self, kind: str, end: str, opening: str, began: int, why: str = "") -> None:
        count, start = len(self.found), self._at
        opening = opening if opening != end else ""
        self._up_to(end, kind, why=why or _why(kind), opening=opening, began=began)
        for place in self.found[count:]:
            _refuse_within(place, self._text[start : place.start])

    def _like_quotes(self, word: str, mark: str, at: int) -> None:
        began, self._at = self._at, at
        kind = {"q": "'", "qw": "'", "qx": "`", "m": "/", "qr": "/", "s": "/"}.get(word, '"')
        if mark == "'" and kind != "`":
            kind = "'"
        end = _CLOSERS.get(mark, mark)
        count = len(self.found)
        self._text_up_to(kind, end, mark, began)
        if word in {"s", "y", "tr"}:
            if mark != end:
                while self._next().isspace():
                    self._at += 1
                mark = self._next()
                end = _CLOSERS.get(mark, mark)
                self._at += 1
            self._text_up_to("'" if mark == "'" else '"', end, mark, began)
        flags = re.compile(r"[a-z]*").match(self._text, self._at)
        self._at = flags.end() if flags else self._at
        if flags and word == "s" and "e" in flags[0]:
            for place in self.found[count:]:
                place.refuse(f"s///e runs it as code; {_CHECK_FIRST}")

    def _rest(self) -> None:
        while self._at < len(self._text):
            if not self._reference("", "it stands in the data at the end of the script"):
                self._at += 1

    def _here(self) -> None:
        documents, self._documents = self._documents, []
        for end, kind, blanks in documents:
            before = r"[ \t]*" if blanks else ""
            stop = re.compile(rf"^{before}{re.escape(end)}$", re.MULTILINE).search(self._text, self._at)
            if stop is None:
                raise Lost
            start = self._at
            while self._at < stop.start():
                if self._reference("<<", _why(kind)):
                    _refuse_within(self.found[-1], self._text[start : self.found[-1].start])
                elif kind != "'" and self._next() == "\\":
                    self._escape("<<")
                else:
                    self._at += 1
            self._at = stop.end()


def _refuse_within(place: Place, before: str) -> None:
    """Refuse a reference in code that stands within a text of Perl's: ``@{[ … ]}``."""
    if any(before.count(opening) > before.count("}") for opening in ("@{", "${")):
        place.refuse(f"it stands in code within a text; {_CHECK_FIRST}")


def _why(kind: str) -> str:
    if kind == "'":
        return "it stands in single quotes, which are taken as they are; use double quotes"
    if kind == "%W":
        return "it stands in %W or %I, where an empty value would be no element; use [ ]"
    return f"what stands in backticks {_RUN}" if kind == "`" else ""


_READERS: dict[str, type[_Reader]] = {
    "python": _Python,
    "javascript": _JavaScript,
    "ruby": _Ruby,
    "perl": _Perl,
}


def literal(language: str, value: Any, quote: str) -> str:
    """Return a value as it is written where a reference stood.

    Args:
        language: The language.
        value: The value.
        quote: What it stands within, as `places` told it.
    """
    if quote:
        return _inside(language, as_text(value), quote)
    if isinstance(value, bool) or value is None:
        words = {"python": ("None", "False", "True"), "javascript": ("null", "false", "true")}
        words |= {"ruby": ("nil", "false", "true"), "perl": ('""', "0", "1")}
        return words[language][0 if value is None else 1 + value]
    if isinstance(value, int | float):
        return json.dumps(value)
    whole = f'"{_escaped(language, as_text(value))}"'
    if isinstance(value, str) or language in {"ruby", "perl"}:
        return whole
    return f'__import__("json").loads({whole})' if language == "python" else f"JSON.parse({whole})"


def _inside(language: str, text: str, quote: str) -> str:
    if language != "python":
        return _escaped(language, text)
    prefix, mark = quote.rstrip("'\""), quote.lstrip("bfrtu")
    escaped = _of_bytes(text) if "b" in prefix else _escaped(language, text)
    if "r" not in prefix:
        return escaped
    # Backslashes are no escapes in a raw text: it ends here, and begins again.
    plain = prefix.replace("r", "")
    return f"{mark} {plain}{mark}{escaped}{mark} {prefix}{mark}"


def _of_bytes(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode("utf-8", "surrogateescape"))


def _escaped(language: str, text: str) -> str:
    """Return `text` with every character as an escape of `language`; bytes in Perl and Ruby, whose texts are bytes."""
    if language == "python":
        return "".join(
            f"\\x{ord(char):02x}"
            if char <= "\xff"
            else f"\\u{ord(char):04x}"
            if char <= "\uffff"
            else f"\\U{ord(char):08x}"
            for char in text
        )
    if language == "javascript":
        units = text.encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
    return _of_bytes(text)


__all__ = ["literal", "places"]
