"""A store on a server beside s5cmd, rclone, ``aws s3 cp`` and boto3, on the same server: time, CPU and peak memory.

    tests/remote/with_server.sh python benches/remote.py [--mib 1024] [--small 10000] [--items 0]

Peers that are not installed are left out. All run in turn, three times; the best of each is shown, since the server
runs on the same machine. `--items` also makes so many items, and times lists of them.
"""

import argparse
import importlib.util
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from maxstage import Store
from maxstage.store.storage.object.together import each

ROUNDS = 3
BUCKET = os.environ.get("RGW_BUCKET", "max-test")
BOTO = "import boto3, sys; getattr(boto3.client('s3'), sys.argv[1])(*sys.argv[2:])"


def measured(command: list[str], out: Path, stdin: Path | None = None) -> tuple[float, float, float]:
    """Run a command; return its seconds, its CPU seconds, and its peak memory in MiB."""
    code = (
        "import os, resource, subprocess, sys; "
        "done = subprocess.run(sys.argv[1:]); r = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "os.write(2, f'{r.ru_utime + r.ru_stime} {r.ru_maxrss / 1024}'.encode()); sys.exit(done.returncode)"
    )
    with out.open("wb") as target, open(stdin or os.devnull, "rb") as source:
        begin = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code, *command],
            stdin=source,
            stdout=target,
            stderr=subprocess.PIPE,
            check=True,
        )
        seconds = time.perf_counter() - begin
    cpu, peak = done.stderr.decode().split()[-2:]
    return seconds, float(cpu), float(peak)


def show(name: str, runs: dict[str, list[tuple[float, float, float]]]) -> None:
    print(f"\n{name}")
    for who, results in runs.items():
        seconds, cpu, peak = (min(column) for column in zip(*results, strict=True))
        print(f"  {who:8} {seconds:8.2f} s {cpu:8.2f} s CPU {peak:7.0f} MiB")


def large(folder: Path, mib: int) -> None:
    data, out = folder / "data", folder / "out"
    with data.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(1 << 20))
    key = f"s3://{BUCKET}/peers/data"
    ups = {
        "s5cmd": ["s5cmd", "cp", str(data), key],
        "rclone": [
            "rclone",
            "copyto",
            str(data),
            f":s3,env_auth,provider=Ceph,endpoint='{os.environ['AWS_ENDPOINT_URL']}':{BUCKET}/peers/data",
        ],
        "aws": ["aws", "s3", "cp", "--quiet", str(data), key],
        "boto3": [sys.executable, "-c", BOTO, "upload_file", str(data), BUCKET, "peers/data"],
    }
    downs = {
        "s5cmd": ["s5cmd", "cp", key, str(folder / "copy")],
        "rclone": ["rclone", "copyto", ups["rclone"][3], str(folder / "copy")],
        "aws": ["aws", "s3", "cp", "--quiet", key, str(folder / "copy")],
        "boto3": [sys.executable, "-c", BOTO, "download_file", BUCKET, "peers/data", str(folder / "copy")],
    }
    there = [name for name in ups if is_there(name)]
    max_ = [sys.executable, "-m", "maxstage"]
    up: dict[str, list] = {name: [] for name in ["max", *there]}
    down: dict[str, list] = {name: [] for name in ["max", *there]}
    for _ in range(ROUNDS):
        up["max"].append(measured([*max_, "stage", str(data)], out))
        token = out.read_text().strip()
        down["max"].append(measured([*max_, "retrieve", token, "--to", str(folder / "copy")], out))
        subprocess.run([*max_, "unstage", token], check=True, stdout=subprocess.DEVNULL)
        for name in there:
            (folder / "copy").unlink(missing_ok=True)
            up[name].append(measured(ups[name], out))
            down[name].append(measured(downs[name], out))
    show(f"{mib} MiB up", up)
    show(f"{mib} MiB down", down)
    data.unlink()
    (folder / "copy").unlink(missing_ok=True)


def is_there(name: str) -> bool:
    if name == "boto3":
        return importlib.util.find_spec("boto3") is not None
    return shutil.which(name) is not None


def small(folder: Path, count: int) -> None:
    many = folder / "many"
    many.mkdir()
    for number in range(count):
        (many / str(number)).write_bytes(os.urandom(1024))
    code = (
        "import os, sys; from maxstage import Store; store = Store.open('.'); "
        "store.stage_many(os.path.join(sys.argv[1], name) for name in os.listdir(sys.argv[1]))"
    )
    out = folder / "out"
    runs = {"max": [measured([sys.executable, "-c", code, str(many)], out)]}
    if is_there("s5cmd"):
        runs["s5cmd"] = [measured(["s5cmd", "cp", f"{many}/*", f"s3://{BUCKET}/peers/many/"], out)]
    show(f"{count} of 1 KiB", runs)


def lists(count: int) -> None:
    store = Store.open(".")
    each(lambda number: store.stage(b"%d\n" % number), range(count), wide=16)
    asks = {
        "newest 50": lambda store: store.list(limit=50),
        "ids": lambda store: store.ids(),
        "bytes": lambda store: store.storage.usage(published=True),
    }
    for name, ask in asks.items():
        fresh = Store.open(".")
        begin = time.perf_counter()
        ask(fresh)
        print(f"  {count} items: {name:10} {time.perf_counter() - begin:8.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=0)
    asked = parser.parse_args()
    os.environ["S3_ENDPOINT_URL"] = os.environ["AWS_ENDPOINT_URL"]  # as s5cmd calls it
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        subprocess.run(
            [sys.executable, "-m", "maxstage", "init", "--store", f"s3://{BUCKET}/bench-{os.getpid()}"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        if asked.mib:
            large(Path(folder), asked.mib)
        if asked.small:
            small(Path(folder), asked.small)
        if asked.items:
            lists(asked.items)
    print(f"\nThis process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


main()
