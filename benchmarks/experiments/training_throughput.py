"""Clips per second of every stage of a distillation, and which of them the others wait for.

    python -m hearlite.benchmarks.experiments.training_throughput DATA --teacher hear:DIR --out throughput.json

The stages are timed in rounds, all of them in each, so that a slow moment of the machine hits all alike. One process,
TensorFlow's own threads.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np

from hearlite.audio.clips import from_int16
from hearlite.benchmarks.cost.latency import device
from hearlite.data.dataset import Clip, ClipRef, Dataset, load_dataset, read_clips
from hearlite.data.records import Records, Views, clip_views, read_examples, write_records
from hearlite.embedders.base import Embedder
from hearlite.embedders.fake import FakeTeacher
from hearlite.embedders.open import open_teacher
from hearlite.errors import InputError
from hearlite.files import write_json
from hearlite.provenance import command_line, now
from hearlite.spec import STUDENTS, TrainSpec, student_spec

SCHEMA = "hearlite-throughput/1"
BATCH = 64  # clips a call, as in training
RECORDS, TRAINING = "records", "training"  # the two phases; a clip goes through all stages of one


@dataclass(frozen=True)
class Stage:
    """One call of `run` takes `clips` clips through. A stage that another one contains is `inside` it and no bottleneck
    of its own.
    """

    phase: str
    name: str
    clips: int
    run: Callable[[], object]
    inside: str = ""


@dataclass(frozen=True)
class Rate:
    """What was measured of a stage: median over rounds, and the range."""

    phase: str
    name: str
    clips_per_s: float
    slowest: float
    fastest: float
    ms_per_clip: float
    inside: str


def measure(stages: list[Stage], *, rounds: int) -> list[Rate]:
    """Every stage once in each round; one more round before, which also traces and compiles, does not count."""
    seconds: dict[int, list[float]] = {index: [] for index in range(len(stages))}
    for number in range(rounds + 1):
        for index, stage in enumerate(stages):
            began = time.perf_counter()
            stage.run()
            if number:
                seconds[index].append(time.perf_counter() - began)
    rates = []
    for index, stage in enumerate(stages):
        each = [spent / stage.clips for spent in seconds[index]]
        middle = statistics.median(each)
        rates.append(
            Rate(stage.phase, stage.name, 1 / middle, 1 / max(each), 1 / min(each), 1e3 * middle, stage.inside)
        )
    return rates


def bottleneck(rates: list[Rate], phase: str) -> dict[str, Any]:
    """The slowest stage of a phase, and its share of the time that a clip takes when stages run one after the other."""
    own = [rate for rate in rates if rate.phase == phase and not rate.inside]
    shared = [
        rate for rate in own if not rate.name.startswith(("teacher", "step"))
    ]  # a run has one teacher and one student
    paths = {last.name: [*shared, last] for last in own if last not in shared}
    slowest = {name: max(path, key=lambda rate: rate.ms_per_clip) for name, path in paths.items()}
    total = {name: sum(rate.ms_per_clip for rate in path) for name, path in paths.items()}
    return {name: {"slowest": rate.name, "share": rate.ms_per_clip / total[name]} for name, rate in slowest.items()}


def stages_of_records(refs: list[ClipRef], *, teachers: list[Embedder], train: TrainSpec) -> list[Stage]:
    """Recording -> clips -> views -> teacher's vectors. Raises InputError when no clip can be read."""
    views = Views(max(2, train.views), spec=train.view)
    clips = [item for item in read_clips(refs, reach_s=views.spec.shift_s) if isinstance(item, Clip)]
    if not clips:
        raise InputError(f"none of {len(refs)} clips could be read")
    some = [dataclasses.replace(clip, ref=dataclasses.replace(clip.ref, split="train")) for clip in clips[:BATCH]]
    audio = from_int16(np.stack([clip.pcm for clip in some]))
    return [
        Stage(RECORDS, "decode", len(clips), lambda: list(read_clips(refs, reach_s=views.spec.shift_s))),
        Stage(
            RECORDS,
            "view",
            len(some) * (views.count - 1),
            lambda: [clip_views(clip, others=some, views=views) for clip in some],
        ),
        *(
            Stage(RECORDS, f"teacher {teacher.info.name.partition('#')[0]}", len(some), partial(teacher.embed, audio))
            for teacher in teachers
        ),
    ]


