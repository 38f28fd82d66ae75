"""results.json of frontend_forms.py as Markdown and as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hearlite.benchmarks.dots_plot import COLOURS, STYLE
from hearlite.benchmarks.frontend_costs import STAGES_ON
from hearlite.files import replacing

_COUNTED = ("a76", "a55", "a53", "x86")
_TITLES = ("A76, M", "A55, M", "A53, M", "x86, M")


def table(results: Mapping[str, Any]) -> str:
    """Forms, whole files, first layers, and the dearest operators of each file."""
    lines = ["# Forms of the frontend", "", *_forms(results)]
    if results["files"]:
        lines += ["", "# Whole int8 files, before and today", "", *_files(results["files"])]
    lines += [
        "",
        "# First layers, to 32 channels at a quarter of the image's resolution (random weights, only today's was trained)",
        "",
        *_stems(results),
    ]
    for name, found in results["stages"].items():
        if found:
            lines += ["", f"# Operators of the network of {name}, {STAGES_ON.upper()}", "", *_stages(found)]
    return "\n".join([*lines, "", *_notes(results)]) + "\n"


def _forms(results: Mapping[str, Any]) -> list[str]:
    titles = ("form", *_TITLES, "ms", "bytes", "operators", "MMAC", "error on recordings: max", "RMS", "largest error on made sounds", "on")
    rows = []
    for form in results["forms"]:
        real, made = form["error_real"], form["error_made"]
        worst = max(made, key=lambda name: math.inf if made[name]["max"] is None else made[name]["max"])
        errors = [_error(real["max"]), _error(real["rms"])] if real else ["", ""]
        cost = [f"{form['ms']['median']:.3f}", f"{form['bytes']:,}", str(form["operators"]), f"{form['macs'] / 1e6:.1f}"]
        rows.append([form["form"], *_millions(form["instructions"]), *cost, *errors, _error(made[worst]["max"]), worst])
    return _markdown(titles, rows)


def _files(files: Sequence[Mapping[str, Any]]) -> list[str]:
    titles = ("file", "part", *_TITLES, "ms", "bytes", "centred cosine of the embeddings, mean", "smallest")
    rows = []
    for file in files:
        for part, size in file["bytes"].items():
            cosine = file["centred_cosine"] if part == "today" else None
            ms = f"{file['ms'][part]:.3f}" if part in file["ms"] else ""
            cosines = [f"{cosine['mean']:.7f}", f"{cosine['min']:.7f}"] if cosine else ["", ""]
            rows.append([file["file"], part, *_millions(file["instructions"][part]), ms, f"{size:,}", *cosines])
    return _markdown(titles, rows)


def _stems(results: Mapping[str, Any]) -> list[str]:
    rows = [[stem["stem"], f"{stem['parameters']:,}", f"{stem['macs'] / 1e6:.2f}", *_millions(stem["instructions"])] for stem in results["stems"]]
    return _markdown(("first layers", "weights", "MMAC", *_TITLES), rows)


def _stages(found: Sequence[Mapping[str, Any]]) -> list[str]:
    total = sum(row["instructions"] for row in found)
    numbered = sorted(enumerate(found), key=lambda item: -item[1]["instructions"])[:12]
    rows = [
        [f"{i}", f["operator"], f"{f['macs'] / 1e6:.2f}", f"{f['instructions']:,}", f"{100 * f['instructions'] / total:.1f} %"] for i, f in numbered
    ]
    return _markdown(("place", "operator", "MMAC", "instructions", "of the network's"), rows)


def _notes(results: Mapping[str, Any]) -> list[str]:
    missing = results["instructions_missing"]
    counted = (
        f"Instructions are not counted: {missing}." if missing else "Instructions of one call are counted exactly, in QEMU, one thread; cuts share"
    )
    counted += (
        "" if missing else " the cost of copies between operators. QEMU counts x86's block copies byte by byte, so that column overrates copies."
    )
    return [
        f"{counted} Milliseconds: median of {results['runs']} calls in LiteRT, interleaved, on {results['machine']}; they depend on what else it "
        "does. "
        f"Errors are of the image, in its own units (0 to about 2), against float64, on {results['clips']} clips of "
        f"{', '.join(results['data']) or 'no recordings'} and on made sounds. 'Another image': compared with its own float64 image; cost only.",
    ]


def _millions(instructions: Mapping[str, int]) -> list[str]:
    return [f"{instructions[name] / 1e6:.2f}" if name in instructions else "" for name in _COUNTED]


def _error(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.1e}"


def _markdown(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(titles)} |", f"|{len(titles) * '---|'}", *(f"| {' | '.join(row)} |" for row in rows)]


def write_plot(results: Mapping[str, Any], path: Path) -> None:
    """A76 and A53 instructions of every form, cheapest first, as .svg or .png by the ending of `path`."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    found = sorted(results["forms"], key=lambda form: form["instructions"]["a76"])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 0.34 * len(found) + 0.8), layout="constrained", facecolor="white")
        axes = figure.add_subplot()
        for number, (core, title) in enumerate((("a76", "Cortex-A76"), ("a53", "Cortex-A53"))):
            places = [row + 0.36 * number for row in range(len(found))]
            axes.barh(places, [form["instructions"][core] / 1e6 for form in found], height=0.34, color=COLOURS[number], label=title)
        axes.set_yticks([row + 0.18 for row in range(len(found))], [form["form"] for form in found])
        axes.invert_yaxis()
        axes.set_xlabel("million instructions a clip of 2 s")
        axes.legend(frameon=False, loc="lower right")
        with replacing(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
