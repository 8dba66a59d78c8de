"""What a task costs on this machine, by an engine, and by the engine's own library alone: in a chain, and side by side.

Everything runs here: the engine (Temporal's development server), a worker and the driver. It needs
``pip install "maxstage[workflow,temporal]"``.

    python benches/many_machines.py [--chain 50] [--beside 200] [--loop 10000] [--tasks 2000] [--mib 1024]
"""

import argparse
import asyncio
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import timedelta

from maxstage import Store
from maxstage.workflow.workflow import Workflow

TRUE = {"command": {"executable": "true"}}
MIB = 1024 * 1024


def workflow(tasks, **root):
    return Workflow.from_dict({"name": "bench", "version": "1", "tasks": tasks, **root})


def chain(count):
    return {f"t{n}": TRUE | ({"depends_on": [f"t{n - 1}"]} if n else {}) for n in range(count)}


def beside(count):
    return {f"t{n}": TRUE for n in range(count)}


def timed(name, flow, count, store, on):
    result = flow.run(store=store, folder=store.layout.project, on=on)
    assert result.ok, result.error
    print(f"{name:<34} {result.seconds / count * 1000:8.1f} ms a task {result.seconds:9.2f} s", flush=True)
    return result.run_id


async def plain(target, counts):
    """The same by temporalio alone: an activity that runs a program, and nothing else."""
    from temporalio import activity
    from temporalio.client import Client
    from temporalio.worker import Worker

    @activity.defn(name="plain")
    async def run():
        process = await asyncio.create_subprocess_exec("true")
        return await process.wait()

    client = await Client.connect(target)

    async def one():
        return await client.execute_activity(
            "plain", id=uuid.uuid4().hex, task_queue="plain", start_to_close_timeout=timedelta(seconds=60)
        )

    async with Worker(client, task_queue="plain", activities=[run], max_concurrent_activities=os.cpu_count()):
        await one()
        began = time.monotonic()
        for _ in range(counts[0]):
            await one()
        took = time.monotonic() - began
        print(
            f"{'chain, temporalio alone':<34} {took / counts[0] * 1000:8.1f} ms a task {took:9.2f} s",
            flush=True,
        )
        limit = asyncio.Semaphore(64)

        async def limited():
            async with limit:
                await one()

        began = time.monotonic()
        await asyncio.gather(*(limited() for _ in range(counts[1])))
        took = time.monotonic() - began
        print(
            f"{'side by side, temporalio alone':<34} {took / counts[1] * 1000:8.1f} ms a task {took:9.2f} s",
            flush=True,
        )


async def largest(target, run_id):
    """Return the bytes of the largest message of a run, asked of the server, and the number of its programs."""
    from temporalio.client import Client

    client = await Client.connect(target)
    most = count = 0
    async for one in client.list_activities(f'ActivityId STARTS_WITH "{run_id}/"'):
        count += 1
        if count <= 1000:
            known = await client.get_activity_handle(one.activity_id).describe(
                include_input=True, include_outcome=True
            )
            most = max(most, known.raw_input.ByteSize(), known.raw_outcome.ByteSize())
    return most, count


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("chain", 50), ("beside", 200), ("loop", 0), ("tasks", 0), ("mib", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.close()
        store = Store.init(folder)
        target = f"127.0.0.1:{port}"
        on = f"temporal://{target}"
        command = [sys.executable, "-m", "maxstage"]
        subprocess.run(
            [*command, "engine", "start", "--port", str(port)],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        worker = subprocess.Popen(
            [*command, "worker", "--on", on, "-o", "json"], cwd=folder, stdout=subprocess.PIPE
        )
        try:
            worker.stdout.readline()
            drain = subprocess.Popen(["cat"], stdin=worker.stdout, stdout=subprocess.DEVNULL)
            measure(given, store, on, target)
        finally:
            worker.terminate()
            worker.wait()
            drain.wait()
            subprocess.run([*command, "engine", "stop"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def measure(given, store, on, target):
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    for where, name in ((None, "here"), (on, "by the engine")):
        timed(f"chain, {name}", workflow(chain(given.chain)), given.chain, store, where)
        timed(f"side by side, {name}", workflow(beside(given.beside)), given.beside, store, where)
    asyncio.run(plain(target, (given.chain, given.beside)))
    if given.loop:
        loop = {"for_each": {"collection": {"type": "range", "end": given.loop}, "parallel": True}}
        run_id = timed(
            f"loop of {given.loop:,}", workflow({"t": TRUE | {"loop": loop}}), given.loop, store, on
        )
        print(f"  largest message, programs: {asyncio.run(largest(target, run_id))}")
    if given.tasks:
        run_id = timed(f"{given.tasks:,} tasks", workflow(beside(given.tasks)), given.tasks, store, on)
        print(f"  largest message, programs: {asyncio.run(largest(target, run_id))}")
    if given.mib:
        text = f"openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c {given.mib * MIB}"
        task = {"script": {"content": f"{text} || true", "strict": False}}
        run_id = timed(f"an output of {given.mib} MiB", workflow({"t": task}), 1, store, on)
        print(f"  largest message, programs: {asyncio.run(largest(target, run_id))}")
        print(f"  peak of the driver: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
