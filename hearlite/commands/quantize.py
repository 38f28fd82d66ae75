"""`quantize`: which recipe, and what its gate is measured on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hearlite.commands.options import DATA, force_option, framing_option, json_option, print_data, report_dataset
from hearlite.errors import UsageError


@click.command()
@click.argument("run_folder", metavar="RUN", type=DATA)
@click.option("--recipe", default="auto", show_default=True, help="One of quantize/recipes, a .json file, or auto: the first that passes its gate.")
@click.option("--data", type=DATA, help="Labelled recordings: gate the AUROC loss too, on subjects that are not in test.")
@click.option("--label", "label_columns", multiple=True, help="Label column of --data; may be repeated.  [default: label]")
@framing_option
@force_option
@json_option
def quantize(run_folder: Path, recipe: str, data: Path | None, label_columns: tuple[str, ...], framing: str, force: bool, as_json: bool) -> None:
    """Quantize the network of a finished RUN, to int8 where that passes its gate, and compare with the float32 one through both files."""
    from hearlite.check import check_embedder, require
    from hearlite.distill.supply import Supply
    from hearlite.quantize import ptq
    from hearlite.quantize.gate import summary
    from hearlite.quantize.recipe import AUTO, find_recipe
    from hearlite.run import open_run
    from hearlite.runtime import TfliteEmbedder
    from hearlite.spec import PRECISIONS
    from hearlite.verdict import read_verdict

    run = open_run(run_folder)
    recipes = [find_recipe(name) for name in (AUTO if recipe == "auto" else (recipe,))]
    training, quality = Supply(run), _quality(data, label_columns=label_columns, framing=framing)
    if recipe == "auto":
        attempts = ptq.quantize_auto(run, recipes=recipes, force=force, training=training, quality=quality)
        for reason in filter(None, (attempt.reason for attempt in attempts)):
            click.echo(reason, err=True)
        (chosen,) = (known for known in recipes if known.recipe == attempts[-1].recipe)
    else:
        (chosen,) = recipes
        ptq.quantize(run, recipe=chosen, force=force, training=training, quality=quality)
    folder = run.quantized(chosen.recipe)
    checks = check_embedder(TfliteEmbedder(folder / "model.tflite"), precision=PRECISIONS[chosen.weights, chosen.activations])
    if not force:
        require(checks, what=str(folder / "model.tflite"))
    print_data({"recipe": chosen.recipe, "folder": str(folder), **summary(read_verdict(folder / "compare.json"))}, as_json=as_json)


def _quality(data: Path | None, *, label_columns: tuple[str, ...], framing: str) -> Any:
    """What measures AUROC loss on labelled recordings, None without any."""
    from hearlite.benchmarks.auroc_loss import AurocLossProbe
    from hearlite.dataset import DEFAULT_LABELS, load_dataset

    if data is None:
        if label_columns:
            raise UsageError(f"--label {label_columns[0]} is of no recordings", "name them with --data")
        return None
    dataset = load_dataset(data, framing=framing, label_columns=label_columns or DEFAULT_LABELS)
    report_dataset(dataset)
    return AurocLossProbe(dataset, label_columns or DEFAULT_LABELS)
