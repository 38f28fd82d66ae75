"""All stages in one call: from recordings to an int8 .tflite with its report.

Like a command, this module may import every stage.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from hearlite.audio.synth import write_corpus
from hearlite.benchmarks.probes.embeddings import make_tasks
from hearlite.benchmarks.probes.quantization_loss import QuantizationProbe
from hearlite.benchmarks.run import bench
from hearlite.cli.options import echo
from hearlite.data.dataset import Dataset, load_dataset
from hearlite.data.records import read_records
from hearlite.distill.presets import load_preset
from hearlite.distill.replay import TrainingReplay
from hearlite.distill.train import distill
from hearlite.embedders.open import open_teacher
from hearlite.embedders.self_test import check_embedder, require
from hearlite.errors import InputError
from hearlite.export.tflite import export
from hearlite.gate import read_gate_result
from hearlite.manifests.options import ManifestOptions
from hearlite.quantize.gate import describe
from hearlite.quantize.pipeline import quantize_auto
from hearlite.quantize.recipe import AUTO, find_recipe
from hearlite.run import Run
from hearlite.spec import DISTILL_HOP_S
from hearlite.student import StudentEmbedder

SUBJECTS, RECORDINGS = 60, 12  # of the synthetic corpus: 720 recordings, made in 13 s


def run_quickstart(
    *,
    data: Path | None,
    teacher: str,
    label_columns: tuple[str, ...],
    options: ManifestOptions,
    size: str,
    steps: int | None,
    seed: int,
    out: Path,
    allow_failed_gate: bool,
    allow_duplicates: bool = False,
) -> dict[str, Any]:
    """Run all stages with output in `out`; stages that an earlier, interrupted call finished are skipped.

    Parameters
    ----------
    data : Path or None
        Folder of recordings or manifest CSV; None makes synthetic sounds.
    teacher : str
        The teacher, named as for `open_teacher`.
    label_columns : tuple of str
        Label columns of the manifest.
    options : ManifestOptions
        How to read the manifest.
    size : str
        Size of the student.
    steps : int or None
        Number of training steps; None takes the preset's.
    seed : int
        Random seed.
    out : Path
        Folder for all output.
    allow_failed_gate : bool
        Keep files that fail their gate or self-test, marked as failed.
    allow_duplicates : bool
        Go on although equal recordings are in test and in training.

    Returns
    -------
    dict
        The summary of bench with the paths, and `seconds` per stage. If no label column defines a task there is no
        report, and "report" gives the reason.

    Raises
    ------
    GateError
        When a gate or self-test fails and `allow_failed_gate` is false.
    InputError
        When the data, the teacher or an existing run in `out` cannot be used.
    """
    clock = _Clock()
    train = load_preset("quickstart", teacher=teacher, steps=steps, seed=seed)
    echo(
        f"distill a {size} student from the teacher {teacher!r} in {train.steps} steps, quantize it to int8, export it,"
        " compare it with its teacher"
        + ("; about 2 minutes on two cores, up to 5 on older ones" if data is None and size == "tiny" else "")
    )
    if data is None:
        echo("no --data: using synthetic sounds, whose results are no evidence about people")
        data = write_corpus(out / "synthetic", subjects=SUBJECTS, recordings_per_subject=RECORDINGS, seed=seed)
    dataset = load_dataset(data, label_columns=label_columns, options=options)
    for note in dataset.notes:
        echo(f"note: {note}")
    for item in dataset.skipped:
        echo(f"skipped: {item.file}: {item.reason}")
    no_report = _no_report(dataset, label_columns)
    embedder = open_teacher(teacher)
    sounds = load_dataset(data, hop_s=DISTILL_HOP_S, events=False, label_columns=label_columns, options=options)
    clock.lap("recordings")
    run = distill(
        sounds, teacher=embedder, size=size, train=train, folder=out / "run", allow_duplicates=allow_duplicates
    )
    checks = check_embedder(StudentEmbedder(run), precision="f32")
    if not allow_failed_gate:
        require(checks, what="the float32 student")
    for skipped in read_records(run.records).skipped:
        echo(f"skipped: {skipped.file}: {skipped.reason}")
    clock.lap("distill")
    recipe = quantize_int8(run, dataset, label_columns=label_columns, allow_failed_gate=allow_failed_gate)
    clock.lap("quantize")
    files = [export(run, to=out, recipe=name, allow_failed_gate=allow_failed_gate) for name in (recipe, "")]
    clock.lap("export")
    if no_report:
        result: dict[str, Any] = {"report": f"none: {no_report}", "file i8": str(files[0]), "file f32": str(files[1])}
    else:
        from hearlite.benchmarks.schema.provenance import command_line

        result = bench(
            dataset,
            teacher=embedder,
            files=files,
            label_columns=label_columns,
            out=out,
            seed=seed,
            allow_duplicates=allow_duplicates,
            command=command_line(),
        )
        clock.lap("bench")
    return {**result, "seconds": clock.seconds}


def _no_report(dataset: Dataset, label_columns: tuple[str, ...]) -> str:
    """Return why the labels define no task, or "" if they do; checked before the work starts."""
    try:
        make_tasks(dataset.clips, label_columns, positives=dataset.positives)
    except InputError as error:
        echo(f"the file will be written without a report of its quality: {error}")
        return error.message
    return ""


class _Clock:
    """Measures the seconds that each stage takes."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self.seconds: dict[str, int] = {}

    def lap(self, stage: str) -> None:
        now = time.monotonic()
        self.seconds |= {stage: round(now - self._last), "all": round(now - self._began)}
        self._last = now


def quantize_int8(run: Run, dataset: Dataset, *, label_columns: tuple[str, ...], allow_failed_gate: bool) -> str:
    """Quantize a run by the first int8 recipe of `auto` that passes its gate; return its name.

    Parameters
    ----------
    run : Run
        A finished run.
    dataset : Dataset
        Recordings; if labelled, the gate limits the AUROC drop too.
    label_columns : tuple of str
        Label columns of the manifest.
    allow_failed_gate : bool
        If no recipe passes, keep the one closest to float32.

    Raises
    ------
    GateError
        When no recipe passes and `allow_failed_gate` is false.
    """
    try:
        quality = QuantizationProbe(dataset, label_columns)
    except InputError as error:
        echo(f"the AUROC drop is not measured: {error}")
        quality = None
    recipes = [recipe for recipe in map(find_recipe, AUTO) if recipe.activations == "int8"]
    attempts = quantize_auto(
        run, recipes=recipes, allow_failed_gate=allow_failed_gate, training=TrainingReplay(run), quality=quality
    )
    for reason in filter(None, (attempt.reason for attempt in attempts)):
        echo(reason)
    chosen = attempts[-1].recipe
    echo(f"{chosen}: {describe(read_gate_result(run.quantized(chosen) / 'compare.json'))}")
    return chosen
