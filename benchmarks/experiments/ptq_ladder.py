"""Measure the accuracy of each rung of int8 quantization without training, and of int16 activations.

    hearlite study ptq-ladder RUN... --out ladder

The files are made of finished runs. Every rung is a recipe as quantize/recipes holds them, so each can be used by
`hearlite quantize RUN --recipe FILE.json`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from hearlite.benchmarks.cost.latency import Candidate, device, measure_candidates
from hearlite.benchmarks.schema.results import Versions
from hearlite.benchmarks.schema.study import StudyRun, study_run
from hearlite.data.records import read_records, sample_examples
from hearlite.files import write_bytes, write_json
from hearlite.gate import Comparison
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
_PLAIN = QuantSpec(recipe="minmax", ranges="minmax", equalize=False, refit_ridge=0.0, float_sums=False)
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
    "least-error ranges, equalisation, refit": QuantSpec(recipe="mse-all", float_sums=False),
    "static_wi8_ai8: the same, sums in float32": QuantSpec(),
}
INT16 = "int16 activations, min-max ranges"
LATENCY_RUNS = 50


@dataclass(frozen=True)
class LadderRow(Comparison):
    """One rung for one run, compared with the float32 file of the run."""

    size: str  # of the student: tiny, small or base
    rung: str  # one of RUNGS, or INT16
    recipe: QuantSpec | None  # null for INT16, which is no recipe
    bytes: int
    median_ms: dict[str, float] | None = None  # milliseconds of a call by file, in the last row of a run


@dataclass(frozen=True)
class LadderResults(StudyRun):
    """The whole of results.json."""

    machine: str
    versions: Versions
    teachers: tuple[str, ...]  # names without their folders
    rows: tuple[LadderRow, ...]


def climb(folder: Path) -> Iterator[LadderRow]:
    """Quantize the finished run in `folder` by every rung and compare each file with the float32 one.

    Comparisons are on clips of validation subjects.

    Yields
    ------
    LadderRow
        One for each rung, then one for int16 activations, with the latency of float32, int8 and int16.
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
        yield _row(reference, content[name], pcm=pcm, size=size, rung=name, recipe=recipe)
    wide = join_frontend(frontend, convert_network_int16(load_network(run.spec.student, run.weights), images))
    times = measure_candidates(
        [
            Candidate(name, "litert", lambda model=model: TfliteModel(model).run)  # type: ignore[misc]
            for name, model in {"float32": reference, "int8": content[name], INT16: wide}.items()
        ],
        runs=LATENCY_RUNS,
    )
    row = _row(reference, wide, pcm=pcm, size=size, rung=INT16, recipe=None)
    yield dataclasses.replace(row, median_ms={item.model: round(item.median_ms, 3) for item in times})


def _row(reference: bytes, quantized: bytes, *, pcm: Any, size: str, rung: str, recipe: QuantSpec | None) -> LadderRow:
    comparison = compare_files(reference, quantized, pcm=pcm)
    return LadderRow(**vars(comparison), size=size, rung=rung, recipe=recipe, bytes=len(quantized))


def table(rows: Sequence[LadderRow]) -> str:
    """Render Markdown: rungs down, sizes across."""
    sizes = list(dict.fromkeys(row.size for row in rows))
    lines = [f"| | {' | '.join(sizes)} |", f"|{(len(sizes) + 1) * '---|'}"]
    for rung in dict.fromkeys(row.rung for row in rows):
        cells = {row.size: row for row in rows if row.rung == rung}
        shown = (
            f"{row.centred_cosine:.4f} ({row.centred_cosine_p5:.4f})" if row else "" for row in map(cells.get, sizes)
        )
        lines.append(f"| {rung} | {' | '.join(shown)} |")
    lines.append(
        f"\nMean centred cosine of embeddings to the float32 file's, and 5th percentile, on {rows[0].clips} clips of"
        " validation subjects."
    )
    for row in rows:
        if row.median_ms:
            times = ", ".join(f"{name} {ms:.2f}" for name, ms in row.median_ms.items())
            lines.append(f"\n{row.size}, median ms: {times}.")
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
    """Quantize finished RUNs by every rung, without training, and compare each file with its float32 one."""
    about, machine, versions = study_run(SCHEMA), device(), Versions.current()
    # The folder of a teacher is private.
    teachers = tuple(sorted({Path(open_run(folder).spec.teacher.name).name for folder in runs}))
    rows: list[LadderRow] = []
    for folder in runs:
        for row in climb(folder):
            rows.append(row)
            results = LadderResults(
                **vars(about), machine=machine, versions=versions, teachers=teachers, rows=tuple(rows)
            )
            write_json(out / "results.json", to_dict(results))
            write_bytes(out / "table.md", table(rows).encode())
    click.echo(table(rows), nl=False)
