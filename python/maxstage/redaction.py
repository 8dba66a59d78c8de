"""Masking secrets: which texts stand for a known value, and what is masked where.

Two things are masked with ``***``, while the text streams by (`core.Redactor`):

- *Known values*, the secrets of a caller or a workflow: as they are, in base64, URL-encoded and as JSON has them. They
  are masked in all that is shown or kept.
- *What looks like a credential*, by the rules of `maxstage.redaction_rules`, if it is asked for: ``shown`` masks it in
  what is shown, and leaves what is kept as it came; ``all`` masks both.
"""

from maxstage._backend import core
from maxstage.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Literal

    Redact = bool | Literal["shown", "all"]

MODES = {
    "shown": "in what is shown; what is kept stays as it came",
    "all": "in what is shown and in what is kept",
}
"""Where credentials are masked."""

SHORTEST = 4
"""Bytes of the shortest secret: one letter or two would mask half of any text, and hide nothing by it."""

_LINE = 16
"""Bytes of the shortest line that is masked by itself, of a secret with several: it may be shown indented."""


class TooShort(Error, ValueError):
    """A secret is too short to be masked."""


def parse_mode(value: object) -> "Literal['shown', 'all'] | None":
    """Return where credentials are masked, of what a caller or the settings say; None: nowhere.

    >>> parse_mode(True), parse_mode("all"), parse_mode(False)
    ('shown', 'all', None)

    Raises:
        ValueError: It is none of them.
    """
    if value is None or value is False:
        return None
    if value is True or value == "shown":
        return "shown"
    if value == "all":
        return "all"
    raise ValueError("must be true, false or one of: shown, all")


def mask_text(redaction: "Redaction", text: str) -> str:
    """Return a text that is in memory, masked."""
    if not redaction:
        return text
    redactor = redaction.redactor()
    # Half of a surrogate pair, or a byte of a name that is not UTF-8, passes through.
    masked = redactor.feed(text.encode("utf-8", "surrogatepass")) + redactor.finish()
    return masked.decode("utf-8", "surrogatepass")


def redactor_for(
    setting: "Redact", redact: bool | None = None, secrets: "Iterable[str | bytes]" = ()
) -> core.Redactor | None:
    """Return what masks secrets in data that is staged; None where nothing is masked.

    Args:
        setting: The setting ``redact`` of the store.
        redact: Whether to mask what looks like a credential; None: if the setting is ``all``.
        secrets: Values to mask.
    """
    secrets = secrets if isinstance(secrets, str | bytes) else list(secrets)
    if redact is None:
        redact = setting == "all"
    return Redaction(redact, secrets).redactor() if redact or secrets else None


def counts_text(counts: "Mapping[str, int]") -> str:
    """Return how often each of several things was there.

    >>> counts_text({"jwt": 1, "github-token": 2})
    '2 github-token, 1 jwt'
    """
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))


class Redaction:
    """What is masked, and where.

    Attributes:
        literals: The texts that stand for known values.
        mode: Where credentials are masked: ``shown``, ``all`` or None for nowhere.
    """

    __slots__ = ("literals", "mode")

    def __init__(self, redact: "Redact | None" = None, secrets: "Iterable[str | bytes]" = ()) -> None:
        self.mode = parse_mode(redact)
        self.literals = forms_of(secrets)

    def __bool__(self) -> bool:
        return bool(self.literals) or self.mode is not None

    def mask(self, capture: core.Capture) -> None:
        """Let a capture that has not begun mask what it reads."""
        if self:
            capture.mask(self.literals, self._rules, everywhere=self.mode == "all")

    def redactor(self) -> core.Redactor:
        """Return what masks a text, known values and credentials."""
        return core.Redactor(self.literals, self._rules)

    @property
    def _rules(self) -> core.RedactionRules | None:
        if self.mode is None:
            return None
        from maxstage.redaction_rules import compiled

        return compiled()


def forms_of(secrets: "Iterable[str | bytes]") -> list[bytes]:
    """Return the texts that stand for known values: each as it is, in base64, URL-encoded and in JSON.

    In base64 a secret may stand amid other data: then only the digits that it alone makes are masked, up to two at
    either end being shared. What breaks an encoded secret into lines hides it from us.

    Raises:
        TypeError: They are one text and no list, or one is neither text nor bytes.
        TooShort: A secret has fewer than 4 bytes, without the blanks around it.

    >>> forms_of(["p@ss"])
    [b'BAc3', b'cEBzc', b'cEBzcw', b'cEBzcw==', b'p%40ss', b'p@ss', b'wQHNz']
    """
    forms: set[bytes] = set()
    if isinstance(secrets, str | bytes):
        raise TypeError("secrets must be a list, like [token]: one text would be taken for its letters")
    for secret in secrets:
        if not isinstance(secret, str | bytes):
            raise TypeError(f"each secret must be text or bytes, not {type(secret).__name__}")
        value = (secret.encode("utf-8", "surrogateescape") if isinstance(secret, str) else secret).strip()
        if len(value) < SHORTEST:
            raise TooShort(
                f"a secret must have at least {SHORTEST} bytes: a shorter one would mask other text"
            )
        for text in (value, *(line.strip() for line in value.splitlines() if len(line.strip()) >= _LINE)):
            forms.update(_base64(text), _url_encoded(text), _in_json(text), (text,))
    return sorted(forms)


def _base64(text: bytes) -> "Iterable[bytes]":
    from base64 import b64encode, urlsafe_b64encode

    for encode in (b64encode, urlsafe_b64encode):
        whole = encode(text)
        yield from (whole, whole.rstrip(b"="))
        # After none, one or two other bytes: the first digits have bits of those, and the last of what follows.
        for before, first in ((0, 0), (1, 2), (2, 3)):
            digits = encode(b"\0" * before + text)
            yield digits[first : (before + len(text)) * 8 // 6]


_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def _url_encoded(text: bytes) -> "Iterable[bytes]":
    # What is left as it is differs: nothing, the slash (urllib), these five (encodeURIComponent).
    for safe in (b"", b"/", b"!'()*"):
        for digits in ("%{:02X}", "%{:02x}"):
            encoded = b"".join(
                bytes((byte,)) if byte in _UNRESERVED or byte in safe else digits.format(byte).encode()
                for byte in text
            )
            yield from (encoded, encoded.replace(b"%20", b"+"))


_ESCAPES = {8: b"\\b", 9: b"\\t", 10: b"\\n", 12: b"\\f", 13: b"\\r", 34: b'\\"', 92: b"\\\\"}


def _in_json(text: bytes) -> "Iterable[bytes]":
    escaped = b"".join(
        _ESCAPES.get(byte) or (b"\\u%04x" % byte if byte < 32 else bytes((byte,)))  # noqa: PLR2004 - blank
        for byte in text
    )
    html = escaped.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")
    # Go escapes what HTML would read, PHP the slash, Python what is not ASCII.
    yield from (escaped, html, escaped.replace(b"/", b"\\/"))
    try:
        characters = escaped.decode()
    except UnicodeDecodeError:
        return
    units = characters.encode("utf-16-be")
    if not characters.isascii():
        pairs = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
        yield b"".join(b"\\u%04x" % unit if unit > 127 else bytes((unit,)) for unit in pairs)  # noqa: PLR2004
