"""What the ``intent`` task of a workflow runs: plan the writes once, and execute them, at once or when approved.

It is started as ``python -m maxstage.cli.intent_task SPEC``, where the specification is JSON, as
`maxstage.workflow.run.intents` writes it; it is no command for people.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from maxstage.intent.intent import Intent
    from maxstage.store.store import Store

_KEY = "task"
"""The fact of an intent that tells which task of which run made it."""
_TEMPLATES = ("from", "to", "content", "argv")


def _task(args: "list[str]") -> int:
    import json

    from maxstage.cli.printing import warn, write_out
    from maxstage.cli.process import catch_signals, open_project
    from maxstage.intent.execution import Options

    spec = json.loads(args[0])
    catch_signals()
    store = open_project(None)
    intent = _find(store, spec["key"]) or _plan(store, spec)
    if spec["execute"] == "after_approval" and not intent.is_approved():
        from maxstage.errors import Error

        raise Error(
            f"{intent.token} needs approval: max intent approve {intent.token}{_policy(spec)}, then max run --resume"
        )
    outcome = intent.execute(
        Options(
            jobs=spec["jobs"],
            rate=spec["rate"],
            on_conflict=spec["on_conflict"],
            keep_going=spec["keep_going"],
        )
    )
    write_out(outcome.token)
    told = ", ".join(f"{count:,} {status}" for status, count in outcome.statuses.items() if count)
    warn(f"{intent.token}: {told or 'nothing was done'}")
    first = intent.first_failure()
    if first is not None:
        warn(first)
    return 0 if outcome.ok else 1


def _policy(spec: "dict[str, Any]") -> str:
    return "" if spec["on_conflict"] == "fail" else f" --on-conflict {spec['on_conflict']}"


def _find(store: "Store", key: str) -> "Intent | None":
    """Return the intent that an earlier attempt of this task has made."""
    from maxstage.intent.intent import Intent
    from maxstage.intent.telling import state_of

    for intent, facts in Intent.list(store):
        if facts.get(_KEY) == key and state_of(facts) not in {"cancelled", "expired", "taken back"}:
            return intent
    return None


def _plan(store: "Store", spec: "dict[str, Any]") -> "Intent":
    from maxstage.intent.intent import Intent
    from maxstage.query.inputs import open_inputs
    from maxstage.query.search import Looked, Query, read_all

    query = Query(filters=[spec["filter"]] if spec["filter"] else [], strict=True)
    inputs, _ = open_inputs([spec["records"] or "-"], lambda: store)
    try:
        return Intent.plan_lines(
            store,
            spec["operation"],
            read_all(inputs, query, Looked()),
            {name: spec[name] for name in _TEMPLATES},
            root=spec["root"],
            is_json=inputs[0].is_json,
            sources=[one.name for one in inputs],
            task=spec["key"],
        )
    finally:
        for one in inputs:
            one.close()


def main() -> "NoReturn":
    """Run the task with this process's arguments and exit."""
    from maxstage.cli.process import finish, run

    code = finish(run(_task, sys.argv[1:]))
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
