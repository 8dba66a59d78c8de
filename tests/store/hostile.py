"""Metadata that somebody else wrote: what a damaged disk, another program, or an attacker could leave in a store."""

import json
import os
import socket
from pathlib import Path

from maxstage.store.storage.local.layout import META

DEEP = 3000
"""Levels that no parser takes."""

NUMBERS = [
    *("-1", "0", "1", "255", "9007199254740993", "9223372036854775807", "9223372036854775808"),
    *("18446744073709551615", "18446744073709551616", "1" + "0" * 30, "1" + "0" * 400, "1" + "0" * 5000),
    *("1.5", "1e999", "-1e999", "1e-999", "-0", "NaN", "Infinity", "-Infinity", "0x10", "01"),
]
TEXTS = [
    *(
        '""',
        '"text"',
        '"\\ud83d"',
        '"\\udc00 \\ud83d"',
        '"\\u0000"',
        '"\\u001b[2J"',
        '"\\u009b31m"',
        '"\\u202e"',
    ),
    *('"\u202e\u2066"', '"\u2028"', '"' + "s" * 5000 + '"', '"' + "s" * 300_000 + '"', '"../../x"', '"*"'),
    *('"a1b2c3d4"', '"A1B2C3D4"', '"max:a1b2c3d4"', '"\\"', '"\x00"', '"line\nbreak"', '"\\ud83d\\ude00"'),
]
TIMES = [
    *("0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "2262-04-12T00:00:00Z"),
    *(
        "9999-12-31T23:59:60Z",
        "9999-12-31T23:59:59.999999999Z",
        "2024-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
    ),
    *("2024-01-28T12:00:00+00:00", "2024-01-28T12:00:00", "2999-01-01T00:00:00." + "9" * 500 + "Z", "now"),
    *("2999-01-01T00:00:00Z", "2024-01-28T12:00:00Z", "10000-01-01T00:00:00Z", "२०२४-01-01T00:00:00Z"),
]
CHECKSUMS = [
    *("crc32:-ff", "crc32:+fffffff", "crc32:0xffffff", "crc32: fffffff", "crc32:ffff_fff", "crc32:", "crc32"),
    *("ffffffff", "crc32:00000000", "crc32:FFFFFFFF", "crc32:" + "f" * 9, "crc32:" + "f" * 500, "sha256:00"),
    "crc32:٣٣٣٣٣٣٣٣",
]
INDEXES = [
    *('{"block": 18446744073709551616, "newlines": [1]}', '{"block": 9223372036854775807, "newlines": [5]}'),
    *('{"block": 1, "newlines": []}', '{"block": true, "newlines": [true]}', '{"block": 0, "newlines": []}'),
    *('{"block": 1048576, "newlines": [1e3]}', '{"block": 1048576, "newlines": null}', '{"block": 1048576}'),
    *('{"block": 1048576, "newlines": [0, 0, 0, 0]}', '{"block": 1048576, "newlines": [-1, 3, 5, 6]}', "[]"),
    '{"block": 1048576, "newlines": [1048576, 1048576, 1048576, 1048576]}',
]
OTHERS = [
    *("null", "true", "false", "[]", "{}", '{"a": null}', '{"\\ud83d": ""}', "[[[[]]]]", '{"": {"": {}}}'),
    *("[" * 40 + "]" * 40, "[" * DEEP + "]" * DEEP, '{"a":' * 33 + "1" + "}" * 33, "[" * DEEP),
]
LABELS = [
    *('{"": ""}', '{"a": "\\ud83d"}', '{"\\ud83d": "a"}', '{"a": 1}', '{"a": "\\u001b]0;x\\u0007"}'),
    "{" + ", ".join(f'"{number}": "x"' for number in range(1000)) + "}",
]
KEYS = {
    "createdAt": [json.dumps(text) for text in TIMES],
    "expiresAt": [json.dumps(text) for text in TIMES],
    "createdNs": [*NUMBERS, *(f'"{number}"' for number in NUMBERS)],
    "recordCount": NUMBERS,
    "byteSize": NUMBERS,
    "storedSize": NUMBERS,
    "source": TEXTS,
    "contentType": ['"json"', '"text"', '"ndjson"', '"../x"', '"TEXT"'],
    "compression": ['"gzip"', '"zstd"', "null"],
    "checksum": [json.dumps(text) for text in CHECKSUMS],
    "labels": LABELS,
    "lineIndex": INDEXES,
    "token": TEXTS,
    "owner": [*TEXTS, *NUMBERS, *OTHERS],
    "\ud83d": TEXTS,
}


def mutate(rng, meta: dict) -> bytes:
    """Return the metadata of an item with something wrong, or at least strange, about it."""
    fields = [[json.dumps(key), json.dumps(value)] for key, value in meta.items()]
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        key = rng.choice([*KEYS, *meta])
        value = rng.choice(rng.choice([KEYS.get(key, OTHERS), KEYS.get(key, OTHERS), OTHERS, NUMBERS, TEXTS]))
        name = json.dumps(key)
        match rng.randrange(8):
            case 0:
                fields = [field for field in fields if field[0] != name]
            case 1:
                fields.append([name, value])  # perhaps for the second time
            case 2:
                rng.shuffle(fields)
            case _:
                fields = [field for field in fields if field[0] != name] + [[name, value]]
    content = ("{" + ", ".join(f"{name}: {value}" for name, value in fields) + "}\n").encode()
    return spoil(rng, content) if rng.random() < 0.25 else content


def spoil(rng, content: bytes) -> bytes:
    """Return a file that is no longer the JSON it was, or hardly."""
    at = rng.randrange(len(content))
    return rng.choice(
        [
            lambda: b"",
            lambda: content[:at],
            lambda: content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :],
            lambda: content[:at] + b"\x00" + content[at:],
            lambda: content[:at] + b"\xff" + content[at:],
            lambda: content[:at] + b"\xed\xa0\x80" + content[at:],
            lambda: b"\xef\xbb\xbf" + content,
            lambda: content.decode("utf-8", "replace").encode("utf-16"),
            lambda: content.replace(b", ", b",\r\n"),
            lambda: content * 2,
            lambda: b"\x00" * 4096,
            lambda: content + b" " * 300_000,
            lambda: b" " * (256 * 1024 - len(content)) + content,
            lambda: b"[" * 16_000_000,
            lambda: b"[" * DEEP + b"]" * DEEP,
            lambda: b'{"a":' * 50_000,
        ]
    )()


