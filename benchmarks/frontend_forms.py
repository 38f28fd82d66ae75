"""What forms of the frontend and of the network's first layers cost, and how exact they are.

    python -m hearlite.benchmarks.frontend_forms --data DATA --file FILE.tflite --out FOLDER

Instructions are counted in the box of benchmarks/arm, exactly; milliseconds are of this machine, all forms interleaved. An image is compared with the
float64 one of frontend.py in its own units: it spans 0 to about 2. Writes results.json, table.md and forms.svg.
"""

from __future__ import annotations

import dataclasses
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np

from hearlite.audio import from_int16
from hearlite.benchmarks.arm.box import Box, set_up
from hearlite.benchmarks.arm.cores import ARM64
from hearlite.benchmarks.frontend_costs import Costs, count, image_errors, made_sounds, stages, whole_file
from hearlite.benchmarks.frontend_table import table, write_plot
from hearlite.benchmarks.latency import device, measure
from hearlite.benchmarks.study import run_module
from hearlite.dataset import Clip, load_dataset, read_clips
from hearlite.download import cache_folder
from hearlite.embedder import Clips
from hearlite.errors import HearliteError
from hearlite.files import write_bytes, write_json

SCHEMA = "hearlite-frontend-forms/1"


def study(real: Clips, *, files: Sequence[Path], box: Box | None, runs: int) -> dict[str, Any]:
    """Forms, stems, and `files` with today's frontend and the one before it; `real` are recordings, float32 `[n, clip_samples]`, n may be 0."""
    from hearlite.benchmarks.frontend_variants import forms
    from hearlite.benchmarks.stem_forms import stems
    from hearlite.flatbuffer import summarize

    with tempfile.TemporaryDirectory() as folder:
        costs = Costs(Path(folder), box)
        found, paths = [], {}
        for form in forms():
            click.echo(form.name, err=True)
            content = form.convert()
            paths[form.name] = costs.write(content)
            summary = summarize(content)
            row = {"form": form.name, "bytes": len(content), "operators": len(summary.ops), "macs": summary.macs}
            found.append({**row, "instructions": count(costs, content), **image_errors(content, form.spec, real=real, made=made_sounds())})
        for row, latency in zip(found, measure(paths, runs=runs), strict=True):
            row["ms"] = {"median": latency.median_ms, "p5": latency.p5_ms, "p95": latency.p95_ms}
        first_layers = []
        for stem in stems():
            network, order = stem.convert(), count(costs, stem.convert_order())
            instructions = {name: own + order[name] for name, own in count(costs, network).items()}
            parameters = sum(int(np.prod(weight.shape)) for weight in stem.network().weights if len(weight.shape) > 1)
            first_layers.append({"stem": stem.name, "parameters": parameters, "macs": summarize(network).macs, "instructions": instructions})
        whole = [whole_file(costs, path, clips=real, runs=runs) for path in files]
        return {"forms": found, "stems": first_layers, "files": whole, "stages": {path.name: stages(costs, path.read_bytes()) for path in files}}


def recordings(folders: Sequence[Path], *, clips: int) -> Clips:
    """Up to `clips` clips of every dataset, evenly spread over it."""
    found: list[Any] = []
    for folder in folders:
        refs = load_dataset(folder, events=False).clips
        chosen = [refs[i] for i in np.unique(np.linspace(0, len(refs) - 1, clips).astype(int))] if refs else []
        found += [from_int16(item.pcm) for item in read_clips(chosen) if isinstance(item, Clip)]
    return np.stack(found) if found else np.zeros((0, made_sounds()["silence"].shape[0]), np.float32)


@click.command()
@click.option("--data", type=click.Path(path_type=Path), multiple=True, help="A dataset of recordings to compare images on; may be repeated.")
@click.option("--clips", type=click.IntRange(1), default=25, show_default=True, help="Of each dataset, evenly spread.")
@click.option("--file", "files", type=click.Path(exists=True, path_type=Path), multiple=True, help="An exported .tflite to give both frontends.")
@click.option("--runs", type=click.IntRange(1), default=200, show_default=True, help="Timed calls of every form.")
@click.option("--box", "box_folder", type=click.Path(path_type=Path), help="As for hearlite.benchmarks.arm.")
@click.option("--mirror", help="As for hearlite.benchmarks.arm.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
def command(data: tuple[Path, ...], clips: int, files: tuple[Path, ...], runs: int, box_folder: Path | None, mirror: str | None, out: Path) -> None:
    """Measure every form of the frontend and of the first layers."""
    box, missing = None, None
    try:
        box = set_up((box_folder or cache_folder("arm")).absolute(), mirror=mirror, say=lambda text: click.echo(text, err=True))
    except HearliteError as error:
        missing = str(error)
        click.echo(f"no instructions are counted: {missing}", err=True)
    real = recordings(data, clips=clips)
    results = {**_about(box, missing), "data": [path.name for path in data], "clips": len(real), "runs": runs}
    results |= study(real, files=files, box=box, runs=runs)
    write_json(out / "results.json", results)
    write_bytes(out / "table.md", table(results).encode())
    if box is not None:
        write_plot(results, out / "forms.svg")
    click.echo(table(results), nl=False)


def _about(box: Box | None, missing: str | None) -> Mapping[str, Any]:
    return {
        "schema": SCHEMA,
        "command": shlex.join(["python", "-m", "hearlite.benchmarks.frontend_forms", *sys.argv[1:]]),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": device(),
        "versions": {name: version(name) for name in ("hearlite", "tensorflow", "numpy", "ai-edge-litert")}
        | ({} if box is None else dict(box.versions)),
        "cores": [dataclasses.asdict(core) for core in ARM64.values()],
        "instructions_missing": missing,
    }


if __name__ == "__main__":
    run_module(command)
