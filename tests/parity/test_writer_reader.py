"""The compiled module and its pure twin give the same results, files and errors."""

import errno
import fcntl
import gzip
import os
import shutil
import struct
import subprocess
import threading
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import examples
from maxstage import _pure
from maxstage.errors import Corrupt

_core = pytest.importorskip("maxstage._core")
try:
    from compression import zstd
except ModuleNotFoundError:
    from backports import zstd
BACKENDS = [_core, _pure]
MIB = 1024 * 1024
CODECS = ["none", "gzip", "zstd"]

pieces = st.lists(
    st.one_of(st.binary(max_size=300), st.sampled_from([b"\n", b"\r\n", b"\x00", b" \t\n", b"x" * 70_000]))
)


def decompress(codec, stored):
    """Decompress by others' code."""
    return {"none": bytes, "gzip": gzip.decompress, "zstd": zstd.decompress}[codec](stored)


def write(core, path, chunks, *, codec="none"):
    """Write chunks with one backend; return everything that it says of them."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        writer = core.Writer(fd, str(path), codec=codec)
        for chunk in chunks:
            writer.write(chunk)
        writer.finish()
    finally:
        os.close(fd)
    assert writer.stored_size == os.path.getsize(path)
    return {
        "size": writer.byte_size,
        "lines": writer.line_count,
        "crc": writer.crc32,
        "prefix": writer.prefix,
        "index": writer.line_index,
        "type": writer.content_type,
    }


def read(core, path, *, codec="none", index=None):
    """Open a file with one backend; the descriptor is left to the end of the test."""
    fd = os.open(path, os.O_RDONLY)
    return core.Reader(fd, str(path), file_size=os.path.getsize(path), codec=codec, line_index=index)


@examples(60)
@given(chunks=pieces, codec=st.sampled_from(CODECS))
def test_writers_agree(tmp_path_factory, chunks, codec):
    folder = tmp_path_factory.mktemp("w")
    data = b"".join(chunks)
    facts = [write(core, folder / core.__name__, chunks, codec=codec) for core in BACKENDS]
    assert facts[0] == facts[1]
    assert facts[0]["crc"] == zlib.crc32(data)
    assert facts[0]["lines"] == data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
    assert facts[0]["prefix"] == data[: 64 * 1024]
    for core in BACKENDS:
        stored = (folder / core.__name__).read_bytes()
        assert decompress(codec, stored) == data


@examples(60)
@given(data=st.binary(max_size=5000), limits=st.lists(st.integers(0, 3000)))
def test_copies_agree(tmp_path_factory, data, limits):
    folder = tmp_path_factory.mktemp("c")
    (folder / "in").write_bytes(data)
    seen = []
    for core in BACKENDS:
        source = os.open(folder / "in", os.O_RDONLY)
        target = os.open(folder / "out", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        writer = core.Writer(target, "out")
        ends = [(writer.copy_from(source, limit, "in"), writer.byte_size) for limit in limits]
        ends.append((writer.copy_from(source, 10**9, "in"), writer.byte_size))
        writer.finish()
        os.close(source)
        os.close(target)
        assert (folder / "out").read_bytes() == data
        seen.append((ends, writer.crc32, writer.line_count, writer.line_index))
    assert seen[0] == seen[1]


FLAGS = {"both": os.O_RDWR, "write only": os.O_WRONLY, "appending": os.O_RDWR | os.O_APPEND}


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_files_are_copied_alike_however_they_are_open(tmp_path, flags, sync):
    """The compiled module lets the kernel copy from file to file, where it can."""
    data = b"".join(b"line %d\n" % number for number in range(1_300_000)) + b"end"
    (tmp_path / "in").write_bytes(data)
    facts = []
    for core in BACKENDS:
        (tmp_path / "out").write_bytes(b"")
        source = os.open(tmp_path / "in", os.O_RDONLY)
        target = os.open(tmp_path / "out", flags)
        writer = core.Writer(target, "out", sync=sync)
        writer.write(b"first\n")
        ends = [writer.copy_from(source, limit, "in") for limit in (100, 3 * MIB + 5, 9 * MIB, 10**9, 10**9)]
        writer.finish()
        assert (tmp_path / "out").read_bytes() == b"first\n" + data
        facts.append((ends, writer.crc32, writer.line_count, writer.line_index, writer.stored_size))
        # And back again.
        back = os.open(tmp_path / "back", flags | os.O_CREAT | os.O_TRUNC)
        os.write(back, b"begun ")
        reader = read(core, tmp_path / "out")
        crc = reader.copy_to(back, 6, reader.size, "back", crc=zlib.crc32(b"first\n"))
        assert crc == writer.crc32
        assert (tmp_path / "back").read_bytes() == b"begun " + data
        for fd in (source, target, back):
            os.close(fd)
    assert facts[0] == facts[1]


@pytest.mark.parametrize("core", BACKENDS)
def test_a_file_that_knows_no_size_is_read_to_its_end(core, tmp_path):
    """What is in /proc has a size of 0, and is no file that the kernel copies."""
    if not os.path.exists("/proc/filesystems"):
        pytest.skip("no /proc")
    with open("/proc/filesystems", "rb") as source, (tmp_path / "out").open("w+b") as out:
        writer = core.Writer(out.fileno(), "out")
        assert writer.copy_from(source.fileno(), 10**9, "in")
        assert writer.byte_size == out.tell() > 0


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """About 5 MiB of lines of many lengths, plain and compressed by each backend."""
    folder = tmp_path_factory.mktemp("big")
    lines = [b"%d " % number + b"x" * (number * 7919 % 400) + b"\n" for number in range(25_000)]
    lines[12_000] = b"long " + b"y" * (MIB + 100_000) + b"\n"
    data = b"".join(lines) + b"unterminated"
    facts = write(_core, folder / "plain", [data])
    for core, name in ((_core, "rust"), (_pure, "pure")):
        for codec in CODECS[1:]:
            write(core, folder / f"{name}.{codec}", [data], codec=codec)
    assert len(facts["index"][1]) > 4
    return folder, data, facts["index"]


def readers(big):
    """Every way in which the same data can be read."""
    folder, _, index = big
    for core in BACKENDS:
        yield read(core, folder / "plain")
        yield read(core, folder / "plain", index=index)
        for codec in CODECS[1:]:
            for writer in ("rust", "pure"):
                yield read(core, folder / f"{writer}.{codec}", codec=codec)
                yield read(core, folder / f"{writer}.{codec}", codec=codec, index=index)


def test_lines_are_found(big):
    data = big[1]
    starts = [0]
    while (at := data.find(b"\n", starts[-1])) >= 0:
        starts.append(at + 1)
    count = len(starts)
    numbers = [
        0,
        1,
        2,
        3,
        5_000,
        11_999,
        12_000,
        12_001,
        12_002,
        12_003,
        20_000,
        count - 1,
        count,
        count + 1,
        10**12,
    ]
    for reader in readers(big):
        assert reader.size == len(data)
        for number in numbers:
            expected = 0 if number == 0 else starts[number - 1] if number <= count else len(data)
            assert reader.line_offset(number) == expected, number
        for tail in (0, 1, 2, 100, 13_001, 13_002, 13_003, count - 1, count, count + 5):
            expected = len(data) if tail == 0 else starts[max(0, count - tail)]
            assert reader.tail_offset(tail) == expected, tail


def test_ranges_are_read(big, tmp_path):
    data = big[1]
    ranges = [(0, 0), (0, 10), (MIB - 3, MIB + 3), (MIB, 2 * MIB), (2 * MIB + 1, 4 * MIB - 1), (5, 5), (9, 3)]
    ranges += [(len(data) - 5, len(data)), (len(data) - 5, len(data) + 99), (len(data) + 1, len(data) + 9)]
    for reader in readers(big):
        for start, end in ranges:
            assert reader.read(start, end) == data[start:end]
            part = data[start:end]
            for block in (1000, MIB - 1, 2**63):
                counts = [part[at : at + block].count(b"\n") for at in range(0, len(part), block)]
                assert reader.measure(start, end, block, crc=7) == (zlib.crc32(part, 7), counts)
        with (tmp_path / "out").open("wb") as out:
            crc = reader.copy_to(out.fileno(), 0, 3 * MIB, "out")
            crc = reader.copy_to(out.fileno(), 3 * MIB, len(data), "out", crc=crc)
        assert crc == zlib.crc32(data)
        assert (tmp_path / "out").read_bytes() == data


PROGRAMS = {"gzip": "gunzip", "zstd": "unzstd"}


@pytest.mark.parametrize("codec", CODECS[1:])
def test_the_usual_program_reads_what_we_write(big, codec):
    folder, data, _ = big
    if shutil.which(PROGRAMS[codec]) is None:
        pytest.skip(f"no {PROGRAMS[codec]}")
    for writer in ("rust", "pure"):
        with open(folder / f"{writer}.{codec}", "rb") as stored:
            done = subprocess.run([PROGRAMS[codec], "-c"], stdin=stored, capture_output=True, check=True)
        assert done.stdout == data


def test_a_seek_table_says_where_the_frames_lie(big):
    """As version 0.1.0 of zstd's seekable format has it: read here by the letter of its description."""
    folder, data, _ = big
    for writer in ("rust", "pure"):
        stored = (folder / f"{writer}.zstd").read_bytes()
        count, descriptor, magic = struct.unpack("<IBI", stored[-9:])
        assert (magic, descriptor) == (0x8F92EAB1, 0)
        table = stored[-17 - 8 * count :]
        assert struct.unpack_from("<II", table) == (0x184D2A5E, 8 * count + 9)
        at, whole = 0, b""
        for packed, size in struct.iter_unpack("<II", table[8:-9]):
            part = zstd.decompress(stored[at : at + packed])
            assert len(part) == size
            whole += part
            at += packed
        assert (at, whole) == (len(stored) - len(table), data)