def stages_of_training(records: Records, *, sizes: list[str], train: TrainSpec, folder: Path) -> list[Stage]:
    """Shards -> batches -> the student's own view -> its image -> a step of each size. The last contains the two before
    it.
    """
    import tensorflow as tf

    from hearlite.audio.frontend_tf import Frontend
    from hearlite.distill.augment import Augment
    from hearlite.distill.batches import Batches, teacher_vectors, val_examples
    from hearlite.distill.refit import from_pcm
    from hearlite.distill.targets import fit_targets
    from hearlite.distill.train import Trainer
    from hearlite.run import DatasetInfo, Run, RunSpec

    targets = fit_targets(teacher_vectors(records, "train"))
    batches = Batches(records, targets=targets, batch_size=BATCH, seed=0)
    batch = batches.at(0)
    clips = len(batch[0])
    shard, rows = records.shards[0], np.arange(len(records.shards[0].clip_ids))
    teacher, info = FakeTeacher(targets.mean.size).info, DatasetInfo("throughput", "", 0, 0, True)
    stages = [
        Stage(TRAINING, "read", len(rows), lambda: read_examples(shard, rows)),
        Stage(TRAINING, "batch", clips, lambda: batches.at(0)),
    ]
    augment, audio = Augment(train.augment, seed=0), from_pcm(tf.constant(batch[0]))
    heard = tf.function(lambda clips, step: augment.waveform(clips, step=step))
    stages.append(
        Stage(TRAINING, "augmentation", clips, lambda: heard(audio, tf.constant(0, tf.int64)).numpy(), inside="step")
    )
    for mels in sorted({STUDENTS[size].frontend.mels for size in sizes}):
        spec = next(STUDENTS[size].frontend for size in sizes if STUDENTS[size].frontend.mels == mels)
        stages.append(
            Stage(TRAINING, f"frontend, {mels} mels", clips, partial(tf.function(Frontend(spec)), audio), inside="step")
        )
    for size in sizes:
        run = Run(
            folder / size, RunSpec(student_spec(size, embedding_dim=targets.mean.size), train, teacher, info, "records")
        )
        trainer = Trainer(run, batches=batches, val=val_examples(records, targets=targets, seed=0), targets=targets)
        stages.append(Stage(TRAINING, f"step {size}", clips, partial(trainer.train_step, 0, batch)))
    return stages


def throughput(
    dataset: Dataset, *, teachers: list[Embedder], sizes: list[str], train: TrainSpec, clips: int, rounds: int
) -> dict[str, Any]:
    """Rates of all stages, and the bottleneck of each teacher's records and of each size's training."""
    usable = [clip for clip in dataset.clips if clip.split != "test"]
    start = (len(usable) - clips) // 2 if len(usable) > clips else 0  # a run of neighbours, as a shard is
    refs = usable[start : start + clips]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        halves = [
            dataclasses.replace(ref, split="val" if i % 8 == 0 else "train") for i, ref in enumerate(refs)
        ]  # nothing is evaluated here
        records = write_records(
            dataclasses.replace(dataset, clips=tuple(halves)), teacher=FakeTeacher(), folder=folder / "records"
        )
        stages = stages_of_records(refs, teachers=teachers, train=train)
        stages += stages_of_training(records, sizes=sizes, train=train, folder=folder)
        rates = measure(stages, rounds=rounds)
    return {
        "schema": SCHEMA,
        "command": command_line(),
        "created": now(),
        "machine": device(),
        "versions": {name: version(name) for name in ("hearlite", "tensorflow", "numpy", "ai-edge-litert")},
        "dataset": {"name": dataset.name, "clips": len(refs)},
        "batch": BATCH,
        "rounds": rounds,
        "stages": [dataclasses.asdict(rate) for rate in rates],
        "bottleneck": {phase: bottleneck(rates, phase) for phase in (RECORDS, TRAINING)},
    }


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--teacher",
    "teachers",
    multiple=True,
    help="As for 'hearlite distill'; may be repeated. 'spectral' is always measured.",
)
@click.option(
    "--size", "sizes", type=click.Choice(list(STUDENTS)), multiple=True, default=list(STUDENTS), show_default=True
)
@click.option(
    "--clips",
    type=click.IntRange(16),
    default=256,
    show_default=True,
    help="How many are decoded; other stages take a batch of them.",
)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A .json.")
def command(data: Path, teachers: tuple[str, ...], sizes: tuple[str, ...], clips: int, rounds: int, out: Path) -> None:
    """Measure what each stage of a distillation on DATA does a second, print a table and name the bottleneck."""
    opened = [open_teacher(name) for name in dict.fromkeys(("spectral", *teachers))]
    dataset = load_dataset(data, events=False)
    result = throughput(dataset, teachers=opened, sizes=list(sizes), train=TrainSpec(), clips=clips, rounds=rounds)
    write_json(out, result)
    for stage in result["stages"]:
        click.echo(
            f"{stage['phase']:9} {stage['name'][:44]:44} {stage['clips_per_s']:10.0f} clips/s "
            f" {stage['ms_per_clip']:8.3f} ms/clip"
        )
    for phase, found in result["bottleneck"].items():
        for last, slowest in found.items():
            click.echo(f"{phase} with {last}: {slowest['slowest']} takes {100 * slowest['share']:.0f} % of the time")
