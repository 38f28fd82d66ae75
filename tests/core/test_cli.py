"""The command line: quick to start, data on stdout, messages on stderr, and an exit code for each kind of failure."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest
from conftest import Bundles

from hearlite import __version__
from hearlite.benchmarks.studies import STUDIES
from hearlite.cli.main import cli, main
from hearlite.run import Run
from hearlite.spec import QuantSpec

HEAVY = (
    "tensorflow",
    "tf_keras",
    "librosa",
    "sklearn",
    "matplotlib",
    "pyarrow",
    "scipy",
    "ai_edge_litert",
    "soundfile",
)


def run(*arguments: object) -> int:
    """The exit code of a command, in this process."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as error:
        return int(error.code or 0)
    return 0


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("TF_", "HEARLITE_"))}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


def test_help_and_import_load_nothing_heavy() -> None:
    code = f"""
import sys
from hearlite.cli.main import main
main(["--help"])
loaded = [name for name in {HEAVY!r} if name in sys.modules]
print(loaded, file=sys.stderr)
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "[]"
    for command in (
        "quickstart",
        "distill",
        "quantize",
        "export",
        "adapt-head",
        "bench",
        "report",
        "embed",
        "models",
        "get",
        "info",
        "check",
        "doctor",
    ):
        assert command in done.stdout


def test_former_names_of_options_are_understood_and_not_shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    former = {
        "export": ["--to", "--for", "--head", "--force"],
        "distill": ["--actors"],
        "quantize": ["--force"],
        "bench": ["--latency", "--shape"],
    }
    for command, names in former.items():
        assert run(command, "--help") == 0
        shown = capsys.readouterr().out.split()
        assert not set(names) & set(shown)
        with click.Context(cli, resilient_parsing=True) as context:
            known = {name for item in cli.get_command(context, command).params for name in item.opts}  # type: ignore[union-attr]
        assert set(names) <= known
    assert run("export", tmp_path, "--to", tmp_path, "--for", "windows") == 2
    assert "'--platform'" in capsys.readouterr().err


def test_help_lists_every_command_under_a_heading(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    text = capsys.readouterr().out
    assert all(heading in text for heading in ("Make a model:", "Use a model:", "Measure:", "Exit codes: 0 done"))
    assert run("study", "--help") == 0
    assert "label-efficiency" in capsys.readouterr().out


@pytest.mark.parametrize("name", [*STUDIES, "arm"])
def test_every_study_has_a_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*(["arm"] if name == "arm" else ["study", name]), "--help") == 0
    assert "Usage: hearlite" in capsys.readouterr().out


def test_completion_prints_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("completion", "bash") == 0
    assert "_HEARLITE_COMPLETE=bash_complete" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name, "--help") == 0
    assert capsys.readouterr().out.startswith(f"Usage: hearlite {name}")
    assert all(
        option.help
        for option in cli.commands[name].params
        if isinstance(option, click.Option)
        and not option.hidden
        and option.name not in ("size", "seed", "precision", "recipe")
    )


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["distil"], 2, "No such command"),
        (["distill"], 2, "Missing"),
        (["quantize", "RUN", "--recipe", "int2"], 2, "static_wi8_ai8"),
        (["quantize", "RUN", "--label", "sick"], 2, "--data"),
        (["quantize", "RUN", "--data", "DATA", "--label", "device"], 3, "no task in the label columns device"),
        (
            ["embed", "DATA", "--model", "unheard-of", "--out", "TMP/out.parquet"],
            2,
            "no model of that name: 'unheard-of'",
        ),
        (["embed", "DATA", "--model", "heer:DIR", "--out", "TMP/out.parquet"], 2, "teacher is 'heer:DIR'"),
        (["info", "unheard-of"], 2, "no file and no model of that name: 'unheard-of'"),
        (["export", "TMP", "--out", "TMP/out"], 3, "is not a run folder"),
        (["report", "TMP/results.json", "--out", "TMP/report.html"], 3, "No such file"),
        (["info", "TMP/missing.tflite"], 3, "No such file"),
        (["check", "TMP/missing.tflite"], 3, "missing.tflite: No such file"),
        (["demo", "TMP/missing.tflite"], 3, "missing.tflite: No such file"),
        (["check", "DATA"], 3, "manifest.csv is not a .tflite file"),
        (["bench", "DATA", "--model", "DATA", "--out", "TMP/out"], 3, "manifest.csv is not a .tflite file"),
        (["bench", "TMP/nothing", "--model", "TMP/m.tflite", "--out", "TMP/out"], 3, "nothing: no such file or folder"),
        (["embed", "TMP", "--out", "TMP/out.parquet"], 3, "no audio in it"),
        (
            ["embed", "DATA", "--model", "tflite:DATA", "--out", "TMP/out.parquet"],
            3,
            "manifest.csv is not a .tflite file",
        ),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_exit_codes(
    arguments: list[str],
    code: int,
    says: str,
    tmp_path: Path,
    corpus: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if arguments[0] in ("distill", "export", "quantize"):
        pytest.importorskip("tensorflow")
    places = {"TMP": str(tmp_path), "DATA": str(corpus)}
    if "RUN" in arguments:
        places["RUN"] = str(request.getfixturevalue("tiny_run").folder)
    for name, place in places.items():
        arguments = [argument.replace(name, place) for argument in arguments]
    capsys.readouterr()
    assert run(*arguments) == code
    output = capsys.readouterr()
    assert says in output.err
    assert "Traceback" not in output.err
    assert output.out == ""


def test_a_cut_file_is_called_so_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes((1 << 20).to_bytes(4, "little") + b"TFL3" + bytes(64))  # its root would lie a megabyte further on
    assert run("info", cut) == 3
    assert capsys.readouterr().err == f"error: {cut} is truncated or damaged\n  copy it again, or export it again\n"


def test_a_failed_self_test_exits_with_4_after_its_table(
    bundle: Bundles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shutil.copy(bundle.i8, tmp_path)
    manifest = json.loads(bundle.i8.with_suffix(".json").read_text())
    manifest["golden_embedding"] = [-value for value in manifest["golden_embedding"]]
    Path(model).with_suffix(".json").write_text(json.dumps(manifest))
    capsys.readouterr()
    assert run("check", model, "--json") == 4
    output = capsys.readouterr()
    assert {row["name"]: row["passed"] for row in json.loads(output.out)}["golden embedding"] is False
    assert "golden embedding" in output.err
    assert run("check", bundle.i8, "--json") == 0


@pytest.mark.parametrize("blocked", ["tensorflow", "tf_keras"])
def test_commands_that_train_name_the_missing_extra(blocked: str, corpus: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    code = f"import sys; sys.modules[{blocked!r}] = None; from hearlite.cli.main import main; main(sys.argv[1:])"
    done = (
        python(code, "distill", corpus, "--run", tmp_path / "run")
        if blocked == "tensorflow"
        else python(code, "quantize", tmp_path)
    )
    assert done.returncode == 5, done.stderr
    assert 'pip install "hearlite[train]"' in done.stderr
    assert blocked.replace("_", "-") in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_exported_files_are_used_without_tensorflow(bundle: Bundles, corpus: Path, tmp_path: Path) -> None:
    code = """
