"""Constants of how rooms and recorders change sound, and coloured noise.

Shared by training views, the student's augmentation and the robustness study.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hearlite.spec import AUDIO

# Tilt and noise colour stop here: the students' bands begin at 60 Hz, and brown noise would put its power below.
FLAT_BELOW_HZ = 50.0
TILT_PIVOT_HZ = 1_000.0  # where a tilt is 0 dB, as on audio equalisers
LOW_PASS_ORDER = 4  # Butterworth, 24 dB an octave: an anti-alias filter
HIGH_PASS_ORDER = 2  # 12 dB an octave: a microphone's vent and coupling
DEVICE_TAPS = 256  # 16 ms of a device's impulse response; a decay of 3 ms is 46 dB down there


def coloured_noise(rng: np.random.Generator, samples: int, *, slope: float) -> NDArray[np.float64]:
    """Return Gaussian noise `[samples]` whose power spectrum falls as f^-slope above FLAT_BELOW_HZ.

    Slope 0 is white, 1 pink, 2 brown noise.
    """
    noise = rng.standard_normal(samples)
    if not slope:
        return noise
    hz = np.fft.rfftfreq(samples, 1.0 / AUDIO.sample_rate_hz)
    return np.fft.irfft(np.fft.rfft(noise) * np.maximum(hz / FLAT_BELOW_HZ, 1.0) ** (-slope / 2.0), samples)
