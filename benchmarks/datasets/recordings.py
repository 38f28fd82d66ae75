"""Find the recordings of a dataset's folder by the names that its annotations use."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from hearlite import audio
from hearlite.benchmarks.datasets.source import Log
from hearlite.errors import InputError
from hearlite.spec import AUDIO

_UNDECODABLE = (".wma",)  # formats of recordings that hearlite cannot decode


class Recordings:
    """Index of the audio files below a folder, by the names that annotations use.

    Nothing outside the folder is ever found.
    """

    def __init__(self, root: Path, log: Log) -> None:
        self._root, self._log = root.resolve(), log
        self._by_name: dict[str, list[PurePosixPath]] = {}  # by stem and by folder/stem
        self._undecodable: dict[str, str] = {}  # stem: suffix
        for folder, subfolders, names in os.walk(root):
            subfolders.sort()
            for name in sorted(names):
                stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a Path for each of 50 000 files costs a second
                if suffix.lower() in audio.SUFFIXES:
                    path = PurePosixPath(Path(folder, name).relative_to(root).as_posix())
                    self._by_name.setdefault(stem, []).append(path)
                    self._by_name.setdefault(f"{path.parent.name}/{stem}", []).append(path)
                elif suffix.lower() in _UNDECODABLE:
                    self._undecodable[stem] = suffix

    def find(self, stem: str, *, folder: str = "", near: PurePosixPath | None = None) -> PurePosixPath:
        """Return the recording called `stem`.

        Among files of several formats, the first format of `audio.SUFFIXES` is preferred.

        Parameters
        ----------
        stem : str
            Name of the file without its suffix.
        folder : str
            Name of the folder that directly holds it; "" for any.
        near : PurePosixPath, optional
            Path below the dataset's folder. Of several copies, the one that shares most parent folders with it is
            taken.

        Returns
        -------
        PurePosixPath
            Path below the dataset's folder.

        Raises
        ------
        InputError
            If there is no such recording, its copies differ, or it is a link that leads out of the dataset's folder.
        """
        if "/" in stem + folder or "\\" in stem + folder:
            raise InputError("is not a plain file name")
        found = self._by_name.get(f"{folder}/{stem}" if folder else stem, [])
        if not found:
            raise self._missing(stem)
        best = min(found, key=lambda path: (-_common(path, near), audio.SUFFIXES.index(path.suffix.lower()), path))
        copies = [self._root / path for path in found if path.suffix == best.suffix]
        try:
            if not (self._root / best).resolve(strict=True).is_relative_to(self._root):
                raise InputError("is a link that leaves the dataset's folder", "copy the recording")
            if len({path.stat().st_size for path in copies}) > 1:
                raise InputError("two different recordings have this name", "keep the right one")
        except (OSError, RuntimeError) as error:  # a dangling link, or a loop of links
            raise InputError("is a link to nothing", "copy the recording") from error
        if len(copies) > 1:
            self._log.odd["a recording that is there more than once; one copy is used"] += 1
        return best

    def _missing(self, stem: str) -> InputError:
        suffix = self._undecodable.get(stem)
        if suffix is None:
            return InputError("no recording of this name", f"expected one that ends in {', '.join(audio.SUFFIXES)}")
        remedy = f"ffmpeg -i NAME{suffix} -ac 1 -ar {AUDIO.sample_rate_hz} NAME.wav, then import again"
        return InputError(f"is {suffix}, which hearlite does not decode", remedy)


def _common(path: PurePosixPath, near: PurePosixPath | None) -> int:
    """Return the number of folders that two paths share from the top.

    The first pair of folders that differ counts too if they differ only by "wav" and "json".
    """
    if near is None:
        return 0
    count = 0
    for part, other in zip(path.parent.parts, near.parent.parts, strict=False):
        if part != other:
            return count + (part.lower().replace("wav", "json") == other.lower())
        count += 1
    return count
