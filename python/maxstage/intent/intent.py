"""`Intent`: a plan of many writes, as Python programs and the command line use it."""

from __future__ import annotations

import getpass
import os
import time
from typing import TYPE_CHECKING, Any

from maxstage.errors import Error
from maxstage.intent import folder
from maxstage.intent.checking import check
from maxstage.intent.execution import Execution, Options
from maxstage.intent.journal import FAILED, UNKNOWN, Lock
from maxstage.intent.plan import Planner
from maxstage.intent.preview import Looker
from maxstage.intent.result import counts_of, publish
from maxstage.intent.tokens import format_intent, format_result, parse_intent
from maxstage.intent.undo import intent_of, plan_undo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from maxstage.intent.journal import Journal
    from maxstage.intent.preview import Preview
    from maxstage.store.store import Store

    Progress = Callable[[int], None]


class Outcome:
    """What an execution came to.

    Attributes:
        token: The token of the result, ``max:result:…``.
        statuses: How many operations ended in which way: ``succeeded``, ``failed``, ``skipped``, ``unknown``.
        pending: The operations that were not reached, because one failed before.
        is_old: Whether nothing was left to do: it was executed before.
    """

    def __init__(self, token: str, statuses: dict[str, int], pending: int, *, is_old: bool) -> None:
        self.token = token
        self.statuses = statuses
        self.pending = pending
        self.is_old = is_old

    @property
    def ok(self) -> bool:
        """Whether everything was done."""
        return not self.pending and not self.statuses[FAILED] and not self.statuses[UNKNOWN]


