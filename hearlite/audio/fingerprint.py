"""Compute fingerprints of sound, by which equal and nearly equal recordings are found.

The design is that of Haitsma and Kalker, "A Highly Robust Audio Fingerprinting System", ISMIR 2002: 32 bits a frame,
each the sign of a difference of band energies over frequency and time. Gain cancels, a steady background leaves random
bits, and frames overlap so much that it does not matter where the first one starts. Bands and frames are set for
coughs, breath and lung sounds in place of music.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from hearlite.audio.clips import Samples, is_silent, to_int16
from hearlite.spec import AUDIO

BITS = 32  # of a frame
FRAME_SAMPLES = 4_096  # 0.26 s; 0.37 s in the paper, but a cough is shorter than a bar of music
HOP_SAMPLES = 320  # 20 ms: 50 frames a second, as 11.6 ms in the paper; recordings are misaligned by at most half of it
# Hz; 300 to 2 000 in the paper. Lung sounds lie below, telephones and 4 kHz recordings cut above: of 180 recordings of
# nine datasets, 12 % were lost by Opus at 32 kbit/s from 300 to 3 400 Hz, and 1 % here.
LOW_HZ, HIGH_HZ = 100.0, 2_000.0
LAG_FRAMES = 3  # between the energies compared: 60 ms; one frame in the paper, where neighbours hardly differ
WEAK_BITS = 3  # of a frame, those nearest to changing sign, which a search may take either way, as in the paper
# A frame is too quiet to count 60 dB below the loudest, where codecs leave noise of their own, or within 12 dB of the
# noise of int16.
_QUIET = 1e-6
_ROUNDING_NOISE = 6e-5  # energy of all bands: 487 bins x 1 536 (squared window) / 12 steps squared
_LEAST_ENERGY = 16 * _ROUNDING_NOISE
_BATCH = 256  # frames whose spectra are in memory at a time: 4 MB


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """The fingerprint of a recording.

    A recording of less than 0.34 s has no frames, only a digest.
    """

    digest: int  # of all int16 samples at 16 kHz, 64 bits; 0 for a silent recording, which is like any other
    bits: NDArray[np.uint32]  # [frames]
    weak: NDArray[np.uint32]  # [frames], the WEAK_BITS least certain bits; 0 where the frame is too quiet to count


def fingerprint(blocks: Iterable[Samples]) -> Fingerprint:
    """Compute the fingerprint of a recording in memory that grows by 0.4 kB a second.

    Parameters
    ----------
    blocks : iterable of float32 array [samples]
        The recording at 16 kHz, in parts of any length.

    Returns
    -------
    Fingerprint
    """
    digest = hashlib.sha256()
    silent = True

    def heard() -> Iterator[Samples]:
        nonlocal silent
        for block in blocks:
            digest.update(to_int16(block).astype("<i2").tobytes())
            silent = silent and is_silent(block)
            yield block

    energies = list(_energies(heard()))
    bits, weak = _signs(np.concatenate(energies) if energies else np.zeros((0, BITS + 1)))
    return Fingerprint(0 if silent else int.from_bytes(digest.digest()[:8], "little"), bits, weak)


def _energies(blocks: Iterable[Samples]) -> Iterator[NDArray[np.float64]]:
    """Yield the energies of the bands of consecutive frames, `[frames, BITS + 1]`."""
    window = np.hanning(FRAME_SAMPLES).astype(np.float32)
    edges = np.geomspace(LOW_HZ, HIGH_HZ, BITS + 2) * FRAME_SAMPLES / AUDIO.sample_rate_hz
    bins = np.round(edges).astype(int)
    rest = np.zeros(0, np.float32)
    for block in blocks:
        samples = np.concatenate([rest, block])
        count = max(0, (len(samples) - FRAME_SAMPLES) // HOP_SAMPLES + 1)
        frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME_SAMPLES)[::HOP_SAMPLES] if count else None
        for start in range(0, count, _BATCH):
            assert frames is not None
            spectrum = scipy.fft.rfft(frames[start : start + _BATCH] * window, axis=1)[:, : bins[-1]]
            yield np.add.reduceat(spectrum.real**2 + spectrum.imag**2, bins[:-1], axis=1).astype(np.float64)
        rest = samples[count * HOP_SAMPLES :]


def _signs(energies: NDArray[np.float64]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return bits and weak bits of every frame that has a frame LAG_FRAMES later."""
    if len(energies) <= LAG_FRAMES:
        return np.zeros(0, np.uint32), np.zeros(0, np.uint32)
    slopes = energies[:, :-1] - energies[:, 1:]
    changes = slopes[LAG_FRAMES:] - slopes[:-LAG_FRAMES]
    total = energies.sum(axis=1)
    quieter = np.minimum(total[LAG_FRAMES:], total[:-LAG_FRAMES])
    counts = quieter > max(_QUIET * total.max(), _LEAST_ENERGY)
    places = np.uint32(1) << np.arange(BITS, dtype=np.uint32)
    size = np.abs(changes) / (energies[LAG_FRAMES:, :-1] + energies[LAG_FRAMES:, 1:] + 1e-30)
    weakest = np.argpartition(size, WEAK_BITS, axis=1)[:, :WEAK_BITS]
    weak = np.where(counts, places[weakest].sum(axis=1, dtype=np.uint32), np.uint32(0))
    return ((changes > 0) * places).sum(axis=1, dtype=np.uint32), weak.astype(np.uint32)
