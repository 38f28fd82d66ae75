"""Scores of events beside a network's: of a recording its highest clip counts, of test subjects alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from hearlite.benchmarks.experiments.event_scores import class_scores, table
from hearlite.benchmarks.probes.embeddings import TEACHER
from hearlite.benchmarks.studies.inputs import EmbeddedDataset
from hearlite.errors import InputError


def dataset(rows: list[tuple[str, str, str, str]]) -> EmbeddedDataset:
    """Clips of (recording, subject, split, label)."""
    clips = tuple(
        SimpleNamespace(name=name, subject=subject, split=split, label=lambda _, label=label: label)
        for name, subject, split, label in rows
    )
    return EmbeddedDataset(cast(Any, None), cast(Any, None), cast(Any, clips), {})


def test_a_recording_has_its_highest_clip() -> None:
    rows, network, file = [], [], []
    for index in range(12):
        label = "coughing" if index < 5 else "dog"
        for part in range(3):  # one clip in three holds the sound
            rows.append((f"{index}.wav", f"s{index}", "test", label))
            network.append(0.9 if part == index % 3 and index < 5 else 0.1)
            file.append(0.8 if part == 1 and index in (0, 1, 2, 3, 7) else 0.2)
    rows += [("t.wav", "t", "train", "dog"), ("u.wav", "u", "test", "")]
    scores = {"cough": {TEACHER: np.array([*network, 1.0, 1.0]), "file": np.array([*file, 1.0, 1.0])}}
    (found,) = class_scores(dataset(rows), {"cough": ["coughing"]}, scores, column="label", seed=0, samples=200)
    assert (found.recordings, found.subjects, found.others) == (5, 5, 7), "no training subject, none without a label"
    assert [item.auroc.value for item in found.models] == pytest.approx([1.0, (4 * 6.5 + 0.5 * 6) / 35 - 0.0], abs=0.02)
    assert "| cough | 5 (5) of 12 | file |" in table([found])
    with pytest.raises(InputError, match="no test recording is of 'sneeze'"):
        class_scores(dataset(rows), {"sneeze": ["sneezing"]}, {"sneeze": scores["cough"]}, column="label", seed=0)
