"""`bench` and `report`: what a file keeps and costs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from hearlite.cli.cost_options import CostOptions, cost_options
from hearlite.cli.options import (
    DATA,
    PROBES,
    command_line,
    framing_option,
    hop_option,
    json_option,
    labels_option,
    print_data,
    report_dataset,
    teacher_option,
)
from hearlite.errors import UsageError
from hearlite.spec import AUROC_MARGIN


@click.command()
@click.argument("data", type=DATA, required=False)
@click.option("--model", "models", type=DATA, multiple=True, required=True, help="An exported .tflite; may be repeated.")
@click.option("--out", type=DATA, required=True, help="Folder for results.json and report.html.")
@teacher_option
@labels_option
@framing_option
@hop_option
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--threads", type=click.IntRange(1, 64), default=1, show_default=True, help="Threads of the latency measurement.")
@click.option("--probe", type=click.Choice(PROBES), default=PROBES[0], show_default=True, help="Classifier on the frozen embeddings.")
@click.option(
    "--protocol",
    type=click.Choice(["subjects", "paper"]),
    default="subjects",
    show_default=True,
    help="paper adds a clip-wise 80/20 split, which LEAKS subjects, and says by how much it flatters.",
)
@click.option(
    "--subgroup", "subgroup_columns", multiple=True, help="Metadata column to compare groups in, such as sex, age or device; may be repeated."
)
@click.option(
    "--margin",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    default=AUROC_MARGIN,
    show_default=True,
    help="AUROC that a model may lose and still replace its teacher, or an int8 file its float32 one; set it before the run.",
)
@cost_options
@json_option
def bench(
    data: Path | None,
    models: tuple[Path, ...],
    out: Path,
    teacher: str,
    label_columns: tuple[str, ...],
    framing: str,
    hop_s: float,
    seed: int,
    threads: int,
    subgroup_columns: tuple[str, ...],
    margin: float,
    probe: str,
    protocol: str,
    cost: CostOptions,
    as_json: bool,
) -> None:
    """Measure what MODELs keep of the teacher on DATA (probes of frozen embeddings, subjects never shared) and what they cost; writes a report.

    Without DATA and with --latency: cost alone, beside peers.
    """
    from hearlite.benchmarks.run import bench as run_bench
    from hearlite.benchmarks.run_cost import bench_cost, gather_cost
    from hearlite.data.dataset import load_dataset
    from hearlite.embedders.open import open_teacher

    cost.require_used()
    if data is None and not cost.latency:
        raise UsageError("DATA is missing", "name labelled recordings, or measure cost alone with --latency")
    say = partial(click.echo, err=True)
    plan = cost.plan(models, threads=threads, seed=seed)
    if data is None:
        return print_data(bench_cost(plan, out=out, command=command_line(), say=say), as_json=as_json)

    columns = tuple(dict.fromkeys((*label_columns, *subgroup_columns)))
    dataset = load_dataset(data, hop_s=hop_s, framing=framing, label_columns=columns)
    report_dataset(dataset)
    gathered = gather_cost(plan, command=command_line(), say=say) if cost.latency else None
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
        cost=gathered.cost if gathered else None,
    )
    print_data(result, as_json=as_json)
    if gathered:
        gathered.require(out)
    return None


@click.command()
@click.argument("results", type=DATA)
@click.option("--compare", type=DATA, help="results.json of another run, to stand beside it.")
@click.option("--out", type=DATA, required=True, help="The .html to write.")
@json_option
def report(results: Path, compare: Path | None, out: Path, as_json: bool) -> None:
    """Make the report of a results.json again, on its own or beside another run."""
    from hearlite.benchmarks.report.html import write_report

    write_report(results, out, compare=compare)
    print_data({"report": str(out)}, as_json=as_json)
