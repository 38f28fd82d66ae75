"""Synthesize respiratory-like sounds: a labelled corpus to run the pipeline without recordings.

Nothing measured on it is evidence about people. Sources: [ERS] Sovijarvi et al. 2000, Eur Respir Rev 10:77 (CORSA);
[NEJM] Bohadana et al. 2014, N Engl J Med 370:744; [Kiyokawa] Kiyokawa et al. 2001, Chest 119:1886; [Morice] Morice et
al. 2007, Eur Respir J 29:1256; [Pevernagie] Pevernagie et al. 2010, Sleep Med Rev 14:131; [Klatt] Klatt 1980, JASA
67:971; [P&B] Peterson & Barney 1952, JASA 24:175. Values without a source are chosen so that the classes overlap.
"""

from __future__ import annotations

import csv
import json
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite import files
from hearlite.errors import InputError, UsageError
from hearlite.spec import AUDIO

Float64 = NDArray[np.float64]

CLASSES = (
    "breath",
    "cough",
    "fine_crackle",
    "coarse_crackle",
    "wheeze",
    "rhonchus",
    "stridor",
    "snore",
    "speech_babble",
)
COLUMNS = ("file", "start_s", "end_s", "label", "subject", "split", "device", "synthetic")
GENERATOR = 1  # raise whenever a sound changes, so that a corpus of an older version is not mistaken for a current one
_DURATION_S = (2.5, 6.0)
_SPLIT_SHARES = {"val": 0.1, "test": 0.3}  # of the subjects; the rest are for training
_FIRST_SHARE = 0.11  # IDW / 2CD of fine and coarse crackles alike: 0.5 of 5 ms, 1.5 of 15 ms [ERS, NEJM]
_VOWELS_HZ = (  # men's formants [P&B]
    (270, 2290, 3010),
    (530, 1840, 2480),
    (660, 1720, 2410),
    (730, 1090, 2440),
    (640, 1190, 2390),
    (300, 870, 2240),
)


@dataclass(frozen=True)
class Device:
    """A recording device: its sampling rate, pass band and noise."""

    name: str
    sample_rate_hz: int
    low_hz: float
    high_hz: float
    noise_db: float  # relative to the recording's peak


DEVICES = (
    Device("phone", 44_100, 120.0, 15_000.0, -46.0),  # handsets cut rumble with a high-pass
    Device("headset", AUDIO.sample_rate_hz, 60.0, 7_000.0, -50.0),
    Device("telephone", 8_000, 300.0, 3_400.0, -38.0),  # ITU-T G.712 band
    Device("stethoscope", 4_000, 20.0, 1_000.0, -44.0),  # the rate of electronic stethoscopes in ICBHI 2017
)


@dataclass(frozen=True)
class Subject:
    """A made-up adult: 12–26 breaths a minute, pitch 85–255 Hz, vocal tract within 15 % of the mean."""

    tract: float  # factor on every formant
    pitch_hz: float
    breath_hz: float
    chest_hz: float  # the chest wall is a low-pass [ERS]
    breath_db: float  # level of the breath in the background


@dataclass(frozen=True)
class _Take:
    """The context in which a sound is made: random generator, length, rate and subject."""

    rng: np.random.Generator
    samples: int
    rate_hz: int
    subject: Subject

    @property
    def time_s(self) -> Float64:
        return np.arange(self.samples) / self.rate_hz

    def log_uniform(self, low: float, high: float) -> float:
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def wander(self, *, rate_hz: float) -> Float64:
        """Draw a smooth random curve `[samples]` in [-1, 1] with `rate_hz` new values per second."""
        knots = self.rng.uniform(-1.0, 1.0, int(self.samples / self.rate_hz * rate_hz) + 3)
        return np.interp(self.time_s * rate_hz, np.arange(len(knots)), knots)

    def arch(self) -> Float64:
        """Return an envelope, 0 at both ends and 1 in the middle, so that a sound does not start with a click."""
        arch: Float64 = np.sqrt(np.sin(np.pi * np.arange(self.samples) / self.samples))
        return arch

    def filtered(self, x: Float64, response: Callable[[Float64], NDArray[np.complex128] | Float64]) -> Float64:
        """Filter `x` by a frequency response, a function of Hz; circular, so a sound must fade at its ends."""
        y: Float64 = np.fft.irfft(np.fft.rfft(x) * response(np.fft.rfftfreq(len(x), 1.0 / self.rate_hz)), n=len(x))
        return y

    def noise(self, *, low_hz: float, high_hz: float, order: float = 2.0) -> Float64:
        return self.filtered(
            self.rng.standard_normal(self.samples), lambda hz: _band(hz, low_hz=low_hz, high_hz=high_hz, order=order)
        )

    def pulses(self, pitch_hz: Float64) -> Float64:
        """Return one unit impulse per period of the instantaneous frequency `[samples]`."""
        return np.diff(np.floor(np.cumsum(pitch_hz / self.rate_hz) + self.rng.uniform()), prepend=0.0).clip(0.0, 1.0)