class Intent:
    """A plan of many writes, which can be looked at, executed once, and taken back.

    Args:
        store: The store that it is in.
        token: Its token.

    Attributes:
        id: The hex digits of the token.
        store: The store that it is in.

    Raises:
        InvalidToken: The text is not the token of an intent.

    >>> import pathlib, tempfile
    >>> from maxstage import Store
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> store = Store.init(folder)
    >>> _ = (folder / "a.txt").write_text("hello")
    >>> intent = Intent.plan(store, "move", [{"path": "a.txt"}], root=folder, from_="{path}", to="texts/{path}")
    >>> intent.preview().has_problems
    False
    >>> outcome = intent.execute()
    >>> outcome.statuses["succeeded"], (folder / "texts" / "a.txt").read_text()
    (1, 'hello')
    >>> Intent.undo(store, outcome.token).statuses["succeeded"], (folder / "a.txt").exists()
    (1, True)
    """

    def __init__(self, store: Store, token: str) -> None:
        self.store = store
        self.id = parse_intent(token)

    @property
    def token(self) -> str:
        """Its token: ``max:intent:…``."""
        return format_intent(self.id)

    @classmethod
    def plan(
        cls,
        store: Store,
        operation: str,
        records: Iterable[Any],
        *,
        root: str | os.PathLike[str] = ".",
        from_: str | None = None,
        to: str | None = None,
        content: str | None = None,
        argv: Sequence[str] | None = None,
        ttl: float | str | None = None,
    ) -> Intent:
        """Make an intent, an operation a record; nothing is done yet.

        Args:
            store: The store that it is put in.
            operation: ``copy``, ``move``, ``delete``, ``write`` or ``run``.
            records: The records: dicts as a rule; anything that JSON has.
            root: The folder that no operation leaves.
            from_: The template of the source, for ``copy``, ``move`` and ``delete``.
            to: The template of the target, for ``copy``, ``move`` and ``write``.
            content: The template of what ``write`` writes.
            argv: The templates of the words of a command, for ``run``.
            ttl: Minutes, or text like ``2h``, in which it must be begun; None for the setting.

        Raises:
            InvalidQuery: A template can't be understood, is missing, or is of no use here.
            MissingField: A record has no such field.
            Error: There are no records.
        """
        from maxstage import exact

        lines = (exact.dumps(record).encode("utf-8", "surrogateescape") + b"\n" for record in records)
        texts = {"from": from_, "to": to, "content": content, "argv": None if argv is None else list(argv)}
        return cls.plan_lines(store, operation, lines, texts, root=root, ttl=ttl)

    @classmethod
    def plan_lines(
        cls,
        store: Store,
        operation: str,
        lines: Iterable[bytes],
        templates: Mapping[str, Any],
        *,
        root: str | os.PathLike[str] = ".",
        is_json: bool = True,
        ttl: float | str | None = None,
        sources: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
        task: str | None = None,
    ) -> Intent:
        """Make an intent as `plan` does, of records that are lines.

        Args:
            store: The store that it is put in.
            operation: As for `plan`.
            lines: Records, many at a time, each with a newline at its end.
            templates: ``from``, ``to``, ``content`` and ``argv``; those that are None are left out.
            root: The folder that no operation leaves.
            is_json: Whether they are JSON; else each is a text, which has the field ``line``.
            ttl: Minutes, or text like ``2h``, in which it must be begun; None for the setting.
            sources: Where the records come from, for whoever looks at it.
            labels: Labels that its results get.
            task: The task of a run that makes it, which finds it by that.
        """
        given = {name: text for name, text in templates.items() if text is not None}
        planner = Planner(store, os.fspath(root))
        made = planner.make(
            operation,
            given,
            lines,
            is_json=is_json,
            ttl=_minutes(store, ttl),
            sources=sources,
            labels=labels or {},
            task=task,
        )
        return cls(store, made)

    @classmethod
    def list(cls, store: Store) -> Iterator[tuple[Intent, dict[str, Any]]]:
        """Yield the intents of a store, newest first, with what is known of each."""
        for intent_id, facts in folder.all_facts(store):
            yield cls(store, intent_id), facts

    def facts(self) -> dict[str, Any]:
        """Return what is known of it: ``kind``, ``count``, ``created``, ``expires``, ``statuses`` and more.

        Raises:
            NotFound: There is no such intent.
        """
        with folder.open_intent(self.store, self.id) as journal:
            return {**journal.facts(), "statuses": journal.counts()}

    def first_failure(self) -> str | None:
        """Return the first operation that failed, or is unknown, and why; None if there is none."""
        with folder.open_intent(self.store, self.id) as journal:
            for row, entry in journal.done():
                if entry.status in {FAILED, UNKNOWN}:
                    return f"{row.op} {row.n:,}: {entry.error}"
        return None

    def preview(self, *, on_conflict: str = "fail", sample: int | None = 10) -> Preview:
        """Return what it would do, and every problem; nothing is changed.

        Args:
            on_conflict: What would be done where a target is taken: ``fail``, ``skip``, ``overwrite``, ``rename``.
            sample: How many operations are among the samples; None for all.

        Raises:
            NotFound: There is no such intent.
        """
        with self._open() as journal:
            facts = journal.facts()
            self._check(facts)
            return self._look(journal, facts, on_conflict, sample)

    def execute(self, options: Options | None = None, *, progress: Progress | None = None) -> Outcome:
        """Do what is planned. Executed again, it goes on where it was, and nothing is done twice.

        Args:
            options: How it is done; None: one at a time, until one fails.
            progress: Called with the number of operations done since the last call.

        Raises:
            NotFound: There is no such intent.
            Error: It is being executed, was cancelled or taken back, has expired, or needs approval.
        """
        options = options or Options()
        with Lock(self._path(), self.token), self._open(write=True) as journal:
            facts = journal.facts()
            self._check(facts)
            if facts.get("undoneBy"):
                raise Error(f"{self.token} was taken back; make a new intent")
            self._check_approval(journal, facts, options.on_conflict)
            return self._execute(journal, facts, options, progress)

    def _execute(
        self, journal: Journal, facts: dict[str, Any], options: Options, progress: Progress | None
    ) -> Outcome:
        old = facts.get("results", [])
        if facts.get("finished") and not options.again and folder.result_is_kept(self.store, facts):
            statuses = counts_of(journal.counts())
            if not statuses[FAILED] or facts["kind"] == "run":
                return Outcome(format_result(old[-1]), statuses, 0, is_old=True)
        now = time.time()
        journal.set_facts(begun=facts.get("begun", now), worked=now, onConflict=options.on_conflict)
        with Execution(self.store, self.id, journal, options, progress) as execution:
            execution.run()
        counts = journal.counts()
        statuses, pending = counts_of(counts), facts["count"] - sum(counts.values())
        item = publish(self.store, journal, self.id, facts, statuses, _minutes(self.store, options.ttl))
        journal.set_facts(
            results=[*old, item.id], worked=time.time(), finished=None if pending else time.time()
        )
        if facts.get("undoes") and not pending:
            self._note_undone(facts["undoes"])
        return Outcome(format_result(item.id), statuses, pending, is_old=False)

    def _note_undone(self, intent_id: str) -> None:
        with folder.open_intent(self.store, intent_id, write=True) as journal:
            journal.set_facts(undone=time.time())

    @classmethod
    def undo(
        cls,
        store: Store,
        token: str,
        options: Options | None = None,
        *,
        progress: Progress | None = None,
    ) -> Outcome:
        """Take back what an intent did: what can be taken back, and nobody has changed since.

        Killed meanwhile, it goes on where it was when it is called again.

        Args:
            store: The store.
            token: The result of the intent, or the intent itself.
            options: How it is done; None: all that can be taken back is, whatever fails.
            progress: Called with the number of operations done since the last call.

        Raises:
            NotFound, Expired: There is no such result any more.
            Error: It did nothing that can be taken back.
        """
        made = cls.plan_undo(store, token)
        return made.execute(options or Options(keep_going=True), progress=progress)

    @classmethod
    def plan_undo(cls, store: Store, token: str) -> Intent:
        """Return the intent that takes another back, without executing it. The arguments are those of `undo`."""
        intent = cls(store, intent_of(store, token))
        with Lock(intent._path(), intent.token), intent._open(write=True) as journal:
            facts = journal.facts()
            if journal.in_flight():
                with Execution(store, intent.id, journal, Options()) as execution:
                    execution.recover()
            return cls(store, plan_undo(store, intent.id, journal, facts, _minutes(store, None)))

    def approve(self, *, on_conflict: str = "fail", seen: Preview | None = None) -> Preview:
        """Note that a person has looked at the preview and agrees to it, as the world is now; return the preview.

        Args:
            on_conflict: As for `preview`.
            seen: The preview that the person has looked at; None for the one that is returned.

        Raises:
            NotFound: There is no such intent.
            Error: It would not do any more what the person has looked at; nothing is approved.
        """
        with Lock(self._path(), self.token), self._open(write=True) as journal:
            facts = journal.facts()
            self._check(facts)
            preview = self._look(journal, facts, on_conflict)
            if seen is not None and seen.digest != preview.digest:
                raise Error(
                    f"what it would do changed meanwhile; look again: max intent approve {self.token}"
                )
            journal.set_facts(
                approved={
                    "at": time.time(),
                    "by": _user(),
                    "onConflict": on_conflict,
                    "digest": preview.digest,
                    "problems": preview.bad,
                }
            )
            return preview

    def is_approved(self) -> bool:
        """Return whether a person has approved it, or it was begun."""
        facts = self.facts()
        return "begun" in facts or "approved" in facts

    def cancel(self) -> bool:
        """Give it up: it can't be executed any more. Return whether it had done nothing yet, and is gone.

        Raises:
            Error: It is being executed.
        """
        with folder.open_intent(self.store, self.id) as journal:
            begun = "begun" in journal.facts()
        if not begun:
            folder.delete(self.store, self.id)
            return True
        with Lock(self._path(), self.token), self._open(write=True) as journal:
            if journal.in_flight():
                with Execution(self.store, self.id, journal, Options()) as execution:
                    execution.recover()
            journal.set_facts(cancelled=time.time())
        return False

    def _look(
        self, journal: Journal, facts: dict[str, Any], on_conflict: str, sample: int | None = 10
    ) -> Preview:
        root = folder.open_root(self.store, facts["root"].encode("latin-1"), tuple(facts["rootIdentity"]))
        return Looker(journal, facts, root, on_conflict, sample).look()

    def _open(self, *, write: bool = False) -> Journal:
        """Open its file, whose plan is checked: what stands there is done."""
        journal = folder.open_intent(self.store, self.id, write=write)
        try:
            check(journal)
        except BaseException:
            journal.close()
            raise
        return journal

    def _path(self) -> str:
        path = folder.path_of(self.store, self.id)
        if not os.path.lexists(path):
            # The error for it; locking it would make a file.
            folder.open_intent(self.store, self.id).close()
        return path

    def _check(self, facts: dict[str, Any]) -> None:
        if facts.get("cancelled"):
            raise Error(f"{self.token} was cancelled; make a new intent")
        if folder.is_expired(facts, time.time()):
            raise Error(f"{self.token} has expired; make it again, with a longer --ttl")

    def _check_approval(self, journal: Journal, facts: dict[str, Any], on_conflict: str) -> None:
        # What somebody had to approve is done as it was approved.
        is_needed = self.store.settings.require_approval or "approved" in facts
        if not is_needed or "begun" in facts:
            return
        approved = facts.get("approved")
        how = f"a person must look at it first: max intent approve {self.token}"
        if approved is None:
            raise Error(
                f"{self.token} needs approval (require_approval in {self.store.settings.file}); {how}"
            )
        if approved["onConflict"] != on_conflict:
            raise Error(
                f"{self.token} was approved for --on-conflict {approved['onConflict']}, not {on_conflict}; {how}"
            )
        if self._look(journal, facts, on_conflict, 1).digest != approved["digest"]:
            raise Error(
                f"{self.token} has other problems, or other files in its way, than when it was approved; {how}"
            )


def _minutes(store: Store, ttl: float | str | None) -> float:
    if ttl is None:
        return store.settings.ttl_minutes
    from maxstage.durations import parse_minutes

    try:
        return parse_minutes(ttl)
    except ValueError as error:
        raise ValueError(f"ttl {error}") from None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())  # a user without a name, as in containers
