"""What is staged of the result of a tool, and what comes in its place.

Text and structured content that are too long are staged; so are images and other media, only where they are too large
for any model to be shown. Everything else of a result stays as it is.
"""

from maxstage.humanize import counted, printable
from maxstage.light_json import dumps, loads
from maxstage.mcp.wrap.body import STEP, pieces
from maxstage.mcp.wrap.edits import Edits
from maxstage.mcp.wrap.previews import preview, records_in
from maxstage.mcp.wrap.scan import Scanner
from maxstage.mcp.wrap.texts import decoded, size_within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from maxstage.mcp.access import Access
    from maxstage.mcp.wrap.body import Bytes
    from maxstage.mcp.wrap.previews import Reading
    from maxstage.mcp.wrap.scan import Member
    from maxstage.store.metadata import Item
    from maxstage.store.reading import OpenItem

_MEDIA = 8 * 1024 * 1024
"""Bytes of base64 of an image, or other media, that stay: it is there to be seen, and models take some MiB."""

_MOST_TOKENS = 4
"""Texts of a result that get a token of their own; of more, all are staged as one."""

_COMPARED = 4 * 1024 * 1024
"""Bytes of structured content that is compared with the text, which mostly says the same."""

_SHORT = 200
"""Bytes of a member such as ``type`` or ``uri`` that are looked at."""


class Kind:
    """What is staged."""

    TEXT, STRUCTURED, MEDIA = "text", "structured content", "media"


class Found:
    """A part of a result that may be staged.

    Attributes:
        kind: What it is, one of `Kind`.
        start, end: From where to before where it is written, with its quotes.
        block: The same of the block of content that it belongs to.
        label: What more is to be told of it.
        size: Bytes that it says, or more than the limit.
    """

    def __init__(
        self, kind: str, span: "tuple[int, int]", block: "tuple[int, int]", label: str = "", size: int = 0
    ) -> None:
        self.kind = kind
        self.start, self.end = span
        self.block = block
        self.label = label
        self.size = size

    def data(self, message: "Bytes") -> "Iterator[bytes]":
        """Return what it says, bit by bit."""
        if self.kind == Kind.STRUCTURED:
            return pieces(message, self.start, self.end)
        said = decoded(message, self.start, self.end)
        return said if self.kind == Kind.TEXT else _from_base64(said)