def _band(hz: Float64, *, low_hz: float, high_hz: float = math.inf, order: float = 2.0) -> Float64:
    """Return Butterworth magnitudes: 6 dB per octave and order on either side, no phase shift."""
    high_pass = (hz / low_hz) ** (2.0 * order)
    response: Float64 = np.sqrt(high_pass / (1.0 + high_pass) / (1.0 + (hz / high_hz) ** (2.0 * order)))
    return response


def _formants(hz: Float64, *, centres_hz: tuple[float, ...], width: float, glottis_hz: float) -> NDArray[np.complex128]:
    """Return the response of a cascade of resonances with unit gain at 0 Hz [Klatt].

    It includes a source that falls by 12 dB per octave above `glottis_hz`.
    """
    response: NDArray[np.complex128] = np.asarray(1.0 / (1.0 + 1j * hz / glottis_hz) ** 2, dtype=np.complex128)
    for centre in centres_hz:
        response = response * centre**2 / (centre**2 - hz**2 + 1j * hz * width * centre)
    return response


def _breathing(take: _Take, phase: Float64) -> Float64:
    """Make noise that follows the air flow of breathing [ERS].

    Inspiration takes phase 0–0.42, a weaker and duller expiration 0.45–0.9; a pause follows.
    """
    chest_hz, phase = take.subject.chest_hz, phase % 1.0
    flow_in = np.sin(np.pi * np.clip(phase / 0.42, 0.0, 1.0))
    flow_out = np.sin(np.pi * np.clip((phase - 0.45) / 0.45, 0.0, 1.0))
    turbulence = take.noise(low_hz=90.0, high_hz=chest_hz, order=1.5)
    duller = take.filtered(turbulence, lambda hz: 1.0 / (1.0 + (hz / (0.8 * chest_hz)) ** 2))
    sound: Float64 = flow_in * turbulence + take.rng.uniform(0.3, 1.1) * flow_out * duller
    return sound


def _breath(take: _Take) -> Float64:
    """Make one breath, in and out."""
    return _breathing(take, np.linspace(0.0, 0.95, take.samples))


def _cough(take: _Take) -> Float64:
    """Make one to three coughs of three phases [Morice]: 30–50 ms burst, noisy flow, often a voiced end."""
    rng, t, sound = take.rng, take.time_s, np.zeros(take.samples)
    voiced = rng.uniform(0.0, 1.0) * (rng.uniform() < 0.6)
    noise = take.noise(low_hz=take.log_uniform(150.0, 500.0), high_hz=take.log_uniform(1_200.0, 6_000.0), order=1.0)
    centres = (500.0 * take.subject.tract, 1_500.0 * take.subject.tract)
    buzz = take.pulses(take.subject.pitch_hz * (1.6 + 0.3 * take.wander(rate_hz=8.0)))
    buzz = _unit(take.filtered(buzz, lambda hz: _formants(hz, centres_hz=centres, width=0.2, glottis_hz=300.0)))
    starts = np.arange(rng.integers(1, 4)) * rng.uniform(0.3, 0.5)
    for start in starts[starts < t[-1] - 0.25]:
        since = np.maximum(t - start, 0.0)
        burst = np.exp(-since / rng.uniform(0.012, 0.02)) * (1.0 - np.exp(-since / 0.002))
        flow = rng.uniform(0.2, 0.5) * np.exp(-since / rng.uniform(0.06, 0.12)) * (1.0 - np.exp(-since / 0.02))
        end = np.exp(-0.5 * ((t - start - rng.uniform(0.2, 0.28)) / 0.04) ** 2)
        sound += (burst + flow) * noise + 0.3 * voiced * end * buzz
    return sound


