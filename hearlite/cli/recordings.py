"""The commands `import` and `embed`, which work on recordings without training."""

from __future__ import annotations

from pathlib import Path

import click

from hearlite.benchmarks.datasets import DATASETS
from hearlite.cli.options import (
    DATA,
    echo,
    framing_option,
    hop_option,
    json_option,
    overwrite_option,
    print_data,
    report_dataset,
)
from hearlite.manifests.options import ManifestOptions, unlabelled_manifest_options
from hearlite.spec import DISTILL_HOP_S


@click.command(name="import")
@click.argument("name", metavar="DATASET", type=click.Choice(list(DATASETS)))
@click.argument("source", type=DATA)
@click.option(
    "--out", type=DATA, help="Manifest to write, in SOURCE or a folder above it; default: SOURCE/manifest.csv."
)
@overwrite_option
@json_option
def import_(name: str, source: Path, out: Path | None, overwrite: bool, as_json: bool) -> None:
    """Write a manifest for a public dataset.

    SOURCE is the folder of your own copy of DATASET. Recordings are not moved or changed. No subject is in more than
    one of the train, val and test splits.
    """
    from hearlite.benchmarks.datasets.importer import import_dataset, write_manifest

    print_data(
        write_manifest(import_dataset(name, source), out or source / "manifest.csv", overwrite=overwrite),
        as_json=as_json,
    )


@click.command()
@click.argument("data", type=DATA)
@click.option(
    "--model",
    default="spectral",
    show_default=True,
    help="An exported .tflite, the name of a model, the folder of a run, or a teacher.",
)
@click.option(
    "--out", type=DATA, required=True, help="The .parquet to write, usable as --teacher embeddings:FILE.parquet."
)
@unlabelled_manifest_options
@framing_option
@hop_option
@click.option("--for-distill", is_flag=True, help="Cut clips as distill does: whole recordings, one window per second.")
@json_option
def embed(
    data: Path,
    model: str,
    out: Path,
    manifest: ManifestOptions,
    framing: str,
    hop_s: float,
    for_distill: bool,
    as_json: bool,
) -> None:
    """Write the embeddings of DATA to a Parquet file.

    DATA is a folder of recordings, a manifest CSV or one recording. The file has one row per clip, keyed by a hash of
    the clip's content. If the command is interrupted, it goes on where it was when it is run again.
    """
    from hearlite.data.dataset import load_dataset
    from hearlite.data.embed import embed_dataset
    from hearlite.model import open_embedder

    dataset = (
        load_dataset(data, hop_s=DISTILL_HOP_S, events=False, options=manifest)
        if for_distill
        else load_dataset(data, hop_s=hop_s, framing=framing, options=manifest)
    )
    result, skipped = embed_dataset(dataset, embedder=open_embedder(model), out=out, log=echo)
    report_dataset(dataset, skipped=skipped, silent=result["silent"])
    print_data(result, as_json=as_json)
