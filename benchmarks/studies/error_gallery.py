"""Write a page to listen to the test clips that a student classifies wrongly.

    hearlite study error-gallery DATA --teacher hear:DIR --model FILE.tflite --label COLUMN --out mistakes.html

Each clip has its label, the probabilities by student and teacher, and the spectrogram that HeAR takes. The page HOLDS
RECORDINGS. It is for people who are allowed to listen to them: it is not written into a git checkout, and must not be
passed on.
"""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from hearlite.audio.clips import from_int16
from hearlite.audio.frontend import frontend_numpy
from hearlite.benchmarks.probes.embeddings import make_tasks
from hearlite.benchmarks.probes.folds import fold_table
from hearlite.benchmarks.probes.logistic import fit_probe
from hearlite.benchmarks.report.rendering import environment
from hearlite.benchmarks.stats.bootstrap import Bools, Floats
from hearlite.benchmarks.stats.calibration import fit_platt
from hearlite.benchmarks.stats.operating_point import choose_threshold
from hearlite.benchmarks.studies.inputs import (
    EmbeddedDataset,
    data_argument,
    embed_data,
    framing_option,
    labels_option,
    seed_option,
    teacher_option,
)
from hearlite.benchmarks.tasks.binary import Task
from hearlite.data.dataset import ClipRef
from hearlite.data.reading import Clip, read_clips
from hearlite.errors import UsageError
from hearlite.files import write_bytes
from hearlite.models.option import MODEL
from hearlite.spec import AUDIO, HEAR_FRONTEND

SHOWN = 12  # clips of a task: as many as somebody listens to; a clip takes 0.1 MB of the page


@dataclass(frozen=True, eq=False)
class Judged:
    """One model's predictions of the test clips of a task."""

    probability: Floats  # [n] of the positive class, after Platt scaling on training subjects
    threshold: float  # a probability, chosen on training subjects
    wrong: Bools  # [n]


@dataclass(frozen=True)
class Mistake:
    """A test clip that the student classifies wrongly."""

    clip: ClipRef
    positive: bool  # by its label
    teacher: float  # probabilities of the positive class
    student: float
    teacher_wrong: bool


@dataclass(frozen=True)
class Mistakes:
    """The mistakes on one task. Counts are of test clips."""

    task: str
    clips: int
    wrong: int  # of the student
    both_wrong: int
    teacher_wrong: int
    teacher_threshold: float
    student_threshold: float
    shown: tuple[Mistake, ...]  # the clips to listen to


def evaluate_gate(values: Floats, task: Task, subjects: Sequence[str], tested: Bools, *, seed: int) -> Judged:
    """Predict the test clips of a task by a probe of one model's embeddings.

    The probe is fitted as `hearlite bench` fits it. Threshold and scaling are chosen on training subjects alone.

    Parameters
    ----------
    values
        Embeddings, [n, dim].
    task
        Over the same n clips.
    subjects, tested
        Subject of each clip, and the mask of test clips, [n].
    seed
        Of the folds.
    """
    inside, outside = np.flatnonzero(task.labelled & ~tested), np.flatnonzero(task.labelled & tested)
    train = task.labels[inside]
    fit = fit_probe(
        values[inside], train, values[outside], folds=fold_table(train, np.asarray(subjects)[inside], seed=seed)
    )
    usable = np.isfinite(fit.out_of_fold)  # a fold whose training side has one class has no scores
    platt = fit_platt(fit.out_of_fold[usable], train[usable])
    threshold = choose_threshold(fit.out_of_fold[usable], train[usable])
    wrong = (fit.scores >= threshold) != task.labels[outside]
    return Judged(platt.probabilities(fit.scores), float(platt.probabilities(np.array([threshold]))[0]), wrong)


def mistakes(task: Task, clips: Sequence[ClipRef], *, teacher: Judged, student: Judged, shown: int = SHOWN) -> Mistakes:
    """Return the student's mistakes: first those that its teacher does not make, then the others.

    Within each kind, those come first of which the student was surest.

    Parameters
    ----------
    task
        The task.
    clips
        Its labelled test clips, [n].
    teacher, student
        Predictions of these clips, in the same order.
    shown
        Most clips to list.
    """
    p, at = student.probability, student.threshold
    sure = np.where(
        p >= at, (p - at) / max(1 - at, 1e-12), (at - p) / max(at, 1e-12)
    )  # of the way from the threshold to 0 or 1
    wrong = np.flatnonzero(student.wrong)
    order = sorted(wrong.tolist(), key=lambda index: (bool(teacher.wrong[index]), -float(sure[index])))
    return Mistakes(
        task=task.name,
        clips=len(clips),
        wrong=len(wrong),
        both_wrong=int((student.wrong & teacher.wrong).sum()),
        teacher_wrong=int(teacher.wrong.sum()),
        teacher_threshold=teacher.threshold,
        student_threshold=student.threshold,
        shown=tuple(
            Mistake(
                clip=clips[index],
                positive=clips[index].label(task.column) == task.positive,
                teacher=float(teacher.probability[index]),
                student=float(student.probability[index]),
                teacher_wrong=bool(teacher.wrong[index]),
            )
            for index in order[:shown]
        ),
    )