def _crackles(take: _Take, *, count: int, two_cycles_s: tuple[float, float]) -> Float64:
    """Make `count` crackles at random times: two cycles of a falling chirp [Kiyokawa].

    The initial deflection takes _FIRST_SHARE of the two cycles.
    """
    sound = np.zeros(take.samples)
    for _ in range(count):
        samples = max(8, round(take.log_uniform(*two_cycles_s) * take.rate_hz))
        t = (np.arange(samples) + take.rng.uniform()) / samples
        chirp = (
            np.sin(4.0 * np.pi * t ** (np.log(0.25) / np.log(_FIRST_SHARE)))
            * 0.5
            * (1.0 + np.cos(2.0 * np.pi * (np.sqrt(t) - 0.5)))
        )
        start = int(take.rng.integers(0, take.samples - samples))
        sound[start : start + samples] += take.log_uniform(0.25, 1.0) * take.rng.choice((-1.0, 1.0)) * chirp
    return take.filtered(sound, lambda hz: _band(hz, low_hz=60.0, high_hz=3.0 * take.subject.chest_hz, order=1.0))


def _fine_crackle(take: _Take) -> Float64:
    """Make many short crackles, about 650 Hz, 2CD about 5 ms [NEJM].

    Two cycles of 650 Hz last 3 ms, so the range spans both.
    """
    return _crackles(take, count=int(take.rng.integers(6, 20)), two_cycles_s=(0.0025, 0.0055))


def _coarse_crackle(take: _Take) -> Float64:
    """Make fewer and longer crackles, about 350 Hz, 2CD about 15 ms [NEJM].

    Two cycles of 350 Hz last 6 ms, so the range spans both.
    """
    return _crackles(take, count=int(take.rng.integers(3, 12)), two_cycles_s=(0.005, 0.015))


def _tone(take: _Take, *, pitch_hz: float, bend: float, harmonics_db: tuple[float, ...]) -> Float64:
    """Make a sinusoid whose frequency wanders slowly by the share `bend`, with weaker harmonics.

    Harmonics above the Nyquist frequency are left out.
    """
    phase = 2.0 * np.pi * np.cumsum(pitch_hz * (1.0 + bend * take.wander(rate_hz=3.0))) / take.rate_hz
    audible = [
        (k, db) for k, db in enumerate((0.0, *harmonics_db), start=1) if k * pitch_hz * (1.0 + bend) < take.rate_hz / 2
    ]
    swell = 0.7 + 0.3 * take.wander(rate_hz=5.0)
    sound = sum((10.0 ** (db / 20.0) * np.sin(k * phase) for k, db in audible), np.zeros(take.samples))
    tone: Float64 = swell * sound * take.arch()
    return tone


def _wheeze(take: _Take) -> Float64:
    """Make one or two near-sinusoids of 100–1000 Hz, usually above 400 Hz, longer than 80–100 ms [ERS]."""
    tones = range(1 + int(take.rng.uniform() < 0.25))
    harmonics = (-take.rng.uniform(12.0, 30.0), -take.rng.uniform(20.0, 40.0))
    return sum(
        (_tone(take, pitch_hz=take.log_uniform(220.0, 950.0), bend=0.12, harmonics_db=harmonics) for _ in tones),
        np.zeros(take.samples),
    )


