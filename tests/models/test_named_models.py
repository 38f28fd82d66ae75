"""A name stands for a model wherever a file does."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
from ready import DIM, write_ready

import hearlite
from hearlite.cli.main import cli, main
from hearlite.embedders.open import open_teacher
from hearlite.errors import InputError, UsageError
from hearlite.files import data_folder
from hearlite.models import registry
from hearlite.models.option import MODEL, ModelType
from hearlite.models.registry import find_model, known, models_folder

pytestmark = pytest.mark.usefixtures("models_home")


def run(*arguments: object) -> int:
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as error:
        return int(error.code or 0)
    return 0


@pytest.fixture
def mine(models_home: Path) -> Path:
    """A model of the user's, with a name that needs every kind of character."""
    return write_ready(models_home / "my-model_2.1")


def test_names_of_both_kinds_are_found(mine: Path, with_hearlite: str) -> None:
    assert list(known()) == [with_hearlite, "my-model_2.1"]
    assert find_model("my-model_2.1") == mine
    assert find_model(with_hearlite).name == "hearlite_ready.tflite"
    assert hearlite.load("my-model_2.1").info.licence == "Apache-2.0"
    assert open_teacher("tflite:my-model_2.1").info.dim == DIM
    with pytest.raises(
        UsageError, match=r"^no file and no model of that name: 'other'; known: hearlite-ready, my-model"
    ):
        find_model("other")


def test_a_path_that_exists_comes_before_a_name(
    mine: Path, ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / mine.parent.name).write_bytes(ready.read_bytes())
    assert find_model(mine.parent.name) == Path(mine.parent.name)
    assert hearlite.load(mine.parent.name).info.licence == "unknown"
    assert find_model(ready) == ready


@pytest.mark.parametrize("text", ["missing.tflite", "a/my-model_2.1", "./my-model_2.1"])
def test_what_can_only_be_a_path_is_left_to_its_reader(text: str, mine: Path) -> None:
    assert find_model(text) == Path(text)
    with pytest.raises(InputError, match="No such file"):
        hearlite.load(text)


@pytest.mark.parametrize("text", ["", "My-Model", "..", "a b", "../my-model_2.1", "-x", "x" * 65, "a\0b", "é"])
def test_odd_names_find_nothing_outside(text: str, mine: Path) -> None:
    for name in (text, text.upper()):
        try:
            found = find_model(name)
        except UsageError:
            continue
        assert found == Path(name) and found not in known().values()


