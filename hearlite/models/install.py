"""Check a model that came from elsewhere, and put it where its name finds it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hearlite import __version__
from hearlite.bundle import Manifest, check_scores, open_bundle, read_heard
from hearlite.embedders.open import TEACHERS
from hearlite.embedders.self_test import check_embedder, require
from hearlite.errors import GateError, InputError, UsageError
from hearlite.files import write_json
from hearlite.models.registry import NAME, models_folder, packaged
from hearlite.models.source import Source
from hearlite.tflite.coordinates import read_inverse
from hearlite.writing import locked, require_not_interrupted, write_error

_NEW, _OLD = ".new-", ".old-"  # start the names of folders that are not yet, or no longer, a model


def require_name(name: str) -> None:
    """Raise UsageError for what can't be the name of a model that is installed."""
    hint = "choose another with --name"
    if not NAME.fullmatch(name) or name.endswith((".", ".tflite", ".zip")):
        raise UsageError(
            f"the name of the model is {name!r:.80}",
            f"{hint}: up to 64 of a-z, 0-9 and . _ -, with a letter or digit first, and no suffix of a file",
        )
    if name in TEACHERS:
        raise UsageError(f"{name} is the name of a teacher", hint)
    if name in packaged():
        raise UsageError(f"{name} comes with hearlite and can't be replaced", hint)


def install(source: Source, *, name: str, overwrite: bool = False) -> tuple[Path, Manifest]:
    """Check the files of a bundle and install them as a model.

    The model is complete and has passed its self-test, or it is not there.

    Parameters
    ----------
    source : Source
        Its files.
    name : str
        Its name from now on.
    overwrite : bool
        Replace a model of that name and other content.

    Returns
    -------
    tuple of Path and Manifest
        The .tflite that is now installed.

    Raises
    ------
    UsageError
        When the name is not allowed.
    InputError
        When the files are damaged or do not belong together, a model of that name is there already and differs, or it
        can't be written.
    GateError
        When the file fails its self-test.
    """
    require_name(name)
    folder = models_folder()
    target, model = folder / name, next(iter(source.files))
    with locked(folder, output=target):
        _tidy(folder)
        same = all(
            (target / file).is_file() and (target / file).read_bytes() == source.files[file] for file in source.files
        )
        if os.path.lexists(target) and not same and not overwrite:
            raise InputError(
                f"{target} is there already and differs", "choose another --name, or pass --overwrite to replace it"
            )
        with _new_folder(target) as temporary:
            for file, content in source.files.items():
                (temporary / file).write_bytes(content)
            manifest = _checked(temporary / model, where=source.where)
            record = {"source": source.where, "sha256": source.sha256, "hearlite": __version__}
            write_json(temporary / f"{Path(model).stem}.source.json", record)
            require_not_interrupted()
            _swap(temporary, target)
    return target / model, manifest


def _checked(model: Path, *, where: str) -> Manifest:
    """Return the manifest of a bundle that is whole and passes the self-test, as `hearlite check` runs it."""
    try:
        embedder, manifest = open_bundle(model)
        results = check_embedder(embedder, precision=manifest.precision, golden=manifest.golden_embedding)
        require((*results, *check_scores(model, manifest)), what=model.name)
        read_heard(model, manifest)
        read_inverse(model, dim=manifest.dim)
        for suffix in (".NOTICE.txt", ".md"):
            text = model.with_name(model.stem + suffix)
            if text.exists():
                text.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: its NOTICE or card is not UTF-8", "download it again") from error
    except (InputError, GateError) as error:  # about the source: the user has not seen the folder that this is in
        message = error.message.replace(f"{model.parent}{os.sep}", "")
        raise type(error)(f"{where}: {message}", error.hint) from error
    return manifest


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """Yield a new folder beside `target`, which is gone at the end unless it was renamed."""
    try:
        temporary = Path(tempfile.mkdtemp(prefix=_NEW, dir=target.parent))
        try:
            mask = os.umask(0)
            os.umask(mask)
            temporary.chmod(0o777 & ~mask)  # mkdtemp's 0700 would hide it from the group that the umask allows
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise write_error(target, error) from error


def _swap(new: Path, target: Path) -> None:
    """Put a folder in the place of `target`, which is kept if that fails."""
    old = target.with_name(_OLD + target.name)
    if os.path.lexists(target):
        target.rename(old)
    try:
        new.rename(target)
    except BaseException:
        with contextlib.suppress(OSError):
            old.rename(target)
        raise
    _remove(old)


def _tidy(folder: Path) -> None:
    """Finish or undo what a killed run left; nobody else is at work, since the folder is locked."""
    for path in folder.iterdir():
        if path.name.startswith(_OLD) and not os.path.lexists(folder / path.name.removeprefix(_OLD)):
            path.rename(folder / path.name.removeprefix(_OLD))
        elif path.name.startswith((_OLD, _NEW)):
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