def _rhonchus(take: _Take) -> Float64:
    """Make a train of rapidly damped sinusoids, dominated by at most 200 Hz, longer than 100 ms [ERS]."""
    pulses = take.pulses(take.log_uniform(45.0, 110.0) * (1.0 + 0.15 * take.wander(rate_hz=6.0)))
    centre_hz = take.log_uniform(95.0, 200.0)
    sound = take.filtered(
        pulses, lambda hz: _formants(hz, centres_hz=(centre_hz,), width=0.25, glottis_hz=250.0) * _band(hz, low_hz=50.0)
    )
    rhonchus: Float64 = sound * (0.6 + 0.4 * take.wander(rate_hz=5.0)) * take.arch()
    return rhonchus


def _stridor(take: _Take) -> Float64:
    """Make a loud, harmonic, rough note of the larynx above 500 Hz, during inspiration [NEJM]."""
    harmonics = tuple(-take.rng.uniform(3.0, 9.0) * k for k in range(1, 6))
    tone = _tone(take, pitch_hz=take.log_uniform(450.0, 1_000.0), bend=0.15, harmonics_db=harmonics)
    rough: Float64 = 1.0 + take.rng.uniform(0.0, 0.5) * take.wander(rate_hz=70.0)
    stridor: Float64 = rough * tone + take.rng.uniform(0.05, 0.3) * take.arch() * take.noise(
        low_hz=400.0, high_hz=2_500.0
    )
    return stridor


def _snore(take: _Take) -> Float64:
    """Make a snore: flutter of the palate, resonances of the open throat and the noise of the flow.

    The flutter is a train of pulses at 20–200 Hz [Pevernagie].
    """
    pulses = take.pulses(take.log_uniform(24.0, 130.0) * (1.0 + 0.25 * take.wander(rate_hz=8.0)))
    pulses = pulses * take.rng.uniform(0.5, 1.0, take.samples)
    centres = tuple(
        take.subject.tract * take.log_uniform(*around)
        for around in ((140.0, 350.0), (450.0, 800.0), (1_100.0, 2_200.0))
    )
    sound = take.filtered(
        pulses, lambda hz: _formants(hz, centres_hz=centres, width=0.25, glottis_hz=400.0) * _band(hz, low_hz=30.0)
    )
    flow = take.rng.uniform(0.1, 0.6) * _unit(take.noise(low_hz=200.0, high_hz=2_000.0, order=1.0))
    snore: Float64 = (_unit(sound) + flow) * take.arch() ** 2
    return snore


def _speech_babble(take: _Take) -> Float64:
    """Make two to five talkers: glottal pulses through vowels that change about four times a second."""
    babble = np.zeros(take.samples)
    for talker in range(int(take.rng.integers(2, 6))):
        pitch_hz, tract = (
            (take.subject.pitch_hz, take.subject.tract)
            if talker == 0
            else (take.log_uniform(85.0, 255.0), take.rng.uniform(0.9, 1.2))
        )
        pulses = take.pulses(pitch_hz * (1.0 + 0.2 * take.wander(rate_hz=4.0)))
        hop = round(take.rate_hz / take.rng.uniform(3.0, 5.5))
        window = np.hanning(round(1.3 * hop))
        for start in range(0, max(1, take.samples - len(window)), hop):
            vowel = tuple(tract * float(centre) for centre in _VOWELS_HZ[take.rng.integers(len(_VOWELS_HZ))])
            syllable = pulses[start : start + len(window)] * window[: take.samples - start] * take.rng.uniform(0.2, 1.0)
            voiced = take.filtered(syllable, partial(_formants, centres_hz=vowel, width=0.1, glottis_hz=200.0))
            babble[start : start + len(syllable)] += voiced / (1.0 + 0.5 * talker)
    return take.filtered(babble, lambda hz: _band(hz, low_hz=80.0))


@dataclass(frozen=True)
class _Sound:
    make: Callable[[_Take], Float64]
    event_s: tuple[float, float]  # range of its length
    phase: float | None  # of the breath when it starts; None where it may start anywhere
    over_breath_db: tuple[float, float]  # level of its loudest 20 ms relative to the breath's


