"""``max://``: fsspec's own tests of reading, and the programs that read by it."""

import errno
import json
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import duckdb
import fsspec
import pandas as pd
import polars as pl
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet
import pytest
from fsspec.tests import abstract
from upath import UPath

from maxstage import Corrupt, NoProject, Store
from maxstage.integrations.fsspec import MaxFileSystem

ROWS = 50_000
RECORDS = b"".join(b'{"id": %d, "name": "n%d"}\n' % (number, number % 7) for number in range(ROWS))


@pytest.fixture(params=[False, "gzip", "zstd"], ids=["plain", "gzip", "zstd"])
def item(store, request):
    return store.stage(RECORDS, compress=request.param, pin=True)


@pytest.fixture
def fs(store):
    return fsspec.filesystem("max", folder=store.layout.project)


@pytest.fixture
def inside(store, monkeypatch):
    """Work in the project, as people do."""
    monkeypatch.chdir(store.layout.project)


# Programs


def test_pandas(item, inside):
    frame = pd.read_json(f"max://{item.id}", lines=True)
    assert frame["id"].sum() == sum(range(ROWS))
    chunks = pd.read_json(f"max://{item.id}", lines=True, chunksize=7000)
    assert sum(len(chunk) for chunk in chunks) == ROWS


def test_pandas_with_a_project_by_name(item, store):
    options = {"folder": store.layout.project}
    assert len(pd.read_json(f"max://{item.id}", lines=True, storage_options=options)) == ROWS


def test_pyarrow(item, fs):
    dataset = pyarrow.dataset.dataset(item.id, format="json", filesystem=fs)
    assert dataset.to_table(filter=pyarrow.dataset.field("name") == "n3").num_rows == len(range(3, ROWS, 7))


@pytest.mark.parametrize("codec", [False, "gzip", "zstd"])
def test_parquet_is_read_from_its_end(store, fs, tmp_path, codec):
    table = pyarrow.table({"id": list(range(ROWS)), "name": [f"n{number}" for number in range(ROWS)]})
    pyarrow.parquet.write_table(table, tmp_path / "one.parquet", row_group_size=1000)
    item = store.stage(tmp_path / "one.parquet", compress=codec)
    assert (
        pyarrow.parquet.read_table(item.id, filesystem=fs, columns=["id"])["id"].to_pylist()[-1] == ROWS - 1
    )
    with fs.open(item.id) as file:
        assert pyarrow.parquet.ParquetFile(file).read_row_group(30)["id"][0].as_py() == 30_000
    assert len(pd.read_parquet(f"max://{item.id}", filesystem=fs)) == ROWS


def test_duckdb(item, fs):
    with duckdb.connect() as connection:
        connection.register_filesystem(fs)
        found = connection.sql(f"select count(*), sum(id) from read_ndjson('max://{item.id}')").fetchall()
        assert found == [(ROWS, sum(range(ROWS)))]
        joined = connection.sql(
            f"select count(*) from read_ndjson('max://{item.id}') a join read_ndjson('max://{item.id}') b using (id)"
        )
        assert joined.fetchall() == [(ROWS,)]


def test_polars_by_path(item, store):
    path = store.path(item.token)
    assert pl.scan_ndjson(path).select(pl.col("id").sum()).collect().item() == sum(range(ROWS))
    with duckdb.connect() as connection:
        assert connection.sql(f"select count(*) from '{path}'").fetchall() == [(ROWS,)]


def test_upath(item, inside):
    with warnings.catch_warnings():
        # It has no class of its own for most file systems, and says so; the general one will do.
        warnings.simplefilter("ignore", UserWarning)
        path = UPath(f"max://{item.id}")
    assert path.read_bytes() == RECORDS
    assert path.exists()
    assert path.is_file()
    assert path.stat().st_size == len(RECORDS)
    with path.open() as file:
        assert json.loads(file.readline()) == {"id": 0, "name": "n0"}


# fsspec


class Named(MaxFileSystem):
    """With names and folders, as fsspec's tests want them to read: each name stands for the item staged under it."""

    protocol = "named-max"

    def __init__(self, **options):
        super().__init__(**options)
        self.items, self.folders = {}, set()

    def pipe(self, path, value):
        self.items[path] = self._store.stage(value, compress=len(self.items) % 2 == 0).id

    def touch(self, path):
        self.pipe(path, b"")

    def makedirs(self, path, exist_ok=True):
        self.folders |= {path, *(str(one) for one in Path(path).parents)}

    mkdir = makedirs

    def rm(self, path, recursive=False):
        assert recursive
        for name in [name for name in self.items if name.startswith(path)]:
            self._store.unstage(self.items.pop(name))
        self.folders = {name for name in self.folders if not name.startswith(path)}

    def _is_folder(self, path):
        return path in self.folders or any(name.startswith(f"{path}/") for name in self.items)

    def info(self, path, **options):
        path = path.rstrip("/")
        if self._is_folder(path):
            return {"name": path, "size": 0, "type": "directory"}
        return super().info(self.items.get(path, "00000000"), **options) | {"name": path}

    def ls(self, path, detail=True, **options):
        path = path.rstrip("/")
        if not self._is_folder(path):
            found = [self.info(path)]
        else:
            inside = {*self.items, *self.folders}
            inside |= {str(one) for name in self.items for one in Path(name).parents}
            found = [self.info(name) for name in sorted(inside) if str(Path(name).parent) == path != name]
        return found if detail else [one["name"] for one in found]

    def _open(self, path, mode="rb", **options):
        return super()._open(self.items.get(path, "00000000"), mode, **options)


