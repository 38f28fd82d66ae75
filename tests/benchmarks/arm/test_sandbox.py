"""Setting up the box: mirrors are found and checked, and whatever interrupts a set-up, nothing half-built is taken for
whole.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from pathlib import Path

import pytest
from mirrors import make_deb, make_mirror, member

from hearlite.benchmarks.arm.sandbox import mirror, wheels
from hearlite.benchmarks.arm.sandbox import sandbox as box
from hearlite.benchmarks.arm.sandbox.mirror import SUITE, apt_sources, open_mirror
from hearlite.benchmarks.arm.sandbox.packages import PARTS, VOUCHED
from hearlite.benchmarks.arm.sandbox.sandbox import open_box, set_up
from hearlite.benchmarks.arm.sandbox.wheels import LIBRARY, WHEELS, Wheel, fetch_wheel, unpack_wheel
from hearlite.errors import InputError, UsageError

NO_KEYRING = Path("/nonexistent/keyring.gpg")


def test_mirror_is_read_from_both_formats_of_apt(tmp_path):
    (tmp_path / "sources.list").write_text(
        "# deb http://commented.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/x.gpg] http://second.example/debian trixie contrib main\n"
        "deb http://security.example/debian-security bookworm-security main\n"
        "deb-src http://sources.example/debian bookworm main\n"
        "deb http://vendor.example/apt nodistro main\n"
    )
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    (folder / "debian.sources").write_text(
        "Types: deb\n# a comment\nURIs: http://first.example/debian\nSuites: bookworm\n bookworm-updates\nComponents:"
        " main\n\nEnabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\n"
    )
    assert list(apt_sources(tmp_path)) == ["http://first.example/debian", "http://second.example/debian"]


def test_a_host_without_debian_is_asked_for_a_mirror(tmp_path):
    with pytest.raises(UsageError, match="--mirror URL"):
        open_mirror(apt=tmp_path)
    with pytest.raises(UsageError, match="expected http"):
        open_mirror("ftp://mirror.example/debian")


def test_another_distribution_and_an_unreachable_mirror_are_refused(tmp_path):
    address = make_mirror(tmp_path, {})
    release = tmp_path / "dists" / SUITE / "InRelease"
    release.write_text(release.read_text().replace("Origin: Debian", "Origin: Other"))
    with pytest.raises(InputError, match="is not Debian"):
        open_mirror(address, keyring=NO_KEYRING, allow_unsigned=True)
    with pytest.raises(InputError, match="--mirror URL"):
        open_mirror((tmp_path / "absent").as_uri(), keyring=NO_KEYRING)


def test_a_release_that_debian_did_not_sign_is_refused_where_that_can_be_checked(tmp_path, monkeypatch):
    address = make_mirror(tmp_path, {})
    with pytest.raises(InputError, match=r"can't be checked: no .*--allow-unsigned-index"):
        open_mirror(address, keyring=NO_KEYRING)
    assert open_mirror(address, keyring=NO_KEYRING, allow_unsigned=True).signature.startswith("not checked: no ")
    (tmp_path / "keyring.gpg").write_bytes(b"")
    gpgv = tmp_path / "gpgv"
    gpgv.write_text("#!/bin/sh\necho bad signature >&2; exit 1\n")
    gpgv.chmod(0o755)
    monkeypatch.setattr(mirror.shutil, "which", lambda name: str(gpgv))
    for allowed in (False, True):
        with pytest.raises(InputError, match="signature is bad: bad signature"):
            open_mirror(address, keyring=tmp_path / "keyring.gpg", allow_unsigned=allowed)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A mirror with every package of the box, each of a file or two, and wheels and compiler that need no network."""
    debs: dict[str, dict[str, bytes]] = {part.architecture: {} for part in PARTS}
    for part in PARTS:
        for name in part.packages:
            debs[part.architecture][name] = make_deb(
                member(f"usr/lib/{name}", f"{name} for {part.architecture}".encode())
            )
        files = [member(path.split("/", 1)[1], path.encode()) for path in VOUCHED if path.startswith(f"{part.name}/")]
        debs[part.architecture][part.packages[0]] = make_deb(*files)

    def fetch(wheel: Wheel, downloads: Path) -> Path:
        with zipfile.ZipFile(downloads / wheel.file_name, "w") as archive:
            for path in wheel.members:
                archive.writestr(path, wheel.platform)
        return downloads / wheel.file_name

    def build(parts: Path, out: Path) -> None:
        for path in VOUCHED:
            if path.startswith("bin/"):
                (out / path.removeprefix("bin/")).write_bytes(path.encode())

    monkeypatch.setattr(box, "fetch_wheel", fetch)
    monkeypatch.setattr(box, "build_programs", build)
    monkeypatch.setattr(mirror, "KEYRING", NO_KEYRING)
    monkeypatch.setattr(
        box, "open_mirror", lambda address, **_: open_mirror(address, keyring=NO_KEYRING, allow_unsigned=True)
    )
    monkeypatch.setattr(box.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(box.platform, "system", lambda: "Linux")
    return make_mirror(tmp_path / "mirror", debs)


def test_set_up_makes_a_box_that_opens_and_is_not_made_again(small, tmp_path):
    said: list[str] = []
    made = set_up(tmp_path / "box", mirror=small, log=said.append)
    assert made.versions == {
        "litert": "2.3.0",
        "tflite_runtime": "2.14.0",
        "qemu": "1:2.0-3",
        "llvm": "1:2.0-3",
        "glibc": "1:2.0-3",
    }
    assert made == open_box(tmp_path / "box")
    left = {path.name for path in (tmp_path / "box").iterdir()}
    assert left == {
        ".lock",
        "aarch64",
        "armv7",
        "bin",
        "box.json",
        "x86_64",
        "x86_64-python",
    }, "downloads and compiler go"
    said.clear()
    (tmp_path / "box/downloads").mkdir()  # killed after box.json was written
    assert set_up(tmp_path / "box", mirror="file:///nonexistent", log=said.append) == made, "no network the second time"
    assert said == []
    assert not (tmp_path / "box/downloads").exists()


@pytest.mark.parametrize("package", ["amd64/lld-19.deb", "armhf/python3-numpy.deb"])
def test_a_fault_in_a_download_leaves_nothing_half_built_and_the_next_call_goes_on(
    small, tmp_path, monkeypatch, package
):
    broken = tmp_path / "mirror/pool" / package
    whole = broken.read_bytes()
    broken.write_bytes(whole[:-5])
    with pytest.raises(InputError, match=re.escape(broken.name)):
        set_up(tmp_path / "box", mirror=small, log=lambda text: None)
    names = {path.name for path in (tmp_path / "box").iterdir()}
    assert names == {".lock", "downloads"}
    with pytest.raises(InputError, match="no complete sandbox"):
        open_box(tmp_path / "box")
    assert not list((tmp_path / "box/downloads").glob(".*.deb"))
    kept = {path.stem for path in (tmp_path / "box/downloads").glob("*.deb")}
    broken.write_bytes(whole)
    asked, real = [], mirror.download

    def recorded(url: str, target: Path, *, digest: str, size: int) -> None:
        asked.append(digest)
        real(url, target, digest=digest, size=size)

    monkeypatch.setattr(mirror, "download", recorded)
    set_up(tmp_path / "box", mirror=small, log=lambda text: None)
    assert hashlib.sha256(whole).hexdigest() in asked
    assert not kept & set(asked), "what had come is not fetched again"


def test_a_wheel_that_does_not_come_leaves_nothing_half_built(small, tmp_path, monkeypatch):
    whole = box.fetch_wheel

    def refused(wheel: Wheel, downloads: Path) -> Path:
        if wheel is WHEELS["armv7"]:
            raise InputError(f"pip did not fetch {wheel.file_name}")
        return whole(wheel, downloads)

    monkeypatch.setattr(box, "fetch_wheel", refused)
    with pytest.raises(InputError, match="armv7l"):
        set_up(tmp_path / "box", mirror=small, log=lambda text: None)
    assert {path.name for path in (tmp_path / "box").iterdir()} == {".lock", "downloads"}
    monkeypatch.setattr(box, "fetch_wheel", whole)
    set_up(tmp_path / "box", mirror=small, log=lambda text: None)
    kept = (tmp_path / "box/armv7" / WHEELS["armv7"].folder).iterdir()
    assert {path.name for path in kept} == {Path(path).name for path in WHEELS["armv7"].members}
    assert not (tmp_path / "box/armv7/usr/lib/libc6").exists(), "of a package only what runs is kept"


def test_a_set_up_that_dies_while_it_unpacks_is_resumed(small, tmp_path, monkeypatch):
    made, real = [], box.unpack

    def dying(deb: bytes, folder: Path, **options: object) -> list[str]:
        if folder.name.startswith(".building.compiler"):
            raise KeyboardInterrupt
        return real(deb, folder, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(box, "unpack", dying)
    with pytest.raises(KeyboardInterrupt):
        set_up(tmp_path / "box", mirror=small, log=made.append)
    assert not list((tmp_path / "box").glob("box.json"))
    assert not (tmp_path / "box/compiler").exists()
    (tmp_path / "box/.building.compiler.abc").mkdir()  # what a kill -9 leaves
    monkeypatch.setattr(box, "unpack", real)
    made.clear()
    set_up(tmp_path / "box", mirror=small, log=made.append)
    assert [text for text in made if text.startswith("making")] == ["making compiler", "making headers", "making bin"]
    assert not list((tmp_path / "box").glob(".building*"))


def test_a_damaged_box_and_one_of_another_version_are_refused(small, tmp_path, monkeypatch):
    set_up(tmp_path / "box", mirror=small, log=lambda text: None)
    counter = tmp_path / "box/bin/counter.so"
    counter.write_bytes(b"changed")
    with pytest.raises(InputError, match=r"counter\.so is missing or damaged; delete"):
        set_up(tmp_path / "box", mirror=small, log=lambda text: None)
    monkeypatch.setattr(box, "_key", lambda: "of another version")
    with pytest.raises(InputError, match="another version"):
        open_box(tmp_path / "box")


@pytest.mark.parametrize("content", ["[]", "3", "{", '{"files": 1}', '{"files": {"bin/x": 3}}', "[" * 2_000])
def test_a_box_json_of_any_content_is_an_error(small, tmp_path, monkeypatch, content):
    set_up(tmp_path / "box", mirror=small, log=lambda text: None)
    path = tmp_path / "box/box.json"
    if content.startswith('{"'):
        content = json.dumps({**json.loads(path.read_text()), **json.loads(content)})
    path.write_text(content)
    for function in (open_box, lambda folder: set_up(folder, mirror=small, log=lambda text: None)):
        with pytest.raises(InputError, match=r"box\.json.*delete"):
            function(tmp_path / "box")


def test_other_hosts_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(box.platform, "machine", lambda: "aarch64")
    with pytest.raises(UsageError, match="runs on Linux x86-64"):
        set_up(tmp_path, log=lambda text: None)


def test_of_a_wheel_only_the_library_is_taken(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        archive.writestr(LIBRARY, b"library")
        archive.writestr("ai_edge_litert/libLiteRtWebGpuAccelerator.so", b"dies on ARMv8.0")
    unpack_wheel(tmp_path / "a.whl", WHEELS["aarch64"], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*.so")] == ["libLiteRt.so"]
    (tmp_path / "b.whl").write_bytes(b"no zip")
    with pytest.raises(InputError, match=r"b\.whl"):
        unpack_wheel(tmp_path / "b.whl", WHEELS["aarch64"], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_wheel_of_another_content_is_refused(tmp_path, monkeypatch):
    def pip(command: list[object], **options: object) -> object:
        folder = Path(str(command[command.index("--dest") + 1]))
        (folder / WHEELS["armv7"].file_name).write_bytes(b"not it")
        return wheels.subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(wheels.subprocess, "run", pip)
    with pytest.raises(InputError, match="offers another file"):
        fetch_wheel(WHEELS["armv7"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_address_of_a_mirror_or_index_stands_in_the_code():
    folder = Path(box.__file__).parent.parent
    sources = [path for path in folder.rglob("*") if path.suffix in (".py", ".c")]
    assert len(sources) > 10
    assert [path.name for path in sources if re.search(r"://\w", path.read_text())] == []
