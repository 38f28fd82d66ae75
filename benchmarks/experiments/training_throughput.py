"""Measure the clips per second of every stage of a distillation, and find the bottleneck.

    hearlite study training-throughput DATA --teacher hear:DIR --out throughput.json

The stages are timed in rounds, all of them in each, so that a slow moment of the machine affects all alike. One
process, with TensorFlow's own threads.
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

import click
import numpy as np

from hearlite.audio.clips import from_int16
from hearlite.benchmarks.cost.latency import device
from hearlite.benchmarks.schema.study import StudyRun, study_run
from hearlite.data.dataset import ClipRef, Dataset, load_dataset
from hearlite.data.reading import Clip, read_clips
from hearlite.data.records import Records, Views, clip_views, read_examples, write_records
from hearlite.embedders.base import Embedder
from hearlite.embedders.fake import FakeTeacher
from hearlite.embedders.open import open_teacher
from hearlite.errors import InputError
from hearlite.files import write_json
from hearlite.serialization import to_dict
from hearlite.spec import STUDENTS, TrainSpec, student_spec

SCHEMA = "hearlite-throughput/1"
BATCH = 64  # clips a call, as in training
RECORDS, TRAINING = "records", "training"  # the two phases; a clip passes all stages of each


@dataclass(frozen=True)
class Stage:
    """A stage of records or training, to be timed."""

    phase: str  # RECORDS or TRAINING
    name: str
    clips: int  # that one call of `run` processes
    run: Callable[[], object]
    inside: str = ""  # the stage that contains this one, which is then no bottleneck of its own


@dataclass(frozen=True)
class Rate:
    """The measured rate of a stage."""

    phase: str
    name: str
    clips_per_s: float  # median over rounds
    slowest: float  # clips per second
    fastest: float
    ms_per_clip: float  # median over rounds
    inside: str


@dataclass(frozen=True)
class Bottleneck:
    """The slowest stage of a teacher's records or of a size's training."""

    slowest: str  # name of a stage
    share: float  # of the time that a clip takes when stages run one after the other


@dataclass(frozen=True)
class ThroughputDataset:
    """The clips that were processed."""

    name: str
    clips: int


@dataclass(frozen=True)
class ThroughputResults(StudyRun):
    """The whole of results.json."""

    machine: str
    versions: dict[str, str]  # by package
    dataset: ThroughputDataset
    batch: int  # clips a call
    rounds: int
    stages: tuple[Rate, ...]
    bottleneck: dict[str, dict[str, Bottleneck]]  # by phase, and by teacher or size


def measure(stages: list[Stage], *, rounds: int) -> list[Rate]:
    """Time every stage once in each round, after a warm-up round that also traces and compiles."""
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


def bottleneck(rates: list[Rate], phase: str) -> dict[str, Bottleneck]:
    """Return the bottleneck of a phase by its last stage: a teacher of RECORDS, a size's step of TRAINING."""
    own = [rate for rate in rates if rate.phase == phase and not rate.inside]
    shared = [
        rate for rate in own if not rate.name.startswith(("teacher", "step"))
    ]  # a run has one teacher and one student
    paths = {last.name: [*shared, last] for last in own if last not in shared}
    slowest = {name: max(path, key=lambda rate: rate.ms_per_clip) for name, path in paths.items()}
    total = {name: sum(rate.ms_per_clip for rate in path) for name, path in paths.items()}
    return {name: Bottleneck(rate.name, rate.ms_per_clip / total[name]) for name, rate in slowest.items()}


def stages_of_records(refs: list[ClipRef], *, teachers: list[Embedder], train: TrainSpec) -> list[Stage]:
    """Return the stages from recordings over clips and views to the teachers' embeddings.

    Parameters
    ----------
    refs
        The clips to decode; other stages take a batch of them.
    teachers
        Each is a stage.
    train
        The recipe, for its views.

    Raises
    ------
    InputError
        No clip can be read.
    """
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
    """Return the stages from shards of records to a training step of each size.

    A clip is read, put into a batch, augmented, turned into an image by the frontend, and used in a step. A step
    contains augmentation and frontend.

    Parameters
    ----------
    records
        The records to train on.
    sizes
        Each is a stage.
    train
        The recipe.
    folder
        For run folders.
    """
    import tensorflow as tf

    from hearlite.audio.frontend_tf import Frontend
    from hearlite.data.targets import fit_targets
    from hearlite.distill.augment import Augment
    from hearlite.distill.batches import Batches, teacher_vectors, val_examples
    from hearlite.distill.refit import from_pcm
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
    augmented = tf.function(lambda clips, step: augment.waveform(clips, step=step))
    stages.append(
        Stage(
            TRAINING, "augmentation", clips, lambda: augmented(audio, tf.constant(0, tf.int64)).numpy(), inside="step"
        )
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
) -> ThroughputResults:
    """Time all stages and find the bottleneck of each teacher's records and of each size's training.

    Parameters
    ----------
    dataset
        Clips of its test subjects are not used.
    teachers
        Models that records are made with.
    sizes
        Of students.
    train
        The recipe.
    clips
        How many are decoded, from the middle of the dataset.
    rounds
        In each, every stage is timed once.
    """
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
    return ThroughputResults(
        **vars(study_run(SCHEMA)),
        machine=device(),
        versions={name: version(name) for name in ("hearlite", "tensorflow", "numpy", "ai-edge-litert")},
        dataset=ThroughputDataset(dataset.name, len(refs)),
        batch=BATCH,
        rounds=rounds,
        stages=tuple(rates),
        bottleneck={phase: bottleneck(rates, phase) for phase in (RECORDS, TRAINING)},
    )


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
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A .json for the results.")
def command(data: Path, teachers: tuple[str, ...], sizes: tuple[str, ...], clips: int, rounds: int, out: Path) -> None:
    """Measure the clips per second of each stage of a distillation on DATA; writes results.

    Prints the rates, and the bottleneck of each teacher and size.
    """
    opened = [open_teacher(name) for name in dict.fromkeys(("spectral", *teachers))]
    dataset = load_dataset(data, events=False)
    result = throughput(dataset, teachers=opened, sizes=list(sizes), train=TrainSpec(), clips=clips, rounds=rounds)
    write_json(out, to_dict(result))
    for rate in result.stages:
        click.echo(
            f"{rate.phase:9} {rate.name[:44]:44} {rate.clips_per_s:10.0f} clips/s  {rate.ms_per_clip:8.3f} ms/clip"
        )
    for phase, by_last in result.bottleneck.items():
        for last, item in by_last.items():
            click.echo(f"{phase} with {last}: {item.slowest} takes {100 * item.share:.0f} % of the time")
