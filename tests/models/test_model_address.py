"""`hearlite get` from addresses: over TLS, within limits, and never to where a server points."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import ssl
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ready import write_ready

from hearlite import files
from hearlite.cli.main import main
from hearlite.errors import InputError, UsageError
from hearlite.files import NotThereError, fetch, require_address
from hearlite.models import source as sources
from hearlite.models.install import install
from hearlite.models.registry import known
from hearlite.models.source import read_source

pytestmark = pytest.mark.usefixtures("models_home")


@dataclass
class Site:
    """A server on this machine: what it answers with by path, and the paths it was asked for."""

    address: str = ""
    pages: dict[str, bytes | Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def add_bundle(self, model: Path, *, below: str = "/") -> str:
        """Serve the files of a bundle and return the path of its .tflite."""
        self.pages |= {below + path.name: path.read_bytes() for path in model.parent.iterdir()}
        return below + model.name


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            page = site.pages.get(self.path.partition("?")[0])
            with contextlib.suppress(OSError):  # a client that has seen enough hangs up
                if callable(page):
                    page(self)
                elif page is None:
                    self.send_error(404)
                else:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(page)))
                    self.end_headers()
                    self.wfile.write(page)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    site.address = f"{'https' if context else 'http'}://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


@pytest.fixture
def secure_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server with TLS, whose certificate this process trusts."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl, to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(context) as found:
        yield found


def run(*arguments: object) -> int:
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def packed(model: Path) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(model.parent.iterdir()):
            archive.write(path, path.name)
    return raw.getvalue()


def moved(to: str, status: int = 302) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Location", to)
        request.end_headers()

    return answer


def test_an_archive_is_installed_from_its_address(
    site: Site, ready: Path, models_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.pages["/v1/cough-tiny.zip"] = content = packed(ready)
    digest = hashlib.sha256(content).hexdigest()
    assert run("get", f"{site.address}/v1/cough-tiny.zip?key=secret#part", "--sha256", digest, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["licence"], told["sha256"]) == ("cough-tiny", "Apache-2.0", digest)
    assert told["source"] == f"{site.address}/v1/cough-tiny.zip"  # without what opens the address
    record = json.loads((models_home / "cough-tiny" / "ready_2s_f32.source.json").read_text())
    assert (record["source"], record["sha256"]) == (told["source"], digest)
    assert site.asked == ["/v1/cough-tiny.zip?key=secret"]


def test_a_file_is_installed_with_what_lies_beside_it(site: Site, ready: Path, models_home: Path) -> None:
    path = site.add_bundle(ready, below="/models/")
    assert run("get", f"{site.address}{path}?download=true") == 0
    assert sorted(site.asked) == sorted(
        f"/models/ready_2s_f32{suffix}?download=true"
        for suffix in (".tflite", ".json", ".NOTICE.txt", ".md", ".inverse.npz")
    )
    assert list(known()) == ["ready_2s_f32"]
    assert (models_home / "ready_2s_f32" / "ready_2s_f32.md").read_text() == "# A card\n"


def test_a_card_may_be_missing_and_the_terms_may_not(
    site: Site, ready: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site.add_bundle(ready)
    del site.pages["/ready_2s_f32.md"]
    assert run("get", site.address + path, "--name", "without-card") == 0
    for name in ("/ready_2s_f32.NOTICE.txt", "/ready_2s_f32.json"):
        page = site.pages.pop(name)
        assert run("get", site.address + path, "--name", "other") == 3
        assert f"{name}: HTTP Error 404" in capsys.readouterr().err
        site.pages[name] = page
    assert list(known()) == ["without-card"]


def test_fingerprints_are_asked_for_where_there_are_some(site: Site, tmp_path: Path) -> None:
    path = site.add_bundle(write_ready(tmp_path / "heard", heard_sha256="0" * 64))
    read_source(site.address + path)
    assert "/ready_2s_f32.heard.npz" in site.asked


def test_what_comes_is_checked(site: Site, ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = site.add_bundle(ready)
    assert run("get", site.address + path, "--sha256", "0" * 64) == 3
    assert f"not {'0' * 64}" in capsys.readouterr().err
    assert site.asked == [path]  # the rest is not asked for
    site.pages[path] = write_ready(tmp_path / "other", seed=5).read_bytes()
    assert run("get", site.address + path) == 3
    assert f"{site.address}{path}: ready_2s_f32.tflite: its sha256 is not the manifest's" in capsys.readouterr().err
    assert known() == {}


@pytest.mark.parametrize(
    "address",
    [
        "http://example.org/a.zip",
        "http://127.0.0.1.example.org/a.zip",
        "http://127.0.0.2/a.zip",
        "ftp://localhost/a.zip",
        "file:///etc/passwd",
        "https:///a.zip",
        "https://host:port/a.zip",
        "https://[::1/a.zip",
        "https://user:password@example.org/a.zip",
        "http://localhost@example.org/a.zip",
        "data://text/a.zip",
    ],
)
def test_other_addresses_are_refused(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError):
        require_address(address)
    assert run("get", address) == 2
    assert "password@" not in capsys.readouterr().err


@pytest.mark.parametrize("path", ["/model", "/", "/a.tar.gz", "/a.tflite.exe"])
def test_an_address_says_what_it_is(path: str, site: Site) -> None:
    with pytest.raises(UsageError, match=r"must end with \.tflite or \.zip"):
        read_source(site.address + path)
    assert site.asked == []


@pytest.mark.parametrize(
    "path", ["/a%2fb.tflite", "/%2e%2e%2fx.tflite", "/a%00.tflite", "/a b.tflite", "/%C3%A9.tflite"]
)
def test_a_name_in_an_address_stays_a_name(path: str, site: Site) -> None:
    with pytest.raises(InputError, match="the file is called"):
        read_source(site.address + path)
    assert site.asked == []


@pytest.mark.parametrize(
    "to", ["http://127.0.0.1/b", "/b", "http://localhost/b", "ftp://h/b", "file:///etc/passwd", "x:"]
)
def test_redirections_to_anything_but_https_are_refused(to: str, site: Site) -> None:
    site.pages |= {"/a": moved(to), "/b": b"inside"}
    with pytest.raises(InputError, match=r"/a: .*(only https:// is followed|not allowed)"):
        fetch(f"{site.address}/a", largest=100)
    assert site.asked == ["/a"]


def test_https_is_followed(site: Site, secure_site: Site, ready: Path) -> None:
    path = secure_site.add_bundle(ready)
    site.pages["/a"] = moved(secure_site.address + path)
    secure_site.pages |= {"/b": moved(path), "/down": moved(f"{site.address}/c"), "/loop": moved("/loop")}
    for address in (site.address + "/a", secure_site.address + path, secure_site.address + "/b"):
        assert fetch(address, largest=1 << 20) == ready.read_bytes()
    with pytest.raises(InputError, match="only https:// is followed"):
        fetch(secure_site.address + "/down", largest=100)
    with pytest.raises(InputError, match="infinite loop"):
        fetch(secure_site.address + "/loop", largest=100)
    assert run("get", secure_site.address + path) == 0


def test_a_certificate_that_nobody_trusts_is_refused(secure_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(InputError, match=r"(?i)certificate"):
        fetch(secure_site.address + "/a", largest=100)
    assert secure_site.asked == []


def endless(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    while True:
        request.wfile.write(bytes(1 << 16))


def dripping(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    for _ in range(200):
        request.wfile.write(b"x")
        request.wfile.flush()
        time.sleep(0.02)


def silent(request: BaseHTTPRequestHandler) -> None:
    time.sleep(2)


def declared(size: int, sent: int) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(size))
        request.end_headers()
        request.wfile.write(bytes(sent))

    return answer


def held_open(request: BaseHTTPRequestHandler) -> None:
    declared(5, 5)(request)
    request.wfile.flush()
    time.sleep(2)


def no_http(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"\x00\x01 not HTTP\r\n\r\n")


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (endless, "more than 1000 bytes"),
        (declared(1 << 40, 10), f"it has {1 << 40} bytes, and at most 1000 are read"),
        (declared(100, 10), "it ended 90 bytes too early"),
        (dripping, "has not come in 0.3 s"),
        (silent, "timed out"),
        (no_http, "not HTTP"),
        (lambda request: request.send_error(500), "HTTP Error 500"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_servers_that_misbehave(
    page: Callable[[BaseHTTPRequestHandler], None], says: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(files, "LONGEST_S", 0.3)
    monkeypatch.setattr(sources, "LARGEST_BYTES", 1_000)
    site.pages["/a.zip"] = page
    with pytest.raises(InputError) as caught:
        read_source(f"{site.address}/a.zip")
    assert says in str(caught.value)
    assert not isinstance(caught.value, NotThereError)
    assert known() == {}


def test_what_is_complete_is_not_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "TIMEOUT_S", 0.5)
    site.pages["/a"] = held_open
    assert fetch(f"{site.address}/a", largest=5) == bytes(5)


def test_all_files_together_have_a_limit(site: Site, ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = site.add_bundle(ready)
    monkeypatch.setattr(sources, "LARGEST_BYTES", ready.stat().st_size + 100)
    with pytest.raises(InputError, match=r"ready_2s_f32\.json: it has \d+ bytes, and at most 100 are read"):
        read_source(site.address + path)


def test_a_proxy_is_not_asked_for_this_machine(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    site.pages["/a"] = b"here"
    assert fetch(f"{site.address}/a", largest=4) == b"here"


def test_a_server_that_is_not_there_is_named(models_home: Path) -> None:
    with serving() as gone:
        address = gone.address
    with pytest.raises(InputError, match=r"localhost:\d+/a\.zip: .*check the address and the network"):
        install(read_source(f"{address}/a.zip"), name="a")
    assert not models_home.exists()
