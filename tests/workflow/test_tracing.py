"""`max run --otel`: spans of tasks, sent to a collector, and the trace that programs are told of."""

import http.server
import os
import re
import socket
import threading

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the exporter is not installed: pip install --group test")

FLOW = """
name: flow
version: "1"
secrets: [SECRET]
tasks:
  plain: {script: {content: "echo ${TRACEPARENT:-none}"}}
  own: {script: {content: "echo ${TRACEPARENT:-none}", env: {TRACEPARENT: mine}}}
  group:
    depends_on: [plain]
    subtasks:
      good: {script: {content: "seq 100000"}, limits: {max_stdout_bytes: 2000}}
      bad: {script: {content: "echo $SECRET; exit 3"}, on_error: {retry: 1, continue: true}}
  loop:
    loop: {repeat: {count: 2}}
    script: {content: "echo ${TRACEPARENT:-none}"}
  skipped: {condition: {type: never}, script: {content: "true"}}
"""
ONE = 'name: x\nversion: "1"\ntasks: {a: {script: {content: "echo ${TRACEPARENT:-none}"}}}'
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector(http.server.ThreadingHTTPServer):
    """Takes spans by OTLP/HTTP, as protocol buffers."""

    daemon_threads = True

    def __init__(self, status=200):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.requests = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def spans(self):
        """Return the spans by what `maxstage.task` says of them, or their names."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        found = {}
        for _, _, body in self.requests:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                told = attributes(resource.resource)
                assert told["service.name"] == "maxstage"
                for scope in resource.scope_spans:
                    found |= {attributes(span).get("maxstage.task", span.name): span for span in scope.spans}
        return found


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, self.headers, body))
        self.send_response(self.server.status)
        self.end_headers()


def attributes(of):
    values = {one.key: one.value for one in of.attributes}
    return {key: getattr(value, value.WhichOneof("value")) for key, value in values.items()}


@pytest.fixture
def collector():
    """A collector."""
    collector = Collector()
    yield collector
    collector.shutdown()
    collector.server_close()


def run(program, collector, *args, check=0, **more):
    (program.folder / "flow.yaml").write_text(FLOW)
    environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "SECRET": "a-very-secret-thing",
        **more,
    }
    return program("run", "flow.yaml", "--otel", *args, env=environment, check=check)


def test_a_span_for_each_task(program, collector):
    traceparent = f"00-{TRACE}-{PARENT}-01"
    headers = {
        "TRACEPARENT": traceparent,
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20key",
        "TRACESTATE": "a=b",
    }
    done = run(program, collector, "--show-task-outputs", **headers)
    assert done.stderr == b"" or b"could not" not in done.stderr
    spans = collector.spans
    assert [*sorted(spans)] == [
        *(
            "group",
            "group.bad",
            "group.good",
            "loop",
            "loop[0]",
            "loop[1]",
            "own",
            "plain",
            "run flow",
            "skipped",
        )
    ]
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    parents = {
        "run flow": PARENT,
        "loop[0]": spans["loop"].span_id.hex(),
        "loop[1]": spans["loop"].span_id.hex(),
        **{name: spans["group"].span_id.hex() for name in ("group.bad", "group.good")},
    }
    for name, span in spans.items():
        assert span.parent_span_id.hex() == parents.get(name, spans["run flow"].span_id.hex()), name
        assert spans["run flow"].start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
    # What programs were told is the span of their task; what the file says comes first.
    told = re.findall(rf"00-{TRACE}-([0-9a-f]{{16}})-01", done.stdout.decode())
    assert {*told} >= {spans[name].span_id.hex() for name in ("plain", "loop[0]", "loop[1]")}
    assert b"\nmine\n" in done.stdout
    path, headers, _ = collector.requests[0]
    assert (path, headers["api-key"]) == ("/v1/traces", "a key")


def test_what_spans_say(program, collector):
    run(program, collector)
    spans = collector.spans
    good, bad = attributes(spans["group.good"]), attributes(spans["group.bad"])
    assert (good["maxstage.status"], good["process.exit.code"], good["maxstage.output.truncated"]) == (
        "completed",
        0,
        True,
    )
    assert good["maxstage.output.bytes"] == 588_895
    assert program.text("retrieve", good["maxstage.output.token"], "--tail", "1") == "100000\n"
    assert (bad["maxstage.attempts"], bad["process.exit.code"], bad["maxstage.tolerated"]) == (2, 3, True)
    assert [event.name for event in spans["group.bad"].events] == ["retry"]
    assert spans["group.bad"].status.code == 2
    assert spans["loop[1]"].name == "loop"
    assert attributes(spans["skipped"])["maxstage.status"] == "skipped"
    assert attributes(spans["run flow"])["maxstage.status"] == "completed"
    assert not any(b"a-very-secret-thing" in body for _, _, body in collector.requests)


def test_what_had_ended_before_is_not_sent_again(program, collector):
    (program.folder / "flow.yaml").write_text(FLOW)
    done = run(program, collector, "-o", "json")
    collector.requests.clear()
    run_id = re.search(rb'"run": "([^"]+)"', done.stdout)[1].decode()
    run(program, collector, "--run-id", run_id, "--rerun", "plain")
    assert {"plain", "run flow"} <= collector.spans.keys()
    assert not collector.spans.keys() & {"own", "loop", "loop[0]"}


@pytest.mark.parametrize("more", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_SAMPLER": "always_off"}])
def test_a_trace_that_is_not_wanted(program, collector, more):
    done = run(program, collector, **more)
    assert collector.requests == []
    assert b"could not" not in done.stderr


def test_a_collector_that_refuses(program):
    """It is told in one line, and changes nothing."""
    collector = Collector(status=400)
    done = run(program, collector)
    assert b" completed in " in done.stdout
    (told,) = [line for line in done.stderr.decode().splitlines() if "of the trace" in line]
    assert told.startswith("10 spans of the trace could not be sent: ")
    assert "Traceback" not in done.stderr.decode()
    collector.shutdown()
    collector.server_close()


def test_nobody_collects(program):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    collector = type("Nobody", (), {"url": url})
    done = run(program, collector, OTEL_EXPORTER_OTLP_TIMEOUT="1")
    assert b"10 spans of the trace could not be sent: " in done.stderr
    assert sum(b"trace" in line.lower() for line in done.stderr.splitlines()) == 1


def test_without_the_packages(program):
    (program.folder / "flow.yaml").write_text(FLOW)
    code = (
        "import sys; sys.modules['opentelemetry.sdk'] = None; from maxstage.cli import main; sys.exit(main())"
    )
    done = program.python(code, "run", "flow.yaml", "--otel")
    assert done.returncode == 1
    assert b'--otel needs OpenTelemetry: pip install "maxstage[otel]"' in done.stderr


def test_without_it_nothing_is_imported(program, collector):
    """And programs are still told of the trace that they are part of."""
    (program.folder / "flow.yaml").write_text(ONE)
    code = (
        "import sys; from maxstage.cli import command, process; process.run(command, sys.argv[1:])\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    environment = {**os.environ, "TRACEPARENT": f"00-{TRACE}-{PARENT}-01"}
    done = program("run", "flow.yaml", "--show-task-outputs", env=environment)
    assert f"00-{TRACE}-{PARENT}-01".encode() in done.stdout
    done = program.python(code, "run", "flow.yaml")
    assert done.stdout.endswith(b"[]\n")
