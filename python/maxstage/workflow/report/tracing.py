"""A run as a trace: a span for the run and one for each task, sent by OTLP over HTTP.

Where to, with which headers, and how much of it: the environment variables of OpenTelemetry say so (``OTEL_…``). Its
packages are the extra ``maxstage[otel]``; they are imported by `Tracing` alone.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from maxstage.errors import MissingDependency
from maxstage.humanize import counted, printable
from maxstage.workflow.run.paths import container_of, spec_path
from maxstage.workflow.run.results import FAILED, INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maxstage.workflow.run.outcome import Event
    from maxstage.workflow.run.results import TaskResult

_MOST_QUEUED = 65_536
"""Spans that wait to be sent, about 2 KB each: a loop may end thousands of iterations a second. More are dropped."""

_DELAY_MS = 1000
"""Milliseconds until what has ended is sent, unless there is a whole batch of it."""

_MOST_RETRIES = 32
"""Failed attempts that a span tells of."""

_LONGEST = 1000
"""Characters of an error in a span."""

_NS = 1_000_000_000


class Tracing:
    """Makes spans of the events of a run.

    The id of a span follows from the trace and the path of the task, so that a program can be told the id of its task's
    span, which is only made when the task has ended.

    Args:
        workflow: What the workflow is called.
        environ: The environment: with TRACEPARENT the run is part of that trace.

    Raises:
        MissingDependency: OpenTelemetry is not installed.
    """

    def __init__(self, workflow: str, environ: Mapping[str, str] = os.environ) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import OTELResourceDetector, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ModuleNotFoundError as error:
            raise MissingDependency(
                f'--otel needs OpenTelemetry: pip install "maxstage[otel]" (there is no {error.name})'
            ) from None
        self._problems = _listen_to_problems()
        self._api: Any = trace
        self._ids = _Ids(RandomIdGenerator())
        self._exporter = _Counting(OTLPSpanExporter())
        resource = Resource({"service.name": "maxstage"}).merge(OTELResourceDetector().detect())
        self._provider: Any = TracerProvider(resource=resource, id_generator=self._ids)
        self._provider.add_span_processor(
            BatchSpanProcessor(self._exporter, max_queue_size=_MOST_QUEUED, schedule_delay_millis=_DELAY_MS)
        )
        self._tracer: Any = self._provider.get_tracer("maxstage")
        carrier = {name: environ.get(name.upper(), "") for name in ("traceparent", "tracestate")}
        around = TraceContextTextMapPropagator().extract(carrier)
        self._root: Any = self._tracer.start_span(f"run {workflow}", context=around)
        self._started: dict[str, float] = {}
        self._retries: dict[str, list[Event]] = {}
        self._ended = 0

    def environment(self, path: str) -> dict[str, str]:
        """Return what a task's program is told of the trace, in its environment."""
        context = self._root.get_span_context()
        if not context.is_valid:
            return {}
        return {
            "TRACEPARENT": f"00-{context.trace_id:032x}-{self._id_of(path):016x}-{int(context.trace_flags):02x}"
        }

    def notice(self, event: Event) -> None:
        """Take note of an event; called in the order in which they happen."""
        if event.kind == "run_started":
            told = {"maxstage.run": event.data["run"], "maxstage.tasks": event.data["tasks"]}
            self._root.set_attributes(told)
        elif event.kind == "run_finished":
            self._root.set_attribute("maxstage.status", event.data["status"])
            if event.data["status"] == FAILED:
                self._root.set_status(self._api.StatusCode.ERROR, _short(event.data["error"]))
        elif event.task is None:
            return
        elif event.kind in {"task_started", "loop_started", "task_waiting"}:
            self._started.setdefault(event.task, event.time)
        elif event.kind == "task_retried":
            retries = self._retries.setdefault(event.task, [])
            if len(retries) < _MOST_RETRIES:
                retries.append(event)
        elif event.kind == "task_finished":
            started = self._started.pop(event.task, event.time)
            retries = self._retries.pop(event.task, [])
            # What ended before the run was resumed has been told then.
            if not event.data.get("resumed"):
                self._end(event, event.data["result"], started, retries)

    def close(self) -> str | None:
        """Send what is left, which takes as long as the environment allows; return what went wrong."""
        self._root.end()
        is_sampled = (
            self._root.get_span_context().trace_flags.sampled and self._root.get_span_context().is_valid
        )
        self._provider.shutdown()
        lost = self._ended + 1 - self._exporter.sent
        if not is_sampled or lost <= 0:
            return None
        why = f": {printable(self._problems[0], _LONGEST)}" if self._problems else ""
        return f"{counted(lost, 'span')} of the trace could not be sent{why}"

    def _end(self, event: Event, result: TaskResult, started: float, retries: list[Event]) -> None:
        path = str(event.task)
        around = container_of(path)
        context = self._root.get_span_context()
        parent = self._api.SpanContext(
            context.trace_id,
            self._id_of(around) if around else context.span_id,
            is_remote=False,
            trace_flags=context.trace_flags,
            trace_state=context.trace_state,
        )
        self._ids.next = self._id_of(path)
        span = self._tracer.start_span(
            spec_path(path),
            context=self._api.set_span_in_context(self._api.NonRecordingSpan(parent)),
            start_time=int(started * _NS),
            attributes=_attributes(path, result),
        )
        for retry in retries:
            told = {"maxstage.attempt": retry.data["attempt"], "maxstage.error": _short(retry.data["error"])}
            span.add_event("retry", told, int(retry.time * _NS))
        if result.status in {FAILED, INTERRUPTED}:
            span.set_status(self._api.StatusCode.ERROR, _short(result.error or result.status))
        span.end(int(event.time * _NS))
        self._ended += 1

    def _id_of(self, path: str) -> int:
        """Return the id of the span of a task: another in each trace, and each time that a run goes on."""
        context = self._root.get_span_context()
        digest = hashlib.sha256(
            f"{context.trace_id} {context.span_id} {path}".encode("utf-8", "surrogatepass")
        )
        return int.from_bytes(digest.digest()[:8], "big") or 1


