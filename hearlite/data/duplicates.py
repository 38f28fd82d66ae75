"""Find recordings that are copies of each other by their sound, whatever their files and subjects are called.

Equal recordings have the digest of their decoded samples in common. Nearly equal ones (another codec, level or
sampling rate, a shift, a part of a longer one) are found by fingerprints (`hearlite.audio.fingerprint`): frames whose
32 bits agree are looked up in a sorted table, and where they suggest an alignment, all bits of the overlap are
compared. No pair of recordings is compared without such a hint.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hearlite import audio
from hearlite.audio.fingerprint import BITS, WEAK_BITS, Fingerprint, fingerprint
from hearlite.data.dataset import Dataset
from hearlite.errors import InputError
from hearlite.files import read_arrays, write_bytes
from hearlite.progress import progress

MIN_FRAMES = 16  # of an overlap: 0.64 s of sound, 512 bits
# The paper models the share of bits that differ by chance as normal around 1/2, deviating by 3 / (2 sqrt(bits)), as
# neighbouring bits are alike. An overlap counts if its distance from 1/2 is 19 / (2 sqrt(bits)), which chance reaches
# in one of 8e9 comparisons (erfc(19 / sqrt(18)) / 2), and if at most a quarter of its bits differ; the paper's limit is
# 0.35 of 8 192 bits. Among 7 322 recordings of nine datasets, the most alike of different people reach 17: two who say
# the same word.
MIN_DEVIATION = 19.0
MAX_DIFFERENT = 0.25
_COMMON = 64  # recordings that have a frame in common: such a frame, of hum or tones, tells nothing
_ALIGNMENTS = 4  # of two recordings that are compared, those with the most frames in common
_ARRAYS = {"digests": np.uint64, "bits": np.uint32, "weak": np.uint32, "starts": np.int64}  # of a .npz, with dtypes
_COUNTS = np.array([bin(value).count("1") for value in range(1 << 16)], np.uint8)  # np.bitwise_count needs numpy 2


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """Fingerprints of many recordings, one after another in the same arrays."""

    names: tuple[str, ...]  # of the recordings, [n]
    digests: NDArray[np.uint64]  # [n]
    bits: NDArray[np.uint32]  # [frames of all]
    weak: NDArray[np.uint32]  # [frames of all]
    starts: NDArray[np.int64]  # [n + 1], of each recording's frames

    @functools.cached_property
    def matches(self) -> list[Match]:
        """Pairs of these recordings that are equal or nearly so, from `find_matches`."""
        return find_matches(self)

    def frames(self, recording: int) -> slice:
        """Return the place of a recording's frames."""
        return slice(int(self.starts[recording]), int(self.starts[recording + 1]))

    def of(self, names: Iterable[str]) -> Fingerprints:
        """Return those of some recordings only."""
        wanted = set(names)
        kept = [place for place, name in enumerate(self.names) if name in wanted]
        return _joined(
            [self.names[place] for place in kept],
            [
                Fingerprint(int(self.digests[place]), self.bits[self.frames(place)], self.weak[self.frames(place)])
                for place in kept
            ],
        )

    def save(self, path: Path) -> None:
        """Write them to a .npz, without the names of the recordings."""
        write_bytes(path, self.content())

    def content(self) -> bytes:
        """Return the bytes of that .npz, always the same for the same fingerprints."""
        stream = io.BytesIO()
        np.savez(stream, digests=self.digests, bits=self.bits, weak=self.weak, starts=self.starts)
        return stream.getvalue()

    def with_others(self, others: Fingerprints) -> Fingerprints:
        """Return both sets as one."""
        return Fingerprints(
            (*self.names, *others.names),
            np.concatenate([self.digests, others.digests]),
            np.concatenate([self.bits, others.bits]),
            np.concatenate([self.weak, others.weak]),
            np.concatenate([self.starts, self.starts[-1] + others.starts[1:]]),
        )

    @classmethod
    def load(cls, path: Path) -> Fingerprints:
        """Read what `save` wrote. Raises InputError when the file is damaged."""
        arrays = read_arrays(path)
        good = all(
            name in arrays and arrays[name].dtype == kind and arrays[name].ndim == 1 for name, kind in _ARRAYS.items()
        )
        if good:
            starts = arrays["starts"]
            good = (
                len(starts) == len(arrays["digests"]) + 1
                and starts[0] == 0
                and starts[-1] == len(arrays["bits"]) == len(arrays["weak"])
                and bool((np.diff(starts) >= 0).all())
            )
        if not good:
            raise InputError(f"{path}: not the fingerprints of recordings", "make it again: distill, then export")
        return cls(("",) * len(arrays["digests"]), *(arrays[name] for name in _ARRAYS))