def find_mistakes(found: EmbeddedDataset, label_columns: Sequence[str], *, seed: int) -> list[Mistakes]:
    """Return the mistakes on every task.

    Parameters
    ----------
    found
        The dataset, embedded by the teacher first and the student second.
    label_columns
        Columns that tasks are made of.
    seed
        Of the folds.

    Raises
    ------
    InputError
        There is no task.
    """
    tasks, _ = make_tasks(found.clips, label_columns, positives=found.dataset.positives)
    by_task = []
    for task in tasks:
        teacher, student = (
            evaluate_gate(values, task, found.subjects.tolist(), found.tested, seed=seed)
            for values in found.vectors.values()
        )
        clips = [found.clips[index] for index in np.flatnonzero(task.labelled & found.tested)]
        by_task.append(mistakes(task, clips, teacher=teacher, student=student))
    return by_task


def require_outside_git(path: Path) -> None:
    """Raise UsageError for a path in a git checkout: recordings must not be committed by accident."""
    for folder in path.resolve().parents:
        if (folder / ".git").exists():
            raise UsageError(
                f"{path} is in the git checkout {folder}, and the page holds recordings", "write it somewhere else"
            )


@click.command()
@data_argument
@teacher_option
@click.option("--model", type=MODEL, required=True, help="An exported .tflite, or the name of a model.")
@labels_option
@framing_option
@seed_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="The .html, outside of any git checkout, since it holds recordings.",
)
def command(
    data: Path, teacher: str, model: Path, label_columns: tuple[str, ...], framing: str, seed: int, out: Path
) -> None:
    """Write a page to listen to the test clips of DATA that MODEL classifies wrongly. It HOLDS RECORDINGS."""
    require_outside_git(out)
    found = embed_data(data, teacher=teacher, models=(model,), label_columns=label_columns, framing=framing)
    by_task = find_mistakes(found, label_columns, seed=seed)
    write_page(by_task, out, dataset=found.dataset.name, teacher=teacher, student=found.models.manifests[0].name)
    click.echo(
        f"{out}: {sum(len(item.shown) for item in by_task)} clips. It holds recordings: do not commit it or pass it on"
    )


_COLOURS = "magma"  # dark is quiet; perceptually even, and readable in grey


def write_page(found: Sequence[Mistakes], path: Path, *, dataset: str, teacher: str, student: str) -> None:
    """Write the page of mistakes, through a temporary file.

    The shown clips are decoded again; a recording that can no longer be read is left out.

    Parameters
    ----------
    found
        The mistakes on each task.
    path
        The .html.
    dataset, teacher, student
        Names for the page's head.
    """
    refs = [mistake.clip for item in found for mistake in item.shown]
    heard = {
        item.ref: (data_uri("audio/wav", wav(item.pcm)), data_uri("image/png", spectrogram(item.pcm)))
        for item in read_clips(refs)
        if isinstance(item, Clip)
    }
    html = (
        environment()
        .get_template("mistakes.html.j2")
        .render(found=found, heard=heard, dataset=dataset, teacher=teacher, student=student, clip_s=AUDIO.clip_s)
    )
    write_bytes(path, html.encode("utf-8", errors="replace"))  # names may hold lone surrogates


def wav(pcm: NDArray[np.int16]) -> bytes:
    """Return a mono WAV of int16 samples [n]."""
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(pcm.dtype.itemsize)
        file.setframerate(AUDIO.sample_rate_hz)
        file.writeframes(pcm.astype("<i2").tobytes())
    return target.getvalue()


def spectrogram(pcm: NDArray[np.int16]) -> bytes:
    """Return a PNG of HeAR's spectrogram of int16 samples [clip_samples].

    Time runs to the right and frequency upwards.
    """
    from matplotlib.image import imsave

    image = np.log1p(frontend_numpy(from_int16(pcm[None]), spec=HEAR_FRONTEND)[0])  # [frames, mels]
    target = io.BytesIO()
    imsave(target, image.T, cmap=_COLOURS, origin="lower", format="png")
    return target.getvalue()


def data_uri(kind: str, content: bytes) -> str:
    """Return a data: URI of some bytes."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
