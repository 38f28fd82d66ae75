"""One benchmark: embed a labelled dataset, probe teacher, students and baselines, time them, write the report.

All on the same folds.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.benchmarks.cost.latency import Candidate, device, file_candidate, measure_candidates
from hearlite.benchmarks.probes.cross_validation import CrossValidation
from hearlite.benchmarks.probes.embeddings import TEACHER, Embedded, embed_clips, make_tasks, require_disjoint_subjects
from hearlite.benchmarks.probes.evaluate import run_probes
from hearlite.benchmarks.probes.head_transfer import in_teacher_space
from hearlite.benchmarks.probes.heard import (
    BY_NAMES,
    BY_RECORDINGS,
    Heard,
    copies_in_test,
    find_heard,
    set_scored_subjects,
)
from hearlite.benchmarks.report.html import write_report
from hearlite.benchmarks.report.summary import summary
from hearlite.benchmarks.schema.baselines import DURATION, SPECTRAL
from hearlite.benchmarks.schema.cost import Cost, Latency
from hearlite.benchmarks.schema.io import collect, write_results
from hearlite.benchmarks.schema.results import DatasetInfo, ModelInfo
from hearlite.benchmarks.tasks.binary import TEST_SPLIT
from hearlite.benchmarks.tasks.demographics import subgroup_values
from hearlite.bundle import Manifest, distinct_names, open_bundle
from hearlite.data.copies import find_copies
from hearlite.data.dataset import ClipRef, Dataset
from hearlite.data.duplicates import fingerprint_recordings
from hearlite.data.reading import silent_text
from hearlite.data.vector_parts import Log, kept_parts
from hearlite.embedders.base import Embedder
from hearlite.embedders.spectral import SpectralTeacher
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.errors import UsageError
from hearlite.files import sha256_of
from hearlite.manifests.rows import SPLITS
from hearlite.manifests.splits import subject_hash
from hearlite.spec import AUROC_MARGIN
from hearlite.tflite.model_file import read_tflite, summarize

LATENCY_RUNS = 100
MAX_FOLDS = 20  # a probe for each; more add little: at 20 each is fitted to 95 % of the subjects
RUNTIMES = {
    "tflite": "ai-edge-litert",
    "hear": "tensorflow",
    "saved-model": "tensorflow",
}  # by kind of teacher; the others are numpy code


def bench(
    dataset: Dataset,
    *,
    teacher: Embedder,
    files: Sequence[Path],
    label_columns: Sequence[str],
    out: Path,
    command: str,
    seed: int = 0,
    threads: int = 1,
    framing: str = "context",
    subgroup_columns: Sequence[str] = (),
    margin: float = AUROC_MARGIN,
    probe: str = "logistic",
    protocol: str = "subjects",
    cost: Cost | None = None,
    allow_duplicates: bool = False,
    folds: int = 0,
    log: Log | None = None,
) -> dict[str, Any]:
    """Write `out`/results.json and `out`/report.html; returns the summary that the command line prints.

    `subgroup_columns` are metadata columns that the dataset was loaded with, such as sex or device; AUROC is looked at
    group by group. `margin` is the AUROC, in (0, 0.5), that a model may lose to its teacher, or a quantized file to its
    float32 one, and still be non-inferior. `probe` is one of classifiers.py; `protocol` is "subjects" or, to see what
    leaking would add, "paper". `cost` was measured by cost.py, and goes into results.json and report as it is.
    Embeddings are kept in `out` until the results are written, so that the same call goes on from there; `log` prints a
    line about that, and about copies of recordings.
    Raises InputError when a file is no hearlite bundle, no task can be made of the labels, or, unless
    `allow_duplicates`, test recordings are equal to some that trained probes or files.
    With `folds`, 2 or more, cross-validation scores all subjects of whom no file has heard anything, whatever their
    splits; subjects with copies of each other's recordings share a fold.
    """
    if folds and not 2 <= folds <= MAX_FOLDS:
        raise UsageError(f"folds is {folds}", f"use 2 to {MAX_FOLDS}, or 0 for none")
    if folds and protocol == "paper":
        raise UsageError("the paper's protocol has no folds", "leave out --protocol paper or --folds")
    bundles = _told_apart([(path, *open_bundle(path, threads=threads)) for path in files])
    names = [manifest.name for _, _, manifest in bundles]
    if len(set(names)) < len(names):
        raise UsageError(
            f"two models have the same name among {', '.join(names)}", "compare runs of one size by two calls of bench"
        )
    tasks_of = partial(
        make_tasks, label_columns=label_columns, positives=dataset.positives, cross_validated=bool(folds)
    )
    if not folds:  # Before hours of embedding: labels that make no task stop it now.
        for _, _, manifest in bundles:
            require_disjoint_subjects(manifest, dataset)
        tasks_of(dataset.clips)
    fingerprints = fingerprint_recordings(dataset)
    group_of: dict[str, str] = {}
    if folds:
        files_heard = [(path, manifest) for path, _, manifest in bundles]
        dataset, group_of = set_scored_subjects(dataset, files_heard, fingerprints, folds=folds)
        tasks_of(dataset.clips)
    copies = find_copies(dataset, fingerprints)
    copies.require_allowed(allowed=allow_duplicates, where=dataset.name)
    heard = [find_heard(path, manifest, dataset, fingerprints) for path, _, manifest in bundles]
    for item in heard:
        item.require_allowed(allowed=allow_duplicates)
    found = [*copies.notes(), *(note for item in heard for note in item.notes())]
    if log:
        for note in found:
            log(note)
    embedders: dict[str, Embedder] = {
        TEACHER: teacher,
        **{manifest.name: embedder for _, embedder, manifest in bundles},
    }
    if teacher.info.kind != SPECTRAL:
        embedders[SPECTRAL] = SpectralTeacher()  # does the network beat simple statistics?
    with kept_parts(out / "embeddings", dataset, embedders, log=log) as kept:
        embedded = embed_clips(dataset, embedders, kept=kept)
        tasks, left_out = tasks_of(embedded.clips)
        vectors: dict[str, NDArray[Any]] = {**embedded.vectors, DURATION: _durations(embedded.clips)}
        subjects, splits = [clip.subject for clip in embedded.clips], [clip.split for clip in embedded.clips]
        floats = match_float32([manifest for _, _, manifest in bundles])
        grouped = {
            column: subgroup_values(column, [clip.label(column) for clip in embedded.clips])
            for column in subgroup_columns
        }
        groups = {column: values for column, (values, _) in grouped.items()}
        probes = run_probes(
            vectors,
            tasks,
            subjects,
            splits,
            reference=TEACHER,
            float_of=floats,
            subgroups=groups,
            margin=margin,
            probe=probe,
            clip_wise=protocol == "paper",
            cross_validation=_cross_validation(embedded.clips, group_of, folds=folds) if folds else None,
            in_teacher_space=_in_teacher_space(bundles, embedded, teacher),
            seed=seed,
        )
        known = [_bundle_model(path, item, dataset, by) for (path, _, item), by in zip(bundles, heard, strict=True)]
        models = [_teacher_model(teacher), *known]
        models += [
            ModelInfo(name, kind="baseline", dim=vectors[name].shape[1])
            for name in (SPECTRAL, DURATION)
            if name in vectors
        ]
        notes = [*found, *dataset.notes, *_warnings(bundles, teacher, embedded)]
        notes += [note for _, found in grouped.values() for note in found]
        results = collect(
            probes,
            command=command,
            machine=device(),
            dataset=_dataset_info(dataset, embedded, framing=framing),
            teacher=teacher.info,
            models=models,
            latency=_latency(teacher, bundles, threads=threads, seed=seed),
            left_out=left_out,
            skipped=len(dataset.skipped) + embedded.skipped,
            notes=notes,
            cost=cost,
            copies=copies_in_test(copies, heard),
            folds=folds,
        )
        write_results(results, out / "results.json")
        write_report(out / "results.json", out / "report.html")
        return {**summary(results, out), **{f"file {manifest.precision}": str(path) for path, _, manifest in bundles}}


def _told_apart(bundles: Sequence[tuple[Path, Embedder, Manifest]]) -> list[tuple[Path, Embedder, Manifest]]:
    names = distinct_names([manifest for _, _, manifest in bundles])
    return [
        (path, embedder, dataclasses.replace(item, name=name))
        for (path, embedder, item), name in zip(bundles, names, strict=True)
    ]


def _cross_validation(clips: Sequence[ClipRef], groups: Mapping[str, str], *, folds: int) -> CrossValidation:
    scored = np.asarray([clip.split == TEST_SPLIT for clip in clips], dtype=np.bool_)
    return CrossValidation(folds, scored, np.asarray([groups[clip.subject] for clip in clips]))


def _in_teacher_space(
    bundles: Sequence[tuple[Path, Embedder, Manifest]], embedded: Embedded, teacher: Embedder
) -> dict[str, NDArray[np.float64]]:
    found = {
        item.name: in_teacher_space(path, item, embedded.vectors[item.name], teacher=teacher.info)
        for path, _, item in bundles
    }
    return {name: values for name, values in found.items() if values is not None}


def match_float32(manifests: Sequence[Manifest]) -> dict[str, str]:
    """Return the name of each quantized file's own float32 file, where both are there.

    Of the same size, teacher and recordings.
    """
    floats = {(item.size, item.teacher, item.dataset): item.name for item in manifests if item.precision == "f32"}
    keys = {item.name: (item.size, item.teacher, item.dataset) for item in manifests if item.precision != "f32"}
    return {name: floats[key] for name, key in keys.items() if key in floats}


def _durations(clips: Sequence[ClipRef]) -> NDArray[np.float64]:
    """Return the length of each clip's event, `[n, 1]` in seconds; 0 where there is no annotated event.

    What this alone reaches, framing has leaked.
    """
    return np.asarray([[(clip.event_end_s or 0.0) - (clip.event_start_s or 0.0)] for clip in clips])


def _teacher_model(teacher: Embedder) -> ModelInfo:
    kind, _, rest = teacher.info.name.partition(":")
    path = Path(rest.partition("#")[0])
    if kind != "tflite" or not path.is_file():
        return ModelInfo(TEACHER, kind="teacher", dim=teacher.info.dim)
    counted = summarize(read_tflite(path), where=str(path))
    return ModelInfo(
        name=TEACHER,
        kind="teacher",
        file=path.name,
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
        parameters=counted.parameters,
        macs=counted.macs * (teacher.calls if isinstance(teacher, TfliteEmbedder) else 1),
        dim=teacher.info.dim,
    )


def _bundle_model(path: Path, manifest: Manifest, dataset: Dataset, heard: Heard) -> ModelInfo:
    # By subjects, not by name: a dataset may be a part of another.
    hashes = {subject_hash(clip.subject) for clip in dataset.clips}
    return ModelInfo(
        name=manifest.name,
        kind=manifest.precision,
        file=path.name,
        bytes=path.stat().st_size,
        sha256=manifest.tflite_sha256,
        parameters=manifest.parameters,
        macs=manifest.macs,
        dim=manifest.dim,
        quantization=manifest.quantization,
        recipe=manifest.recipe,
        size=manifest.size,
        gate_passed=manifest.gate_passed,
        trained_on=manifest.dataset.name,
        trained_on_dataset=heard.of_dataset or not hashes.isdisjoint(manifest.dataset.trained_subjects),
        heard_by=BY_RECORDINGS if heard.known else BY_NAMES,
    )


def _latency(
    teacher: Embedder, bundles: Sequence[tuple[Path, Embedder, Manifest]], *, threads: int, seed: int
) -> list[Latency]:
    candidates = []
    if teacher.info.kind != "embeddings":  # those only look up clips that they know
        own_threads = (
            (os.cpu_count() or 1) if teacher.info.kind in ("hear", "saved-model") else 1
        )  # TensorFlow takes all; the others were opened with one
        candidates.append(Candidate(TEACHER, _runtime(teacher), lambda: teacher.embed, own_threads))
    candidates += [file_candidate(manifest.name, path, threads=threads) for path, _, manifest in bundles]
    return measure_candidates(candidates, runs=LATENCY_RUNS, threads=threads, seed=seed)


def _runtime(teacher: Embedder) -> str:
    package = RUNTIMES.get(teacher.info.kind, "numpy")
    return f"{package} {version(package)}"


def _dataset_info(dataset: Dataset, embedded: Embedded, *, framing: str) -> DatasetInfo:
    subjects = {split: len({clip.subject for clip in embedded.clips if clip.split == split}) for split in SPLITS}
    digest = hashlib.sha256(f"{dataset.sha256}{dataset.labels_sha256}".encode()).hexdigest()
    return DatasetInfo(
        name=dataset.name,
        sha256=digest,
        clips=len(embedded.clips),
        train_subjects=subjects["train"],
        val_subjects=subjects["val"],
        test_subjects=subjects["test"],
        synthetic=dataset.synthetic,
        framing=framing,
    )


def _warnings(bundles: Sequence[tuple[Path, Embedder, Manifest]], teacher: Embedder, embedded: Embedded) -> list[str]:
    notes = [
        f"{manifest.name} was distilled from {manifest.teacher.name}, another teacher than the one it is compared with"
        for _, _, manifest in bundles
        if manifest.teacher.fingerprint != teacher.info.fingerprint
    ]
    if embedded.silent:
        notes.append(silent_text(embedded.silent))
    return notes