def test_what_comes_with_hearlite_is_not_shadowed(
    models_home: Path, with_hearlite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_ready(models_home / with_hearlite, seed=2)
    assert find_model(with_hearlite) != other
    assert run("models", "--json") == 0
    output = capsys.readouterr()
    (listed,) = json.loads(output.out)
    assert listed["packaged"] and listed["file"] == str(find_model(with_hearlite))
    assert f"{other} is not used: {with_hearlite} comes with hearlite" in output.err


def test_a_folder_that_is_no_model_has_no_name(models_home: Path) -> None:
    write_ready(models_home / "two", "a")
    write_ready(models_home / "two", "b")
    write_ready(models_home / ".new-x")
    (models_home / "none").mkdir()
    (models_home / "file").write_bytes(b"")
    assert known() == {}


def test_the_list_is_a_line_for_each(mine: Path, with_hearlite: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models") == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "size", "precision", "dim", "classes", "teacher", "licence", "place"]
    assert [line.split() for line in lines] == [
        [with_hearlite, "0.51", "MB", "f32", "4", "spectral", "Apache-2.0", "comes", "with", "hearlite"],
        ["my-model_2.1", "0.51", "MB", "f32", "4", "spectral", "Apache-2.0", str(mine.parent)],
    ]
    assert run("models", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[1] == {
        "name": "my-model_2.1",
        "bytes": mine.stat().st_size,
        "precision": "f32",
        "dim": DIM,
        "classes": [],
        "teacher": "spectral",
        "licence": "Apache-2.0",
        "packaged": False,
        "file": str(mine),
    }


def test_an_empty_list_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models") == 0
    output = capsys.readouterr()
    assert output.out == "" and "hearlite get SOURCE" in output.err
    assert run("models", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run("info", "small") == 2
    assert "none is installed: run 'hearlite get SOURCE'" in capsys.readouterr().err


def test_a_damaged_model_does_not_hide_the_others(
    mine: Path, with_hearlite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mine.write_bytes(mine.read_bytes()[:1_000])
    assert run("models", "--json") == 0
    output = capsys.readouterr()
    assert [row["name"] for row in json.loads(output.out)] == [with_hearlite]
    assert "my-model_2.1 can't be used" in output.err


def test_classes_and_licence_of_strangers_are_only_shown(models_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_ready(models_home / "odd", licence="free\x1b[2J\n[bold]x")
    assert run("models") == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and r"free\x1b[2J\n[bold]x" in out
    assert len(out.splitlines()) == 2


def test_the_folder_is_the_users_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEARLITE_MODELS", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for platform, place in {
        "linux": ".local/share",
        "darwin": "Library/Application Support",
        "win32": "AppData/Local",
    }.items():
        monkeypatch.setattr(sys, "platform", platform)
        assert data_folder("models") == tmp_path / place / "hearlite" / "models"
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert models_folder() == tmp_path / "data" / "hearlite" / "models"
    monkeypatch.setenv("HEARLITE_MODELS", str(tmp_path / "own"))
    assert models_folder() == tmp_path / "own"


def test_without_a_home_what_comes_with_hearlite_is_there(with_hearlite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> Path:
        raise RuntimeError("Could not determine models_home directory.")

    monkeypatch.delenv("HEARLITE_MODELS")
    monkeypatch.setattr(registry, "data_folder", unknown)
    assert list(known()) == [with_hearlite]
    with pytest.raises(InputError, match="HEARLITE_MODELS"):
        models_folder()


def every(command: click.Command, context: click.Context) -> Iterator[click.Command]:
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from every(found, context)
    else:
        yield command


@pytest.mark.slow  # imports every study
def test_every_command_that_takes_an_exported_file_takes_a_name() -> None:
    """All but `embed`, whose --model may be a teacher too."""
    with click.Context(cli) as context:
        taking = {
            str(command.name)
            for command in every(cli, context)
            for parameter in command.params
            if isinstance(parameter.type, ModelType)
        }
        others = [
            f"{command.name} {parameter.name}"
            for command in every(cli, context)
            for parameter in command.params
            if parameter.name in ("model", "models", "file", "files", "bundle")
            and not isinstance(parameter.type, (ModelType, click.IntRange))
        ]
    assert {"info", "check", "demo", "export", "cost", "bench", "arm", "label-efficiency", "error-gallery"} <= taking
    assert others == ["embed model"]


def test_completion_knows_names(mine: Path, with_hearlite: str) -> None:
    command = cli.commands["info"]
    with click.Context(command) as context:
        items = MODEL.shell_complete(context, command.params[0], "my")
    assert [(item.value, item.type) for item in items] == [("my-model_2.1", "plain"), ("my", "file")]


def test_commands_run_with_a_name(mine: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = mine.parent.name
    assert run("info", name, "--json") == 0
    assert json.loads(capsys.readouterr().out)["file"] == str(mine)
    assert run("check", name, "--json") == 0
    assert run("export", name, "--platform", "python", "--out", tmp_path / "app", "--json") == 0
    assert (tmp_path / "app" / "ready_2s_f32_python" / "embed.py").is_file()
    tables = []
    for model in (name, mine, f"tflite:{mine}"):
        out = tmp_path / f"{len(tables)}.parquet"
        assert run("embed", corpus, "--model", model, "--out", out) == 0
        tables.append(out)
    import pyarrow.parquet as pq

    first, *others = (np.stack(pq.read_table(table)["embedding"].to_numpy()) for table in tables)
    assert first.shape[1] == DIM
    for other in others:
        np.testing.assert_array_equal(first, other)
    capsys.readouterr()
    for arguments in (["info"], ["check"], ["demo"], ["export", "--out", "x"], ["cost", "--out", "x"]):
        assert run(*arguments, "nobody") == 2
        assert "no file and no model of that name: 'nobody'" in capsys.readouterr().err
