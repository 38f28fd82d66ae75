"""Train students of different shapes on the same records, and rank them by fidelity and cost.

    hearlite study student-search DATA... --leave-out OTHER --teacher tflite:FILE --candidates faster --steps 2000 \
        --seed 0 --out FOLDER

The teacher embeds each clip once, for all candidates. Costs come first; then every candidate is trained with the first
seed, with the next, and so on, in `--jobs` processes of one thread each. Each is judged on validation subjects of the
training corpora and on corpora that no student has heard. results.json and table.md are written again after every
training; killed and run again, it goes on.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from hearlite.benchmarks.cost.latency import device
from hearlite.benchmarks.experiments.ablation import write_views
from hearlite.benchmarks.experiments.ablation_table import retained
from hearlite.benchmarks.experiments.search_table import SearchRow, Trial, mean_ranks, means, table
from hearlite.benchmarks.experiments.search_trials import Search, embed_left_out, try_candidate
from hearlite.benchmarks.experiments.student_costs import RUNS, StudentCost, measure_costs
from hearlite.benchmarks.experiments.variants import Variant, load_variants, require_listed
from hearlite.benchmarks.schema.results import Versions
from hearlite.benchmarks.schema.study import StudyDataset, StudyRun, study_run
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.studies.inputs import dataset_facts
from hearlite.data.dataset import Dataset, combine, load_dataset
from hearlite.embedders.base import Embedder, EmbedderInfo
from hearlite.embedders.open import open_teacher
from hearlite.errors import HearliteError, InputError
from hearlite.files import read_json, write_bytes, write_json
from hearlite.manifests.manifest import DEFAULT_LABELS
from hearlite.progress import progress
from hearlite.serialization import from_dict, to_dict
from hearlite.spec import DISTILL_HOP_S, STUDENTS, StudentSpec, TrainSpec, student_spec

SCHEMA = "hearlite-student-search/1"
REFERENCES = ("tiny", "small")  # today's students, which costs are compared with


@dataclass(frozen=True)
class SearchAbout(StudyRun):
    """The part of results.json that is known before anything is trained."""

    machine: str
    versions: Versions
    teacher: EmbedderInfo
    train: TrainSpec  # the recipe that candidates may change; its seed is the first one
    dataset: StudyDataset
    left_out: tuple[StudyDataset, ...]


@dataclass(frozen=True)
class SearchResults(SearchAbout):
    """The whole of results.json."""

    candidates: tuple[SearchRow, ...]


def require_disjoint(sounds: Dataset, left_out: Sequence[Dataset]) -> None:
    """Require that no subject of a left-out dataset is trained on.

    Raises
    ------
    InputError
        Some are, by name.
    """
    trained = {clip.subject for clip in sounds.clips if clip.split != "test"}
    for dataset in left_out:
        shared = sorted(trained & {clip.subject for clip in dataset.clips})
        if shared:
            raise InputError(
                f"{dataset.name} is left out, but {len(shared)} of its subjects are trained on, first {shared[0]!r}",
                "leave out another dataset, or train without the one that shares them",
            )


def candidate_costs(search: Search, candidates: Sequence[Variant], *, runs: int) -> dict[str, StudentCost]:
    """Return the costs of all candidates, measured in one run; read if that was done here for the same ones."""
    students = {candidate.name: search.specs(candidate)[0] for candidate in candidates}
    references = {size: student_spec(size, embedding_dim=search.teacher.dim) for size in REFERENCES}
    asked = json.loads(json.dumps([device(), to_dict(Versions.current()), runs, to_dict(_Specs(students, references))]))
    path = search.out / "costs.json"
    found = read_json(path) if path.is_file() else None
    if not (isinstance(found, dict) and found.get("asked") == asked):
        costs = measure_costs(students, references=references, runs=runs)
        found = {"asked": asked, "costs": {name: to_dict(cost) for name, cost in costs.items()}}
        write_json(path, found)
    return {name: from_dict(StudentCost, data, where=str(path)) for name, data in found["costs"].items()}


@dataclass(frozen=True)
class _Specs:
    students: dict[str, StudentSpec]
    references: dict[str, StudentSpec]


def rows_of(
    search: Search,
    candidates: Sequence[Variant],
    *,
    costs: Mapping[str, StudentCost],
    trials: Mapping[tuple[str, int], Trial],
) -> tuple[SearchRow, ...]:
    """Return a row for each candidate, from the trials that are finished, by name and seed."""
    averages = {}
    for candidate in candidates:
        finished = {seed: trial for (name, seed), trial in sorted(trials.items()) if name == candidate.name}
        if finished:
            retention = [_retention(search, candidate, tuple(finished), dataset) for dataset in search.left_out]
            averages[candidate.name] = means(list(finished.values()), retention=retention)
    ranks = mean_ranks({name: [item["validation"], *item["left_out"]] for name, item in averages.items()})
    return tuple(
        SearchRow(
            candidate=candidate.name,
            size=candidate.size or search.size,
            overrides=candidate.overrides,
            cost=costs[candidate.name],
            seeds=sum(name == candidate.name for name, _ in trials),
            rank=ranks.get(candidate.name),
            **averages.get(candidate.name, {}),
        )
        for candidate in candidates
    )


def _retention(search: Search, candidate: Variant, seeds: Sequence[int], dataset: Dataset) -> Estimate | None:
    """Return the share of the teacher's AUROC that a candidate keeps on a left-out dataset; None without labels."""
    of_teacher = search.teacher_probes(dataset)
    if of_teacher is None:
        return None
    return retained([search.student_probes(candidate, seed, dataset) for seed in seeds], teacher=of_teacher)


