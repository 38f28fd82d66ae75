"""The commands `bench` and `report`, which measure how much of the teacher's quality files retain."""

from __future__ import annotations

from pathlib import Path

import click

from hearlite.benchmarks.schema.provenance import command_line
from hearlite.cli.cost import CostOptions, cost_options
from hearlite.cli.options import (
    DATA,
    allow_duplicates_option,
    echo,
    framing_option,
    hop_option,
    json_option,
    labels_option,
    print_data,
    report_dataset,
    teacher_option,
)
from hearlite.errors import UsageError
from hearlite.manifests.options import ManifestOptions, manifest_options
from hearlite.models.option import MODEL
from hearlite.names import CLASSIFIERS
from hearlite.spec import AUROC_MARGIN


@click.command()
@click.argument("data", type=DATA, required=False)
@click.option(
    "--model",
    "models",
    type=MODEL,
    multiple=True,
    required=True,
    help="Exported .tflite file, or the name of a model; may be repeated.",
)
@click.option("--out", type=DATA, required=True, help="Folder for results.json and report.html.")
@teacher_option
@labels_option
@manifest_options
@framing_option
@hop_option
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the folds and the bootstrap.")
@click.option("--threads", type=click.IntRange(1, 64), default=1, show_default=True, help="CPU threads of each model.")
@click.option(
    "--probe",
    type=click.Choice(CLASSIFIERS),
    default=CLASSIFIERS[0],
    show_default=True,
    help="Classifier that is fitted to the frozen embeddings.",
)
@click.option(
    "--protocol",
    type=click.Choice(["subjects", "paper"]),
    default="subjects",
    show_default=True,
    help="paper: also score a clip-wise 80/20 split, which LEAKS subjects, and show the gap to the honest split.",
)
@click.option(
    "--subgroup",
    "subgroup_columns",
    multiple=True,
    help="Metadata column whose groups are compared, such as sex, age or device; may be repeated.",
)
@click.option(
    "--margin",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    default=AUROC_MARGIN,
    show_default=True,
    help="AUROC that a model may lose and still count as non-inferior; choose it before the run.",
)
@click.option("--cost", "cost_results", type=DATA, help="results.json of `hearlite cost`, to include in this report.")
@click.option(
    "--folds",
    type=click.IntRange(2, 20),
    help="Cross-validate by subject in this many folds, where there are too few subjects to set some aside; scores all"
    " whom no --model was made from.  [default: score the test split]",
)
@allow_duplicates_option
@click.option("--latency", is_flag=True, hidden=True)  # from 0.1, with the options of cost: measured in the same call
@cost_options(hidden=True)
@json_option
def bench(
    data: Path | None,
    models: tuple[Path, ...],
    out: Path,
    teacher: str,
    label_columns: tuple[str, ...],
    manifest: ManifestOptions,
    framing: str,
    hop_s: float,
    seed: int,
    threads: int,
    subgroup_columns: tuple[str, ...],
    margin: float,
    probe: str,
    protocol: str,
    cost_results: Path | None,
    folds: int | None,
    allow_duplicates: bool,
    latency: bool,
    cost: CostOptions,
    as_json: bool,
) -> None:
    """Measure how much of the teacher's quality is retained.

    DATA is a folder of recordings with a manifest, or a manifest CSV, with labels. Classifiers are fitted to the frozen
    embeddings of training subjects and scored on test subjects; no subject is in both. Results for the teacher and
    every --model go to results.json and report.html in --out.
    """
    from hearlite.benchmarks.run import bench as run_bench
    from hearlite.benchmarks.run_cost import bench_cost, gather_cost
    from hearlite.benchmarks.schema.io import read_cost
    from hearlite.data.dataset import load_dataset
    from hearlite.embedders.open import open_teacher

    plan = cost.plan(models, threads=threads, seed=seed) if latency else None
    if plan:
        echo("note: --latency is now a command of its own: hearlite cost")
    if data is None:
        if plan is None:
            raise UsageError("DATA is missing", "name labelled recordings; `hearlite cost` measures cost alone")
        return print_data(bench_cost(plan, out=out, command=command_line(), log=echo), as_json=as_json)

    columns = tuple(dict.fromkeys((*label_columns, *subgroup_columns)))
    dataset = load_dataset(data, hop_s=hop_s, framing=framing, label_columns=columns, options=manifest)
    report_dataset(dataset)
    gathered = gather_cost(plan, command=command_line(), log=echo) if plan else None
    measured = gathered.cost if gathered else read_cost(cost_results).cost if cost_results else None
    result = run_bench(
        dataset,
        teacher=open_teacher(teacher),
        files=models,
        label_columns=label_columns,
        out=out,
        seed=seed,
        threads=threads,
        framing=framing,
        subgroup_columns=subgroup_columns,
        margin=margin,
        probe=probe,
        protocol=protocol,
        command=command_line(),
        cost=measured,
        allow_duplicates=allow_duplicates,
        folds=folds or 0,
        log=echo,
    )
    print_data(result, as_json=as_json)
    if gathered:
        gathered.require(out)
    return None


@click.command()
@click.argument("results", type=DATA)
@click.option("--compare", type=DATA, help="results.json of another run, to show beside it.")
@click.option("--out", type=DATA, required=True, help="The .html file to write.")
@json_option
def report(results: Path, compare: Path | None, out: Path, as_json: bool) -> None:
    """Render the report of a results.json again.

    RESULTS is a results.json that `hearlite bench` or `hearlite cost` wrote. With --compare, the results of another run
    are shown next to it.
    """
    from hearlite.benchmarks.report.html import write_report

    write_report(results, out, compare=compare)
    print_data({"report": str(out)}, as_json=as_json)
