"""The demo's server answers for its own files only, its runtime is fetched whole or not at all, and its landmarks are
what they say.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import http.client
import io
import json
import re
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from conftest import Bundles
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.audio.decode import read_recording
from hearlite.audio.frontend import frontend_numpy
from hearlite.audio.synth import CLASSES
from hearlite.bundle import open_bundle
from hearlite.cli.main import main
from hearlite.embedders.fake import FakeTeacher
from hearlite.errors import InputError, UsageError
from hearlite.export.demo import litertjs
from hearlite.export.demo.examples import PER_CLASS, landmarks, sound, wav
from hearlite.export.demo.litertjs import VERSION, NpmPackage, read_litertjs
from hearlite.export.demo.server import DemoServer, make_files, open_server
from hearlite.spec import AUDIO
from hearlite.tflite.interpreter import TfliteModel
from hearlite.tflite.model_file import load, summarize
from hearlite.tflite.parts import frontend_part

PAGE = b'<!doctype html><script type="importmap">{"imports": {}}</script>'


@pytest.fixture
def server() -> Iterator[DemoServer]:
    with open_server(port=0) as running:
        running.files = {"/": PAGE, "/main.js": b"// code", "/model.tflite": b"model"}
        threading.Thread(target=running.serve_forever, args=[0.01], daemon=True).start()
        yield running
        running.shutdown()


def ask(
    server: DemoServer, path: str, *, method: str = "GET", host: str | None = None
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host if host is not None else f"localhost:{server.server_address[1]}")
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/main.js", "text/javascript; charset=utf-8"),
        ("/model.tflite", "application/octet-stream"),
    ],
)
def test_a_listed_file_is_served(server: DemoServer, path: str, kind: str) -> None:
    status, headers, content = ask(server, path)
    assert (status, headers["content-type"], content) == (200, kind, server.files[path])
    status, headers, content = ask(server, path, method="HEAD")
    assert (status, headers["content-length"], content) == (200, str(len(server.files[path])), b"")


@pytest.mark.parametrize(
    "path",
    ["/index.html", "/../server.py", "/..%2fserver.py", "//etc/passwd", "/main.js/", "/main.js?x", "/%6dain.js", "*"],
)
def test_nothing_else_is(server: DemoServer, path: str) -> None:
    assert ask(server, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_it_takes_nothing(server: DemoServer, method: str) -> None:
    assert ask(server, "/", method=method)[0] == 501


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:1", 200),
        ("LOCALHOST:80", 200),
        ("rebound.example", 403),
        ("localhost.example:80", 403),
        ("", 403),
        ("[", 403),
    ],
)
def test_only_localhost_is_answered(server: DemoServer, host: str, status: int) -> None:
    """A site whose name leads to 127.0.0.1 would otherwise read the model, and use the microphone's permission."""
    assert ask(server, "/model.tflite", host=host)[0] == status


@pytest.mark.parametrize("path", ["/", "/absent"])
def test_headers_shut_the_page_in(server: DemoServer, path: str) -> None:
    _, headers, _ = ask(server, path)
    policy = headers["content-security-policy"]
    digest = base64.b64encode(hashlib.sha256(b'{"imports": {}}').digest()).decode()
    assert policy.startswith(f"default-src 'self'; script-src 'self' 'wasm-unsafe-eval' 'sha256-{digest}'; ")
    assert "http" not in policy and "unsafe-inline" not in policy and "*" not in policy
    assert (
        headers["cross-origin-opener-policy"] == "same-origin"
        and headers["cross-origin-embedder-policy"] == "require-corp"
    )
    assert headers["cross-origin-resource-policy"] == "same-origin" and headers["x-content-type-options"] == "nosniff"
    assert "Python" not in headers["server"]


def test_the_network_does_not_see_it_and_a_taken_port_is_said(server: DemoServer) -> None:
    host, port = server.socket.getsockname()
    assert host == "127.0.0.1"
    with pytest.raises(UsageError, match=rf"port {port} is in use; choose another by --port"):
        open_server(port=port)