@dataclass(frozen=True)
class Match:
    """Two recordings with the same sound, by their places in the two sets that were compared."""

    one: int
    other: int
    different: float  # share of bits that differ in the overlap; 0 for equal recordings
    exact: bool  # whether every sample is equal


def fingerprint_recordings(dataset: Dataset) -> Fingerprints:
    """Compute the fingerprints of a dataset's recordings, each once and whole, whatever clips are cut from it.

    Recordings that cannot be read are left out; reading them again says why.
    """
    files = {clip.name: clip.file for clip in dataset.clips}
    names, found = [], []
    with progress("fingerprints", total=len(files)) as advance:
        for done, (name, file) in enumerate(files.items(), start=1):
            try:
                found.append(fingerprint(audio.read_blocks(file)))
                names.append(name)
            except InputError:
                pass
            advance(done)
    return _joined(names, found)


def training_fingerprints(dataset: Dataset) -> Fingerprints:
    """Compute the fingerprints of the recordings of training and validation subjects only."""
    clips = tuple(clip for clip in dataset.clips if clip.split != "test")
    return fingerprint_recordings(dataclasses.replace(dataset, clips=clips))


def find_matches(queries: Fingerprints, known: Fingerprints | None = None) -> list[Match]:
    """Find the recordings of one set that are in another, equal or nearly so, or all pairs within one set.

    Parameters
    ----------
    queries : Fingerprints
        The recordings to look for.
    known : Fingerprints, optional
        Where to look; by default among `queries` themselves.

    Returns
    -------
    list of Match
        In the order of `one`, a recording of `queries`; within one set, `one` is the earlier of two.
    """
    among = known is None
    known = queries if known is None else known
    found: dict[tuple[int, int], Match] = {}
    for one, other in _equal_digests(queries.digests, known.digests):
        if not among or one < other:
            found[one, other] = Match(one, other, 0.0, True)
    for match in _near(queries, known):
        pair = (match.one, match.other)
        if among:
            pair = (min(pair), max(pair))
        if (not among or pair[0] != pair[1]) and (pair not in found or match.different < found[pair].different):
            found[pair] = Match(*pair, match.different, pair in found and found[pair].exact)
    return [found[pair] for pair in sorted(found)]


def _joined(names: Iterable[str], found: list[Fingerprint]) -> Fingerprints:
    lengths = [len(item.bits) for item in found]
    return Fingerprints(
        tuple(names),
        np.array([item.digest for item in found], np.uint64),
        np.concatenate([np.zeros(0, np.uint32), *(item.bits for item in found)]),
        np.concatenate([np.zeros(0, np.uint32), *(item.weak for item in found)]),
        np.cumsum([0, *lengths], dtype=np.int64),
    )


