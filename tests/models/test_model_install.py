"""`hearlite get` from files, folders and archives: a model is whole and checked, or it is not there."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Bundles
from ready import write_ready

import hearlite
from hearlite.bundle import SUFFIXES
from hearlite.cli.main import main
from hearlite.errors import GateError, HearliteError, InputError, UsageError
from hearlite.models import source as sources
from hearlite.models.install import _swap, install
from hearlite.models.registry import known
from hearlite.models.source import read_source
from hearlite.writing import locked


def get(source: object, name: str = "new", *, sha256: str = "", overwrite: bool = False) -> Path:
    return install(read_source(str(source), sha256=sha256), name=name, overwrite=overwrite)[0]


pytestmark = pytest.mark.usefixtures("models_home")


def run(*arguments: object) -> int:
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def nothing_in(models_home: Path) -> bool:
    return not models_home.exists() or list(models_home.iterdir()) == []


def packed(model: Path, *, below: str = "") -> bytes:
    """Return a .zip of all files of a bundle."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(model.parent.iterdir()):
            archive.write(path, below + path.name)
    return raw.getvalue()


def test_a_file_is_installed_under_its_name(ready: Path, models_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (ready.parent / "secret.txt").write_text("not part of the bundle")
    assert run("get", ready, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    digest = hashlib.sha256(ready.read_bytes()).hexdigest()
    assert told == {
        "name": "ready_2s_f32",
        "teacher": "spectral",
        "licence": "Apache-2.0",
        "notice": "",
        "source": str(ready),
        "sha256": digest,
        "file": str(models_home / "ready_2s_f32" / ready.name),
    }
    assert sorted(path.name for path in (models_home / "ready_2s_f32").iterdir()) == sorted(
        f"ready_2s_f32{suffix}" for suffix in (".tflite", ".json", ".NOTICE.txt", ".md", ".source.json")
    )
    record = json.loads((models_home / "ready_2s_f32" / "ready_2s_f32.source.json").read_text())
    assert record == {"source": str(ready), "sha256": digest, "hearlite": hearlite.__version__}
    assert [path.name for path in models_home.iterdir()] == ["ready_2s_f32"]
    assert run("check", "ready_2s_f32") == 0


def test_folders_and_archives_have_names_too(ready: Path, tmp_path: Path, models_home: Path) -> None:
    (tmp_path / "Flat.zip").write_bytes(packed(ready))
    (tmp_path / "deep.zip").write_bytes(packed(ready, below="some/folder/"))
    shutil.copytree(ready.parent, tmp_path / "a-folder")
    for source in ("Flat.zip", "deep.zip", "a-folder"):
        assert run("get", tmp_path / source) == 0
    assert list(known()) == ["a-folder", "deep", "flat"]
    record = json.loads((models_home / "deep" / "ready_2s_f32.source.json").read_text())
    assert record["sha256"] == hashlib.sha256((tmp_path / "deep.zip").read_bytes()).hexdigest()


def test_an_exported_file_keeps_all_that_belongs_to_it(bundle: Bundles, tmp_path: Path, models_home: Path) -> None:
    archive = tmp_path / "student.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for suffix in SUFFIXES:
            out.write(bundle.i8.with_name(bundle.i8.stem + suffix), f"student/{bundle.i8.stem}{suffix}")
        out.writestr("__MACOSX/student/._" + bundle.i8.name, b"shadow")
        out.writestr("student/README.txt", b"not taken")
    get(archive, "student")
    assert len(list((models_home / "student").iterdir())) == len(SUFFIXES) + 1
    clips = np.random.default_rng(0).uniform(-0.1, 0.1, (2, 32_000)).astype(np.float32)
    by_name, by_file = hearlite.load("student").embed_clips(clips), hearlite.load(bundle.i8).embed_clips(clips)
    np.testing.assert_array_equal(by_name, by_file)


def test_another_model_of_that_name_is_replaced_only_when_asked(ready: Path, tmp_path: Path, models_home: Path) -> None:
    installed = get(ready)
    assert get(ready) == installed  # the same again changes nothing
    other = write_ready(tmp_path / "other", seed=3)
    with pytest.raises(InputError, match="is there already and differs; choose another --name, or pass --overwrite"):
        get(other)
    assert installed.read_bytes() == ready.read_bytes()
    assert get(other, overwrite=True).read_bytes() == other.read_bytes()
    assert [path.name for path in models_home.iterdir()] == ["new"]


def test_what_fails_replaces_nothing(ready: Path, tmp_path: Path, models_home: Path) -> None:
    installed = get(ready)
    other = write_ready(tmp_path / "other", seed=3, golden_embedding=(1.0, 0.0, 0.0, 0.0))
    with pytest.raises(GateError, match="golden embedding"):
        get(other, overwrite=True)
    assert installed.read_bytes() == ready.read_bytes()
    assert [path.name for path in models_home.iterdir()] == ["new"]


@pytest.mark.parametrize(
    "name", ["", "A", "a b", "../a", "a/b", ".a", "-a", "é", "a" * 65, "a.tflite", "a.zip", "a.", "spectral", "hear"]
)
def test_names_that_are_refused(name: str, ready: Path, models_home: Path) -> None:
    assert run("get", ready, "--name", name) == 2
    with pytest.raises(UsageError):
        get(ready, name)
    assert nothing_in(models_home)


def test_a_model_that_comes_with_hearlite_can_not_be_replaced(
    ready: Path, with_hearlite: str, models_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("get", ready, "--name", with_hearlite, "--overwrite") == 2
    assert f"{with_hearlite} comes with hearlite and can't be replaced" in capsys.readouterr().err
    assert run("get", with_hearlite) == 2
    assert "is installed already" in capsys.readouterr().err
    assert nothing_in(models_home)


def cut(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:-100])


def other_weights(model: Path) -> None:
    content = bytearray(model.read_bytes())
    place = content.find(np.random.default_rng(0).normal(0.0, 0.01, 1).astype(np.float32).tobytes())
    content[place] ^= 1
    model.write_bytes(bytes(content))


def edited(model: Path) -> None:
    path = model.with_suffix(".json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "licence": "public domain"}))


def other_golden(model: Path) -> None:
    path = model.with_suffix(".json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "golden_embedding": [1.0, 0.0, 0.0, 0.0]}))


def no_arrays(model: Path) -> None:
    model.with_name(f"{model.stem}.inverse.npz").write_bytes(b"PK")


def latin(model: Path) -> None:
    model.with_name(f"{model.stem}.NOTICE.txt").write_bytes(b"\xe9")


def pipe(model: Path) -> None:
    model.with_suffix(".md").unlink()
    os.mkfifo(model.with_suffix(".md"))


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        (cut, 3, "truncated or damaged"),
        (other_weights, 3, "its sha256 is not the manifest's"),
        (edited, 3, "it differs from the copy inside"),
        (other_golden, 4, "fails 1 of 6 checks: golden embedding"),
        (no_arrays, 3, "not a readable .npz"),
        (latin, 3, "is not UTF-8"),
        (pipe, 3, "it is a named pipe"),
        (lambda model: model.with_suffix(".json").write_text("[]"), 3, "its schema is not"),
        (lambda model: model.with_suffix(".json").unlink(), 3, "ready_2s_f32.json is missing"),
        (lambda model: model.with_name(f"{model.stem}.NOTICE.txt").unlink(), 3, "ready_2s_f32.NOTICE.txt is missing"),
        (lambda model: model.unlink(), 3, "No such file"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_not_whole_is_not_installed(
    spoil: Callable[[Path], object],
    code: int,
    says: str,
    ready: Path,
    models_home: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(ready)
    assert run("get", ready) == code
    error = capsys.readouterr().err
    assert says in error and str(ready.parent) in error and ".new-" not in error
    assert nothing_in(models_home)


def test_fingerprints_of_another_export_are_refused(ready: Path, tmp_path: Path, models_home: Path) -> None:
    model = write_ready(tmp_path / "heard", heard_sha256="0" * 64)
    model.with_name(f"{model.stem}.heard.npz").write_bytes(b"other")
    with pytest.raises(InputError, match=r"heard\.npz: its sha256 is not the manifest's"):
        get(model)
    assert nothing_in(models_home)


def test_a_hash_that_was_named_must_be_right(ready: Path, tmp_path: Path, models_home: Path) -> None:
    archive = tmp_path / "a.zip"
    archive.write_bytes(packed(ready))
    for source in (ready, ready.parent, archive):
        with pytest.raises(InputError, match=f"its sha256 is [0-9a-f]{{64}}, not {'0' * 64}"):
            get(source, sha256="0" * 64)
        with pytest.raises(UsageError, match="expected 64 hexadecimal digits"):
            get(source, sha256="0" * 63)
        assert nothing_in(models_home)
    get(archive, "a", sha256=hashlib.sha256(archive.read_bytes()).hexdigest().upper())
    get(ready, "b", sha256=hashlib.sha256(ready.read_bytes()).hexdigest())


@pytest.mark.parametrize(
    ("source", "code", "says"),
    [
        ("TMP/absent.tflite", 3, "No such file"),
        ("TMP/absent.zip", 3, "No such file"),
        ("TMP/absent", 2, "expected a .tflite, a folder or .zip"),
        ("TMP/empty", 3, "it holds no .tflite with its manifest"),
        ("TMP/two", 3, "it holds 2 models: a.tflite, b.tflite"),
        ("TMP/note.txt", 2, "expected a .tflite, a folder or .zip"),
    ],
)
def test_sources_that_hold_no_model(
    source: str, code: int, says: str, tmp_path: Path, models_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("")
    for stem in ("a", "b"):
        write_ready(tmp_path / "two", stem)
    assert run("get", source.replace("TMP", str(tmp_path))) == code
    assert says in capsys.readouterr().err
    assert nothing_in(models_home)


Change = Callable[[zipfile.ZipFile], object]


def linked(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("ready_2s_f32.inverse.npz")
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    archive.writestr(entry, "/etc/passwd")


def crowded(archive: zipfile.ZipFile) -> None:
    for index in range(1_001):
        archive.writestr(f"{index}", b"")


def bomb(archive: zipfile.ZipFile) -> None:
    with archive.open("zeros.bin", "w", force_zip64=True) as out:
        for _ in range(65):
            out.write(bytes(1 << 20))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda archive: archive.writestr("../evil", b""), "'../evil' is not a path inside"),
        (lambda archive: archive.writestr("a/../../evil", b""), "is not a path inside"),
        (lambda archive: archive.writestr("/etc/evil", b""), "is not a path inside"),
        (lambda archive: archive.writestr("C:/evil", b""), "is not a path inside"),
        (lambda archive: archive.writestr("..\\evil", b""), "is not a path inside"),
        (lambda archive: archive.writestr("a//evil", b""), "is not a path inside"),
        (lambda archive: archive.writestr("ev\x1bil", b""), "is not a path inside"),
        (linked, "is a link or a special file"),
        (lambda archive: archive.writestr("ready_2s_f32.md", b"other"), "is there twice"),
        (lambda archive: archive.writestr("READY_2S_F32.md", b"other"), "is there twice"),
        (crowded, "more than 1000 entries"),
        (bomb, f"unpacks to more than {64 << 20} bytes"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_archives_that_no_honest_packer_makes(
    change: Change, says: str, ready: Path, tmp_path: Path, models_home: Path
) -> None:
    path = tmp_path / "hostile.zip"
    path.write_bytes(packed(ready))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        change(archive)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=r"hostile\.zip: ") as caught:
        get(path)
    assert says in str(caught.value)
    assert nothing_in(models_home)
    assert [item for item in sorted(tmp_path.rglob("*")) if item not in before] in (
        [],
        [models_home.parent, models_home],
    )


def test_a_name_with_a_zero_byte_is_refused(ready: Path, tmp_path: Path, models_home: Path) -> None:
    content = packed(ready).replace(b"ready_2s_f32.md", b"ready_2s\0f32.md")
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(InputError, match="is not a path inside"):
        get(tmp_path / "a.zip")
    assert nothing_in(models_home)


def lie(content: bytes, name: bytes, offsets: tuple[int, int], kind: str, value: int) -> bytes:
    """Change a field in both headers of an entry; its offsets are those from the ends of the headers' fixed parts."""
    changed, place = bytearray(content), -1
    for offset in offsets:
        place = content.index(name, place + 1)
        struct.pack_into(kind, changed, place + offset, value)
    return bytes(changed)


def test_headers_that_lie_are_found_out(tmp_path: Path, ready: Path, models_home: Path) -> None:
    card = ready.with_suffix(".md")
    card.write_bytes(bytes(60 << 20))
    honest = packed(ready)
    card.unlink()
    path, name = tmp_path / "a.zip", card.name.encode()
    for content in (
        lie(honest, name, (22 - 30, 24 - 46), "<I", 10),  # the size unpacked: a bomb that claims to be small
        lie(honest, name, (8 - 30, 10 - 46), "<H", zipfile.ZIP_BZIP2),
        lie(honest, name, (8 - 30, 10 - 46), "<H", 99),
        honest[:-30],
        honest[:1_000] + bytes(100) + honest[1_100:],
        b"PK\x05\x06" + bytes(18),
        b"",
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.zip: (not a readable \.zip|it holds no \.tflite)"):
            get(path)
        assert nothing_in(models_home)
    path.write_bytes(lie(honest, name, (6 - 30, 8 - 46), "<H", 1))
    with pytest.raises(InputError, match="is encrypted"):
        get(path)


def test_no_more_is_read_than_a_model_has(
    ready: Path, tmp_path: Path, models_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.zip").write_bytes(packed(ready))
    monkeypatch.setattr(sources, "LARGEST_BYTES", ready.stat().st_size + 100)
    for source in (ready, tmp_path / "a.zip"):
        with pytest.raises(InputError, match="bytes"):
            get(source)
    assert nothing_in(models_home)


def test_what_a_killed_command_left_is_put_right(ready: Path, tmp_path: Path, models_home: Path) -> None:
    get(ready, "kept")
    (models_home / "kept").rename(models_home / ".old-kept")  # killed between the two renames of a replacement
    (models_home / ".new-abc").mkdir()
    get(ready, "other")
    assert sorted(path.name for path in models_home.iterdir()) == ["kept", "other"]


def test_a_replacement_that_fails_leaves_what_was_there(ready: Path, models_home: Path) -> None:
    get(ready)
    with pytest.raises(FileNotFoundError):
        _swap(models_home / "not-there", models_home / "new")
    assert list(known()) == ["new"]


def test_two_commands_do_not_write_at_once(ready: Path, models_home: Path) -> None:
    with locked(models_home), pytest.raises(InputError, match="another hearlite command is writing it"):
        get(ready)
    assert nothing_in(models_home)


def test_a_folder_that_can_not_be_written_is_named(
    ready: Path, models_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models_home.parent.mkdir(parents=True)
    models_home.write_text("a file in the way")
    with pytest.raises(HearliteError, match="can't be written"):
        get(ready)


def test_a_failed_gate_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("get", write_ready(tmp_path / "poor", gate_passed=False), "--name", "poor") == 0
    assert "warning: poor failed its quality gate" in capsys.readouterr().err