_SOUNDS = {
    "breath": _Sound(_breath, (1.4, 2.4), 0.0, (2.0, 14.0)),
    "cough": _Sound(_cough, (0.45, 1.2), None, (3.0, 22.0)),
    "fine_crackle": _Sound(_fine_crackle, (0.4, 1.2), 0.15, (0.0, 14.0)),
    "coarse_crackle": _Sound(_coarse_crackle, (0.4, 1.4), 0.02, (0.0, 16.0)),
    "wheeze": _Sound(_wheeze, (0.25, 1.5), 0.47, (-8.0, 10.0)),
    "rhonchus": _Sound(_rhonchus, (0.25, 1.5), 0.47, (-4.0, 14.0)),
    "stridor": _Sound(_stridor, (0.4, 1.4), 0.02, (-4.0, 16.0)),
    "snore": _Sound(_snore, (0.5, 1.8), 0.02, (-3.0, 18.0)),
    "speech_babble": _Sound(_speech_babble, (1.0, 2.4), None, (-6.0, 14.0)),
}


def _unit(x: Float64) -> Float64:
    """Scale `x` to an RMS of 1; silence stays silent."""
    return x / max(float(np.sqrt(np.mean(x * x))), 1e-12)


def _loudest(x: Float64, *, rate_hz: int) -> float:
    """Return the RMS of the loudest 20 ms, a level that treats a click and a hum alike."""
    block = rate_hz // 50
    blocks = np.pad(x, (0, -len(x) % block)).reshape(-1, block)
    return max(float(np.sqrt(np.mean(blocks * blocks, axis=1).max())), 1e-12)


def draw_subject(rng: np.random.Generator) -> Subject:
    """Draw a random subject."""
    return Subject(
        tract=float(rng.uniform(0.88, 1.15)),
        pitch_hz=float(np.exp(rng.uniform(np.log(85.0), np.log(255.0)))),
        breath_hz=float(rng.uniform(0.2, 0.43)),
        chest_hz=float(np.exp(rng.uniform(np.log(250.0), np.log(1_000.0)))),
        breath_db=float(rng.uniform(-6.0, 6.0)),
    )


def recording(
    label: str, *, rng: np.random.Generator, subject: Subject, device: Device, duration_s: float
) -> tuple[Float64, float, float]:
    """Make a recording of one sound over the subject's breath, as the device captures it.

    Parameters
    ----------
    label : str
        Class of the sound, one of CLASSES.
    rng : numpy.random.Generator
        Source of all random choices.
    subject : Subject
        The subject who makes the sound.
    device : Device
        The recording device.
    duration_s : float
        Length in seconds, at least 2.5.

    Returns
    -------
    tuple of numpy.ndarray, float and float
        float64 `[duration_s * device.sample_rate_hz]` in (-1, 1), and the sound's start and end in seconds.

    Raises
    ------
    UsageError
        When the label is unknown or the recording too short.
    """
    if label not in _SOUNDS:
        raise UsageError(f"label is {label!r}", f"use one of {', '.join(CLASSES)}")
    if duration_s < _DURATION_S[0]:
        raise UsageError(
            f"a recording of {duration_s:g} s is too short for the longest sound", f"use at least {_DURATION_S[0]} s"
        )
    sound, rate_hz = _SOUNDS[label], device.sample_rate_hz
    whole = _Take(rng, round(duration_s * rate_hz), rate_hz, subject)
    event_s = round(rng.uniform(*sound.event_s), 2)
    start_s = round(rng.uniform(0.0, duration_s - event_s), 2)
    event = _Take(rng, round(event_s * rate_hz), rate_hz, subject)
    onset_phase = rng.uniform() if sound.phase is None else sound.phase
    breath = _breathing(whole, (whole.time_s - start_s) * subject.breath_hz + onset_phase)
    mixed = breath / _loudest(breath, rate_hz=rate_hz)
    edges = np.minimum(1.0, np.minimum(event.time_s, event.time_s[::-1]) / 0.01)  # 10 ms
    alone = sound.make(event) * edges
    level_db = rng.uniform(*sound.over_breath_db) - subject.breath_db
    first = round(start_s * rate_hz)
    mixed[first : first + event.samples] += alone * 10.0 ** (level_db / 20.0) / _loudest(alone, rate_hz=rate_hz)
    captured = whole.filtered(mixed, lambda hz: _band(hz, low_hz=device.low_hz, high_hz=device.high_hz, order=2.0))
    captured = _with_room(whole, captured / np.abs(captured).max(), noise_db=device.noise_db + rng.uniform(-8.0, 12.0))
    peak = 10.0 ** (rng.uniform(-24.0, -1.0) / 20.0)
    return captured * peak / np.abs(captured).max(), start_s, start_s + event_s