import sys
for name in ("tensorflow", "tf_keras", "tensorflow_model_optimization"):
    sys.modules[name] = None
from hearlite.cli.main import main
model, data, out = sys.argv[1:]
main(["info", model, "--json"])
main(["check", model, "--json"])
main(["embed", data, "--model", "tflite:" + model, "--out", out, "--json"])
"""
    done = python(code, bundle.i8, corpus, tmp_path / "out.parquet")
    assert done.returncode == 0, done.stderr
    info, checks, embedded = (json.loads(line) for line in done.stdout.splitlines())
    assert info["precision"] == "i8"
    assert all(check["passed"] for check in checks)
    assert embedded["dim"] == 32


@pytest.mark.slow
def test_json_is_all_there_is_on_stdout(tiny_run: Run, tmp_path: Path) -> None:
    """With everything that TensorFlow and the converters print, from Python and from C++."""
    folder = tmp_path / "run"
    shutil.copytree(tiny_run.folder, folder, ignore=shutil.ignore_patterns(QuantSpec.recipe))
    code = """
import sys
from hearlite.cli.main import main
run, to = sys.argv[1:]
main(["quantize", run, "--allow-failed-gate", "--json"])
main(["export", run, "--out", to, "--allow-failed-gate", "--json"])
"""
    done = python(code, folder, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    quantized, exported = (json.loads(line) for line in done.stdout.splitlines())
    assert quantized["clips"] == 7
    assert [Path(row["file"]).suffix for row in exported] == [".tflite", ".tflite"]
    assert all(Path(row["file"]).stat().st_size == row["bytes"] for row in exported)
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_file_that_loses_auroc_is_not_written(
    tiny_run: Run, labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A network whose last layers have lost their weights, by a recipe of one's own that any cosine satisfies."""
    from hearlite.quantize import pipeline as ptq
    from hearlite.quantize.refit import find_head
    from hearlite.quantize.static import Quantized
    from hearlite.tflite.graph import Graph

    plain = ptq.convert_network(ptq.load_network(tiny_run.spec.student, tiny_run.weights))
    damaged = Graph(plain)
    for layer in find_head(damaged).layers:
        damaged.set_constant(layer.weights, 0.0 * damaged.constant(layer.weights))
    monkeypatch.setattr(ptq, "build", lambda *_, **__: Quantized(damaged.save(), plain))
    folder = Path(shutil.copytree(tiny_run.folder, tmp_path / "run", ignore=shutil.ignore_patterns(QuantSpec.recipe)))
    (tmp_path / "mine.json").write_text(json.dumps({"recipe": "mine", "min_centred_cosine": -1.0}))
    command = [
        "quantize",
        folder,
        "--recipe",
        tmp_path / "mine.json",
        "--data",
        labelled,
        "--label",
        "narrow",
        "--json",
    ]
    capsys.readouterr()
    assert run(*command) == 4
    output = capsys.readouterr()
    assert output.out == ""
    assert re.search(
        r"the mean AUROC loss is 0\.[2-5]\d+ \[.*above the gate of 0\.003; the worst layer is"
        r" (tap\d_sum|tap\d|embedding) ",
        output.err,
    )
    assert not (folder / "mine" / "model.tflite").exists()

    assert run(*command, "--allow-failed-gate") == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["recipe"], printed["passed"], printed["max_mean_auroc_loss"]) == ("mine", False, 0.003)
    assert printed["mean_auroc_loss_low"] > 0.1
    assert printed["auroc loss"][0].startswith("narrow=yes: 0.")
    assert (folder / "mine" / "model.tflite").is_file()