def _equal_digests(queries: NDArray[np.uint64], known: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    places: dict[int, list[int]] = {}
    for place, digest in enumerate(known.tolist()):
        if digest:
            places.setdefault(digest, []).append(place)
    for place, digest in enumerate(queries.tolist()):
        yield from ((place, other) for other in places.get(digest, ()))


def _near(queries: Fingerprints, known: Fingerprints) -> Iterator[Match]:
    """Yield each recording of `queries` with those of `known` that it shares an overlap with."""
    owners = np.repeat(np.arange(len(known.digests), dtype=np.int32), np.diff(known.starts))
    frames = np.flatnonzero(_telling(known.bits, known.weak, known.starts))
    frames = frames[np.argsort(known.bits[frames], kind="stable")]
    table = known.bits[frames]
    for one in range(len(queries.digests)):
        place = queries.frames(one)
        bits, weak = queries.bits[place], queries.weak[place]
        asked = np.flatnonzero(_telling(bits, weak, np.array([0, len(bits)])))
        if len(bits) < MIN_FRAMES or not len(asked):
            continue
        variants = _variants(bits[asked], weak[asked])
        low = np.searchsorted(table, variants.ravel(), side="left")
        count = np.searchsorted(table, variants.ravel(), side="right") - low
        count[count > _COMMON] = 0
        hit = np.repeat(low, count) + _ranges(count)
        at = np.repeat(np.repeat(asked, variants.shape[1]), count)
        there = frames[hit]
        others = owners[there]
        offsets = there - known.starts[others] - at  # frame of `other` at which `one` starts
        yield from _compared(one, bits, weak > 0, known, others, offsets)


def _compared(
    one: int,
    bits: NDArray[np.uint32],
    counts: NDArray[np.bool_],
    known: Fingerprints,
    others: NDArray[np.int32],
    offsets: NDArray[np.int64],
) -> Iterator[Match]:
    """Yield the recordings that agree with `bits` at one of the alignments suggested."""
    pairs, votes = np.unique(np.stack([others, offsets], axis=1), axis=0, return_counts=True)
    tried: dict[int, int] = {}
    best: dict[int, float] = {}
    for place in np.argsort(-votes, kind="stable"):
        other, offset = pairs[place].tolist()
        if tried.get(other, 0) == _ALIGNMENTS:
            continue
        tried[other] = tried.get(other, 0) + 1
        frames = known.frames(other)
        length = frames.stop - frames.start
        first, end = max(0, -offset), min(len(bits), length - offset)
        if end - first < MIN_FRAMES:
            continue
        there = slice(frames.start + offset + first, frames.start + offset + end)
        both = counts[first:end] & (known.weak[there] > 0)
        number = int(both.sum())
        if number < MIN_FRAMES:
            continue
        differing = (bits[first:end] ^ known.bits[there])[both]
        different = int(_COUNTS[differing.view(np.uint16)].sum()) / (BITS * number)
        if different <= min(MAX_DIFFERENT, 0.5 - MIN_DEVIATION / (2 * math.sqrt(BITS * number))):
            best[other] = min(different, best.get(other, 1.0))
    yield from (Match(one, other, different, False) for other, different in best.items())


def _telling(bits: NDArray[np.uint32], weak: NDArray[np.uint32], starts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Select the frames to look up: loud enough, and unlike the one before them in their recording."""
    telling = weak > 0
    repeated = np.zeros(len(bits), bool)
    repeated[1:] = bits[1:] == bits[:-1]
    repeated[starts[starts < len(bits)]] = False
    return telling & ~repeated


def _variants(bits: NDArray[np.uint32], weak: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the frames with every choice of their weak bits, `[frames, 2 ** WEAK_BITS]`."""
    rest = weak.copy()
    single = []
    for _ in range(WEAK_BITS):
        lowest = rest & (~rest + np.uint32(1))
        single.append(lowest)
        rest ^= lowest
    rows = []
    for chosen in itertools.product((False, True), repeat=WEAK_BITS):
        flipped = bits.copy()
        for mask, flip in zip(single, chosen, strict=True):
            if flip:
                flipped ^= mask
        rows.append(flipped)
    return np.stack(rows, axis=1)


def _ranges(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0 to count - 1 for each count, one after another."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total, dtype=np.int64) - np.repeat(ends - counts, counts)
