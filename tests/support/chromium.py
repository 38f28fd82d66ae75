"""Headless Chromium for tests of pages, driven by its DevTools protocol over a pipe: no WebDriver, no package, no
port.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from hearlite.export.demo.litertjs import PACKAGES, VERSION
from hearlite.files import cache_folder

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Whether `hearlite demo` has fetched LiteRT.js before: tests fetch nothing.
LITERTJS_CACHED = all((cache_folder("litertjs") / f"{package.name}-{VERSION}.tgz").is_file() for package in PACKAGES)
_FLAGS = [
    *("--headless", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--mute-audio"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"),
]
# Chromium reads commands from file descriptor 3 and answers to 4.
_PIPES = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_TIMEOUT_S = 60.0  # of one answer; a wait for a page has its own
_QUIET_S = 0.1


class Page:
    """One tab. `requests` are the URLs that it asked for, `complaints` what it wrote to the console as an error, and
    every uncaught exception.
    """

    def __init__(self, commands: int, answers: int, *, width: int, height: int) -> None:
        self._commands, self._answers, self._buffer, self._last = commands, answers, b"", 0
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "DOM"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command and its result. Fails the test when Chromium refuses it or doesn't answer."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters} | (
            {"sessionId": self._session} if self._session else {}
        )
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < until:
            for answer in self._read(until - time.monotonic()):
                if answer.get("id") == self._last:
                    assert "error" not in answer, f"{method}: {answer['error']}"
                    result: dict[str, Any] = answer["result"]
                    return result
        raise AssertionError(f"{method}: no answer in {_TIMEOUT_S:g} s")

    def resize(self, width: int, height: int, *, phone: bool = False, dark: bool = False) -> None:
        """Window in CSS pixels; a phone has two device pixels in each and fingers."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression, awaited; it must be plain data. What it throws fails the test."""
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in done, json.dumps(done["exceptionDetails"])[:2_000]
        return done["result"].get("value")

    def wait(self, condition: str, *, timeout_s: float = 60.0) -> None:
        """Until a JavaScript expression is true; fails the test, with what the page complained of, when it isn't in
        time.
        """
        until = time.monotonic() + timeout_s
        while not self.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < until, f"not in {timeout_s:g} s: {condition}; {self.complaints}"
            self._read(_QUIET_S)

    def choose_file(self, selector: str, *files: Path) -> None:
        """Give files to an <input type=file>, as a user's file picker does."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        assert node, f"no element matches {selector}"
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file.resolve()) for file in files])

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """A PNG of the window, or of the whole page."""
        clip = {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {
                "clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1},
                "captureBeyondViewport": True,
            }
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", **clip)["data"]))

    def _read(self, timeout_s: float) -> list[dict[str, Any]]:
        """What has come from Chromium, at least one message unless it takes longer than `timeout_s`; events are
        noted.
        """
        while b"\0" not in self._buffer and select.select([self._answers], [], [], max(0.0, timeout_s))[0]:
            chunk = os.read(self._answers, 1 << 20)
            assert chunk, "Chromium has ended"
            self._buffer += chunk
        *whole, self._buffer = self._buffer.split(b"\0")
        messages = [json.loads(text) for text in whole]
        for message in messages:
            self._note(message.get("method"), message.get("params", {}))
        return messages

    def _note(self, event: str | None, what: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(
                str(what["exceptionDetails"].get("exception", {}).get("description", what["exceptionDetails"]["text"]))
            )
        elif event == "Log.entryAdded" and what["entry"]["level"] == "error":
            self.complaints.append(f"{what['entry']['text']} {what['entry'].get('url', '')}")
        elif event == "Runtime.consoleAPICalled" and what["type"] in ("error", "assert"):
            self.complaints.append(" ".join(str(part.get("value", part.get("description"))) for part in what["args"]))


@contextmanager
def chromium(profile: Path, *flags: str, width: int = 1280, height: int = 800) -> Iterator[Page]:
    """A tab of a Chromium of its own, with its profile in the new folder `profile`. Skips the test where there is no
    Chromium.
    """
    if CHROMIUM is None:
        pytest.skip("no chromium on the PATH")
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # its sandbox refuses root
    (theirs_in, commands), (answers, theirs_out) = os.pipe(), os.pipe()
    command = [CHROMIUM, *_FLAGS, *sandbox, f"--user-data-dir={profile}", *flags]
    wrapped = [sys.executable, "-c", _PIPES, str(theirs_in), str(theirs_out), *command]
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(wrapped, pass_fds=(theirs_in, theirs_out), **silent)
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        page = Page(commands, answers, width=width, height=height)
        yield page
        with suppress(AssertionError, OSError):
            page._session = None
            page.call("Browser.close")
    finally:
        os.close(commands)  # it ends when nobody can command it any more
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(answers)