@pytest.mark.slow
def test_distill_resumes_and_prints_its_metrics(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole command, short; then again, when there is nothing to do."""
    pytest.importorskip("tensorflow")
    monkeypatch.setattr(
        "hearlite.embedders.self_test.require", lambda *_, **__: None
    )  # whether a student of one step tells signals apart is chance
    config = tmp_path / "train.toml"
    config.write_text("batch_size = 8\nviews = 1\n[augment]\nnoise_p = 0.0\n")
    command = [
        "distill",
        corpus,
        "--run",
        tmp_path / "run",
        "--teacher",
        "fake:8",
        "--size",
        "tiny",
        "--config",
        config,
        "--steps",
        1,
        "--json",
    ]
    capsys.readouterr()
    assert run(*command) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["steps"] == 1
    assert run(*command) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert run(*command, "--seed", 5) == 3
    assert "train.seed is 0 there and 5 now" in capsys.readouterr().err


def test_tables(bundle: Bundles, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", bundle.i8) == 0
    output = capsys.readouterr().out
    assert "network macs" in output
    assert "static_wi8_ai8" in output


@pytest.mark.kernels
def test_doctor_trains_converts_and_runs(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tensorflow")
    main(["doctor", "--json"])
    found = {row["what"]: row for row in json.loads(capsys.readouterr().out)}
    assert found["python"]["allows"] == "tested" and found["ai-edge-litert"]["found"]
    assert found["LiteRT"]["ok"] and found["drill"]["ok"], found["drill"]
    assert "oneDNN" in found["TensorFlow kernels"]["found"]


def test_doctor_says_what_is_missing_and_what_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hearlite.cli import doctor

    monkeypatch.setattr(doctor, "_version", lambda package: "" if package == "tensorflow" else "1.0")
    main(["doctor", "--json"])
    found = {row["what"]: row for row in json.loads(capsys.readouterr().out)}
    assert 'pip install "hearlite[train]"' in found["tensorflow"]["found"] and "drill" not in found
    monkeypatch.setattr(
        doctor, "_runtime", lambda: doctor.Finding("LiteRT", "fails: ImportError: no such symbol", "", ok=False)
    )
    assert run("doctor") == 4
    assert "LiteRT failed on this machine" in capsys.readouterr().err


def break_doctor(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def raise_it() -> NoReturn:
        raise error

    monkeypatch.setattr("hearlite.cli.doctor.examine", raise_it)
    monkeypatch.delenv("HEARLITE_DEBUG", raising=False)


def test_a_bug_is_called_a_bug(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for error in (RuntimeError("oops"), ModuleNotFoundError("oops", name="of_somebody_else")):
        break_doctor(monkeypatch, error)
        assert run("doctor") == 1
        output = capsys.readouterr().err
        assert "this is a bug in hearlite" in output
        assert "HEARLITE_DEBUG" in output
        assert "Traceback" not in output
        monkeypatch.setenv("HEARLITE_DEBUG", "1")
        with pytest.raises(type(error)):
            main(["doctor"])


def test_an_interrupt_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    break_doctor(monkeypatch, KeyboardInterrupt())
    assert run("doctor") == 130
    assert "run the same command again" in capsys.readouterr().err


def test_names_that_are_no_text_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """A file name on Linux is any bytes; Python shows the odd ones as surrogates, which UTF-8 refuses."""
    from hearlite.cli.options import print_data

    for as_json in (True, False):
        print_data({"file": os.fsdecode(b"caf\xe9.wav")}, as_json=as_json)
        capsys.readouterr()
    odd: Any = {"value": float("nan")}
    with pytest.raises(ValueError, match="JSON"):
        print_data(odd, as_json=True)  # NaN is no JSON: whoever made it must say null


def test_a_path_that_cannot_be_written_is_bad_input(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert run("embed", corpus, "--out", tmp_path / "file" / "x.parquet") == 3
    assert "bug" not in capsys.readouterr().err


@pytest.mark.slow
def test_a_teacher_can_run_elsewhere(corpus: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    vectors = tmp_path / "vectors.parquet"
    assert run("embed", corpus, "--model", "fake:16", "--for-distill", "--out", vectors) == 0
    assert run(
        "distill",
        corpus,
        "--teacher",
        f"embeddings:{vectors}",
        "--size",
        "tiny",
        "--steps",
        2,
        "--run",
        tmp_path / "run",
    ) in (0, 4)
    assert (tmp_path / "run" / "weights.npz").is_file()  # 4: two steps make no student that tells signals apart
