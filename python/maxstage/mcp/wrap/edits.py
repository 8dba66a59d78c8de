"""The bytes of a message with some of them exchanged: all others stay as they are."""

from maxstage.mcp.wrap.body import pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from maxstage.mcp.wrap.body import Bytes
    from maxstage.mcp.wrap.scan import Member


class Edits:
    """What is exchanged."""

    def __init__(self) -> None:
        self._edits: list[tuple[int, int, bytes]] = []

    def __bool__(self) -> bool:
        return bool(self._edits)

    def replace(self, start: int, end: int, new: bytes) -> None:
        """Exchange the bytes from `start` to before `end`."""
        self._edits.append((start, end, new))

    def remove(self, members: "list[Member]", name: str) -> None:
        """Take a member out of an object, of which all members are given."""
        keep = [member for member in members if member.name != name]
        for at, member in enumerate(members):
            if member.name != name:
                continue
            if not keep:
                # Only such members: what lies between two of them goes with the second.
                self.replace(members[at - 1].end if at else member.key, member.end, b"")
            elif member.key > keep[0].key:
                self.replace(members[at - 1].end, member.end, b"")
            else:
                self.replace(member.key, members[at + 1].key, b"")

    def apply(self, data: "Bytes") -> "Iterator[bytes]":
        """Return the bytes, bit by bit."""
        at = 0
        for start, end, new in sorted(self._edits):
            yield from pieces(data, at, start)
            yield new
            at = end
        yield from pieces(data, at)
