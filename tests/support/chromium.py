"""Drive a headless Chromium for tests of pages, by its DevTools protocol over a pipe.

This needs neither WebDriver nor a package nor a port.
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
# Whether `hearlite demo` has downloaded LiteRT.js before: tests don't download it.
LITERTJS_CACHED = all((cache_folder("litertjs") / f"{package.name}-{VERSION}.tgz").is_file() for package in PACKAGES)
# A folder whose node_modules have @litertjs/core; else what `hearlite demo` has downloaded.
LITERTJS = Path(os.environ["HEARLITE_LITERTJS"]) if "HEARLITE_LITERTJS" in os.environ else None
NEEDS_DEMO = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH"),
    pytest.mark.skipif(
        LITERTJS is None and not LITERTJS_CACHED,
        reason="HEARLITE_LITERTJS names no folder with @litertjs/core, and the cache has none",
    ),
]
_FLAGS = [
    *("--headless", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--mute-audio"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"),
]
# Chromium reads commands from file descriptor 3 and answers to 4.
_PIPES = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_TIMEOUT_S = 60.0  # for one answer; `Page.wait` has its own
_QUIET_S = 0.1


class Page:
    """A tab.

    Attributes
    ----------
    requests : list of str
        URLs that it requested.
    complaints : list of str
        Errors on its console, and uncaught exceptions.
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
        """Send a command of the DevTools protocol and return its result.

        Parameters
        ----------
        method : str
            Name of the command, such as "Page.navigate".
        **parameters
            Its parameters.

        Returns
        -------
        dict
            The result.

        Raises
        ------
        AssertionError
            If Chromium refuses the command or doesn't answer in time.
        """
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
        """Set the size of the window, and emulate a kind of device.

        Parameters
        ----------
        width, height : int
            Size in CSS pixels.
        phone : bool
            Emulate a phone: two device pixels per CSS pixel, and touch.
        dark : bool
            Prefer a dark color scheme.
        """
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
        """Open a URL and wait until it is loaded."""
        self.call("Page.navigate", url=url)
        self.wait(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def evaluate(self, script: str) -> Any:
        """Return the value of a JavaScript expression, awaited; it must be plain data.

        Raises
        ------
        AssertionError
            If the expression throws.
        """
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        assert "exceptionDetails" not in done, json.dumps(done["exceptionDetails"])[:2_000]
        return done["result"].get("value")

    def wait(self, condition: str, *, timeout_s: float = 60.0) -> None:
        """Wait until a JavaScript expression is true.

        Parameters
        ----------
        condition : str
            The expression.
        timeout_s : float
            Seconds to wait at most.

        Raises
        ------
        AssertionError
            If it isn't true in time; the message contains the page's complaints.
        """
        until = time.monotonic() + timeout_s
        while not self.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < until, f"not in {timeout_s:g} s: {condition}; {self.complaints}"
            self._read(_QUIET_S)

    def choose_file(self, selector: str, *files: Path) -> None:
        """Choose files in an <input type=file>, as with the file picker.

        Parameters
        ----------
        selector : str
            CSS selector of the element.
        *files : Path
            The files.
        """
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        assert node, f"no element matches {selector}"
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file.resolve()) for file in files])

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write a screenshot.

        Parameters
        ----------
        path : Path
            PNG file to write.
        whole : bool
            Capture the whole page instead of the window.
        """
        clip = {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {
                "clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1},
                "captureBeyondViewport": True,
            }
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", **clip)["data"]))

    def _read(self, timeout_s: float) -> list[dict[str, Any]]:
        """Return new messages, at least one unless `timeout_s` passes first, and record events."""
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
    """Start a Chromium and open a tab; skip the test if there is no Chromium.

    Parameters
    ----------
    profile : Path
        New folder for the browser's profile.
    *flags : str
        Further command line options.
    width, height : int
        Size of the window in CSS pixels.

    Yields
    ------
    Page
        The tab.
    """
    if CHROMIUM is None:
        pytest.skip("no chromium on the PATH")
    sandbox = (
        ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    )  # its sandbox refuses to run as root
    (child_reads, commands), (answers, child_writes) = os.pipe(), os.pipe()
    command = [CHROMIUM, *_FLAGS, *sandbox, f"--user-data-dir={profile}", *flags]
    wrapped = [sys.executable, "-c", _PIPES, str(child_reads), str(child_writes), *command]
    silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(wrapped, pass_fds=(child_reads, child_writes), **silent)
    os.close(child_reads)
    os.close(child_writes)
    try:
        page = Page(commands, answers, width=width, height=height)
        yield page
        with suppress(AssertionError, OSError):
            page._session = None
            page.call("Browser.close")
    finally:
        os.close(commands)  # Chromium ends when its commands do
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(answers)
