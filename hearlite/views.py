"""What teacher and student both hear: seeded views of a clip, made with the records so that each has its own teacher vector.

Nothing here needs to keep a label, so a view may change anything (function matching, Beyer et al. 2022, arXiv:2106.05237).
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError
from hearlite.spec import AUDIO, ViewSpec

Pcm = NDArray[np.int16]
FLAT_BELOW_HZ = 50.0  # tilt and noise colour stop here: the students' bands begin at 60 Hz, and brown noise would put its power below


VIEWS = ViewSpec()


def shared_view(pcm: Pcm, *, clip_id: str, view: int, seed: int, start: int = 0, partner: Pcm | None = None, spec: ViewSpec = VIEWS) -> Pcm:
    """View `view` of the clip `pcm[start : start + clip_samples]`, int16 `[clip_samples]`; a function of the arguments alone.

    View 0 is the clip as it is. Each other one is of one kind, in turn: shifted (where `pcm` is longer than the clip and so has real context),
    mixed with `partner` (int16 `[clip_samples]`, where there is one), noisy, or cropped and zero-padded at the end as short recordings are.
    Raises InputError for another dtype or shape, or a clip outside `pcm`.
    """
    samples, rate_hz = AUDIO.clip_samples, AUDIO.sample_rate_hz
    if pcm.dtype != np.int16 or pcm.ndim != 1 or not 0 <= start <= len(pcm) - samples:
        raise InputError(f"pcm is {pcm.dtype} {list(pcm.shape)}, the clip starts at {start}", f"expected int16 with {samples} samples from there")
    if partner is not None and (partner.dtype != np.int16 or partner.shape != (samples,)):
        raise InputError(f"the partner is {partner.dtype} {list(partner.shape)}", f"expected int16 [{samples}]")
    clip = pcm[start : start + samples]
    reach = round(spec.shift_s * rate_hz)
    back, forth = min(reach, start), min(reach, len(pcm) - samples - start)
    ready = {
        "shift": back + forth > 0,
        "mixup": partner is not None and any(spec.mixup_db),
        "noise": any(spec.noise_snr_db),
        "crop": any(spec.crop_s),
    }
    kinds = [kind for kind, possible in ready.items() if possible]
    if view == 0 or not kinds:
        return clip.copy()
    kind = _rng(seed, clip_id).permutation(kinds)[(view - 1) % len(kinds)]
    rng = _rng(seed, clip_id, view)
    if kind == "shift":
        moved = start + int(rng.integers(-back, forth, endpoint=True))
        return pcm[moved : moved + samples].copy()
    if kind == "crop":
        kept = round(rng.uniform(*spec.crop_s) * rate_hz)
        first = int(rng.integers(0, samples - kept, endpoint=True))
        return np.pad(clip[first : first + kept], (0, samples - kept))
    if kind == "mixup" and partner is not None:
        return _mix(clip, partner, ratio_db=rng.uniform(*spec.mixup_db))
    return _mix(clip, _coloured_noise(rng, samples, slope=rng.uniform(0.0, 2.0)), ratio_db=rng.uniform(*spec.noise_snr_db))


def _mix(clip: Pcm, other: NDArray[Any], *, ratio_db: float) -> Pcm:
    """`clip` with `other` that many dB below it (rms, without means); turned down rather than clipped. Silence stays silence."""
    loud, quiet = clip - clip.mean(), other - other.mean()
    scale = loud.std() / max(quiet.std(), 1e-9) * 10.0 ** (-ratio_db / 20.0)
    mixed = clip + scale * quiet
    room = (AUDIO.pcm_full_scale - 1) / max(np.abs(mixed).max(), 1.0)
    return np.asarray(np.round(mixed * min(1.0, room)), dtype=np.int16)


def _coloured_noise(rng: np.random.Generator, samples: int, *, slope: float) -> NDArray[np.float64]:
    """Gaussian noise with a power spectrum of f^-slope above FLAT_BELOW_HZ."""
    hz = np.fft.rfftfreq(samples, 1.0 / AUDIO.sample_rate_hz)
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) * np.maximum(hz / FLAT_BELOW_HZ, 1.0) ** (-slope / 2.0), samples)


def _rng(*parts: object) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256("/".join(map(str, parts)).encode()).digest()))
