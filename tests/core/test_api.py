"""The public API does what the command line does, and loads nothing before it is asked."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from conftest import Bundles
from numpy.typing import NDArray

import hearlite
from hearlite import api
from hearlite.audio.clips import cut, from_int16, to_int16
from hearlite.audio.decode import read_recording
from hearlite.cli.main import main
from hearlite.errors import InputError, UsageError
from hearlite.spec import AUDIO


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds at 44.1 kHz in two channels."""
    path = tmp_path_factory.mktemp("recording") / "cough.wav"
    sound = np.random.default_rng(0).normal(0.0, 0.1, (220_500, 2))
    sf.write(path, sound, 44_100, subtype="PCM_16")
    return path


def test_importing_loads_nothing_and_every_public_name_is_there() -> None:
    code = (
        "import sys, hearlite; print([name for name in ('numpy', 'click', 'tensorflow', 'sklearn', 'hearlite.api') if"
        " name in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
    assert set(hearlite.__all__) <= set(dir(hearlite))
    with pytest.raises(AttributeError, match="no attribute 'transform'"):
        hearlite.transform  # noqa: B018


@pytest.mark.parametrize("name", ["load", "embed", "distill", "quantize", "export", "adapt_head", "benchmark", "Model"])
def test_every_public_function_is_typed_and_documented(name: str) -> None:
    function = getattr(api, name)
    documented = inspect.getdoc(function) or ""
    assert len(documented.splitlines()) > 3
    for argument in inspect.signature(function).parameters:
        if name != "Model":
            assert argument in documented, argument
            assert argument in function.__annotations__


@pytest.mark.parametrize("name", ["distill", "quantize", "export"])
def test_a_stage_is_a_package_and_a_function(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorflow")
    monkeypatch.setattr(api, name, lambda *arguments, **options: (arguments, options))
    assert getattr(hearlite, name)("x", out="y") == (("x",), {"out": "y"})
    assert getattr(hearlite, name).__path__  # still a package


def test_a_file_and_its_samples_have_the_same_embedding(bundle: Bundles, recording: Path) -> None:
    model = hearlite.load(bundle.i8)
    assert (model.dim, model.sample_rate_hz, model.clip_s) == (
        32,
        AUDIO.sample_rate_hz,
        2.0,
    ) and bundle.i8.name in repr(model)
    vectors = model.embed(recording)
    assert vectors.shape == (3, 32) and vectors.dtype == np.float32  # 0 - 2 s, 2 - 4 s, 3 - 5 s
    samples, rate = sf.read(recording, dtype="float32")
    np.testing.assert_allclose(model.embed(samples.mean(axis=1), rate), vectors, atol=1e-6)
    assert model.embed(str(recording), hop_s=1.0).shape == (4, 32)
    exact = np.random.default_rng(1).integers(-3_000, 3_000, AUDIO.clip_samples).astype(np.int16)
    np.testing.assert_array_equal(model.embed(exact, 16_000), model.embed(exact / 32_768, 16_000))


def test_what_load_takes(bundle: Bundles, tiny_run: hearlite.Run, tmp_path: Path, recording: Path) -> None:
    by_run, by_file = hearlite.load(tiny_run.folder).embed(recording), hearlite.load(bundle.f32).embed(recording)
    np.testing.assert_allclose(by_run, by_file, atol=1e-3 * np.abs(by_file).max())
    bare = tmp_path / "bare.tflite"
    bare.write_bytes(bundle.f32.read_bytes())
    np.testing.assert_array_equal(hearlite.load(str(bare)).embed(recording), by_file)
    assert hearlite.load("spectral").embed(recording).shape == (3, 512)
    bundle_copy = tmp_path / bundle.i8.name
    bundle_copy.write_bytes(bundle.i8.read_bytes()[:-1] + b"x")
    bundle_copy.with_suffix(".json").write_text(bundle.i8.with_suffix(".json").read_text())
    with pytest.raises(hearlite.HearliteError, match="sha256"):
        hearlite.load(bundle_copy)
    with pytest.raises(UsageError, match="teacher"):
        hearlite.load("nothing-of-the-kind")


@pytest.mark.parametrize(
    ("samples", "rate", "error", "says"),
    [
        (np.zeros((2, 100), np.float32), 16_000, InputError, r"shape \[2, 100\]"),
        (np.zeros(100, np.int32), 16_000, InputError, "dtype int32"),
        (np.full(100, np.nan), 16_000, InputError, "reach nan"),
        (np.full(100, 30_000.0), 16_000, InputError, "reach 30000"),
        (np.zeros(100), 1_000, InputError, "1000 Hz"),
        (np.zeros(100), None, UsageError, "no sampling rate"),
    ],
)
def test_samples_that_are_no_sound(
    samples: NDArray[np.generic], rate: int | None, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        hearlite.load("spectral").embed(samples, rate)


def test_a_file_knows_its_rate(recording: Path) -> None:
    with pytest.raises(UsageError, match="the rate is read from the file"):
        hearlite.load("spectral").embed(recording, 16_000)


def test_a_folder_becomes_a_table(corpus: Path, bundle: Bundles) -> None:
    table = hearlite.embed(corpus, model=bundle.i8)
    assert table.column_names == ["file", "start_s", "end_s", "subject", "split", "silent", "label", "embedding"]
    rows = table.to_pylist()
    assert {row["split"] for row in rows} == {"train", "val", "test"}
    for row in rows[:3]:
        clip = cut(read_recording(corpus.parent / row["file"]), start_s=row["start_s"])
        assert row["end_s"] - row["start_s"] == pytest.approx(AUDIO.clip_s)
        (expected,) = hearlite.load(bundle.i8).embed_clips(from_int16(to_int16(clip))[None])
        np.testing.assert_array_equal(np.asarray(row["embedding"], np.float32), expected)


def test_what_cannot_be_read_is_left_out_with_a_warning(tmp_path: Path) -> None:
    sf.write(tmp_path / "good.wav", np.random.default_rng(0).normal(0.0, 0.1, 32_000), 16_000)
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    with pytest.warns(UserWarning, match=r"1 clips or recordings of .* were left out: bad\.wav"):
        table = hearlite.embed(tmp_path, model="spectral")
    assert table["file"].to_pylist() == ["good.wav"]
    (tmp_path / "good.wav").unlink()
    with pytest.raises(InputError, match="no usable clip"):
        hearlite.embed(tmp_path, model="spectral")


@pytest.mark.slow
@pytest.mark.kernels
def test_the_four_stages_in_five_lines(labelled: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    run = hearlite.distill(labelled, run=tmp_path / "run", teacher="fake:16", size="tiny", steps=2, seed=1)
    hearlite.quantize(run, recipe="static_wi8_ai8", data=labelled, labels=["narrow"], allow_failed_gate=True)
    files = hearlite.export(run, out=tmp_path / "out", overwrite=True, allow_failed_gate=True)
    results = hearlite.benchmark(labelled, models=files, teacher="fake:16", out=tmp_path / "out", labels=["narrow"])
    assert [file.name for file in files] == ["hearlite_tiny_2s_i8.tflite", "hearlite_tiny_2s_f32.tflite"]
    assert [task.name for task in results.tasks] == ["narrow=yes"] and (tmp_path / "out" / "report.html").is_file()
    assert results.command.startswith("hearlite bench ") and "--label narrow" in results.command
    assert (
        run.spec.train.seed == 1
        and hearlite.distill(labelled, run=run.folder, teacher="fake:16", size="tiny", steps=2, seed=1) == run
    )


def test_the_command_line_gives_the_same_vectors(
    corpus: Path, tmp_path: Path, bundle: Bundles, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow.parquet as pq

    main(["embed", str(corpus), "--model", f"tflite:{bundle.i8}", "--out", str(tmp_path / "v.parquet"), "--json"])
    printed = json.loads(capsys.readouterr().out)
    written = np.stack(pq.read_table(tmp_path / "v.parquet")["embedding"].to_numpy())
    ours = np.stack(hearlite.embed(corpus, model=bundle.i8)["embedding"].to_numpy())
    assert printed["clips"] == len(written) <= len(ours)
    np.testing.assert_array_equal(np.unique(written, axis=0), np.unique(ours, axis=0))
