"""What labels of recordings say of the clips of a run: events that the network which teaches a head may have missed.

YAMNet hears a cough in a fifth of the clips of coughs recorded by telephone. Where a dataset says what is in a
recording, its clips need not be missed by the head, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hearlite.data.dataset import Dataset
from hearlite.data.reading import Clip, clip_id, read_clips
from hearlite.errors import InputError

# Log-odds that a labelled clip has at least, of a probability of 0.9: not more, as not every clip of a recording of
# coughs holds one. Of 0, 2.2 and 4 it found most coughs at one false alarm an hour, tried once with hearlite-small.
SURE = float(np.log(0.9 / 0.1))


class KnownEvents:
    """The classes that labels give to clips, by the clips' content.

    Parameters
    ----------
    datasets : sequence of Dataset
        Labelled recordings, cut as the run's were. Their test subjects are left out.
    column : str
        Their label column.
    labels : mapping of str to collection of str
        Of each class, the labels that mean it.

    Attributes
    ----------
    name, sha256 : str
        Of the datasets and their labels, for messages and manifests.

    Raises
    ------
    InputError
        When no recording has such a label.
    """

    def __init__(self, datasets: Sequence[Dataset], *, column: str, labels: Mapping[str, Sequence[str]]) -> None:
        self.name = ", ".join(dataset.name for dataset in datasets)
        told = [f"{dataset.sha256} {dataset.labels_sha256}" for dataset in datasets]
        self.sha256 = hashlib.sha256(" ".join([*told, column, str(sorted(labels.items()))]).encode()).hexdigest()
        classes: dict[str, list[str]] = {}
        for name, meant in labels.items():
            for label in meant:
                classes.setdefault(label, []).append(name)
        self._classes: dict[str, list[str]] = {}
        for dataset in datasets:
            wanted = [clip for clip in dataset.clips if clip.split != "test" and clip.label(column) in classes]
            for clip in read_clips(wanted):
                if isinstance(clip, Clip) and not clip.silent:
                    self._classes[clip_id(clip.pcm)] = classes[clip.ref.label(column)]
        if not self._classes:
            found = sorted({clip.label(column) for dataset in datasets for clip in dataset.clips})
            raise InputError(
                f"no recording of {self.name} has a label of an event: {', '.join(found)[:500]}",
                f"expected one of {', '.join(classes)}, or name others in --event-classes, [labels]",
            )

    def raised(
        self, logits: NDArray[np.float64], *, labels: Sequence[str], clips: Iterable[str]
    ) -> NDArray[np.float64]:
        """Return logits `[n, labels]` that are SURE at least where a clip's class is known.

        Parameters
        ----------
        logits : array [n, labels]
            Of a network.
        labels : sequence of str
            The classes, in the order of the logits.
        clips : iterable of str
            Id of the clip that each row is, or is a view of.

        Raises
        ------
        InputError
            When none of the clips is known.
        """
        raised, places = logits.copy(), {label: number for number, label in enumerate(labels)}
        known = 0
        for row, clip in enumerate(clips):
            found = self._classes.get(clip, ())
            known += bool(found)
            for name in found:
                raised[row, places[name]] = max(raised[row, places[name]], SURE)
        if not known:
            raise InputError(
                f"the run has heard no clip of {self.name} that has a label of an event",
                "name recordings that it was distilled on",
            )
        return raised
