"""Import FSD50K: 51 197 Freesound clips in 200 classes, with a 0/1 column for each respiratory class.

The dataset's folder holds `FSD50K.ground_truth/dev.csv` (fname, labels, mids, split) and `eval.csv` (the same without
split), `FSD50K.dev_audio/<fname>.wav`, `FSD50K.eval_audio/`, and `FSD50K.metadata/dev_clips_info_FSD50K.json` and
`eval_clips_info_FSD50K.json`, which name the uploaders. The subject is the uploader. According to its README, no
uploader is both in dev and in eval; one may be both in train and in val.

Labels are already propagated upwards: a Cough is also one of Respiratory_sounds. One in ten clips without a
respiratory class is kept, selected by a hash; otherwise most of the 108 hours would be windows of doors and guitars.
"""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Any

from hearlite.benchmarks.datasets.recordings import Recordings
from hearlite.benchmarks.datasets.source import Log, Row, Source, find_file, read_json, read_table
from hearlite.benchmarks.tasks.binary import TEST_SPLIT, TRAIN_SPLITS
from hearlite.errors import InputError

RESPIRATORY = ("Respiratory_sounds", "Breathing", "Cough", "Gasp", "Sigh", "Sneeze")
KEEP_ONE_OTHER_IN = 10
_FOLDERS = {"dev": "FSD50K.dev_audio", "eval": "FSD50K.eval_audio"}
_SIDES = {"train": TRAIN_SPLITS[0], "val": TRAIN_SPLITS[1], "eval": TEST_SPLIT}


def _read(root: Path, log: Log) -> list[Row]:
    recordings, done = Recordings(root, log), set()
    rows = []
    for part, folder in _FOLDERS.items():
        columns = ("fname", "labels", "split") if part == "dev" else ("fname", "labels")
        table = read_table(find_file(root, f"{part}.csv"), name=f"FSD50K.ground_truth/{part}.csv", columns=columns)
        clips = _clips_info(root, part)
        for index, cells in enumerate(table, start=2):
            name, official = cells["fname"], cells["split"] if part == "dev" else part
            classes = {label.strip() for label in cells["labels"].split(",")}
            if not classes & set(RESPIRATORY) and not _kept(name):
                log.odd[f"a clip without a respiratory class, left out: one in {KEEP_ONE_OTHER_IN} is kept"] += 1
                continue
            try:
                if name in done or official not in _SIDES:
                    raise InputError(f"fname is there twice, or its split is none of {', '.join(_SIDES)}")
                done.add(name)
                uploader, licence = _uploader(clips, name)
                file = recordings.find(name, near=PurePosixPath(folder, name))
            except InputError as error:
                log.skip(f"{part}.csv: {name}", str(error), row=index)
                continue
            labels = {label: "1" if label in classes else "0" for label in RESPIRATORY}
            label = "respiratory" if classes & set(RESPIRATORY) else "other"
            about = {"label": label, **labels, "clip_licence": licence}
            rows.append(Row(file, f"freesound-user-{uploader}", about, side=_SIDES[official], official=official))
    return rows


def _kept(name: str) -> bool:
    return (
        int.from_bytes(hashlib.sha256(name.encode(errors="surrogatepass")).digest()[:8], "big") % KEEP_ONE_OTHER_IN == 0
    )


def _clips_info(root: Path, part: str) -> dict[str, Any]:
    path = find_file(root, f"{part}_clips_info_FSD50K.json")
    if path is None:
        raise InputError(
            f"no {part}_clips_info_FSD50K.json in {root}",
            "unpack FSD50K.metadata too: uploaders must not cross the split",
        )
    clips = read_json(path)
    if not isinstance(clips, dict):
        raise InputError(f"{path}: not a JSON object of clips", "download it again")
    return clips


def _uploader(clips: dict[str, Any], name: str) -> tuple[str, str]:
    clip = clips.get(name)
    uploader = clip.get("uploader") if isinstance(clip, dict) else None
    if not isinstance(uploader, str) or not uploader.strip():
        raise InputError("its uploader is not in the metadata", "without one it can't be kept on one side of the split")
    return uploader.strip(), str(clip.get("license", "")) if isinstance(clip, dict) else ""


CLIPS = Source(
    title="FSD50K, respiratory classes",
    url="https://zenodo.org/records/4060432",
    paper="Fonseca et al. 2022, IEEE/ACM TASLP 30:829, arXiv:2010.00475",
    licence="CC BY 4.0 as a whole; each clip CC0, CC BY, CC BY-NC or CC Sampling+, see clip_licence",
    labels=("label", *RESPIRATORY),
    metadata=("clip_licence",),
    read=_read,
    caveats=(
        "labels of the development set are not exhaustive: a 0 may be a class that annotators were not asked about",
        "ESC-50 comes from Freesound too, with other ids: don't distill on one and test on the other",
    ),
)
