"""A headless Chromium, driven through its own protocol over two pipes, so that no other package is needed."""

import base64
import contextlib
import fcntl
import json
import os
import shutil
import time

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
"""The program; None if it is not installed."""


class Browser:
    """A browser with one page.

    Args:
        folder: A folder for its profile.
    """

    def __init__(self, folder):
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        options = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--remote-debugging-pipe",
            "--disable-dev-shm-usage",
            f"--user-data-dir={folder}",
        ]
        # The protocol is on descriptors 3 and 4, so ours must be others.
        source, target = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (theirs_in, theirs_out))
        null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        ours = [(os.POSIX_SPAWN_DUP2, source, 3), (os.POSIX_SPAWN_DUP2, target, 4)]
        self._pid = os.posix_spawn(
            CHROMIUM, [CHROMIUM, *options], os.environ, file_actions=[*null, *ours], setsid=True
        )
        for fd in (theirs_in, theirs_out, source, target):
            os.close(fd)
        self._number = 0
        self._rest = b""
        self._session = None
        self.requests = []
        """The addresses that the page has asked for."""
        self.complaints = []
        """What it has written to the console."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")

    def close(self):
        """End it."""
        with contextlib.suppress(BrokenPipeError, EOFError):
            self._call("Browser.close")
        os.close(self._to)
        os.close(self._from)
        os.waitpid(self._pid, 0)

    def open(self, path, width, height=800, *, dark=False):
        """Open a file in a window of some size; return how many seconds it took until it was laid out."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        self.requests, self.complaints = [], []
        began = time.monotonic()
        self._call("Page.navigate", url=path.as_uri())
        while self.tell("document.readyState + location.href") != f"complete{path.as_uri()}":
            time.sleep(0.01)
        self.tell("document.body.getBoundingClientRect().height")
        return time.monotonic() - began

    def tell(self, code):
        """Return what an expression is, in the page."""
        found = self._call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self, path):
        """Write a picture of the window."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot")["data"]))

    def press(self, key):
        """Press a key: ``Tab``, ``Enter`` or ``Space``."""
        codes = {"Tab": (9, ""), "Enter": (13, "\r"), "Space": (32, " ")}
        code, text = codes[key]
        words = {"key": text if key == "Space" else key, "code": key, "windowsVirtualKeyCode": code}
        self._call("Input.dispatchKeyEvent", type="keyDown", text=text, **words)
        self._call("Input.dispatchKeyEvent", type="keyUp", **words)

    def outline(self):
        """Return what a screen reader is told, in order: roles and names."""
        nodes = {node["nodeId"]: node for node in self._call("Accessibility.getFullAXTree")["nodes"]}
        told = []
        left = [next(iter(nodes))]
        while left:
            node = nodes.get(left.pop())
            if node is not None:
                left += reversed(node.get("childIds", []))
                if not node["ignored"]:
                    told.append((node["role"]["value"], node.get("name", {}).get("value", "")))
        return told

    def _call(self, method, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._to, data) :]
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self._note(answer)

    def _note(self, event):
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(event["params"]["request"]["url"])
        elif event.get("method") == "Log.entryAdded":
            self.complaints.append(event["params"]["entry"]["text"])

    def _next(self):
        while b"\0" not in self._rest:
            data = os.read(self._from, 1 << 20)
            if not data:
                raise EOFError("the browser has ended")
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)