def plant(rng, staging: Path, item_id: str, content: bytes) -> str:
    """Put something in the place of an item's metadata, as a rename does; return the name of the file."""
    name = item_id + META
    path = staging / name
    new = staging / "new"
    match rng.randrange(24):
        case 0:
            os.mkfifo(new)
        case 1:
            listening = socket.socket(socket.AF_UNIX)
            here = os.getcwd()
            os.chdir(staging)  # the name of a socket may be no longer than some hundred bytes
            listening.bind("new")
            os.chdir(here)
            listening.close()
        case 2:
            path.mkdir()
            return name
        case 3:
            new.symlink_to(rng.choice([*(str(one) for one in staging.glob(f"*{META}")), "/dev/zero", name]))
        case 4:
            new.write_bytes(content)
            new.chmod(0)
        case 5:
            stray = rng.choice(
                [
                    b"foo",
                    b"A1B2C3D4",
                    b"a1b2c3d",
                    b"f" * 33,
                    b"\xff\xfe",
                    b"a\nb",
                    b"\x1b[31m",
                    b"\xe2\x80\xae",
                ]
            )
            name = os.fsdecode(stray + META.encode())
            # It may even say that this is its token.
            new.write_bytes(content.replace(item_id.encode(), rng.choice([stray, item_id.encode()])))
            path = staging / name
        case _:
            new.write_bytes(content)
    new.rename(path)
    return name
