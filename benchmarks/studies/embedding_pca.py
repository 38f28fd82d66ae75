"""Draw the test clips' embeddings on two principal components, coloured by label.

    hearlite study embedding-pca DATA --teacher hear:DIR --model FILE.tflite --label COLUMN --out pca.svg

The components are of the training clips. There is one panel for the teacher and one for each student. A picture, not a
measurement: classes that lie apart here can be separated, but those that don't may be separable on later components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import numpy as np

from hearlite.benchmarks.report.dot_plot import COLOURS, STYLE
from hearlite.benchmarks.stats.bootstrap import Bools, Floats
from hearlite.benchmarks.studies.inputs import data_argument, embed_data, framing_option, models_option, teacher_option
from hearlite.data.reading import Clip, read_clips
from hearlite.errors import InputError
from hearlite.manifests.manifest import DEFAULT_LABELS
from hearlite.writing import replacing

_MARKERS = "os^vDP"  # as many as COLOURS: colour is never the only difference
_OTHER, _OTHER_COLOUR = "all others", "#bbbbbb"  # drawn behind the labels that have a colour


def components(values: Floats, tested: Bools) -> tuple[Floats, Floats]:
    """Project test clips on the first two principal components of the training clips.

    Values are centred, not standardized: an embedding's dimensions have one unit, and one that hardly varies must not
    outweigh those that do. The largest weight of a component is positive, so that a picture does not flip between runs.

    Parameters
    ----------
    values
        Embeddings, [n, dim].
    tested
        Mask of the test clips, [n].

    Returns
    -------
    tuple[Floats, Floats]
        Test clips on both components, [n_test, 2], and the components' shares of variance, [2].

    Raises
    ------
    InputError
        There are fewer than three training clips or two dimensions.
    """
    if (~tested).sum() < 3 or values.shape[1] < 2:
        raise InputError(
            f"{int((~tested).sum())} training clips of {values.shape[1]} dimensions",
            "two components need three clips and two dimensions",
        )
    train = values[~tested]
    middle = train.mean(axis=0)
    _, singular, directions = np.linalg.svd(train - middle, full_matrices=False)
    first = directions[:2]
    first = first * np.sign(first[np.arange(2), np.abs(first).argmax(axis=1)])[:, None]
    return (values[tested] - middle) @ first.T, singular[:2] ** 2 / max(float((singular**2).sum()), 1e-300)


def grouped(labels: Sequence[str]) -> dict[str, Bools]:
    """Return the mask of the clips of each label, [n], the most frequent label first.

    Labels beyond the number of COLOURS are joined as "all others". Unlabelled clips are in no group.
    """
    values = np.asarray(labels, dtype=object)
    counts = {value: int(np.sum(values == value)) for value in sorted(set(labels) - {""})}
    names = sorted(counts, key=lambda value: -counts[value])
    shown = names if len(names) <= len(COLOURS) else names[: len(COLOURS) - 1]
    groups = {name: np.asarray(values == name, dtype=bool) for name in shown}
    rest = np.isin(values, names[len(shown) :])
    return {**groups, _OTHER: rest} if rest.any() else groups


def write_picture(
    models: Mapping[str, tuple[Floats, Floats]], groups: Mapping[str, Bools], path: Path, *, title: str
) -> None:
    """Draw one panel for each model.

    Parameters
    ----------
    models
        By name, the two arrays that `components` returns.
    groups
        Masks of the test clips by label, as `grouped` returns them.
    path
        The .svg or .png.
    title
        Of the whole picture.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.0 * len(models), 4.4), layout="constrained", facecolor="white")
        panels = figure.subplots(1, len(models), squeeze=False)[0]
        for axes, (name, (points, shares)) in zip(panels, models.items(), strict=True):
            for number, (label, inside) in enumerate(groups.items()):
                own = (
                    {"color": COLOURS[number], "alpha": 0.7}
                    if label != _OTHER
                    else {"color": _OTHER_COLOUR, "alpha": 0.5, "zorder": 0}
                )
                named = label if axes is panels[0] else None
                axes.scatter(
                    points[inside, 0],
                    points[inside, 1],
                    s=12,
                    linewidths=0,
                    marker=_MARKERS[number],
                    label=named,
                    **own,
                )
            axes.set(
                title=name,
                xlabel=f"component 1, {100 * shares[0]:.0f} % of variance",
                ylabel=f"component 2, {100 * shares[1]:.0f} %",
            )
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
    """Draw the embeddings of DATA's test clips by teacher and students, on two principal components."""
    embedded = embed_data(data, teacher=teacher, models=models, label_columns=(column,), framing=framing)
    # Silence lies so far from all sound that it would be the first component, and all sound one point.
    audible = np.asarray(
        [not (isinstance(item, Clip) and item.silent) for item in read_clips(embedded.clips)], dtype=np.bool_
    )
    tested = embedded.tested[audible]
    groups = grouped(embedded.column(column)[audible][tested].tolist())
    if not groups:
        raise InputError(
            f"{embedded.dataset.name}: no test clip has a value in {column!r}", "name another column with --label"
        )
    panels = {name: components(values[audible], tested) for name, values in embedded.vectors.items()}
    silent = f", {int((~audible).sum())} silent clips left out" if not audible.all() else ""
    title = (
        f"{embedded.dataset.name}: {int(tested.sum())} test clips by {column}{silent}\nteacher: {Path(teacher).name}"
    )
    write_picture(panels, groups, out, title=title)
    click.echo(str(out))