def test_codecs_that_there_are_not(tmp_path):
    for core in BACKENDS:
        with pytest.raises(ValueError, match='"brotli" is not a codec; use one of: none, gzip, zstd'):
            core.Writer(1, "out", codec="brotli")


@pytest.mark.parametrize("core", BACKENDS)
def test_the_index_stays_small(core, tmp_path, monkeypatch):
    # 1,100 blocks: the index is merged once on the way. A sparse file has no lines and costs no disk.
    if core is _pure:
        monkeypatch.setattr("maxstage._pure.copy._SMALLEST_BLOCK", 1024)
        size, block = 1100 * 1024, 2048
    else:
        size, block = 1100 * MIB, 2 * MIB
    (tmp_path / "sparse").write_bytes(b"")
    os.truncate(tmp_path / "sparse", size)
    with (tmp_path / "sparse").open("rb") as source, open("/dev/null", "wb") as out:
        writer = core.Writer(out.fileno(), "out")
        assert writer.copy_from(source.fileno(), size + 1, "sparse")
        writer.write(b"\n\n\n")
    assert writer.line_index[0] == block
    assert len(writer.line_index[1]) == 551
    assert writer.line_index[1][-1] == 3
    assert writer.line_count == 3


@pytest.mark.parametrize("codec", CODECS[1:])
@pytest.mark.parametrize("core", BACKENDS)
def test_damage_is_noticed(core, codec, big, tmp_path):
    packed = (big[0] / f"rust.{codec}").read_bytes()
    end = len(packed)
    # In zstd's frame header a bit may say nothing of the data: the first 28 bytes are those of gzip alone.
    start = range(28) if codec == "gzip" else range(4)
    for at in [*start, 40, 5000, *range(end - 20, end)]:
        altered = bytearray(packed)
        altered[at] ^= 0x41
        (tmp_path / "altered").write_bytes(altered)
        with pytest.raises(Corrupt):
            reader = read(core, tmp_path / "altered", codec=codec)
            reader.measure(0, reader.size, 2**20)
    for size in (1, 27, 28, end - 1, end // 2):
        (tmp_path / "short").write_bytes(packed[:size])
        with pytest.raises(Corrupt):
            read(core, tmp_path / "short", codec=codec)


@pytest.mark.parametrize("core", BACKENDS)
def test_errors_are_alike(core, tmp_path):
    (tmp_path / "data").write_bytes(b"abc")
    short = read(core, tmp_path / "data")
    os.truncate(tmp_path / "data", 1)
    with pytest.raises(Corrupt, match="shorter"):
        short.read(0, 3)
    with pytest.raises(IsADirectoryError) as error:
        core.Writer(os.open("/dev/null", os.O_WRONLY), "out").copy_from(
            os.open(tmp_path, os.O_RDONLY), 9, "here"
        )
    assert (error.value.errno, error.value.filename, error.value.strerror) == (21, "here", "Is a directory")
    with pytest.raises(OSError, match="No space left") as full:
        core.Writer(os.open("/dev/full", os.O_WRONLY), "full").write(b"x")
    assert full.value.filename == "full"
    ours, theirs = os.pipe()
    os.close(ours)
    with pytest.raises(BrokenPipeError):
        core.Writer(theirs, "pipe").write(b"x")
    with pytest.raises(TypeError):
        core.Writer(1, "out").write("text")


@pytest.mark.parametrize("core", BACKENDS)
def test_pipes_that_do_not_block_are_waited_for(core, tmp_path):
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    child = subprocess.Popen(["sh", "-c", "sleep 0.2; seq 100000"], stdout=theirs)
    os.close(theirs)
    with (tmp_path / "out").open("wb") as out:
        writer = core.Writer(out.fileno(), "out")
        assert writer.copy_from(ours, 10**9, "pipe")
    assert child.wait() == 0
    assert writer.line_count == 100_000
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    child = subprocess.Popen(["sh", "-c", "sleep 0.2; wc -c"], stdin=ours, stdout=subprocess.PIPE)
    os.close(ours)
    core.Writer(theirs, "pipe").write(b"x" * 3 * MIB)
    os.close(theirs)
    assert int(child.communicate()[0]) == 3 * MIB


@pytest.mark.parametrize("core", BACKENDS)
def test_descriptors_that_are_no_good(core, tmp_path):
    # A name need not be UTF-8, and what the kernel says of a descriptor arrives as it said it.
    name = os.fsdecode(bytes(tmp_path / "caf") + b"\xe9")
    for fd in (-1, 9999):
        with pytest.raises(OSError, match="Bad file descriptor") as caught:
            core.Writer(fd, name).write(b"data")
        assert (caught.value.errno, caught.value.filename) == (errno.EBADF, name)
        with pytest.raises(OSError, match="Bad file descriptor"):
            core.Writer(fd, name).copy_from(-1, 10, name)


@pytest.mark.parametrize("core", BACKENDS)
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("blocking", [True, False])
def test_into_a_pipe_that_is_slow_and_may_not_block(core, codec, blocking, tmp_path):
    data = os.urandom(3 * MIB + 12345)
    path = tmp_path / "item"
    write(core, path, [data], codec=codec)
    fd = os.open(path, os.O_RDONLY)
    theirs, ours = os.pipe()
    os.set_blocking(ours, blocking)
    got = bytearray()

    def read_slowly():
        while part := os.read(theirs, 70_000):
            got.extend(part)

    reading = threading.Thread(target=read_slowly)
    reading.start()
    try:
        reader = core.Reader(fd, str(path), file_size=os.path.getsize(path), codec=codec, line_index=None)
        crc = reader.copy_to(ours, 1, 2_000_000, "<pipe>")
        crc = reader.copy_to(ours, 2_000_000, len(data), "<pipe>", crc=crc)
    finally:
        os.close(ours)
        reading.join()
        os.close(theirs)
        os.close(fd)
    assert got == data[1:]
    assert crc == zlib.crc32(data[1:])


@pytest.mark.parametrize("core", BACKENDS)
def test_an_id_is_claimed_once(core, tmp_path):
    claim, part, meta = (str(tmp_path / name) for name in ("claim", "part", "meta"))
    fds = core.claim(claim, part, [meta])
    assert [os.get_inheritable(fd) for fd in fds] == [False, False]
    assert [os.stat(name).st_mode & 0o777 for name in (claim, part)] == [0o600, 0o600]
    os.write(fds[0], b"x")
    os.write(fds[1], b"y")
    assert os.pread(fds[1], 1, 0) == b"y"
    with open(claim, "rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert core.claim(claim, part, [meta]) is None
    core.rename([(part, part + "2"), (claim, meta)])
    assert core.claim(claim, part, [meta]) is None
    assert sorted(os.listdir(tmp_path)) == ["meta", "part2"]
    for fd in fds:
        os.close(fd)
    with pytest.raises(FileNotFoundError) as error:
        core.rename([(part, claim)])
    assert error.value.filename == part
    os.mkdir(part)
    with pytest.raises(FileExistsError) as error:
        core.claim(claim, part, [])
    assert (error.value.filename, os.path.exists(claim)) == (part, False)
    with pytest.raises(FileNotFoundError) as error:
        core.claim(str(tmp_path / "no" / "claim"), part, [])
    assert error.value.filename == str(tmp_path / "no" / "claim")


@examples(60)
@given(parts=pieces)
def test_checksums_and_counts_agree(parts):
    for core in BACKENDS:
        crc = 0
        for part in parts:
            crc = core.crc32(part, crc)
            assert core.count_newlines(part) == part.count(b"\n")
        assert crc == zlib.crc32(b"".join(parts))
    assert core.crc32(b"abc") == zlib.crc32(b"abc")