class _Ids:
    """Gives the next span the id that it is to have, and others a random one."""

    def __init__(self, others: Any) -> None:
        self._others = others
        self.next: int | None = None

    def generate_span_id(self) -> int:
        found, self.next = self.next, None
        return int(self._others.generate_span_id()) if found is None else found

    def generate_trace_id(self) -> int:
        return int(self._others.generate_trace_id())

    def is_trace_id_random(self) -> bool:
        return True


class _Counting:
    """Sends spans, and counts those that have arrived."""

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter
        self.sent = 0

    def export(self, spans: Any) -> Any:
        done = self._exporter.export(spans)
        if done.name == "SUCCESS":
            self.sent += len(spans)
        return done

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return bool(self._exporter.force_flush(timeout_millis))


def _listen_to_problems() -> list[str]:
    """Return a list that gets what OpenTelemetry would print: it warns at each attempt, and with tracebacks."""
    import logging

    problems: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # The first tells most; they become many where it tries again.
            if not problems:
                problems.append(record.getMessage())

    logger = logging.getLogger("opentelemetry")
    logger.addHandler(Listening())
    logger.propagate = False
    return problems


def _attributes(path: str, result: TaskResult) -> dict[str, str | int | bool]:
    told: dict[str, str | int | bool | None] = {
        "maxstage.task": path,
        "maxstage.status": result.status,
        "maxstage.attempts": result.attempts,
        "maxstage.tolerated": result.tolerated or None,
        "maxstage.cached": result.cached or None,
    }
    output = result.output
    if output is not None:
        told |= {
            "maxstage.output.bytes": output.original_size,
            "maxstage.output.truncated": output.truncated,
            "maxstage.output.token": output.token,
            "process.exit.code": output.exit_code,
        }
    return {name: value for name, value in told.items() if value is not None}


def _short(text: str | None) -> str:
    return (text or "")[:_LONGEST]
