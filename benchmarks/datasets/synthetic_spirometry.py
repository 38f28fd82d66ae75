"""Make a regression task that needs no data: forced exhalations from equations, with their FEV1/FVC.

A lung that empties through one resistance from one compliance breathes out V(t) = FVC (1 - exp(-t/tau)), so FEV1/FVC =
1 - exp(-1 s/tau), and the flow falls as exp(-t/tau). Breath sounds grow with flow to a power of 1.66 ± 0.35 (Gavriely
and Cugell 1996, J Appl Physiol 80:5). The decay of the sound thus reveals tau, and so the ratio, but only as precisely
as the power is known, which differs between subjects. Below 0.7, the fixed limit of obstruction (GOLD report), a
wheeze becomes more likely. A spirometer's scatter is added to the ratio.

The corpus is synthetic: no number measured on it says anything about people. It shows that the path from a sound to a
number works and beats predicting the mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click
import numpy as np

from hearlite.audio.synth import DEVICES, Device, Float64, draw_splits, write_folder

COLUMNS = ("file", "start_s", "end_s", "label", "fev1_fvc", "subject", "split", "device", "synthetic")
GENERATOR = 1  # raise whenever a sound changes
TAU_S = (0.42, 1.5)  # log-uniform; FEV1/FVC of 0.91–0.49
FLOW_POWER = (1.66, 0.35)  # mean and standard deviation over subjects
OBSTRUCTED_BELOW = 0.7
SCATTER = 0.02  # standard deviation of the measured ratio; assumed
_RISE_S = 0.1  # time to peak flow; spirometry rejects a blow with a slower rise
_EXHALATION_S = 2.0  # length of the annotated event: one clip
_LEAD_S = (0.3, 1.0)  # noise before the blow
_TAIL_S = 0.5  # recorded after the annotated event


def fev1_fvc(tau_s: float) -> float:
    """Compute FEV1/FVC: the share of the vital capacity that is exhaled in the first second.

    `tau_s` is the time constant of the lung in seconds; the share is in [0, 1].
    """
    return 1.0 - math.exp(-1.0 / tau_s)


def exhalation(rng: np.random.Generator, *, tau_s: float, flow_power: float, device: Device) -> tuple[Float64, float]:
    """Synthesise one forced exhalation as a device records it.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of everything random.
    tau_s : float
        Time constant of the lung, in seconds.
    flow_power : float
        Exponent of the sound's growth with flow.
    device : Device
        The recording device: its sample rate, band and noise.

    Returns
    -------
    samples : float64 array [samples]
        The recording at the device's sample rate, with a peak below 1.
    start_s : float
        Start of the exhalation, in seconds.
    """
    lead_s, rate_hz = round(float(rng.uniform(*_LEAD_S)), 2), device.sample_rate_hz
    time_s = np.arange(round((lead_s + _EXHALATION_S + _TAIL_S) * rate_hz)) / rate_hz - lead_s
    flow = np.where(
        time_s < 0, 0.0, np.minimum(time_s / _RISE_S, 1.0) * np.exp(-np.maximum(time_s - _RISE_S, 0.0) / tau_s)
    )
    sound = flow**flow_power * _noise(
        rng, len(time_s), rate_hz, low_hz=device.low_hz, high_hz=min(device.high_hz, rng.uniform(700.0, 1_600.0))
    )
    if rng.uniform() < 2.0 * (OBSTRUCTED_BELOW - fev1_fvc(tau_s)):
        pitch_hz = rng.uniform(250.0, 800.0) * (1.0 + 0.05 * np.sin(2.0 * np.pi * rng.uniform(1.0, 3.0) * time_s))
        sound += rng.uniform(0.2, 0.8) * flow * np.sin(2.0 * np.pi * np.cumsum(pitch_hz) / rate_hz)
    sound /= np.abs(sound).max()
    sound += 10.0 ** ((device.noise_db + rng.uniform(-6.0, 6.0)) / 20.0) * rng.standard_normal(len(sound))
    return sound * 10.0 ** (rng.uniform(-20.0, -1.0) / 20.0) / np.abs(sound).max(), lead_s


def _noise(rng: np.random.Generator, samples: int, rate_hz: int, *, low_hz: float, high_hz: float) -> Float64:
    """Return noise of RMS 1 whose magnitude falls by 12 dB per octave outside the band."""
    hz = np.maximum(np.fft.rfftfreq(samples, 1.0 / rate_hz), 1e-3)
    shape = 1.0 / np.sqrt((1.0 + (low_hz / hz) ** 4) * (1.0 + (hz / high_hz) ** 4))
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) * shape, n=samples)
    scaled: Float64 = noise / np.sqrt(np.mean(noise**2))
    return scaled


def write_spirometry_corpus(folder: Path, *, subjects: int, recordings_per_subject: int, seed: int) -> Path:
    """Write a corpus of synthetic exhalations: `audio/*.flac` and `manifest.csv`.

    All recordings of a subject share its FEV1/FVC, in the column `fev1_fvc`; `label` is obstructed or normal. The same
    parameters give the same bytes. A README states that the sounds are synthetic.

    Parameters
    ----------
    folder : Path
        Folder to write.
    subjects : int
        Number of subjects.
    recordings_per_subject : int
        Number of recordings of each subject.
    seed : int
        Seed of everything random.

    Returns
    -------
    Path
        The manifest.

    Raises
    ------
    UsageError
        If a number is impossible.
    InputError
        If `folder` holds something else or cannot be written.
    """
    parameters = {
        "generator": f"spirometry {GENERATOR}",
        "subjects": subjects,
        "recordings_per_subject": recordings_per_subject,
        "seed": seed,
        "synthetic": True,
    }
    write = partial(_write_audio, subjects=subjects, recordings_per_subject=recordings_per_subject, seed=seed)
    return write_folder(folder, parameters=parameters, columns=COLUMNS, write=write, notice=_NOTICE)


def _write_audio(folder: Path, *, subjects: int, recordings_per_subject: int, seed: int) -> Iterator[tuple[str, ...]]:
    import soundfile

    splits = draw_splits(subjects, rng=np.random.default_rng([seed, 0]))
    for index in range(subjects):
        rng, subject = np.random.default_rng([seed, 1, index]), f"spiro{index:04d}"
        tau_s = math.exp(rng.uniform(math.log(TAU_S[0]), math.log(TAU_S[1])))
        flow_power = float(np.clip(rng.normal(*FLOW_POWER), 1.0, 2.4))
        measured = fev1_fvc(tau_s) + SCATTER * float(rng.standard_normal())
        label = "obstructed" if measured < OBSTRUCTED_BELOW else "normal"
        for number in range(recordings_per_subject):
            rng = np.random.default_rng([seed, 2, index, number])
            device = DEVICES[int(rng.integers(len(DEVICES)))]
            samples, start_s = exhalation(rng, tau_s=tau_s, flow_power=flow_power, device=device)
            path = f"audio/{subject}_{number}.flac"
            soundfile.write(folder / path, samples, device.sample_rate_hz, subtype="PCM_16", format="FLAC")
            end_s = start_s + _EXHALATION_S
            yield (
                path,
                f"{start_s:.2f}",
                f"{end_s:.2f}",
                label,
                f"{measured:.3f}",
                subject,
                splits[index],
                device.name,
                "yes",
            )


_NOTICE = """# Synthetic exhalations

Every file here was computed from equations by `hearlite.benchmarks.datasets.synthetic_spirometry`. Nobody breathed: there is no person and no
spirometer behind any row of `manifest.csv`. No number measured on them says anything about people, disease, or how a model will do on real
recordings.
"""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--subjects", type=click.IntRange(3), default=60, show_default=True)
@click.option("--recordings", type=click.IntRange(1), default=4, show_default=True, help="Recordings per subject.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def command(folder: Path, subjects: int, recordings: int, seed: int) -> None:
    """Write the synthetic spirometry corpus to FOLDER."""
    click.echo(write_spirometry_corpus(folder, subjects=subjects, recordings_per_subject=recordings, seed=seed))