class Fixtures(abstract.AbstractFixtures):
    @pytest.fixture
    def fs(self, store):
        return Named(folder=store.layout.project)

    @pytest.fixture
    def fs_path(self):
        return "base"


class TestGet(abstract.AbstractGetTests, Fixtures):
    """Whatever fsspec's own tests fetch: files, folders, patterns, lists."""


def test_it_is_found_by_its_protocol(item, inside):
    with fsspec.open(f"max://{item.id}", "rt") as file:
        assert json.loads(next(file)) == {"id": 0, "name": "n0"}
    for name in (item.token, item.id, f"max://{item.token}", f"max://{item.id.upper()}"):
        assert fsspec.filesystem("max").size(name) == len(RECORDS)


def test_any_part_is_read(item, fs):
    assert fs.cat_file(item.id) == RECORDS
    for part in ((0, 10), (1_000_000, 1_048_600), (-20, None), (None, -5), (5, 2), (10**9, None)):
        assert fs.cat_file(item.id, *part) == RECORDS[slice(*part)]
    assert fs.cat_ranges([item.id, item.id], [0, 900_000], [3, 900_003]) == [
        RECORDS[:3],
        RECORDS[900_000:900_003],
    ]
    assert fs.head(item.id, 7) == RECORDS[:7]
    assert fs.tail(item.id, 7) == RECORDS[-7:]
    assert fs.read_block(item.id, 500, 100, delimiter=b"\n").endswith(b"}\n")
    with fs.open(item.id) as file:
        file.seek(-30, os.SEEK_END)
        assert file.read(10) == RECORDS[-30:-20]


def test_what_is_listed_is_what_is_staged(item, fs, store):
    other = store.stage(b"x", labels={"a": "b"}, source="here")
    assert fs.ls("") == fs.ls("max://")
    assert {one["name"] for one in fs.ls("")} == {item.id, other.id}
    assert fs.glob("*") == fs.find("") == sorted([item.id, other.id])
    assert fs.info(other.id) == {
        "name": other.id,
        "size": 1,
        "type": "file",
        "created": other.created_at,
        "mtime": other.created_at,
        "token": other.token,
        "contentType": "text",
        "recordCount": 1,
        "source": "here",
        "labels": {"a": "b"},
    }
    assert fs.isdir("")
    assert not fs.isdir(item.id)
    assert fs.isfile(item.id)
    assert fs.created(item.id) == fs.modified(item.id) == item.created_at


def test_what_is_not_there(fs, store):
    for name in ("00000000", "nonsense", "a/b", "../../etc/passwd"):
        assert not fs.exists(name)
        with pytest.raises(FileNotFoundError) as caught:
            fs.open(name)
        assert caught.value.filename == name
    token = store.stage(b"x").token
    path = next(Path(store.layout.root).glob("*.meta.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"expiresAt": "2024-01-01T00:00:00Z"}))
    with pytest.raises(FileNotFoundError, match="expired"):
        fs.open(token)
    with pytest.raises(IsADirectoryError):
        fs.open("max://")


def test_nothing_can_be_written(item, fs):
    for attempt in (
        lambda: fs.open(item.id, "wb"),
        lambda: fs.open(item.id, "ab"),
        lambda: fs.open(item.id, "xb"),
        lambda: fs.rm(item.id),
        lambda: fs.mkdir("a"),
        lambda: fs.makedirs("a"),
        lambda: fs.touch("a"),
        lambda: fs.pipe(item.id, b"x"),
        lambda: fs.mv(item.id, "a"),
        lambda: fs.put(__file__, "a"),
        lambda: fs.write_text("a", "x"),
    ):
        with pytest.raises(OSError, match="can only be read") as caught:
            attempt()
        assert caught.value.errno == errno.EROFS
    assert fs.cat_file(item.id) == RECORDS


def test_damage_is_found(item, fs, store):
    path = Path(store.storage.path(item))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(Corrupt):
        fs.cat_file(item.id)
    with pytest.raises(Corrupt), fs.open(item.id) as file:
        file.read()


def test_a_copy_for_another_process_knows_its_project(item, inside, tmp_path):
    fs = fsspec.filesystem("max")
    content = pickle.dumps(fs)
    assert (
        pickle.loads(content)
        == fs
        != fsspec.filesystem("max", folder=Store.init(tmp_path / "other").layout.project)
    )
    code = f"import pickle, sys; print(pickle.load(sys.stdin.buffer).size({item.id!r}))"
    done = subprocess.run([sys.executable, "-c", code], input=content, cwd="/", capture_output=True)
    assert done.stdout == b"%d\n" % len(RECORDS), done.stderr


def test_a_file_outlives_its_item(item, fs, store):
    with fs.open(item.id) as file:
        store.unstage(item.token)
        assert file.read() == RECORDS


def test_the_users_own_store(store, inside, tmp_path, monkeypatch):
    monkeypatch.setenv("MAX_USER_STORE", "1")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    token = Store.user().stage(b"mine").token
    assert fsspec.filesystem("max").cat_file(token) == b"mine"
    monkeypatch.chdir("/")
    assert fsspec.filesystem("max").cat_file(token) == b"mine"


def test_no_store_at_all(monkeypatch):
    monkeypatch.chdir("/")
    with pytest.raises(NoProject, match="max init"):
        fsspec.filesystem("max")
