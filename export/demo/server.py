"""Serve the demo's page on 127.0.0.1: listed files only, to a browser that asks for localhost.

The page runs the exported file itself, byte for byte; its picture of what the network hears comes from that file's own
frontend.
"""

from __future__ import annotations

import base64
import dataclasses
import errno
import hashlib
import json
import re
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from hearlite.audio.clips import clip_starts_s
from hearlite.audio.synth import CLASSES
from hearlite.bundle import Manifest, open_bundle
from hearlite.embedders.self_test import TOLERANCE
from hearlite.errors import UsageError
from hearlite.export.demo.examples import Landmarks, landmarks, wav
from hearlite.export.demo.litertjs import VERSION, read_litertjs
from hearlite.export.package import golden_wav
from hearlite.serialization import to_dict
from hearlite.spec import AUDIO, PRECISION_NAMES
from hearlite.tflite.parts import frontend_part

HOST = "127.0.0.1"
_HOSTS = ("127.0.0.1", "localhost")  # with any port: adb reverse and ssh -L may change it
_IDLE_S = 30  # a connection that says nothing for so long is closed
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".wav": "audio/wav",
}
_HEADERS = {
    "Cache-Control": "no-store",  # another file may be served from the same address tomorrow
    # with the next: isolated, so that the browser's clock is fine enough to time a call
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' 'sha256-{import_map}'; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def make_files(
    model: Path, *, hop_s: float, litert: Path | None, registry: str | None, log: Callable[[str], None]
) -> dict[str, bytes]:
    """Everything that is served, by path.

    Raises InputError for a model that isn't what its manifest says, UsageError for a hop that would skip sound, either
    for a lack of LiteRT.js.
    """
    clip_starts_s(recording_s=AUDIO.clip_s, hop_s=hop_s)  # refuses the hops that Python refuses
    embedder, manifest = open_bundle(model)
    runtime = read_litertjs(litert, registry=registry, log=log)
    log(f"embedding synthetic sounds with {manifest.name}")
    known = landmarks(embedder)
    content = model.read_bytes()
    files = {f"/litert/{path}": data for path, data in runtime.items()}
    for page in resources.files("hearlite.export.demo").joinpath("page").iterdir():
        files["/" if page.name == "index.html" else f"/{page.name}"] = page.read_bytes()
    files["/model.tflite"] = content
    files["/frontend.tflite"] = frontend_part(content, input_name=manifest.input, output_name="image")
    files["/landmarks.f32"] = np.concatenate([known.directions, known.mean[None], known.axes]).astype("<f4").tobytes()
    files["/golden.wav"] = golden_wav(manifest)
    files |= {f"/sounds/{label}.wav": wav(label) for label in CLASSES}
    files["/demo.json"] = json.dumps(_facts(manifest, known, hop_s=hop_s, size=len(content)), allow_nan=False).encode()
    return files


def _facts(manifest: Manifest, known: Landmarks, *, hop_s: float, size: int) -> dict[str, Any]:
    """Return what the page must know of the file and of the example sounds."""
    frontend, clip = manifest.student.frontend, manifest.audio.clip_samples
    # Windows of a file with events follow each other by half their steps, as in EventStream.
    steps = manifest.steps.count if manifest.events and manifest.steps else 0
    hop = max(1, steps // 2) * (clip // steps) if steps else round(hop_s * manifest.audio.sample_rate_hz)
    return {
        **{
            key: getattr(manifest, key)
            for key in ("name", "dim", "licence", "notice", "gate_passed", "golden_embedding")
        },
        "size": manifest.size,
        "precision": PRECISION_NAMES[manifest.precision],
        "bytes": size,
        "head": manifest.head
        and [{"name": label.name, "threshold": label.threshold} for label in manifest.head.labels],
        "input": manifest.input,
        "outputs": {
            "embedding": manifest.output,
            "scores": manifest.head.output if manifest.head else "",
            "steps": manifest.steps.scores if manifest.steps else "",
        },
        "steps": steps,
        "rules": manifest.events and to_dict(manifest.events),
        "golden_tolerance": manifest.golden_tolerance or TOLERANCE[manifest.precision],
        "teacher": manifest.teacher.name,
        "surrogate_note": manifest.teacher.surrogate_note,
        **dataclasses.asdict(manifest.audio),
        "clip_samples": clip,
        "hop_samples": hop,
        "image": [frontend.frames(clip), frontend.mels],
        "hz": [frontend.low_hz, frontend.high_hz],
        "classes": CLASSES,
        "labels": known.labels,
        "shares": known.shares,
        "litert": VERSION,
    }


def policy(index: bytes) -> str:
    """Return the Content-Security-Policy of a page: its own files, and the one script that stands in it."""
    import_map = re.search(rb'<script type="importmap">(.*?)</script>', index, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(import_map[1] if import_map else b"").digest()).decode()
    return _POLICY.format(import_map=digest)


class DemoServer(ThreadingHTTPServer):
    """Serves `files` by path; set them before serve_forever."""

    daemon_threads = True
    files: Mapping[str, bytes]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet about a browser that went away."""
        if not isinstance(
            sys.exc_info()[1], ConnectionError
        ):  # a browser that goes away in the middle of a file is no error
            super().handle_error(request, client_address)

    @cached_property
    def headers(self) -> dict[str, str]:
        """Return the headers of every answer."""
        return {**_HEADERS, "Content-Security-Policy": policy(self.files["/"])}


def open_server(*, port: int) -> DemoServer:
    """Open a server on 127.0.0.1; port 0 takes a free one.

    Raises UsageError when the port is taken or not allowed.
    """
    try:
        return DemoServer((HOST, port), _Handler)
    except OSError as error:
        what = {errno.EADDRINUSE: "is in use", errno.EACCES: "needs more rights"}.get(
            error.errno or 0, f"can't be opened: {error.strerror}"
        )
        raise UsageError(f"port {port} {what}", "choose another by --port, or 0 for any that is free") from error


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD of the very paths in the server's `files`; a path is a key, never a place on the disk."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "hearlite", ""
    timeout = _IDLE_S
    server: DemoServer

    def do_GET(self) -> None:
        try:
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        except ValueError:
            host = None
        if host not in _HOSTS:  # a name that leads here is another site's page at work: DNS rebinding
            self._answer(HTTPStatus.FORBIDDEN, b"open this page as http://localhost\n", "text/plain; charset=utf-8")
        elif self.path not in self.server.files:
            self._answer(HTTPStatus.NOT_FOUND, b"not found\n", "text/plain; charset=utf-8")
        else:
            kind = _TYPES.get(".html" if self.path == "/" else Path(self.path).suffix, "application/octet-stream")
            self._answer(HTTPStatus.OK, self.server.files[self.path], kind)

    do_HEAD = do_GET

    def _answer(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {**self.server.headers, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: the terminal is for what a user must know."""