def test_a_browser_that_goes_away_is_no_error(server: DemoServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.files = {**server.files, "/large": bytes(1 << 25)}
    with socket.create_connection(server.server_address) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.recv(1)
    assert ask(server, "/main.js")[0] == 200
    time.sleep(0.2)  # until its thread has failed to write
    assert capsys.readouterr().err == ""


def test_the_page_names_no_other_address() -> None:
    page = resources.files("hearlite.export.demo").joinpath("page")
    texts = {file.name: file.read_text(encoding="utf-8") for file in page.iterdir()}
    assert {"index.html", "main.js", "style.css"} <= set(texts)
    found = {address for text in texts.values() for address in re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s'\"]*", text)}
    assert found <= {"http://www.w3.org/2000/svg"}  # a name, which nothing fetches
    assert "A research tool, never a diagnostic" in texts["index.html"]
    assert all(len(text.splitlines()) < 200 for text in texts.values())


def tarball(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for path, content in files.items():
            info = tarfile.TarInfo(f"package/{path}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registry with one small package, and an empty cache."""
    content = tarball({"dist/index.js": b"code", "unused.js": b"not read"})
    package = NpmPackage("core", len(content), hashlib.sha512(content).hexdigest(), ("dist/index.js",))
    monkeypatch.setattr(litertjs, "PACKAGES", (package,))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    target = tmp_path / "registry" / "@litertjs" / "core" / "-" / f"core-{VERSION}.tgz"
    target.parent.mkdir(parents=True)
    target.write_bytes(content)
    return tmp_path / "registry"


def test_the_runtime_is_fetched_once_and_checked_always(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    assert read_litertjs(None, registry=registry.as_uri(), log=said.append) == {"core/dist/index.js": b"code"}
    (cached,) = (tmp_path / "cache/hearlite/litertjs").iterdir()
    whole = cached.read_bytes()
    assert len(said) == 1
    assert read_litertjs(None, registry="file:///nowhere", log=said.append) == {
        "core/dist/index.js": b"code"
    }  # asks nobody
    assert len(said) == 1
    cached.write_bytes(whole[:-1])
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"{registry.as_uri()}/")
    read_litertjs(None, registry=None, log=said.append)
    assert cached.read_bytes() == whole and len(said) == 2


def test_another_tarball_of_that_name_is_refused(registry: Path, tmp_path: Path) -> None:
    (source,) = registry.rglob("*.tgz")
    source.write_bytes(source.read_bytes()[::-1])
    with pytest.raises(InputError, match="sha512"):
        read_litertjs(None, registry=registry.as_uri(), log=lambda text: None)
    assert list((tmp_path / "cache/hearlite/litertjs").iterdir()) == []


def test_offline_says_what_to_do(registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=rf"npm install @litertjs/core@{re.escape(VERSION)}.*--litert FOLDER"):
        read_litertjs(None, registry="file:///nowhere", log=lambda text: None)
    monkeypatch.delenv("NPM_CONFIG_REGISTRY", raising=False)
    monkeypatch.setattr(litertjs.shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match=r"no npm registry is known.*--registry URL"):
        read_litertjs(None, registry=None, log=lambda text: None)
    with pytest.raises(UsageError, match="registry is 'npm'"):
        read_litertjs(None, registry="npm", log=lambda text: None)


def test_an_installed_runtime_of_the_right_version_is_taken(registry: Path, tmp_path: Path) -> None:
    root = tmp_path / "app/node_modules/@litertjs/core"
    (root / "dist").mkdir(parents=True)
    (root / "package.json").write_text(json.dumps({"version": VERSION}))
    with pytest.raises(InputError, match="install it again"):
        read_litertjs(tmp_path / "app", registry=None, log=lambda text: None)
    (root / "dist/index.js").write_bytes(b"installed")
    assert read_litertjs(tmp_path / "app", registry=None, log=lambda text: None) == {"core/dist/index.js": b"installed"}
    (root / "package.json").write_text(json.dumps({"version": "0.0.1"}))
    with pytest.raises(InputError, match=r"has version 0.0.1; the page was tested with"):
        read_litertjs(tmp_path / "app", registry=None, log=lambda text: None)


def test_landmarks_are_centred_directions_on_their_principal_axes() -> None:
    known = landmarks(FakeTeacher())
    assert known.labels == tuple(label for label in CLASSES for _ in range(PER_CLASS))
    np.testing.assert_allclose(np.linalg.norm(known.directions, axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(known.axes @ known.axes.T, np.eye(2), atol=1e-5)
    on_axes = ((known.directions @ known.axes.T) ** 2).sum(axis=0) / len(known.labels)
    np.testing.assert_allclose(on_axes, known.shares, rtol=1e-5)
    assert known.shares[0] >= known.shares[1] > 0.0


def test_a_model_that_hears_no_difference_has_no_landmarks() -> None:
    class Deaf(FakeTeacher):
        def embed(self, clips: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.ones((len(clips), self.info.dim), np.float32)

    with pytest.raises(InputError, match="one embedding for 72 different sounds"):
        landmarks(Deaf())


def test_the_sounds_to_try_are_not_on_the_map(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav("cough"))
    offered = read_recording(tmp_path / "a.wav")
    np.testing.assert_array_equal(offered, from_int16(sound("cough", PER_CLASS)[0]))
    assert all(not np.array_equal(offered, from_int16(sound("cough", number)[0])) for number in range(PER_CLASS))


@pytest.mark.parametrize("precision", ["i8", "f32"])
def test_the_frontend_alone_is_the_files_own(bundle: Bundles, clips: NDArray[np.int16], precision: str) -> None:
    manifest = bundle.manifest(precision)
    content = getattr(bundle, precision).read_bytes()
    alone = frontend_part(content, input_name="audio", output_name="image")
    assert summarize(alone).network_macs == 0 and load(alone).metadata is None
    assert len(alone) < 200_000  # the network's weights are gone
    for clip in from_int16(clips)[:, None]:
        image = TfliteModel(alone).run(clip)["image"]
        np.testing.assert_allclose(image[..., 0], frontend_numpy(clip, spec=manifest.student.frontend), atol=1e-4)
    with pytest.raises(InputError, match="0 tensors go from the frontend"):
        frontend_part(alone, input_name="audio", output_name="image")


def test_what_is_served_of_a_file(bundle: Bundles, registry: Path) -> None:
    files = make_files(bundle.i8, hop_s=0.5, litert=None, registry=registry.as_uri(), log=lambda text: None)
    assert files["/model.tflite"] == bundle.i8.read_bytes()
    assert {
        "/",
        "/main.js",
        "/litert/core/dist/index.js",
        "/golden.wav",
        *(f"/sounds/{label}.wav" for label in CLASSES),
    } <= set(files)
    facts, manifest = json.loads(files["/demo.json"]), bundle.manifest("i8")
    assert facts["hop_samples"] == AUDIO.clip_samples / 4 and facts["clip_samples"] == AUDIO.clip_samples
    assert facts["surrogate_note"] == manifest.teacher.surrogate_note and facts["golden_embedding"] == list(
        manifest.golden_embedding
    )
    values = np.frombuffer(files["/landmarks.f32"], "<f4").reshape(-1, manifest.dim)
    assert len(values) == len(facts["labels"]) + 3
    np.testing.assert_array_equal(values[len(facts["labels"])], landmarks(open_bundle(bundle.i8)[0]).mean)
    with pytest.raises(UsageError, match="hop_s is 3"):
        make_files(bundle.i8, hop_s=3.0, litert=None, registry=registry.as_uri(), log=lambda text: None)


def test_command_ends_with_a_message(bundle: Bundles, server: DemoServer, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", str(bundle.i8), "--port", str(server.server_address[1])])
    assert ended.value.code == UsageError.exit_code and "is in use" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["demo", str(bundle.i8.with_name("absent.tflite")), "--port", "0"])
    assert ended.value.code == InputError.exit_code


def test_pinned_packages_are_named_by_content() -> None:
    for package in litertjs.PACKAGES:
        assert re.fullmatch(r"[0-9a-f]{128}", package.sha512) and package.size > 0
    assert dataclasses.asdict(litertjs.PACKAGES[0])["name"] == "core"
