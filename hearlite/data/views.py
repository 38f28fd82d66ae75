"""Make views of a clip: seeded variants that teacher and student both take as input.

They are made when the records are written, so each has its own teacher vector. A view need not preserve any label, so
it may change anything (function matching, Beyer et al. 2022, arXiv:2106.05237).
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.audio.acoustics import coloured_noise
from hearlite.errors import InputError
from hearlite.spec import AUDIO, ViewSpec

Pcm = NDArray[np.int16]

VIEWS = ViewSpec()
WARP_BANDS = 8  # about an octave each
_WARP_LOW_HZ = 60.0  # the lower edge of the students' mel bands
_LENGTHS = 320  # samples: lengths are multiples, products of small primes more often than not


def shared_view(
    pcm: Pcm, *, clip_id: str, view: int, seed: int, start: int = 0, partner: Pcm | None = None, spec: ViewSpec = VIEWS
) -> Pcm:
    """Return one view of a clip; it depends on the arguments alone.

    View 0 is the clip itself. The others take turns at being shifted (where `pcm` has context), mixed with `partner`
    (if there is one) or noisy. A share of them is played at another speed through another balance of bands, before
    anything is mixed in. A share, or all if no kind is possible, is then cropped and zero-padded at the end, like a
    short recording.

    Parameters
    ----------
    pcm : numpy.ndarray
        int16 `[samples]`: the clip, optionally with the sound around it.
    clip_id : str
        Identity of the clip; seeds the random choices together with `view` and `seed`.
    view : int
        Number of the view, from 0 on.
    seed : int
        Random seed.
    start : int
        First sample of the clip in `pcm`.
    partner : numpy.ndarray, optional
        Clip to mix in, int16 `[clip_samples]`.
    spec : ViewSpec
        Ranges of the random choices.

    Returns
    -------
    numpy.ndarray
        int16 `[clip_samples]`.

    Raises
    ------
    InputError
        For another dtype or shape, or a clip that extends beyond `pcm`.
    """
    samples, rate_hz = AUDIO.clip_samples, AUDIO.sample_rate_hz
    if pcm.dtype != np.int16 or pcm.ndim != 1 or not 0 <= start <= len(pcm) - samples:
        raise InputError(
            f"pcm is {pcm.dtype} {list(pcm.shape)}, the clip starts at {start}",
            f"expected int16 with {samples} samples from there",
        )
    if partner is not None and (partner.dtype != np.int16 or partner.shape != (samples,)):
        raise InputError(f"the partner is {partner.dtype} {list(partner.shape)}", f"expected int16 [{samples}]")
    clip = pcm[start : start + samples]
    reach = round(spec.shift_s * rate_hz)
    back, forth = min(reach, start), min(reach, len(pcm) - samples - start)
    ready = {
        "shift": back + forth > 0,
        "mixup": partner is not None and any(spec.mixup_db),
        "noise": any(spec.noise_snr_db),
    }
    kinds = [kind for kind, possible in ready.items() if possible]
    if view == 0:
        return clip.copy()
    rng = _rng(seed, clip_id, view)
    cut = any(spec.crop_s) and (not kinds or rng.random() < spec.crop_p)
    kind = _rng(seed, clip_id).permutation(kinds)[(view - 1) % len(kinds)] if kinds else ""
    if kind == "shift":
        moved = start + int(rng.integers(-back, forth, endpoint=True))
        clip = pcm[moved : moved + samples]
    if spec.warp_p and rng.random() < spec.warp_p:
        clip = _warped(clip, rng, speed=spec.warp_speed, most_db=spec.warp_db)
    if kind == "mixup" and partner is not None:
        clip = _mix(clip, partner, ratio_db=rng.uniform(*spec.mixup_db))
    elif kind == "noise":
        clip = _mix(
            clip, coloured_noise(rng, samples, slope=rng.uniform(0.0, 2.0)), ratio_db=rng.uniform(*spec.noise_snr_db)
        )
    if not cut:
        return clip.copy()
    kept = round(rng.uniform(*spec.crop_s) * rate_hz)
    first = int(rng.integers(0, samples - kept, endpoint=True))
    return np.pad(clip[first : first + kept], (0, samples - kept))


def _warped(clip: Pcm, rng: np.random.Generator, *, speed: tuple[float, float], most_db: float) -> Pcm:
    """Return a clip at another speed, repeated where it becomes shorter, with another balance of bands.

    The result has the clip's rms and is attenuated rather than clipped.
    """
    samples, rate_hz = len(clip), AUDIO.sample_rate_hz
    # Of a length that FFTs are quick for.
    slow, fast = speed
    factor = math.exp(rng.uniform(math.log(slow), math.log(fast)))
    length = round(samples / factor / _LENGTHS) * _LENGTHS
    spectrum = np.fft.rfft(clip - clip.mean())
    low, high = math.log2(_WARP_LOW_HZ), math.log2(rate_hz / 2)
    # Played fast, what lay above the half rate is gone; played slowly, nothing is above the old one.
    kept = min(len(spectrum), length // 2 + 1)
    resampled = np.zeros(length // 2 + 1, dtype=np.complex128)
    resampled[:kept] = spectrum[:kept]
    octaves = np.log2(np.maximum(np.fft.rfftfreq(length, 1 / rate_hz), _WARP_LOW_HZ))
    knots = np.linspace(low, high, WARP_BANDS)
    resampled *= 10.0 ** (np.interp(octaves, knots, rng.uniform(-most_db, most_db, WARP_BANDS)) / 20.0)
    moved = np.resize(np.fft.irfft(resampled, length), samples)
    moved *= clip.std() / max(moved.std(), 1e-9)
    room = (AUDIO.pcm_full_scale - 1) / max(np.abs(moved).max(), 1.0)
    return np.asarray(np.round(moved * min(1.0, room)), dtype=np.int16)


def _mix(clip: Pcm, other: NDArray[Any], *, ratio_db: float) -> Pcm:
    """Mix `other` into `clip`, `ratio_db` dB below it (rms, without means).

    The result is attenuated rather than clipped. Silence stays silence.
    """
    loud, quiet = clip - clip.mean(), other - other.mean()
    scale = loud.std() / max(quiet.std(), 1e-9) * 10.0 ** (-ratio_db / 20.0)
    mixed = clip + scale * quiet
    room = (AUDIO.pcm_full_scale - 1) / max(np.abs(mixed).max(), 1.0)
    return np.asarray(np.round(mixed * min(1.0, room)), dtype=np.int16)


def _rng(*parts: object) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256("/".join(map(str, parts)).encode()).digest()))
