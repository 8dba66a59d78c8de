"""Searching and counting, next to rg, jq and DuckDB: whole processes, medians, in turns.

Peers are used where they are: ``rg`` and ``jq`` on the path, DuckDB as a package of the Python that ``--duckdb`` names,
run in a process of its own.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NAMES = ("Acme", "Globex", "Initech", "Stark", "Wonka")
COMPANIES = [f"{name} {kind}" for name in NAMES for kind in ("Inc", "Ltd", "LLC")]
SLOW = {"jq", "jq | sort | uniq"}
"""What takes a hundred times as long is measured once."""
SQL = "import duckdb, sys; print(duckdb.sql(sys.argv[1]).fetchall())"


def write_contacts(path: Path, size: int) -> None:
    """Write NDJSON of about this many bytes; one record in fifty is of Hooli."""
    draw = random.Random(1)
    number = written = 0
    with path.open("wb") as file:
        while written < size:
            rows = []
            for _ in range(5000):
                number += 1
                row = {
                    "id": number,
                    "name": f"Person {draw.randrange(10**5):05}",
                    "email": f"p{number}@example.com",
                    "company": "Hooli" if draw.random() < 0.02 else draw.choice(COMPANIES),
                    "amount": round(draw.random() * 10_000, 2),
                    "active": draw.random() < 0.5,
                    "created": f"2024-{draw.randrange(1, 13):02}-{draw.randrange(1, 29):02}T10:00:00Z",
                    "tags": ["a", "b"],
                    "address": {
                        "city": draw.choice(["Bonn", "Oslo", "Rome"]),
                        "zip": f"{draw.randrange(10**5):05}",
                    },
                }
                rows.append(json.dumps(row))
            data = ("\n".join(rows) + "\n").encode()
            written += file.write(data)


def tasks(token: str, packed: str, file: Path, python: str) -> dict[str, dict[str, list[str]]]:
    """Return what is asked, and how each program is asked it."""
    program = [sys.executable, "-m", "maxstage"]

    def shell(text: str) -> list[str]:
        return ["bash", "-c", text]

    def duckdb(text: str) -> list[str]:
        return [python, "-c", SQL, text.format(f"read_ndjson_auto('{file}')")]

    zipped = f"{file}.gz"
    return {
        "a literal": {
            "max": [*program, "count", token, "-f", 'company = "Hooli"'],
            "rg -c": ["rg", "-c", "Hooli", str(file)],
            "jq": shell(f"jq -c 'select(.company == \"Hooli\")' {file} | wc -l"),
            "duckdb": duckdb("SELECT count(*) FROM {} WHERE company = 'Hooli'"),
        },
        "a number in each row": {
            "max": [*program, "count", token, "-f", "amount > 9990"],
            "duckdb": duckdb("SELECT count(*) FROM {} WHERE amount > 9990"),
        },
        "count by": {
            "max": [*program, "count", token, "--by", "company", "--top", "10"],
            "jq | sort | uniq": shell(f"jq -r .company {file} | LC_ALL=C sort | uniq -c | sort -rn | head"),
            "duckdb": duckdb("SELECT company, count(*) n FROM {} GROUP BY 1 ORDER BY n DESC LIMIT 10"),
        },
        "the ten largest": {
            "max": [
                *program,
                "search",
                token,
                "--sort",
                "amount:desc",
                "--limit",
                "10",
                "--fields",
                "id,amount",
            ],
            "duckdb": duckdb("SELECT id, amount FROM {} ORDER BY amount DESC LIMIT 10"),
        },
        "schema": {
            "max": [*program, "schema", token],
            "duckdb": duckdb("SUMMARIZE SELECT * FROM {}"),
        },
        "a literal, gzip": {
            "max": [*program, "count", packed, "-f", 'company = "Hooli"'],
            "gzip | rg": shell(f"gzip -dc {zipped} | rg -c Hooli"),
        },
    }


def measure(command: list[str], folder: Path) -> tuple[float, float, int]:
    """Run a command; return its seconds, its CPU seconds with its children's, and its peak memory in KiB."""
    start = time.perf_counter()
    with open(os.devnull, "wb") as null:
        process = subprocess.Popen(command, cwd=folder, stdout=null, stderr=null)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed with {process.returncode}")
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss


def is_here(name: str, python: str) -> bool:
    if name == "duckdb":
        return (
            subprocess.run([python, "-c", "import duckdb"], check=False, capture_output=True).returncode == 0
        )
    return all(word == "max" or shutil.which(word.split()[0]) for word in name.split(" | "))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=float, default=1e9, help="bytes of data (1e9)")
    parser.add_argument("--duckdb", default=sys.executable, help="a Python that has duckdb (this one)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    options = parser.parse_args()
    figures: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        file = folder / "contacts.ndjson"
        write_contacts(file, int(options.size))
        program = [sys.executable, "-m", "maxstage"]
        subprocess.run([*program, "init"], cwd=folder, check=True, stdout=subprocess.DEVNULL)

        def stage(*args: str) -> str:
            done = subprocess.run(
                [*program, "stage", *args, str(file)], cwd=folder, check=True, stdout=subprocess.PIPE
            )
            return done.stdout.decode().strip()

        token, packed = stage(), stage("--compress")
        if shutil.which("rg"):
            with open(f"{file}.gz", "wb") as zipped:
                subprocess.run(["gzip", "-1c", str(file)], stdout=zipped, check=True)
        print(
            f"{file.stat().st_size / 1e9:.2f} GB of NDJSON, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        )
        for what, commands in tasks(token, packed, file, options.duckdb).items():
            here = {name: command for name, command in commands.items() if is_here(name, options.duckdb)}
            times: dict[str, list[tuple[float, float, int]]] = {name: [] for name in here}
            # In turns, so that what else the machine does hits all alike.
            for turn in range(options.rounds):
                for name, command in here.items():
                    if turn == 0 or name not in SLOW:
                        times[name].append(measure(command, folder))
            ours = statistics.median(one[0] for one in times["max"])
            figures[what] = {}
            print(f"\n{what}")
            for name, rows in times.items():
                wall, cpu = (statistics.median(one[at] for one in rows) for at in (0, 1))
                peak = max(one[2] for one in rows) / 1024
                figures[what][name] = {"seconds": wall, "cpu": cpu, "peak_mib": peak, "ratio": ours / wall}
                print(
                    f"  {name:18} {wall:7.3f} s  cpu {cpu:7.3f} s  {peak:6.0f} MiB  max/this {ours / wall:6.3f}"
                )
        print(f"\nload {os.getloadavg()[0]:.1f}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