class Result:
    """The result of a tool, as far as its parts matter here.

    Args:
        message: The message.
        start: Where the result begins.
        limit: Bytes of text that pass.

    Attributes:
        parts: What may be staged, in the order in which it comes.
        is_doubled: Whether its structured content is too long, and its texts say the same.

    Raises:
        NotJson: It is broken.
    """

    def __init__(self, message: "Bytes", start: int, limit: int) -> None:
        self._message = message
        self._limit = limit
        self.is_doubled = False
        self.members = [*Scanner(message, start).members()]
        self.parts: list[Found] = []
        self._content: Member | None = None
        self._blocks: list[tuple[int, int]] = []
        for member in self.members:
            if member.name == "content" and message.read(member.start, member.start + 1) == b"[":
                self._content = member
                self.parts = []
                self._blocks = [*Scanner(message, member.start).elements()]
                for span in self._blocks:
                    self.parts += self._found_in(span)
        for member in self.members:
            if member.name == "structuredContent":
                span = member.start, member.end
                self.parts.append(Found(Kind.STRUCTURED, span, span, size=member.end - member.start))

    def _found_in(self, block: "tuple[int, int]") -> "list[Found]":
        """Return what may be staged of a block of content."""
        if self._message.read(block[0], block[0] + 1) != b"{":
            return []
        members = {one.name: one for one in Scanner(self._message, block[0]).members()}
        kind, label = self._short(members.get("type")), ""
        if kind == "resource" and "resource" in members:
            inner = members["resource"]
            if self._message.read(inner.start, inner.start + 1) != b"{":
                return []
            members = {one.name: one for one in Scanner(self._message, inner.start).members()}
            label = self._short(members.get("uri"))
        for name, found, of in (
            ("text", Kind.TEXT, {"text", "resource"}),
            ("data", Kind.MEDIA, {"image", "audio"}),
            ("blob", Kind.MEDIA, {"resource"}),
        ):
            member = members.get(name)
            if (
                member is not None
                and kind in of
                and self._message.read(member.start, member.start + 1) == b'"'
            ):
                span = member.start, member.end
                size = member.end - member.start
                if found == Kind.TEXT:
                    size = size_within(self._message, *span, self._limit)
                return [Found(found, span, block, label or self._short(members.get("mimeType")), size)]
        return []

    def _short(self, member: "Member | None") -> str:
        """Return a short text; empty where there is none."""
        if member is None or member.end - member.start > _SHORT:
            return ""
        value = loads(self._message.read(member.start, member.end).decode("utf-8", "replace"))
        return value if isinstance(value, str) else ""

    def chosen(self) -> "list[list[Found]]":
        """Return what is to be staged, in groups that are one item each."""
        media = [[one] for one in self.parts if one.kind == Kind.MEDIA and one.size > _MEDIA]
        texts = [one for one in self.parts if one.kind == Kind.TEXT]
        structured = [one for one in self.parts if one.kind == Kind.STRUCTURED]
        groups: list[list[Found]] = []
        if sum(one.size for one in texts) > self._limit:
            groups = self._longest(texts)
        if sum(one.size for one in structured) > self._limit:
            self.is_doubled = self._is_said(texts, structured)
            groups += [] if self.is_doubled else [[one] for one in structured]
        return groups + media

    def _longest(self, texts: "list[Found]") -> "list[list[Found]]":
        """Return the longest texts, until what is left takes no more than half of the limit; or all as one."""
        left = sum(one.size for one in texts)
        chosen = []
        for one in sorted(texts, key=lambda one: one.start - one.end):
            if left <= self._limit // 2:
                break
            chosen.append(one)
            left -= one.size
        if len(chosen) > _MOST_TOKENS:
            return [texts]
        return [[one] for one in sorted(chosen, key=lambda one: one.start)]

    def _is_said(self, texts: "list[Found]", structured: "list[Found]") -> bool:
        """Whether the structured content is what the texts say, as far as that is told with little effort."""
        if not texts or sum(one.end - one.start for one in [*texts, *structured]) > _COMPARED:
            return False
        try:
            value = loads(b"".join(structured[-1].data(self._message)))
            said = [b"".join(one.data(self._message)).decode() for one in texts]
            # Servers made with FastMCP wrap what is no object, and give a list a text for each element.
            wanted = [value]
            if isinstance(value, dict) and list(value) == ["result"]:
                wanted.append(value["result"])
            return any(_is_said(one, said) for one in wanted)
        except (ValueError, RecursionError):
            return False

    def replaced(self, shown: "list[tuple[list[Found], str]]") -> Edits:
        """Return the message with a text in place of each group, without structured content that is told elsewhere."""
        edits, added = Edits(), []
        for group, text in shown:
            first, *others = group
            if first.kind == Kind.TEXT:
                edits.replace(first.start, first.end, _quoted(text))
                for one in others:
                    edits.replace(self._end_before(one.block), one.block[1], b"")
            elif first.kind == Kind.MEDIA:
                edits.replace(*first.block, _block(text))
            else:
                added.append(_block(text))
        structured = [one for one in self.parts if one.kind == Kind.STRUCTURED]
        if not added and not self.is_doubled:
            return edits
        if self._content is not None:
            edits.remove(self.members, "structuredContent")
            if added:
                comma = [b""] if self._blocks else []
                at = self._content.end - 1
                edits.replace(at, at, b", ".join([*comma, *added]))
        else:
            for one in structured[:-1]:
                edits.replace(one.start, one.end, b"null")
            member = [one for one in self.members if one.name == "structuredContent"][-1]
            edits.replace(member.key, member.end, b'"content": [' + b", ".join(added) + b"]")
        return edits

    def _end_before(self, block: "tuple[int, int]") -> int:
        """Return where the block before this one ends."""
        return self._blocks[self._blocks.index(block) - 1][1]


