"""The address of an engine: ``temporal://HOST[:PORT][/NAMESPACE]``."""

from __future__ import annotations

import re
from typing import NamedTuple

from maxstage.errors import WorkflowError

_FORM = "temporal://HOST[:PORT][/NAMESPACE]"
_ADDRESS = re.compile(
    r"temporal://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>\d{1,5}))?(?:/(?P<namespace>[^/?#@\s]*))?"
)
_PORT = 7233
"""Where Temporal listens unless it is told otherwise."""
_NAMESPACE = "default"
"""The namespace that every server has."""
_MOST_PORT = 65535


class Address(NamedTuple):
    """Where an engine is.

    Attributes:
        target: The host and the port.
        namespace: The namespace there.
    """

    target: str
    namespace: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address.

        Raises:
            WorkflowError: It is not one.

        >>> Address.parse("temporal://engine.example")
        Address(target='engine.example:7233', namespace='default')
        >>> str(Address.parse("temporal://[::1]:17233/team"))
        'temporal://[::1]:17233/team'
        """
        match = _ADDRESS.fullmatch(text)
        port = int(match["port"] or _PORT) if match else 0
        if match is None or not 0 < port <= _MOST_PORT:
            raise WorkflowError(f"{text!r} is not the address of an engine, which is {_FORM}")
        return cls(f"{match['host']}:{port}", match["namespace"] or _NAMESPACE)

    def __str__(self) -> str:
        return f"temporal://{self.target}/{self.namespace}"
