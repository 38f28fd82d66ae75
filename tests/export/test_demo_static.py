"""The demo's page as a folder: written whole or not at all, and never over something else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Bundles

from hearlite.cli.main import main
from hearlite.errors import HearliteError, InputError, UsageError
from hearlite.export.demo import static
from hearlite.export.demo.static import require_free, write_page

INDEX = b'<!doctype html><meta charset="utf-8"><script type="importmap">{"imports": {}}</script>'
FILES = {"/": INDEX, "/demo.json": b"{}", "/model.tflite": b"model", "/litert/core/wasm/a.wasm": b"\0asm"}


def ended(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as done:
        main(arguments)
    assert isinstance(done.value.code, int)
    return done.value.code


def test_a_page_is_a_folder_of_files(tmp_path: Path) -> None:
    folder = tmp_path / "sites/page"
    names = write_page(FILES, folder, notice=b"The model's terms\n", overwrite=False)
    assert names == ["NOTICE.txt", "demo.json", "index.html", "litert/core/wasm/a.wasm", "model.tflite"]
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == names
    assert [path.name for path in folder.parent.iterdir()] == ["page"]  # nothing is left behind
    assert (folder / "model.tflite").read_bytes() == b"model"
    notice = (folder / "NOTICE.txt").read_text()
    assert notice.startswith("The model's terms\n") and "LiteRT.js" in notice and "Apache License 2.0" in notice


def test_the_policy_is_inside(tmp_path: Path) -> None:
    write_page(FILES, tmp_path / "page", notice=b"", overwrite=False)
    index = (tmp_path / "page/index.html").read_text()
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', index)
    assert policy.startswith("default-src 'self'; script-src 'self' 'wasm-unsafe-eval' 'sha256-")
    assert "frame-ancestors" not in policy and "unsafe-inline" not in policy and "*" not in policy
    assert index.index("http-equiv") < index.index("<script")


def test_what_is_there_is_not_lost(tmp_path: Path) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    write_page(FILES, folder, notice=b"", overwrite=False)  # an empty one is free
    with pytest.raises(InputError, match=r"is not empty: it has NOTICE.txt; .*--overwrite"):
        write_page(FILES, folder, notice=b"", overwrite=False)
    write_page({**FILES, "/model.tflite": b"another"}, folder, notice=b"", overwrite=True)
    assert (folder / "model.tflite").read_bytes() == b"another"
    other = tmp_path / "home"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"has thesis.tex, and is no page of hearlite demo"):
        write_page(FILES, other, notice=b"", overwrite=True)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(other)
    for name in ("file", "link"):
        with pytest.raises(InputError, match="is no folder"):
            require_free(tmp_path / name, overwrite=True)
    assert (other / "thesis.tex").is_file() and sorted(path.name for path in tmp_path.iterdir()) == [
        *("file", "home", "link", "page")
    ]


def test_an_interrupted_page_leaves_the_former_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_page(FILES, tmp_path / "page", notice=b"", overwrite=False)
    original = Path.replace

    def broken(path: Path, target: Path) -> Path:
        if path.name == "page" and path.parent != tmp_path:
            raise OSError(28, "No space left on device")
        return original(path, target)

    monkeypatch.setattr(static.Path, "replace", broken)
    with pytest.raises(InputError, match="page can't be written"):
        write_page({**FILES, "/model.tflite": b"another"}, tmp_path / "page", notice=b"", overwrite=True)
    assert (tmp_path / "page/model.tflite").read_bytes() == b"model"
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


def test_commands_that_make_no_sense_end_with_a_message(
    bundle: Bundles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases: list[tuple[list[str], type[HearliteError], str]] = [
        (["demo", str(bundle.i8), "--overwrite"], UsageError, "--overwrite has no effect without --static"),
        (
            ["demo", str(bundle.i8), "--static", str(tmp_path / "a"), "--port", "1"],
            UsageError,
            "--port 1 has no effect",
        ),
        (["demo", str(bundle.i8), "--static", str(bundle.i8.parent)], InputError, "is not empty"),
        (["demo", str(tmp_path / "absent.tflite"), "--static", str(tmp_path / "a")], InputError, "absent"),
    ]
    for arguments, error, said in cases:
        assert ended(arguments) == error.exit_code and said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