class Staging:
    """Stages what is too long.

    Args:
        access: Where it goes.
        limit: Bytes of text that pass.
        cut_to: Bytes that are shown of what does not.
        server: What the server is called.
        check: Called again and again; raises once nobody waits any more.

    Attributes:
        server: What the server is called.
    """

    def __init__(
        self, access: "Access", limit: int, cut_to: int, server: str, check: "Callable[[int], None]"
    ) -> None:
        self._access = access
        self._limit = limit
        self._cut_to = cut_to
        self.server = server
        self._check = check

    def replace(self, message: "Bytes", start: int, tool: str, reading: "Reading") -> Edits | None:
        """Stage what is too long of a result; return what comes in its place, or None where it stays as it is.

        Args:
            message: The message.
            start: Where in it the result begins.
            tool: What the tool is called; empty where that is not known.
            reading: How the client reads on.

        Raises:
            NotJson: The result is broken.
            Error, OSError: It can't be staged; nothing is left behind.
        """
        result = Result(message, start, self._limit)
        groups = result.chosen()
        if not groups and not result.is_doubled:
            return None
        source = _plain(f"{self.server}/{tool}" if tool else self.server)
        items: list[Item] = []
        try:
            for group in groups:
                items.append(self._stage(message, group, source))  # noqa: PERF401 - taken back if one fails
            room = self._cut_to // max(1, sum(group[0].kind != Kind.MEDIA for group in groups))
            shown = [
                (group, self._shown(item, group, tool, room, reading, items))
                for group, item in zip(groups, [*items], strict=True)
            ]
        except BaseException:
            self._access.store.take_back(items)
            raise
        self._note_gain(source, zip(items, shown, strict=False))
        return result.replaced(shown)

    def _note_gain(self, source: str, staged: "Iterable[tuple[Item, tuple[list[Found], str]]]") -> None:
        """Note for `max gain` what of the texts is kept out of a prompt: LLM tokens of images are another matter."""
        store = self._access.store
        if not store.settings.gain:
            return
        from maxstage.store.gain import note_cut

        for item, (group, text) in staged:
            if group[0].kind != Kind.MEDIA:
                project, shown = store.layout.project, len(text.encode())
                note_cut(project, "mcp wrap", source, item.byte_size, shown, item.id)

    def _stage(self, message: "Bytes", group: "list[Found]", source: str) -> "Item":
        labels = self._access.labels({})
        return self._access.store.stage(
            _joined(message, group), source=source, labels=labels, progress=self._check
        )

    def _shown(
        self,
        item: "Item",
        group: "list[Found]",
        tool: str,
        room: int,
        reading: "Reading",
        items: "list[Item]",
    ) -> str:
        first = group[0]
        of = f" of {printable(tool, _SHORT)}" if tool else ""
        if first.kind == Kind.MEDIA:
            return (
                f"[{printable(first.label, _SHORT) or 'media'}{of}: {counted(item.byte_size, 'byte')}, too large to be "
                f"shown, kept as {item.token}: max retrieve {item.token} --to FILE]"
            )
        what = f"the {first.kind}{of}" + (f", {printable(first.label, _SHORT)}" if first.label else "")
        with self._access.open_item(item.token) as opened:
            return preview(opened, what, room, reading, self._records_of(opened, items))

    def _records_of(self, opened: "OpenItem", items: "list[Item]") -> "Item | None":
        """Stage the records in a JSON object by themselves, so that they can be searched."""
        item = opened.item
        span = records_in(opened) if item.content_type == "json" else None
        if span is None:
            return None
        chunks = (opened.read(at, min(at + STEP, span[1])) for at in range(span[0], span[1], STEP))
        records = self._access.store.stage(
            chunks, source=item.source, labels=item.labels, content_type="json", progress=self._check
        )
        items.append(records)
        return records


def _plain(text: str) -> str:
    """Return what a server says of itself, as a source may be."""
    return "".join(char if char.isprintable() else "?" for char in text[:_SHORT]) or "mcp"


def _joined(message: "Bytes", group: "list[Found]") -> "Iterator[bytes]":
    """Return what the parts of a group say: one after the other, each from the beginning of a line."""
    last = b"\n"
    for part in group:
        if not last.endswith(b"\n"):
            yield b"\n"
        for piece in part.data(message):
            last = piece or last
            yield piece


def _is_said(value: object, texts: "list[str]") -> bool:
    if isinstance(value, str):
        return texts == [value]
    if len(texts) == 1 and _parsed(texts[0]) == value:
        return True
    return (
        isinstance(value, list)
        and len(value) == len(texts)
        and all(
            text == one or (not isinstance(one, str) and _parsed(text) == one)
            for text, one in zip(texts, value, strict=True)
        )
    )


def _parsed(text: str) -> object:
    """Return what JSON says; of what is none, the text itself, which no value is equal to that was no text."""
    try:
        return loads(text)
    except ValueError:
        return text


def _from_base64(said: "Iterator[bytes]") -> "Iterator[bytes]":
    """Return the bytes that base64 stands for; raises `ValueError` where it is none."""
    import base64

    rest = b""
    for piece in said:
        written = rest + piece.translate(None, b" \t\r\n")
        whole = len(written) // 4 * 4
        rest = written[whole:]
        yield base64.b64decode(written[:whole])
    yield base64.b64decode(rest + b"=" * (-len(rest) % 4))


def _quoted(text: str) -> bytes:
    # What is left of half a character stays the escape that JSON has for it.
    return dumps(text).encode("utf-8", "backslashreplace")


def _block(text: str) -> bytes:
    return b'{"type": "text", "text": ' + _quoted(text) + b"}"
