"""Import ESC-50: 2 000 environmental sounds of 5 s in 50 classes, a few of them respiratory.

The dataset's folder holds `meta/esc50.csv` (filename, fold, target, category, esc10, src_file, take) and `audio/`. Its
protocol is cross-validation over five folds. Here folds 1–3 train, 4 validates and 5 tests, and the column `fold` has
all five. The subject is `src_file`, which clips cut from one Freesound upload share.
"""

from __future__ import annotations

from pathlib import Path

from hearlite.benchmarks.datasets.recordings import Recordings
from hearlite.benchmarks.datasets.source import Log, Row, Source, find_file, read_table
from hearlite.benchmarks.tasks.binary import TEST_SPLIT, TRAIN_SPLITS
from hearlite.errors import InputError

RESPIRATORY = ("breathing", "coughing", "sneezing", "snoring")
_SIDES = {"1": TRAIN_SPLITS[0], "2": TRAIN_SPLITS[0], "3": TRAIN_SPLITS[0], "4": TRAIN_SPLITS[1], "5": TEST_SPLIT}
_COLUMNS = ("filename", "fold", "category", "src_file")


def _read(root: Path, log: Log) -> list[Row]:
    recordings, done = Recordings(root, log), set()
    rows = []
    for index, cells in enumerate(
        read_table(find_file(root, "esc50.csv"), name="meta/esc50.csv", columns=_COLUMNS), start=2
    ):
        name, fold, category, source = (cells.get(column, "") for column in _COLUMNS)
        if name in done:
            log.skip(name, "is in esc50.csv twice", row=index)
            continue
        done.add(name)
        if fold not in _SIDES or not category or not source:
            log.skip(name, "needs a fold from 1 to 5, a category and a src_file", row=index)
            continue
        try:
            file = recordings.find(name.removesuffix(".wav"))
        except InputError as error:
            log.skip(name, str(error), row=index)
            continue
        label = category if category in RESPIRATORY else "other"
        rows.append(
            Row(
                file,
                f"freesound-{source}",
                {"label": label, "category": category, "fold": fold},
                side=_SIDES[fold],
                official=f"fold{fold}",
            )
        )
    return rows


CLIPS = Source(
    title="ESC-50",
    url="https://github.com/karolpiczak/ESC-50",
    paper="Piczak 2015, ACM Multimedia, doi:10.1145/2733373.2806390",
    licence="CC BY-NC 3.0 as a whole; single clips CC0, CC BY or CC BY-NC",
    labels=("label",),
    metadata=("category", "fold"),
    read=_read,
    caveats=("only 8 clips of each class are tested (one fold of five): intervals are wide",),
)
