"""The commands `export`, `adapt-head` and `onnx`, which write files for apps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hearlite.cli.options import (
    ALLOW_FAILED_GATE,
    DATA,
    OVERWRITE,
    Option,
    framing_option,
    json_option,
    labelled_dataset,
    print_data,
)
from hearlite.errors import UsageError
from hearlite.files import read_content
from hearlite.manifests.options import ManifestOptions, manifest_options
from hearlite.models.option import MODEL
from hearlite.names import COORDINATES, FORMATS, PLATFORMS, STEP_OUTPUTS

if TYPE_CHECKING:
    from hearlite.onnx.write import Parity

LARGEST_NOTICE = 100_000  # bytes; it travels inside the file


@click.command()
@click.argument("source", metavar="RUN|FILE|NAME", type=MODEL)
@click.option("--out", "out", cls=Option, former=("--to",), type=DATA, required=True, help="Folder for the files.")
@click.option(
    "--recipe",
    "names",
    multiple=True,
    help="Recipe that RUN was quantized with, or float32; may be repeated; default: the first that passed its gate, and"
    " float32.",
)
@click.option(
    "--coordinates",
    type=click.Choice(COORDINATES),
    default=COORDINATES[0],
    show_default=True,
    help="Of the embedding: the student's own, or those of its teacher, for classifiers of the teacher's embeddings.",
)
@click.option(
    "--corpus",
    default="",
    metavar="NAME",
    help="With --coordinates teacher, of a RUN on several datasets: the one whose classifiers shall fit.",
)
@click.option(
    "--platform",
    "platform",
    cls=Option,
    former=("--for",),
    type=click.Choice(PLATFORMS),
    help="Also write a folder for an app on this platform.",
)
@click.option(
    "--classifier-data",
    "labelled",
    cls=Option,
    former=("--head",),
    type=DATA,
    help="Labelled recordings; a classifier fitted to their training subjects becomes the second output, `scores`.",
)
@click.option(
    "--label",
    "label_columns",
    multiple=True,
    help="Label column of --classifier-data; may be repeated.  [default: label]",
)
@click.option(
    "--steps",
    type=click.Choice(STEP_OUTPUTS),
    multiple=True,
    help="Also output this over time, ten steps or so a window; may be repeated.",
)
@click.option(
    "--events",
    default="",
    metavar="NETWORK",
    help="Fit a head of events, such as coughs, to what a network hears in RUN's clips, without labels:"
    " tflite:FILE#OUTPUT | saved-model:DIR, as YAMNet or HeAR's event detectors.",
)
@click.option(
    "--event-classes", type=DATA, help="TOML: which outputs of NETWORK are which class; known for YAMNet and HeAR's."
)
@click.option(
    "--event-labels",
    type=DATA,
    multiple=True,
    help="Recordings that RUN was distilled on, with a column 'label' that counts beside what NETWORK hears; may be"
    " repeated.",
)
@click.option("--licence", default="", help="Of a teacher that says nothing of its terms, as a .tflite does not.")
@click.option("--notice", type=DATA, help="With --licence: a text file with what must be passed on with the file.")
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="onnx: also write each file as ONNX, as `hearlite onnx` does; may be repeated.",
)
@manifest_options
@framing_option
@click.option("--overwrite", is_flag=True, help=OVERWRITE)
@click.option("--allow-failed-gate", is_flag=True, help=ALLOW_FAILED_GATE)
@click.option("--force", is_flag=True, hidden=True)  # from 0.1: both of the above
@json_option
def export(
    source: Path,
    out: Path,
    names: tuple[str, ...],
    coordinates: str,
    corpus: str,
    platform: str | None,
    labelled: Path | None,
    label_columns: tuple[str, ...],
    manifest: ManifestOptions,
    framing: str,
    steps: tuple[str, ...],
    events: str,
    event_classes: Path | None,
    event_labels: tuple[Path, ...],
    licence: str,
    notice: Path | None,
    formats: tuple[str, ...],
    overwrite: bool,
    allow_failed_gate: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write self-contained .tflite files.

    RUN is a run folder of `hearlite distill`: its files are written to --out, each with a manifest, model card and
    NOTICE. FILE is a .tflite that was exported before, or NAME a model as `hearlite models` lists it: --platform turns
    it into a folder for an app.
    """
    overwrite, allow_failed_gate = overwrite or force, allow_failed_gate or force
    if labelled is None and label_columns:
        raise UsageError(
            f"--label {label_columns[0]} has no effect without --classifier-data",
            "name the labelled recordings with --classifier-data",
        )
    if source.suffix == ".tflite":
        if (
            (platform is None and "onnx" not in formats)
            or names
            or labelled
            or corpus
            or steps
            or events
            or licence
            or coordinates != COORDINATES[0]
        ):
            raise UsageError(
                f"{source} is exported already",
                f"name a platform, such as --platform {PLATFORMS[0]}, or --format onnx; --recipe, --coordinates,"
                " --classifier-data, --steps and --events need a run",
            )
        files = [source]
    else:
        from hearlite import api
        from hearlite.manifests.manifest import DEFAULT_LABELS

        labels = label_columns or DEFAULT_LABELS
        dataset = labelled_dataset(labelled, labels=labels, framing=framing, options=manifest)
        files = api.export(
            source,
            out=out,
            recipes=names,
            coordinates=coordinates,
            corpus=corpus,
            classifier_data=dataset,
            labels=labels,
            steps=steps,
            events=events,
            event_classes=event_classes,
            event_labels=event_labels,
            licence=licence,
            notice="" if notice is None else read_content(notice, largest=LARGEST_NOTICE).decode("utf-8", "replace"),
            overwrite=overwrite,
            allow_failed_gate=allow_failed_gate,
        )
    if "onnx" in formats:
        files = [*files, *(_write_onnx(file, out, overwrite=overwrite)[0] for file in files)]
    if platform is not None:
        from hearlite.export.package import package

        files = [
            part
            for file in files
            if file.suffix == ".tflite"
            for part in package(file, platform=platform, to=out / f"{file.stem}_{platform}", overwrite=overwrite)
        ]
    print_data([{"file": str(file), "bytes": file.stat().st_size} for file in files], as_json=as_json)


