"""Holding messages to the JSON Schema of their revision."""

import functools
import json
from pathlib import Path

import jsonschema

FOLDER = Path(__file__).parent / "schema"
MODERN = "2026-07-28"
LEGACY = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]

RESULTS = {
    "server/discover": "DiscoverResult",
    "initialize": "InitializeResult",
    "ping": "EmptyResult",
    "tools/list": "ListToolsResult",
    "tools/call": "CallToolResult",
    "resources/list": "ListResourcesResult",
    "resources/templates/list": "ListResourceTemplatesResult",
    "resources/read": "ReadResourceResult",
}
REQUESTS = {
    "server/discover": "DiscoverRequest",
    "initialize": "InitializeRequest",
    "ping": "PingRequest",
    "tools/list": "ListToolsRequest",
    "tools/call": "CallToolRequest",
    "resources/list": "ListResourcesRequest",
    "resources/templates/list": "ListResourceTemplatesRequest",
    "resources/read": "ReadResourceRequest",
    "notifications/initialized": "InitializedNotification",
    "notifications/cancelled": "CancelledNotification",
    "notifications/progress": "ProgressNotification",
}


@functools.cache
def validator(version, definition):
    document = json.loads((FOLDER / f"{version}.json").read_text())
    key = "$defs" if "$defs" in document else "definitions"
    schema = {"$schema": document["$schema"], key: document[key], "$ref": f"#/{key}/{definition}"}
    assert definition in document[key], (version, definition)
    return jsonschema.validators.validator_for(schema)(schema)


def check(version, definition, message):
    """Raise unless a message is what the schema of a revision says."""
    validator(version, definition).validate(message)


def check_sent(version, message):
    """Check a message of a client, or a notification of ours."""
    check(version, "JSONRPCNotification" if "id" not in message else "JSONRPCRequest", message)
    if message["method"] in REQUESTS:
        check(version, REQUESTS[message["method"]], message)


def check_answer(version, method, message):
    """Check an answer to a request of a method."""
    # Before 2025-11-25 there was no form for what could not even be read.
    if "error" in message and "id" not in message:
        version = max(version, "2025-11-25")
    check(version, "JSONRPCMessage", message)
    if "result" in message:
        check(version, RESULTS[method], message["result"])
