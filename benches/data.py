"""What the benchmarks move: records as a CRM exports them, and stores that are full from the start."""

from __future__ import annotations

import json
import os
import random
import time
import zlib
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 4 << 20
"""Bytes made at random, then repeated with other ids: far above the 32 KiB that gzip looks back."""
_ID = b"@@@@@@@@@@@@"
"""Stands for an id until the block is repeated."""

_NAMES = {
    "first": (
        "Ada Alan Amara Andrés Barbara Björn Carlos Chen Chloé Dana David Deepa Edsger Elif Emeka Fatima "
        "Femi Grace Hana Hiro Ines Ingrid Ivan Jamal Joana John Jürgen Katherine Kofi Lars Leila Linus "
        "Lucía Maria Mateo Mei Mohammed Nadia Ngozi Niklaus Noor Olga Omar Paula Priya Radia Rosa Samir "
        "Sofia Tariq Thandi Tomás Uma Vera Wei Yara Yusuf Zoë"
    ),
    "last": (
        "Abara Ahmed Almeida Andersen Bauer Bianchi Borg Chang Costa Diaz Dijkstra Eriksen Farah Fischer "
        "Garcia Gupta Haddad Hamilton Hansen Hopper Ito Ivanova Jansen Johnson Kaya Khan Kim Kowalski "
        "Kumar Lamarr Lee Liskov Lovelace Mbeki Mensah Meyer Moreau Müller Nguyen Novak Okafor Oliveira "
        "Park Patel Perlman Petrov Reyes Ritchie Rossi Santos Sato Schmidt Silva Singh Smith Tanaka "
        "Torvalds Turing Wang Weber Wirth Zhang"
    ),
    "company": (
        "Acme Apex Aurora Bluebird Borealis Cascade Cobalt Delta Ember Everest Falcon Fjord Globex "
        "Granite Harbor Helix Hooli Initech Juniper Keystone Lumen Meridian Nimbus Northwind Oakline "
        "Orchid Pinnacle Quantum Redwood Sable Sierra Solstice Summit Tundra Umbra Vertex Willow Zenith"
    ),
    "city": (
        "Accra Berlin Bogotá Boston Chennai Dublin Hanoi Istanbul Lagos Lima Lisbon Madrid Nairobi Osaka "
        "Oslo Paris Prague Rome Seoul Sydney Toronto Utrecht Vienna Warsaw"
    ),
}
_CHOICES = {key: names.split() for key, names in _NAMES.items()}
_KIND = ("Bank", "Foods", "Group", "Health", "Labs", "Logistics", "Media", "Partners", "Software", "Systems")
_TITLE = (
    "Account Manager",
    "Analyst",
    "CEO",
    "CTO",
    "Data Engineer",
    "Head of Sales",
    "Product Manager",
    "VP Marketing",
)
_STAGE = ("lead", "qualified", "opportunity", "customer", "former customer")


def _moment(chance: random.Random) -> str:
    """Return a time of 2024."""
    return _format_time(1704067200 + chance.randrange(365 * 24 * 3600))


def _record(chance: random.Random) -> bytes:
    """Return one record, its id still to be set."""
    first, last = chance.choice(_CHOICES["first"]), chance.choice(_CHOICES["last"])
    company = f"{chance.choice(_CHOICES['company'])} {chance.choice(_KIND)}"
    domain = company.replace(" ", "-").lower()
    contact = {
        "id": _ID.decode(),
        "source": "hubspot",
        "type": "contact",
        "firstName": first,
        "lastName": last,
        "email": f"{first[0]}.{last}{chance.randrange(1000)}@{domain}.example".lower(),
        "company": company,
        "jobTitle": chance.choice(_TITLE),
        "phone": f"+{chance.randrange(1, 99)} {chance.randrange(10**9):09}",
        "city": chance.choice(_CHOICES["city"]),
        "stage": chance.choice(_STAGE),
        "score": round(chance.random(), 4),
        "revenue": round(chance.uniform(1e4, 1e7), 2),
        "visits": chance.randrange(1000),
        "key": f"{chance.getrandbits(64):x}",
        "createdAt": _moment(chance),
    }
    return json.dumps(contact, separators=(",", ":")).encode() + b"\n"


def write_ndjson(path: Path, size: int) -> None:
    """Write exactly `size` bytes of records, the same in every run; the last line is padded with spaces.

    Args:
        path: The file to write.
        size: Bytes, at least 1,024.
    """
    chance = random.Random(7)
    records, length = [], 0
    while length < min(size, _BLOCK):
        records.append(_record(chance))
        length += len(records[-1])
    count = len(records)
    template = b"".join(records).replace(b"%", b"%%").replace(_ID, b"%012d")
    with path.open("wb") as file:
        left, start = size, 0
        while left > 0:
            block = template % tuple(range(start, start + count))
            file.write(block if len(block) <= left else _cut(block, left))
            left -= len(block)
            start += count


def _cut(block: bytes, size: int) -> bytes:
    """Return `size` bytes of a block that is longer: whole records, spaces, and a newline at the end."""
    end = block.rfind(b"\n", 0, size)
    return block[: max(end, 0)].ljust(size - 1) + b"\n"


def write_items(staging: Path, count: int) -> list[str]:
    """Fill an empty store with small items that expire in a week, by no code of maxstage.

    Args:
        staging: The directory ``.max/staging``.
        count: How many items.

    Returns:
        Their ids, newest first.
    """
    now = time.time_ns()
    ids = [f"{number:08x}" for number in random.Random(7).sample(range(1 << 32), count)]
    for number, item_id in enumerate(ids):
        data = b'{"id":"%012d","source":"bench"}\n' % number * 2
        created = now - (count - number) * 1_000_000
        meta = {
            "token": item_id,
            "createdAt": _format_time(created // 10**9),
            "expiresAt": _format_time(now // 10**9 + 7 * 24 * 3600),
            "recordCount": 2,
            "byteSize": len(data),
            "source": f"bench/{number % 10}",
            "contentType": "ndjson",
            "createdNs": created,
            "checksum": f"crc32:{zlib.crc32(data):08x}",
            "storedSize": len(data),
            "compression": None,
            "labels": {},
        }
        _write(f"{staging}/{item_id}.ndjson", data)
        _write(f"{staging}/{item_id}.meta.json", json.dumps(meta).encode() + b"\n")
    return ids[::-1]


def _format_time(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _write(path: str, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(fd, content)
    os.close(fd)


def delete_gently(folder: Path) -> None:
    """Delete a folder and all in it, with pauses: after many deletions ext4 creates slowly for seconds."""
    for path, folders, files in os.walk(folder, topdown=False):
        names = iter(files)
        while batch := list(islice(names, 1000)):
            for name in batch:
                os.unlink(f"{path}/{name}")
            time.sleep(0.01)
        for name in folders:
            os.rmdir(f"{path}/{name}")
    os.rmdir(folder)
