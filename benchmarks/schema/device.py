"""The JSON of a benchmark on one device, which `hearlite cost --android` and the Android app share.

It is a part of results.json.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = "hearlite-device-bench/1"  # BenchReport.kt writes it too
EMULATED = "emulated, not a latency"
WRONG = "parity failed, and times of a wrong computation say nothing"


@dataclass(frozen=True)
class DeviceFacts:
    """What the device says of itself; null where it says nothing."""

    name: str
    os: str  # "Android 16"
    abi: str
    cores: int | None
    battery_percent: int | None
    battery_celsius: float | None
    charging: bool | None
    power_save: bool | None
    emulated: bool  # another processor than the program's, or Android's emulator


@dataclass(frozen=True)
class DeviceParity:
    """The golden sound's embedding, and scores where a head is fused, against what the exporter's machine computed."""

    passed: bool
    exact: bool  # every bit of the embedding
    relative_difference: float | None  # of the golden embedding's length; null where values are not finite
    score_difference: float | None  # the largest; null without a head
    tolerance: float  # of both


@dataclass(frozen=True)
class DeviceLatency:
    """Milliseconds from raw audio to embedding, over `runs` calls.

    `warmup` calls before them don't count; `cold_ms` is the first of those.
    """

    runs: int
    warmup: int
    cold_ms: float
    median_ms: float
    p5_ms: float
    p95_ms: float
    mean_ms: float


@dataclass(frozen=True)
class BenchmarkModel:
    """What LiteRT's own benchmark_model printed of the same file; older ones print no quantiles."""

    runs: int
    cold_ms: float
    mean_ms: float
    min_ms: float
    max_ms: float
    median_ms: float | None
    p5_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True)
class DeviceBench:
    """One file on one device.

    Without passed parity there is no latency, and an emulator has none either: `without_latency` says why.
    """

    model: str
    tflite_sha256: str
    runtime: str
    threads: int
    date: str  # UTC, ISO 8601
    device: DeviceFacts
    parity: DeviceParity
    latency: DeviceLatency | None
    without_latency: str  # "", EMULATED or WRONG
    benchmark_model: BenchmarkModel | None = None
    schema: str = SCHEMA

    def line(self) -> str:
        """For a person."""
        parity, latency, device = self.parity, self.latency, self.device
        same = (
            "equal to the bit"
            if parity.exact
            else f"differs by {parity.relative_difference:.2g} of its length, allowed {parity.tolerance:g}"
        )
        timed = (
            f"median {latency.median_ms:.2f} ms, p95 {latency.p95_ms:.2f} ms, {self.threads} thread(s)"
            if latency
            else self.without_latency
        )
        return f"{self.model} on {device.name}, {device.os}: golden embedding {same}; {timed}"
