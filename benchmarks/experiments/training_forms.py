"""Time a student's training step in several forms: one or two threads, two processes, XLA, bfloat16.

    hearlite study training-forms --size tiny --out FOLDER

Each form runs in processes of its own, because TensorFlow takes threads and precision once. All forms take their turn
in each round, so that a slow moment of the machine affects all alike. Batches are noise: a step's time does not depend
on what it learns.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from hearlite.benchmarks.cost.latency import device
from hearlite.benchmarks.schema.results import Versions
from hearlite.benchmarks.schema.study import StudyRun, study_run
from hearlite.distill.presets import load_preset
from hearlite.embedders.fake import FakeTeacher
from hearlite.files import write_bytes, write_json
from hearlite.serialization import to_dict
from hearlite.spec import AUDIO, HEAR_EMBEDDING_DIM, STUDENTS, student_spec

SCHEMA = "hearlite-training-forms/1"
_VAL_CLIPS = 8  # nothing is evaluated


@dataclass(frozen=True)
class Form:
    """How steps are computed."""

    name: str
    threads: int
    processes: int = 1
    xla: bool = False
    bfloat16: bool = False


FORMS = (
    Form("one thread", 1),
    Form("two threads", 2),
    Form("two processes of one thread", 1, processes=2),
    Form("one thread, XLA", 1, xla=True),
    Form("one thread, bfloat16 in oneDNN", 1, bfloat16=True),
)


@dataclass(frozen=True)
class FormRate:
    """The measured rate of a form."""

    form: str
    clips_per_s: float  # of all its processes together, median over rounds
    slowest: float
    fastest: float
    first_step_s: float  # tracing and compiling included, median over rounds
    times_first: float  # clips per second, as a ratio to the first form's, medians


@dataclass(frozen=True)
class FormsResults(StudyRun):
    """The whole of results.json."""

    machine: str
    versions: Versions
    size: str
    batch: int  # clips a step
    steps: int  # timed in each round
    rounds: int
    forms: tuple[FormRate, ...]


def timed_steps(form: Form, size: str, steps: int) -> tuple[float, float]:
    """Return the seconds of the first step and the median of `steps` more, in a fresh process."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(form.threads)
    tf.config.threading.set_inter_op_parallelism_threads(form.threads)
    if form.bfloat16:
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    from hearlite.data.targets import fit_targets
    from hearlite.distill.batches import Examples
    from hearlite.distill.train import Trainer
    from hearlite.run import DatasetInfo, Run, RunSpec

    rng = np.random.default_rng(0)
    train = load_preset(size, steps=steps, seed=0)
    pcm = rng.integers(-8000, 8000, (train.batch_size, AUDIO.clip_samples)).astype(np.int16)
    targets = fit_targets(rng.normal(size=(4 * HEAR_EMBEDDING_DIM, HEAR_EMBEDDING_DIM)).astype(np.float32))
    wanted = rng.normal(size=(len(pcm), HEAR_EMBEDDING_DIM)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        student = student_spec(size, embedding_dim=HEAR_EMBEDDING_DIM)
        teacher = FakeTeacher(HEAR_EMBEDDING_DIM).info
        run = Run(Path(folder), RunSpec(student, train, teacher, DatasetInfo("noise", "", 0, 0, True), "records"))
        val = Examples(pcm[:_VAL_CLIPS], wanted[:_VAL_CLIPS])
        # No batches: steps are given theirs by hand.
        trainer = Trainer(run, batches=None, val=val, targets=targets)  # type: ignore[arg-type]
        if form.xla:
            compiled = tf.function(trainer._step, jit_compile=True)
            trainer._train_step = tf.function(lambda *given: trainer.strategy.run(compiled, args=given))
        seconds = []
        for step in range(steps + 1):
            began = time.perf_counter()
            trainer.train_step(step, (pcm, wanted))
            seconds.append(time.perf_counter() - began)
    return seconds[0], statistics.median(seconds[1:])


def measure(size: str, *, steps: int, rounds: int, forms: Sequence[Form] = FORMS) -> tuple[FormRate, ...]:
    """Time every form once in each round.

    Parameters
    ----------
    size
        Of the student.
    steps
        Timed in each round, after a first one that traces and compiles.
    rounds
        How often all forms take their turn.
    forms
        The forms; ratios are to the first.
    """
    batch = load_preset(size, steps=steps, seed=0).batch_size
    context = multiprocessing.get_context("spawn")  # TensorFlow cannot be forked
    rates: dict[str, list[float]] = {form.name: [] for form in forms}
    firsts: dict[str, list[float]] = {form.name: [] for form in forms}
    for number in range(rounds):
        for form in forms:
            with ProcessPoolExecutor(form.processes, mp_context=context) as pool:
                jobs = [pool.submit(timed_steps, form, size, steps) for _ in range(form.processes)]
                found = [job.result() for job in jobs]
            rates[form.name].append(sum(batch / seconds for _, seconds in found))
            firsts[form.name].append(max(first for first, _ in found))
            click.echo(f"round {number + 1}, {form.name}: {rates[form.name][-1]:.0f} clips/s", err=True)
    base = statistics.median(rates[forms[0].name])
    return tuple(
        FormRate(
            name,
            statistics.median(values),
            min(values),
            max(values),
            statistics.median(firsts[name]),
            statistics.median(values) / base,
        )
        for name, values in rates.items()
    )


def table(results: FormsResults) -> str:
    """Render Markdown."""
    lines = ["| form | clips / s | slowest - fastest | times the first | first step, s |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.form} | {row.clips_per_s:.0f} | {row.slowest:.0f} - {row.fastest:.0f} | {row.times_first:.2f} |"
        f" {row.first_step_s:.1f} |"
        for row in results.forms
    ]
    note = (
        f"Training steps of {results.size}, batches of {results.batch} clips, {results.machine}; medians of"
        f" {results.rounds} interleaved rounds of {results.steps} steps, processes of a form together."
    )
    return "\n".join([*lines, "", note]) + "\n"


@click.command()
@click.option("--size", type=click.Choice(list(STUDENTS)), default="tiny", show_default=True)
@click.option("--steps", type=click.IntRange(1), default=20, show_default=True, help="Timed in each round.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for results.json and table.md.")
def command(size: str, steps: int, rounds: int, out: Path) -> None:
    """Time a training step with one thread, two, in two processes, with XLA and in bfloat16."""
    forms = measure(size, steps=steps, rounds=rounds)
    results = FormsResults(
        **vars(study_run(SCHEMA)),
        machine=device(),
        versions=Versions.current(),
        size=size,
        batch=load_preset(size, steps=steps, seed=0).batch_size,
        steps=steps,
        rounds=rounds,
        forms=forms,
    )
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "results.json", to_dict(results))
    write_bytes(out / "table.md", table(results).encode())
    click.echo(table(results), nl=False)
