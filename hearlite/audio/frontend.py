"""The mel-PCEN frontend in numpy float64: the reference for the TensorFlow layer in frontend_tf.py.

It also computes the constant matrices that both use. It follows HeAR's published `preprocess_audio`
(Google-Health/hear), with one correction: minimum and maximum are taken per clip, never over the batch, so an image
does not depend on its neighbours. There is no third implementation: exported files contain the layer's graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError
from hearlite.spec import FrontendSpec

Float64 = NDArray[np.float64]


def frontend_numpy(clips: NDArray[np.floating[Any]], *, spec: FrontendSpec) -> Float64:
    """Compute the mel-PCEN images of clips.

    Parameters
    ----------
    clips : numpy.ndarray
        Floating point `[n, samples]`, at least one window long; not modified.
    spec : FrontendSpec
        Parameters of the frontend.

    Returns
    -------
    numpy.ndarray
        float64 `[n, frames, mels]`.

    Raises
    ------
    InputError
        When the clips have another shape or are too short.
    """
    if clips.ndim != 2 or clips.shape[1] < spec.window_samples:
        raise InputError(
            f"clips have shape {list(clips.shape)}",
            f"expected [n, samples] with at least {spec.window_samples} samples",
        )
    spectrum = power_spectrum(normalise(np.asarray(clips, dtype=np.float64), spec=spec), spec=spec)  # [n, frames, bins]
    image = pcen(spectrum @ mel_matrix(spec), spec=spec)  # [n, frames, mels]
    if spec.resize_frames:
        image = resize_matrix(image.shape[1], spec.resize_frames) @ image
    return np.log1p(image) if spec.log1p else image


def normalise(clips: Float64, *, spec: FrontendSpec) -> Float64:
    """Stretch each clip of `[n, samples]` to [-1, 1] by its own minimum and maximum.

    Silence becomes -1 everywhere, as in HeAR.
    """
    shifted = clips - clips.min(axis=1, keepdims=True)
    return np.asarray(2.0 * shifted / (shifted.max(axis=1, keepdims=True) + spec.range_floor) - 1.0)


def power_spectrum(clips: Float64, *, spec: FrontendSpec) -> Float64:
    """Compute the power STFT `[n, frames, fft_length // 2 + 1]` of clips `[n, samples]`.

    Clips are zero-padded at the end; frames are not centred.
    """
    frames = spec.stft_frames(clips.shape[1])
    padded = np.pad(clips, ((0, 0), (0, (frames - 1) * spec.hop_samples + spec.window_samples - clips.shape[1])))
    windows = np.lib.stride_tricks.sliding_window_view(padded, spec.window_samples, axis=1)[
        :, :: spec.hop_samples
    ]  # [n, frames, window]
    spectrum = np.fft.rfft(windows * hann(spec), n=spec.fft_length, axis=2)
    return spectrum.real**2 + spectrum.imag**2


def pcen(energy: Float64, *, spec: FrontendSpec) -> Float64:
    """Apply per-channel energy normalisation to mel power `[n, frames, mels]` (arXiv:1607.05666).

    The smoother's initial state is the first frame.
    """
    smooth = np.empty_like(energy)
    smooth[:, 0] = energy[:, 0]
    for t in range(1, energy.shape[1]):
        smooth[:, t] = (1.0 - spec.pcen_smoothing) * smooth[:, t - 1] + spec.pcen_smoothing * energy[:, t]
    gain = (spec.pcen_floor + smooth) ** -spec.pcen_alpha
    return np.asarray(
        (energy * gain + spec.pcen_delta) ** (1.0 / spec.pcen_root) - spec.pcen_delta ** (1.0 / spec.pcen_root)
    )


def hann(spec: FrontendSpec) -> Float64:
    """Return the periodic Hann window `[window_samples]`.

    Its first value is 0 and it is symmetric about its centre sample.
    """
    return np.asarray(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(spec.window_samples) / spec.window_samples))


def mel_matrix(spec: FrontendSpec) -> Float64:
    """Return the matrix from STFT bins to mel bands, `[fft_length // 2 + 1, mels]`.

    Its bands are triangles, linear in HTK mel, without area normalisation; the DC bin is zeroed. It is the matrix of
    `tf.signal.linear_to_mel_weight_matrix`, which HeAR uses.
    """
    bins_hz = np.linspace(0.0, spec.sample_rate_hz / 2, spec.fft_length // 2 + 1)
    edges = np.linspace(_hz_to_mel(spec.low_hz), _hz_to_mel(spec.high_hz), spec.mels + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    bins_mel = _hz_to_mel(bins_hz[1:])[:, None]
    triangles = np.minimum((bins_mel - lower) / (centre - lower), (upper - bins_mel) / (upper - centre))
    return np.vstack([np.zeros((1, spec.mels)), np.maximum(0.0, triangles)])


def smoother_matrix(frames: int, *, smoothing: float) -> Float64:
    """Return the PCEN smoother as a lower-triangular matrix `[frames, frames]`.

    smooth = matrix @ energy, with energy `[frames, mels]`.
    """
    lag = np.arange(frames)[:, None] - np.arange(frames)[None, :]
    matrix = np.where(lag >= 0, smoothing * (1.0 - smoothing) ** np.maximum(lag, 0), 0.0)
    matrix[:, 0] = (1.0 - smoothing) ** np.arange(frames)  # the initial state is the first frame itself
    return matrix


def resize_matrix(frames: int, resized: int) -> Float64:
    """Return the matrix `[resized, frames]` of a bilinear resize with half-pixel centres, no antialiasing."""
    position = np.clip((np.arange(resized) + 0.5) * frames / resized - 0.5, 0, frames - 1)
    left = np.minimum(position.astype(int), frames - 2)
    matrix = np.zeros((resized, frames))
    matrix[np.arange(resized), left] = 1.0 - (position - left)
    matrix[np.arange(resized), left + 1] = position - left
    return matrix


def _hz_to_mel(hz: Float64 | float) -> Float64:
    return np.asarray(1127.0 * np.log1p(np.asarray(hz, dtype=np.float64) / 700.0))  # HTK