def _with_room(take: _Take, captured: Float64, *, noise_db: float) -> Float64:
    """Add the device's noise and, at times, mains hum and knocks on the microphone to a sound with peak 1.

    All are independent of the class.
    """
    rng = take.rng
    noisy: Float64 = captured + 10.0 ** (noise_db / 20.0) * rng.standard_normal(take.samples)
    if rng.uniform() < 0.3:
        noisy += take.log_uniform(0.005, 0.05) * np.sin(2.0 * np.pi * rng.choice((50.0, 60.0)) * take.time_s)
    ring_s = np.arange(take.rate_hz // 5) / take.rate_hz
    for _ in range(int(rng.integers(1, 5)) if rng.uniform() < 0.35 else 0):
        knock = np.exp(-ring_s / take.log_uniform(0.002, 0.02)) * np.sin(
            2.0 * np.pi * take.log_uniform(80.0, 900.0) * ring_s
        )
        start = int(rng.integers(0, take.samples - len(knock)))
        noisy[start : start + len(knock)] += take.log_uniform(0.05, 0.6) * knock
    return noisy


def write_corpus(folder: Path, *, subjects: int, recordings_per_subject: int, seed: int) -> Path:
    """Write a synthetic corpus: recordings, a manifest and a notice that the sounds are synthetic.

    These are `audio/*.flac` (16-bit mono, 4–44.1 kHz), `manifest.csv`, `corpus.json` and `SYNTHETIC.md`. The same
    parameters produce the same bytes. A corpus with these parameters is left as it is; `folder` appears only once all
    of it is written.

    Parameters
    ----------
    folder : Path
        Where to write; must not exist, be empty, or hold a corpus with the same parameters.
    subjects : int
        Number of subjects, at least 3: one for each of train, val and test.
    recordings_per_subject : int
        Recordings of each subject, at least 1.
    seed : int
        Random seed, at least 0.

    Returns
    -------
    Path
        The manifest.

    Raises
    ------
    UsageError
        When a number is out of range.
    InputError
        When `folder` holds something else or cannot be written.
    """
    parameters = {
        "generator": GENERATOR,
        "subjects": subjects,
        "recordings_per_subject": recordings_per_subject,
        "seed": seed,
        "synthetic": True,
    }
    write = partial(_write_audio, subjects=subjects, recordings_per_subject=recordings_per_subject, seed=seed)
    return write_folder(
        folder, parameters=parameters, columns=COLUMNS, write=write, notice=_NOTICE.format(**parameters)
    )


def write_folder(
    folder: Path,
    *,
    parameters: dict[str, Any],
    columns: Sequence[str],
    write: Callable[[Path], Iterable[tuple[str, ...]]],
    notice: str,
) -> Path:
    """Write a synthetic corpus with any generator, completely or not at all.

    Parameters
    ----------
    folder : Path
        Where to write. A corpus with the same parameters is left as it is.
    parameters : dict
        Stored in corpus.json; must have `subjects`, `recordings_per_subject` and `seed`.
    columns : sequence of str
        Columns of the manifest.
    write : callable
        Takes a folder, writes the recordings to `audio` in it and yields a manifest row for each.
    notice : str
        Content of SYNTHETIC.md.

    Returns
    -------
    Path
        The manifest.

    Raises
    ------
    UsageError
        When a number is out of range.
    InputError
        When `folder` holds something else or cannot be written.
    """
    if parameters["subjects"] < 3 or parameters["recordings_per_subject"] < 1 or parameters["seed"] < 0:
        values = ", ".join(f"{name}={parameters[name]}" for name in ("subjects", "recordings_per_subject", "seed"))
        raise UsageError(
            f"no corpus with {values}", "use at least 3 subjects (train, val, test), 1 recording each and a seed >= 0"
        )
    if _is_there(folder, parameters=parameters):
        return folder / "manifest.csv"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            built = Path(scratch) / folder.name
            (built / "audio").mkdir(parents=True)
            with (built / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(columns)
                writer.writerows(write(built))
            (built / "SYNTHETIC.md").write_text(notice, encoding="utf-8", newline="\n")
            files.write_json(built / "corpus.json", parameters)
            if folder.is_dir():
                folder.rmdir()  # empty, as _is_there checked
            built.replace(folder)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}", "choose a folder that can be written") from error
    return folder / "manifest.csv"


def _write_audio(folder: Path, *, subjects: int, recordings_per_subject: int, seed: int) -> Iterator[tuple[str, ...]]:
    """Write every recording and yield its manifest row.

    A recording depends on seed, subject and number alone.
    """
    import soundfile

    splits = draw_splits(subjects, rng=np.random.default_rng([seed, 0]))
    for index in range(subjects):
        rng = np.random.default_rng([seed, 1, index])
        subject, name = draw_subject(rng), f"synth{index:04d}"
        labels = np.concatenate([rng.permutation(CLASSES) for _ in range(-(-recordings_per_subject // len(CLASSES)))])
        for number in range(recordings_per_subject):
            rng, label = np.random.default_rng([seed, 2, index, number]), str(labels[number])
            device = DEVICES[int(rng.integers(len(DEVICES)))]
            # In tenths of a second, which are whole samples at every rate.
            duration_s = float(rng.integers(round(10 * _DURATION_S[0]), round(10 * _DURATION_S[1]) + 1)) / 10.0
            samples, start_s, end_s = recording(label, rng=rng, subject=subject, device=device, duration_s=duration_s)
            path = f"audio/{name}_{number}.flac"
            soundfile.write(folder / path, samples, device.sample_rate_hz, subtype="PCM_16", format="FLAC")
            yield path, f"{start_s:.2f}", f"{end_s:.2f}", label, name, splits[index], device.name, "yes"


def draw_splits(subjects: int, *, rng: np.random.Generator) -> list[str]:
    """Assign each subject to a split at random: 10 % val and 30 % test, at least one each, the rest train."""
    splits = [split for split, share in _SPLIT_SHARES.items() for _ in range(max(1, round(share * subjects)))]
    return [str(split) for split in rng.permutation(splits + ["train"] * (subjects - len(splits)))]


def _is_there(folder: Path, *, parameters: dict[str, Any]) -> bool:
    """Return whether `folder` is a complete corpus with `parameters`; False if it is missing or empty.

    Raises InputError for anything else.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        stored = files.read_json(folder / "corpus.json")
    except InputError as error:
        raise InputError(
            f"{folder} is there and is no synthetic corpus (no readable corpus.json)", "choose another folder"
        ) from error
    if stored != parameters:
        raise InputError(
            f"{folder} holds a corpus with other parameters: {json.dumps(stored)}",
            f"choose another folder, or delete it to get {json.dumps(parameters)}",
        )
    recordings = len(list((folder / "audio").glob("*.flac")))
    expected = parameters["subjects"] * parameters["recordings_per_subject"]
    if recordings != expected or not (folder / "manifest.csv").is_file():
        raise InputError(
            f"{folder} is incomplete: {recordings} of {expected} recordings, or no manifest.csv",
            "delete it, so that it is made again",
        )
    return True


_NOTICE = """# Synthetic sounds

Every file here was computed from equations by `hearlite.audio.synth` (generator {generator}, seed {seed}, {subjects} made-up subjects,
{recordings_per_subject} recordings each). Nobody breathed, coughed or spoke: there is no person and no patient behind any row of `manifest.csv`.

The sounds exist so that the pipeline can be run and tested without recordings. They resemble the textbook description of nine sounds and
nothing more. No number measured on them says anything about people, disease, or how a model will do on real recordings.
"""
