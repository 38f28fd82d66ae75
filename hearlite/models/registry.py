"""Find models by name, and list them.

A model is a folder with one bundle, and its name is the folder's. Those beside this file come with hearlite; those in
`models_folder` were installed by `hearlite get`. A model that comes with hearlite can't be replaced by another of its
name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hearlite.errors import InputError, UsageError
from hearlite.files import data_folder

DEFAULT_MODEL = "hearlite-small"  # what commands use that are told none
PACKAGED = Path(__file__).parent
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
FOLDER_VARIABLE = "HEARLITE_MODELS"


def models_folder() -> Path:
    """Return the folder of the user's models: HEARLITE_MODELS, or below the folder of the user's data.

    Raises InputError when neither is known.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    try:
        return Path(named) if named else data_folder("models")
    except RuntimeError as error:  # no HOME, and a user whom the system doesn't know, as in some containers
        raise InputError(
            f"no folder for models is known: {error}", f"name one by the environment variable {FOLDER_VARIABLE}"
        ) from error


def packaged() -> dict[str, Path]:
    """Return the .tflite files of the models that come with hearlite, by name."""
    return _models_in(PACKAGED)


def installed() -> dict[str, Path]:
    """Return the .tflite files in `models_folder`, by name; none where there is no such folder."""
    try:
        return _models_in(models_folder())
    except InputError:
        return {}


def known() -> dict[str, Path]:
    """Return the .tflite files of all models that a name stands for, in the order of their names."""
    return dict(sorted({**installed(), **packaged()}.items()))


def find_model(source: str | Path, *, otherwise: str = "") -> Path:
    """Return the file or folder that `source` names.

    Parameters
    ----------
    source : str or Path
        A path, or the name of a model. A path that exists wins. One that does not, but could not be a name either, is
        returned as it is, for its reader to say what is wrong.
    otherwise : str
        What the caller takes instead, for the hint of the error.

    Raises
    ------
    UsageError
        When it is neither; the hint lists the names that are known.
    """
    text, path = str(source), Path(source)
    if path.exists():
        return path
    found = packaged().get(text) or installed().get(text)
    if found is not None:
        return found
    if path.name != text or path.suffix == ".tflite":
        return path
    names = ", ".join(known())
    remedy = f"known: {names}" if names else "none is installed: run 'hearlite get SOURCE', or name a .tflite file"
    raise UsageError(f"no file and no model of that name: {text!r:.200}", f"{remedy}{otherwise}")


@dataclass(frozen=True)
class Listed:
    """What `hearlite models` says of a model."""

    name: str
    bytes: int  # of the .tflite
    precision: str  # a key of spec.PRECISION_NAMES
    dim: int  # of the embedding
    classes: tuple[str, ...]  # of the classifier inside; empty without one
    teacher: str
    licence: str
    packaged: bool  # comes with hearlite
    file: str  # the .tflite


def list_models() -> Iterator[Listed | str]:
    """Yield every known model, or a sentence about one that can't be used."""
    with_hearlite, by_user = packaged(), installed()
    for name, file in known().items():
        try:
            yield _facts(name, file, packaged=name in with_hearlite)
        except InputError as error:
            yield f"{name} can't be used: {error}"
    for name in sorted(set(with_hearlite) & set(by_user)):
        yield f"{by_user[name]} is not used: {name} comes with hearlite"


def _facts(name: str, file: Path, *, packaged: bool) -> Listed:
    from hearlite.bundle import read_manifest  # slow to import, and not needed to find a model

    manifest = read_manifest(file)
    classes = tuple(label.name for label in manifest.head.labels) if manifest.head else ()
    return Listed(
        name=name,
        bytes=file.stat().st_size,
        precision=manifest.precision,
        dim=manifest.dim,
        classes=classes,
        teacher=manifest.teacher.name,
        licence=manifest.licence,
        packaged=packaged,
        file=str(file),
    )


def _models_in(folder: Path) -> dict[str, Path]:
    try:
        places = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    files = {place.name: sorted(place.glob("*.tflite")) for place in places if NAME.fullmatch(place.name)}
    return {name: found[0] for name, found in files.items() if len(found) == 1}
