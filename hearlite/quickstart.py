"""The main job by one call: recordings in, an int8 .tflite with its report out. Like cli.py, it may import every stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hearlite.benchmarks.bench import bench
from hearlite.check import check_embedder, require
from hearlite.dataset import load_dataset
from hearlite.distill.presets import load_preset
from hearlite.distill.supply import Supply
from hearlite.distill.train import distill
from hearlite.errors import GateError
from hearlite.export.tflite import export
from hearlite.files import read_json
from hearlite.quantize.ptq import quantize
from hearlite.quantize.recipe import AUTO, recipes
from hearlite.records import read_records
from hearlite.run import Run
from hearlite.spec import DISTILL_HOP_S
from hearlite.student import StudentEmbedder
from hearlite.synth import write_corpus
from hearlite.teacher import open_teacher

SUBJECTS, RECORDINGS = 60, 12  # of the synthetic corpus: 720 recordings, 13 s to make


def run_quickstart(
    *, data: Path | None, teacher: str, label_columns: tuple[str, ...], size: str, steps: int | None, seed: int, out: Path, force: bool
) -> dict[str, Any]:
    """All stages into `out`; each resumes what an earlier, interrupted call has finished. Returns bench's table and the paths."""
    if data is None:
        click.echo("no --data: synthetic sounds, which say nothing about people", err=True)
        data = write_corpus(out / "synthetic", subjects=SUBJECTS, recordings_per_subject=RECORDINGS, seed=seed)
    dataset = load_dataset(data, label_columns=label_columns)
    for item in dataset.skipped:
        click.echo(f"skipped: {item.file}: {item.reason}", err=True)
    embedder = open_teacher(teacher)
    train = load_preset("quickstart", teacher=teacher, steps=steps, seed=seed)
    sounds = load_dataset(data, hop_s=DISTILL_HOP_S, events=False)
    run = distill(sounds, teacher=embedder, size=size, train=train, folder=out / "run")
    require(check_embedder(StudentEmbedder(run), precision="f32"), what="the float32 student")
    for skipped in read_records(run.records).skipped:
        click.echo(f"skipped: {skipped.file}: {skipped.reason}", err=True)
    recipe = quantize_int8(run, force=force)
    files = [export(run, to=out, recipe=name, force=force) for name in (recipe, "")]
    from hearlite.cli import command_line

    return bench(dataset, teacher=embedder, files=files, label_columns=label_columns, out=out, seed=seed, command=command_line())


def quantize_int8(run: Run, *, force: bool) -> str:
    """The first int8 recipe of `auto` that passes its gate; with `force` the nearest to float32, whether it passes or not. Raises GateError."""
    known = recipes()
    names = [name for name in AUTO if known[name].activations == "int8"]
    cosines: dict[str, float] = {}
    for name in names:
        try:
            quantize(run, recipe=known[name], training=Supply(run))
            return name
        except GateError as error:
            click.echo(error.message, err=True)
            cosines[name] = read_json(run.quantized(name) / "compare.json")["comparison"]["centred_cosine"]
            if name == names[-1] and not force:
                raise
    nearest = max(cosines, key=cosines.__getitem__)
    quantize(run, recipe=known[nearest], training=Supply(run), force=True)
    return nearest
