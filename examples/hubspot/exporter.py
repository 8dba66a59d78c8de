"""Print the objects of a CRM as NDJSON: what a command source of maxstage looks like.

Usage: exporter.py TYPE [URL], as ``.max/config.toml`` has it::

    [sources.hubspot]
    command = ["python3", "exporter.py", "{type}"]
    type = "contact"
    cache_minutes = 15

It asks page after page, as the API of HubSpot wants it, and waits where that says that it was asked too often. If
anything fails it exits with 1, and what it printed so far is not taken for all there is.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

URL = "http://127.0.0.1:8900"
TRIES = 5
TOO_MANY = 429


def fetch(url: str) -> dict:
    """Return a page."""
    for attempt in range(1, TRIES + 1):
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - the URL is ours
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != TOO_MANY or attempt == TRIES:
                raise
            time.sleep(float(error.headers.get("Retry-After", "1")))
    raise AssertionError


def main() -> None:
    """Print all objects of a type, a line each."""
    kind, *rest = sys.argv[1:]
    url = rest[0] if rest else os.environ.get("CRM_URL", URL)
    after: str | None = None
    while True:
        query = {"limit": "100"} | ({"after": after} if after else {})
        page = fetch(f"{url}/crm/v3/objects/{kind}?{urllib.parse.urlencode(query)}")
        for one in page["results"]:
            sys.stdout.write(json.dumps({"id": one["id"], "type": kind} | one["properties"]) + "\n")
        after = page.get("paging", {}).get("next", {}).get("after")
        if after is None:
            return


if __name__ == "__main__":
    try:
        main()
    except (OSError, KeyError, ValueError) as error:
        sys.exit(f"exporter: {error}")
