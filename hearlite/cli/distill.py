"""The commands `quickstart` and `distill`, which make a student from recordings."""

from __future__ import annotations

from pathlib import Path

import click

from hearlite.cli.options import (
    DATA,
    Option,
    allow_duplicates_option,
    allow_failed_gate_option,
    echo,
    json_option,
    labels_option,
    print_data,
    report_dataset,
    size_option,
    teacher_option,
)
from hearlite.manifests.options import ManifestOptions, manifest_options, unlabelled_manifest_options
from hearlite.names import SIZES
from hearlite.spec import DISTILL_HOP_S


@click.command()
@click.option("--data", type=DATA, help="Folder of recordings or manifest CSV; default: synthetic sounds.")
@teacher_option
@labels_option
@manifest_options
@click.option("--size", type=click.Choice(SIZES), default="tiny", show_default=True, help="Size of the student.")
@click.option("--steps", type=click.IntRange(min=1), help="Number of training steps; default: the preset's.")
@click.option("--seed", type=int, default=0, show_default=True, help="Random seed.")
@click.option("--out", type=DATA, default=Path("quickstart"), show_default=True, help="Folder for all output.")
@allow_failed_gate_option
@allow_duplicates_option
@json_option
def quickstart(
    data: Path | None,
    teacher: str,
    label_columns: tuple[str, ...],
    manifest: ManifestOptions,
    size: str,
    steps: int | None,
    seed: int,
    out: Path,
    allow_failed_gate: bool,
    allow_duplicates: bool,
    as_json: bool,
) -> None:
    """Do it all: recordings in, int8 .tflite and report out.

    Distills, quantizes, exports and benchmarks a student with quick settings; every stage can be resumed by the same
    command. Without --data it uses synthetic sounds, whose results are no evidence about people.
    """
    from hearlite.cli.quickstart import run_quickstart

    result = run_quickstart(
        data=data,
        teacher=teacher,
        label_columns=label_columns,
        options=manifest,
        size=size,
        steps=steps,
        seed=seed,
        out=out,
        allow_failed_gate=allow_failed_gate,
        allow_duplicates=allow_duplicates,
    )
    print_data(result, as_json=as_json)


@click.command()
@click.argument("data", type=DATA, nargs=-1, required=True)
@click.option("--run", "folder", type=DATA, required=True, help="Run folder to write, or to resume.")
@teacher_option
@size_option
@click.option("--config", type=DATA, help="TOML file with training settings; default: the preset of the size.")
@click.option("--steps", type=click.IntRange(min=1), help="Number of training steps; overrides the config.")
@click.option("--seed", type=int, help="Random seed; overrides the config.")
@click.option(
    "--records", type=DATA, help="Folder of the record cache, to share it between runs; default: in the run folder."
)
@unlabelled_manifest_options
@click.option("--hop", "hop_s", type=float, default=DISTILL_HOP_S, show_default=True, help="Seconds between windows.")
@click.option(
    "--events-only", is_flag=True, help="Train on the manifest's annotated events only, not on whole recordings."
)
@click.option(
    "--ray-workers",
    "ray_workers",
    cls=Option,
    former=("--actors",),
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Compute the teacher's vectors in this many Ray workers; 0: in this process.",
)
@allow_duplicates_option
@json_option
def distill(
    data: tuple[Path, ...],
    folder: Path,
    teacher: str,
    size: str,
    config: Path | None,
    steps: int | None,
    seed: int | None,
    records: Path | None,
    manifest: ManifestOptions,
    hop_s: float,
    events_only: bool,
    ray_workers: int,
    allow_duplicates: bool,
    as_json: bool,
) -> None:
    """Train a student to reproduce the teacher's embeddings.

    DATA is one or more folders of recordings or manifest CSVs. Labels are not used, and test subjects are left out.
    The same command resumes an interrupted run.
    """
    from hearlite import api
    from hearlite.data.dataset import combine, load_dataset
    from hearlite.data.records import read_records
    from hearlite.embedders.self_test import check_embedder, require
    from hearlite.run import read_metrics
    from hearlite.student import StudentEmbedder

    dataset = combine([load_dataset(path, hop_s=hop_s, events=events_only, options=manifest) for path in data])
    finished = (folder / "weights.npz").is_file()
    run = api.distill(
        dataset,
        run=folder,
        teacher=teacher,
        size=size,
        config=config,
        steps=steps,
        seed=seed,
        records=records,
        ray_workers=ray_workers,
        allow_duplicates=allow_duplicates,
    )
    if finished:
        echo(f"{folder} is finished already: nothing to do")
    written = read_records(run.records)
    report_dataset(dataset, skipped=written.skipped, silent=written.silent)
    require(check_embedder(StudentEmbedder(run), precision="f32"), what=f"the student of {folder}")
    metrics = read_metrics(run)
    print_data({"run": str(folder), **metrics}, as_json=as_json)
