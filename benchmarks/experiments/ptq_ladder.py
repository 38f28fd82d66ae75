"""What each rung of int8 without training is worth on finished runs, and what int16 activations would cost.

    python -m hearlite.benchmarks.experiments.ptq_ladder --help

Every rung is a recipe as quantize/recipes holds them, so all of them can be asked for by `hearlite quantize RUN
--recipe FILE.json`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from hearlite.benchmarks.cost.latency import Candidate, device, measure_candidates
from hearlite.benchmarks.schema.results import Versions
from hearlite.data.records import read_records, sample_examples
from hearlite.files import write_bytes, write_json
from hearlite.provenance import command_line, now
from hearlite.quantize.build import image_batches
from hearlite.quantize.calibrate import choose_calibration
from hearlite.quantize.compare import compare_files
from hearlite.quantize.pipeline import COMPARE_CLIPS
from hearlite.quantize.recipe import require_known
from hearlite.quantize.static import quantize_static
from hearlite.run import open_run
from hearlite.serialization import to_dict
from hearlite.spec import QuantSpec
from hearlite.student import load_network
from hearlite.tflite.convert import convert_frontend, convert_network, convert_network_int16, join_frontend
from hearlite.tflite.interpreter import TfliteModel

SCHEMA = "hearlite-ladder/1"
BIAS_ONLY = 1e9  # a ridge that leaves the head's weights alone and moves its bias: bias correction, where it is exact
_PLAIN = QuantSpec(recipe="minmax", ranges="minmax", equalize=False, refit_ridge=0.0)
RUNGS = {
    "min-max ranges": _PLAIN,
    "percentile ranges": dataclasses.replace(_PLAIN, recipe="percentile", ranges="percentile"),
    "least-error ranges": dataclasses.replace(_PLAIN, recipe="mse", ranges="mse"),
    "least-error ranges, bias correction": dataclasses.replace(
        _PLAIN, recipe="mse-bias", ranges="mse", refit_ridge=BIAS_ONLY
    ),
    "least-error ranges, refit": dataclasses.replace(
        _PLAIN, recipe="mse-refit", ranges="mse", refit_ridge=QuantSpec().refit_ridge
    ),
    "least-error ranges, equalisation": dataclasses.replace(_PLAIN, recipe="mse-equalize", ranges="mse", equalize=True),
    "min-max ranges, equalisation, refit": dataclasses.replace(
        _PLAIN, recipe="minmax-all", equalize=True, refit_ridge=QuantSpec().refit_ridge
    ),
    "static_wi8_ai8: least-error ranges, equalisation, refit": QuantSpec(),
}
INT16 = "int16 activations, min-max ranges"
LATENCY_RUNS = 50


def climb(folder: Path) -> Iterator[dict[str, Any]]:
    """One row a rung for the finished run in `folder`: how far its file is from float32 on clips of validation
    subjects; then int16 activations.
    """
    run = open_run(folder)
    records, spec, size = read_records(run.records), QuantSpec(), run.spec.student.size
    plain, frontend = (
        convert_network(load_network(run.spec.student, run.weights)),
        convert_frontend(run.spec.student.frontend),
    )
    calibration = choose_calibration(records, clips=spec.calibration_clips, seed=spec.calibration_seed)
    images = list(np.concatenate(image_batches(calibration.pcm, spec=run.spec.student)))
    pcm = sample_examples(records, "val", clips=COMPARE_CLIPS, seed=spec.calibration_seed)[0]
    reference = join_frontend(frontend, plain)
    content = {}
    for name, recipe in RUNGS.items():
        require_known(recipe)
        content[name] = join_frontend(frontend, quantize_static(plain, images, recipe=recipe).network)
        yield {"size": size, "rung": name, "recipe": to_dict(recipe), **_row(reference, content[name], pcm=pcm)}
    wide = join_frontend(frontend, convert_network_int16(load_network(run.spec.student, run.weights), images))
    times = measure_candidates(
        [
            Candidate(name, "litert", lambda model=model: TfliteModel(model).run)  # type: ignore[misc]
            for name, model in {"float32": reference, "int8": content[name], INT16: wide}.items()
        ],
        runs=LATENCY_RUNS,
    )
    yield {
        "size": size,
        "rung": INT16,
        "recipe": None,
        **_row(reference, wide, pcm=pcm),
        "median_ms": {row.model: round(row.median_ms, 3) for row in times},
    }


def _row(reference: bytes, quantized: bytes, *, pcm: Any) -> dict[str, Any]:
    found = compare_files(reference, quantized, pcm=pcm)
    return {"bytes": len(quantized), **dataclasses.asdict(found)}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: rungs down, sizes across."""
    sizes = list(dict.fromkeys(row["size"] for row in rows))
    lines = [f"| | {' | '.join(sizes)} |", f"|{(len(sizes) + 1) * '---|'}"]
    for rung in dict.fromkeys(row["rung"] for row in rows):
        cells = {row["size"]: row for row in rows if row["rung"] == rung}
        found = (cells.get(size) for size in sizes)
        shown = (f"{row['centred_cosine']:.4f} ({row['centred_cosine_p5']:.4f})" if row else "" for row in found)
        lines.append(f"| {rung} | {' | '.join(shown)} |")
    clips = rows[0]["clips"]
    lines.append(
        f"\nMean centred cosine of embeddings to the float32 file's, and 5th percentile, on {clips} clips of validation"
        " subjects."
    )
    for row in rows:
        if "median_ms" in row:
            lines.append(
                f"\n{row['size']}, median ms: "
                + ", ".join(f"{name} {ms:.2f}" for name, ms in row["median_ms"].items())
                + "."
            )
    return "\n".join(lines) + "\n"


@click.command()
@click.argument("runs", metavar="RUN...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for results.json and table.md, written again after every rung.",
)
def command(runs: tuple[Path, ...], out: Path) -> None:
    """Quantize finished RUNs by every rung, without training, and measure each file against its float32 one."""
    about = {
        "schema": SCHEMA,
        "command": command_line(),
        "created": now(),
        "machine": device(),
        "versions": dataclasses.asdict(Versions.current()),
    }
    teachers = {Path(open_run(folder).spec.teacher.name).name for folder in runs}  # whose folder is nobody's business
    rows: list[dict[str, Any]] = []
    for folder in runs:
        for row in climb(folder):
            rows.append(row)
            write_json(out / "results.json", {**about, "teachers": sorted(teachers), "rows": rows})
            write_bytes(out / "table.md", table(rows).encode())
    click.echo(table(rows), nl=False)
