"""The main job by one call: recordings in, an int8 .tflite with its report out. Like a command, it may import every
stage.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from hearlite.audio.synth import write_corpus
from hearlite.benchmarks.probes.embeddings import make_tasks
from hearlite.benchmarks.probes.quantization_loss import QuantizationProbe
from hearlite.benchmarks.run import bench
from hearlite.data.dataset import Dataset, load_dataset
from hearlite.data.records import read_records
from hearlite.distill.presets import load_preset
from hearlite.distill.replay import TrainingReplay
from hearlite.distill.train import distill
from hearlite.embedders.open import open_teacher
from hearlite.errors import InputError
from hearlite.export.tflite import export
from hearlite.gate import read_gate_result
from hearlite.quantize.gate import describe
from hearlite.quantize.pipeline import quantize_auto
from hearlite.quantize.recipe import AUTO, find_recipe
from hearlite.run import Run
from hearlite.self_test import check_embedder, require
from hearlite.spec import DISTILL_HOP_S
from hearlite.student import StudentEmbedder

SUBJECTS, RECORDINGS = 60, 12  # of the synthetic corpus: 720 recordings, 13 s to make


def run_quickstart(
    *,
    data: Path | None,
    teacher: str,
    label_columns: tuple[str, ...],
    size: str,
    steps: int | None,
    seed: int,
    out: Path,
    allow_failed_gate: bool,
) -> dict[str, Any]:
    """All stages into `out`; each resumes what an earlier, interrupted call has finished. Returns bench's table and the
    paths.

    Without a column of labels that makes a task there is no report: the result says why under "report".
    """
    clock = _Clock()
    train = load_preset("quickstart", teacher=teacher, steps=steps, seed=seed)
    click.echo(
        f"distill a {size} student from the teacher {teacher!r} in {train.steps} steps, quantize it to int8, export it,"
        " compare it with its teacher"
        + ("; about 2 minutes on two cores, up to 5 on older ones" if data is None and size == "tiny" else ""),
        err=True,
    )
    if data is None:
        click.echo("no --data: synthetic sounds, which say nothing about people", err=True)
        data = write_corpus(out / "synthetic", subjects=SUBJECTS, recordings_per_subject=RECORDINGS, seed=seed)
    dataset = load_dataset(data, label_columns=label_columns)
    for item in dataset.skipped:
        click.echo(f"skipped: {item.file}: {item.reason}", err=True)
    no_report = _no_report(dataset, label_columns)
    embedder = open_teacher(teacher)
    sounds = load_dataset(data, hop_s=DISTILL_HOP_S, events=False)
    clock.lap("recordings")
    run = distill(sounds, teacher=embedder, size=size, train=train, folder=out / "run")
    checks = check_embedder(StudentEmbedder(run), precision="f32")
    if not allow_failed_gate:
        require(checks, what="the float32 student")
    for skipped in read_records(run.records).skipped:
        click.echo(f"skipped: {skipped.file}: {skipped.reason}", err=True)
    clock.lap("distill")
    recipe = quantize_int8(run, dataset, label_columns=label_columns, allow_failed_gate=allow_failed_gate)
    clock.lap("quantize")
    files = [export(run, to=out, recipe=name, allow_failed_gate=allow_failed_gate) for name in (recipe, "")]
    clock.lap("export")
    if no_report:
        result: dict[str, Any] = {"report": f"none: {no_report}", "file i8": str(files[0]), "file f32": str(files[1])}
    else:
        from hearlite.provenance import command_line

        result = bench(
            dataset,
            teacher=embedder,
            files=files,
            label_columns=label_columns,
            out=out,
            seed=seed,
            command=command_line(),
        )
        clock.lap("bench")
    return {**result, "seconds": clock.seconds}


def _no_report(dataset: Dataset, label_columns: tuple[str, ...]) -> str:
    """Why the labels make no task, asked before the work starts; "" where they do."""
    try:
        make_tasks(dataset.clips, label_columns)
    except InputError as error:
        click.echo(f"there will be a file and no report of its quality: {error}", err=True)
        return error.message
    return ""


class _Clock:
    """Where the time went, stage by stage."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self.seconds: dict[str, int] = {}

    def lap(self, stage: str) -> None:
        now = time.monotonic()
        self.seconds |= {stage: round(now - self._last), "all": round(now - self._began)}
        self._last = now


def quantize_int8(run: Run, dataset: Dataset, *, label_columns: tuple[str, ...], allow_failed_gate: bool) -> str:
    """The first int8 recipe of `auto` that passes its gate; with `allow_failed_gate` the nearest to float32, whether it
    passes or not. Raises GateError.
    """
    try:
        quality = QuantizationProbe(dataset, label_columns)
    except InputError as error:
        click.echo(f"AUROC loss is not measured: {error}", err=True)
        quality = None
    found = [recipe for recipe in map(find_recipe, AUTO) if recipe.activations == "int8"]
    attempts = quantize_auto(
        run, recipes=found, allow_failed_gate=allow_failed_gate, training=TrainingReplay(run), quality=quality
    )
    for reason in filter(None, (attempt.reason for attempt in attempts)):
        click.echo(reason, err=True)
    chosen = attempts[-1].recipe
    click.echo(f"{chosen}: {describe(read_gate_result(run.quantized(chosen) / 'compare.json'))}", err=True)
    return chosen
