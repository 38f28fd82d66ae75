"""What is done with recordings alone: `import`, `embed`."""

from __future__ import annotations

from pathlib import Path

import click

from hearlite.cli.options import DATA, force_option, framing_option, hop_option, json_option, print_data, report_dataset
from hearlite.spec import DISTILL_HOP_S


@click.command(name="import")
@click.argument("name", metavar="DATASET")
@click.argument("source", type=DATA)
@click.option("--out", type=DATA, help="Manifest, in SOURCE or in a folder above it; default: SOURCE/manifest.csv.")
@force_option
@json_option
def import_(name: str, source: Path, out: Path | None, force: bool, as_json: bool) -> None:
    """Write a manifest for SOURCE, your own copy of a public DATASET: sprsound, sprsound-records, sprsound-asthma, icbhi, esc50, coswara, coughvid or
    fsd50k."""
    from hearlite.benchmarks.datasets.importer import import_dataset, write_manifest

    print_data(write_manifest(import_dataset(name, source), out or source / "manifest.csv", force=force), as_json=as_json)


@click.command()
@click.argument("data", type=DATA)
@click.option("--model", default="spectral", show_default=True, help="Any teacher, or tflite:FILE for an exported student.")
@click.option("--out", type=DATA, required=True, help="A .parquet, to be used as embeddings:FILE.parquet.")
@framing_option
@hop_option
@click.option("--for-distill", is_flag=True, help="The clips that distill takes: whole recordings, a window each second.")
@json_option
def embed(data: Path, model: str, out: Path, framing: str, hop_s: float, for_distill: bool, as_json: bool) -> None:
    """Write the embedding of every clip of DATA, keyed by the clip's content."""
    from hearlite.data.dataset import load_dataset
    from hearlite.data.embed import embed_dataset
    from hearlite.embedders.open import open_teacher

    dataset = load_dataset(data, hop_s=DISTILL_HOP_S, events=False) if for_distill else load_dataset(data, hop_s=hop_s, framing=framing)
    result, skipped = embed_dataset(dataset, embedder=open_teacher(model), out=out)
    report_dataset(dataset, skipped=skipped, silent=result["silent"])
    print_data(result, as_json=as_json)
