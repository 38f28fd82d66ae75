"""What embeddings look like: the test clips of teacher and student on the first two principal components of the training clips, by label.

    python -m hearlite.benchmarks.pca DATA --teacher hear:DIR --model FILE.tflite --label COLUMN --out pca.svg

A picture, not a measurement: classes that lie apart here can be told apart, but those that don't may be on later components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import numpy as np

from hearlite.benchmarks.bootstrap import Bools, Floats
from hearlite.benchmarks.dots_plot import COLOURS, STYLE
from hearlite.benchmarks.study import run_module
from hearlite.benchmarks.study_inputs import data_argument, embed_data, framing_option, models_option, teacher_option
from hearlite.dataset import DEFAULT_LABELS
from hearlite.errors import InputError
from hearlite.files import replacing

_MARKERS = "os^vDP"  # as many as COLOURS: colour is never the only difference
_OTHER = "other"


def components(values: Floats, tested: Bools) -> tuple[Floats, Floats]:
    """(test clips [n_test, 2] on the first two principal components of standardized training clips, their shares of variance [2]).

    The largest weight of a component is positive, so that a picture does not flip between runs. Raises InputError for fewer than three training clips
    or two dimensions.
    """
    if (~tested).sum() < 3 or values.shape[1] < 2:
        raise InputError(
            f"{int((~tested).sum())} training clips of {values.shape[1]} dimensions", "two components need three clips and two dimensions"
        )
    train = values[~tested]
    middle, scale = train.mean(axis=0), train.std(axis=0)
    scale[scale == 0] = 1.0
    _, singular, directions = np.linalg.svd((train - middle) / scale, full_matrices=False)
    first = directions[:2]
    first = first * np.sign(first[np.arange(2), np.abs(first).argmax(axis=1)])[:, None]
    return (values[tested] - middle) / scale @ first.T, singular[:2] ** 2 / max(float((singular**2).sum()), 1e-300)


def grouped(labels: Sequence[str]) -> dict[str, Bools]:
    """Which clips have each label, the most frequent first; what is beyond the colours there are is "other". Unlabelled clips are in none."""
    values = np.asarray(labels, dtype=object)
    counts = {value: int(np.sum(values == value)) for value in sorted(set(labels) - {""})}
    names = sorted(counts, key=lambda value: -counts[value])
    shown = names if len(names) <= len(COLOURS) else names[: len(COLOURS) - 1]
    groups = {name: np.asarray(values == name, dtype=bool) for name in shown}
    rest = np.isin(values, names[len(shown) :])
    return {**groups, _OTHER: rest} if rest.any() else groups


def write_picture(models: Mapping[str, tuple[Floats, Floats]], groups: Mapping[str, Bools], path: Path, *, title: str) -> None:
    """One panel for each model, from `components`; .svg or .png by the ending of `path`."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.0 * len(models), 4.4), layout="constrained", facecolor="white")
        panels = figure.subplots(1, len(models), squeeze=False)[0]
        for axes, (name, (points, shares)) in zip(panels, models.items(), strict=True):
            for number, (label, inside) in enumerate(groups.items()):
                style = {"color": COLOURS[number], "marker": _MARKERS[number], "label": label if axes is panels[0] else None}
                axes.scatter(points[inside, 0], points[inside, 1], s=9, alpha=0.6, linewidths=0, **style)
            axes.set(title=name, xlabel=f"component 1, {100 * shares[0]:.0f} % of variance", ylabel=f"component 2, {100 * shares[1]:.0f} %")
        figure.legend(loc="outside upper left", frameon=False, ncols=len(groups), title=title, alignment="left")
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


@click.command()
@data_argument
@teacher_option
@models_option
@click.option("--label", "column", default=DEFAULT_LABELS[0], show_default=True, help="Column that colours the clips.")
@framing_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The .svg or .png.")
def command(data: Path, teacher: str, models: tuple[Path, ...], column: str, framing: str, out: Path) -> None:
    """Draw DATA's test clips as teacher and students see them, on two principal components."""
    found = embed_data(data, teacher=teacher, models=models, label_columns=(column,), framing=framing)
    groups = grouped(found.column(column)[found.tested].tolist())
    if not groups:
        raise InputError(f"{found.dataset.name}: no test clip has a value in {column!r}", "name another column with --label")
    panels = {name: components(values, found.tested) for name, values in found.vectors.items()}
    write_picture(panels, groups, out, title=f"{found.dataset.name}: {int(found.tested.sum())} test clips by {column}; teacher: {teacher}")
    click.echo(str(out))


if __name__ == "__main__":
    run_module(command)
