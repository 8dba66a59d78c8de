"""An executor of one's own, on maxstage's parts: tasks side by side, outputs bounded, wholes by token."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from maxstage import Limits, Store, TaskOutput, capture

LIMITS = Limits(max_stdout_bytes=2048, truncation_strategy="both")
TASKS = {
    "log": ["sh", "-c", "seq 1 50000"],
    "report": ["sh", "-c", "echo all is well"],
    "broken": ["sh", "-c", "echo 'no such table: users' >&2; exit 2"],
}


def execute(store: Store, name: str, argv: list[str]) -> TaskOutput:
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    return capture(process, limits=LIMITS, timeout=60, store=store, task_id=name)


def main(folder: str) -> int:
    store = Store.init(folder)
    with ThreadPoolExecutor() as pool:
        outputs = list(pool.map(lambda task: execute(store, *task), TASKS.items()))
    for output in outputs:
        state = "ok" if output.ok else f"failed with {output.exit_code}"
        print(f"{output.task_id}: {state}, {output.original_size:,} bytes, {output.duration:.2f} s")
        if output.token is not None:
            print(f"  cut to {len(output.content):,} bytes; the whole: max retrieve {output.token}")
        if not output.ok and output.stderr is not None:
            print(f"  {output.stderr.text.strip()}")
    return sum(not output.ok for output in outputs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "."))