@click.command("adapt-head")
@click.argument("head", metavar="HEAD", type=DATA)
@click.option("--run", "run", type=DATA, required=True, help="Run of the teacher whose embeddings HEAD takes.")
@click.option("--out", "out", type=DATA, required=True, help="Folder for the files.")
@click.option(
    "--recipe",
    "names",
    multiple=True,
    help="Recipe that the run was quantized with, or float32; may be repeated; default: the first that passed its gate,"
    " and float32.",
)
@click.option(
    "--label", "labels", multiple=True, help="Name of a score, in the order of HEAD's outputs; repeat for each."
)
@click.option(
    "--trust",
    "trusted",
    multiple=True,
    metavar="TYPE",
    help="Type of scikit-learn to trust in a .skops; may be repeated. The refusal of a file names its types.",
)
@click.option("--overwrite", is_flag=True, help=OVERWRITE)
@click.option("--allow-failed-gate", is_flag=True, help=ALLOW_FAILED_GATE)
@json_option
def adapt_head(
    head: Path,
    run: Path,
    out: Path,
    names: tuple[str, ...],
    labels: tuple[str, ...],
    trusted: tuple[str, ...],
    overwrite: bool,
    allow_failed_gate: bool,
    as_json: bool,
) -> None:
    """Fit a classifier of the teacher's embeddings to a student, without labels.

    HEAD is a linear classifier as .json (hearlite-head/1), the folder of a SavedModel, or a .skops that
    skops.io.dump wrote of scikit-learn's. It scores the teacher's vectors in the run's records, and a linear
    classifier of the student's embeddings is fitted to these scores: the output `scores` of ..._head.tflite.
    """
    from hearlite import api
    from hearlite.bundle import read_manifest

    files = api.adapt_head(
        head,
        run=run,
        out=out,
        recipes=names,
        labels=labels,
        trusted=trusted,
        overwrite=overwrite,
        allow_failed_gate=allow_failed_gate,
    )
    heads = [read_manifest(file).head for file in files]
    print_data(
        [
            {
                "file": str(file),
                "bytes": file.stat().st_size,
                "scores": [label.summary() for label in found.labels] if found else [],
            }
            for file, found in zip(files, heads, strict=True)
        ],
        as_json=as_json,
    )


@click.command("onnx")
@click.argument("file", metavar="FILE|NAME", type=MODEL)
@click.option("--out", type=DATA, required=True, help="Folder for the .onnx.")
@click.option("--overwrite", is_flag=True, help=OVERWRITE)
@json_option
def onnx(file: Path, out: Path, overwrite: bool, as_json: bool) -> None:
    """Write an exported file as ONNX, for onnxruntime on any platform.

    FILE is a .tflite that was exported before, or NAME a model as `hearlite models` lists it. The .onnx takes the same
    sound and has the same outputs; weights and scales are those of the .tflite. Before it is written, both are run on a
    few sounds and compared.
    """
    path, parity = _write_onnx(file, out, overwrite=overwrite)
    print_data(
        {
            "file": str(path),
            "bytes": path.stat().st_size,
            "embedding_differs_by": {"median": parity.median, "worst": parity.worst, "allowed": parity.tolerance},
            "score_differs_by": parity.score,
        },
        as_json=as_json,
    )


def _write_onnx(file: Path, out: Path, *, overwrite: bool) -> tuple[Path, Parity]:
    from hearlite.onnx.write import write_onnx

    return write_onnx(file, out, overwrite=overwrite)