def run_search(
    search: Search,
    candidates: Sequence[Variant],
    *,
    teacher: Embedder,
    seeds: Sequence[int],
    jobs: int,
    about: SearchAbout,
    runs: int = RUNS,
) -> tuple[SearchRow, ...]:
    """Measure the costs of all candidates, and train and judge each with every seed.

    `out`/results.json and `out`/table.md are written before the first training and after each. A candidate that fails
    is named on stderr and the others go on; the last error is raised at the end.

    Parameters
    ----------
    search
        Data, teacher and recipe.
    candidates
        The students.
    teacher
        The model of `search.teacher`.
    seeds
        Of the trainings.
    jobs
        Number of processes, each with one thread.
    about
        Provenance of the results.
    runs
        Timed calls of each file.
    """
    for recipe in {search.specs(candidate)[1] for candidate in candidates}:  # mistakes in the list show here, too
        write_views(search.sounds, recipe, teacher=teacher, out=search.out)
    embed_left_out(search, teacher)
    trials: dict[tuple[str, int], Trial] = {}
    failed: HearliteError | None = None

    def write() -> tuple[SearchRow, ...]:
        rows = rows_of(search, candidates, costs=costs, trials=trials)
        write_json(search.out / "results.json", to_dict(SearchResults(**vars(about), candidates=rows)))
        write_bytes(search.out / "table.md", table(rows).encode())
        return rows

    context = multiprocessing.get_context("spawn")  # TensorFlow cannot be forked
    pool = partial(ProcessPoolExecutor, mp_context=context, initializer=_one_thread, initargs=(search.out,))
    with pool(1) as alone:  # nothing else runs while latency is measured
        costs = alone.submit(candidate_costs, search, candidates, runs=runs).result()
    rows = write()
    with pool(jobs) as several, progress("student-search", total=len(seeds) * len(candidates)) as advance:
        pending = {
            several.submit(try_candidate, search, candidate, seed): (candidate.name, seed)
            for seed in seeds
            for candidate in candidates
        }
        try:
            for number, future in enumerate(as_completed(pending), start=1):
                name, seed = pending[future]
                try:
                    trials[name, seed] = future.result()
                except HearliteError as error:
                    failed = error
                    click.echo(f"{name}, seed {seed}: {error}", err=True)
                else:
                    rows = write()
                advance(number, f"{name}, seed {seed}")
        except BaseException:  # an interrupt, too: trainings go on from their checkpoints when the command is run again
            several.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
    if failed is not None:
        raise failed
    return rows


def _one_thread(out: Path) -> None:
    """Set up a process: one thread, so that several share the cores evenly; its messages go to a file."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    sys.stderr = (out / f"process-{os.getpid()}.log").open("a", encoding="utf-8", buffering=1)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


@click.command()
@click.argument("data", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--leave-out",
    "left_out",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A dataset to judge students by, with no subject of DATA; may be repeated.",
)
@click.option("--teacher", required=True, help="As for 'hearlite distill'.")
@click.option(
    "--candidates",
    "variants",
    default="faster",
    show_default=True,
    help="A list in benchmarks/experiments/lists, or a .toml.",
)
@click.option("--only", multiple=True, help="Name of a candidate to train; may be repeated. Default: all.")
@click.option(
    "--size",
    type=click.Choice(list(STUDENTS)),
    default="tiny",
    show_default=True,
    help="Of the student that candidates without a size change; its preset is the recipe of all.",
)
@click.option("--steps", type=click.IntRange(1), help="Instead of the preset's.")
@click.option(
    "--seed", "seeds", type=click.IntRange(0), multiple=True, default=(0,), show_default=True, help="May be repeated."
)
@click.option(
    "--hop",
    "hop_s",
    type=float,
    default=DISTILL_HOP_S,
    show_default=True,
    help="Seconds between the starts of training clips.",
)
@click.option(
    "--label", "label_columns", multiple=True, default=DEFAULT_LABELS, show_default=True, help="Of left-out datasets."
)
@click.option(
    "--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes of one thread each to train in."
)
@click.option("--runs", type=click.IntRange(1), default=RUNS, show_default=True, help="Timed calls of each file.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
def command(
    data: tuple[Path, ...],
    left_out: tuple[Path, ...],
    teacher: str,
    variants: str,
    only: tuple[str, ...],
    size: str,
    steps: int | None,
    seeds: tuple[int, ...],
    hop_s: float,
    label_columns: tuple[str, ...],
    jobs: int,
    runs: int,
    out: Path,
) -> None:
    """Train every candidate of a list on DATA and rank them by fidelity to the teacher, beside their costs.

    Subjects in test are trained on by none. Killed and run again, it goes on.
    """
    from hearlite.distill.presets import load_preset

    every = load_variants(variants)
    require_listed(only, every)
    candidates = [variant for variant in every if not only or variant.name in only]
    opened, train = open_teacher(teacher), load_preset(size, steps=steps, seed=seeds[0])
    sounds = combine([load_dataset(path, hop_s=hop_s, events=False) for path in data])
    judges = tuple(load_dataset(path, label_columns=label_columns) for path in left_out)
    require_disjoint(sounds, judges)
    out.mkdir(parents=True, exist_ok=True)
    search = Search(sounds, judges, label_columns, opened.info, size, train, out.resolve())
    about = SearchAbout(
        **vars(study_run(SCHEMA)),
        machine=device(),
        versions=Versions.current(),
        teacher=opened.info,
        train=train,
        dataset=dataset_facts(sounds, framing="context"),
        left_out=tuple(dataset_facts(item, framing="context") for item in judges),
    )
    rows = run_search(search, candidates, teacher=opened, seeds=seeds, jobs=jobs, about=about, runs=runs)
    click.echo(table(rows), nl=False)
