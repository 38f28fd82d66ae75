"""The quality gate of quantization: what it measures, its limits, and its result.

A gate compares a quantized file with the float32 student. `hearlite quantize` writes the result to compare.json, the
AUROC part is measured by hearlite.benchmarks, and `hearlite export` copies the result into the manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hearlite.errors import InputError
from hearlite.files import read_json
from hearlite.serialization import from_dict

SCHEMA = "hearlite-compare/1"  # of compare.json
POWER = 0.8  # customary in trial planning (Cohen 1988)
_Z_POWER, _Z_INTERVAL = 0.8416, 1.96  # normal quantiles of POWER and of a two-sided 95 % interval


@dataclass(frozen=True)
class Comparison:
    """How close the quantized file's embeddings are to the float32 ones.

    Centred: the mean of the float32 embeddings is subtracted from both, because raw cosines of embeddings are near 1
    regardless of the error.
    """

    clips: int
    centred_cosine: float  # mean over clips
    centred_cosine_p5: float  # 5th percentile
    snr_db: float  # power of the centred float32 embeddings over the power of the difference


@dataclass(frozen=True)
class TaskDrop:
    """The AUROC of one probe task with both files.

    `loss` is the AUROC drop, reference - quantized: above 0 the quantized file is worse.
    """

    name: str
    clips: int
    positive_subjects: int
    negative_subjects: int
    reference: float
    quantized: float
    loss: float
    low: float | None  # paired 95 % interval of the drop; null where too few bootstrap replicates have both classes
    high: float | None


@dataclass(frozen=True)
class AurocDrop:
    """The AUROC drop of all probe tasks and its mean.

    The interval of the mean is made of replicates that draw the same subjects for every task, so tasks that share
    subjects are pooled as they are.
    """

    data: str  # sha256 of the recordings, labels and protocol used to measure it
    dataset: str
    clips: int
    subjects: int
    replicates: int
    mean: float  # over the tasks
    low: float | None  # 95 % interval of the mean
    high: float | None
    tasks: tuple[TaskDrop, ...]

    def detectable(self, limit: float) -> float | None:
        """Return the drop that these recordings would refuse with a probability of POWER, None without an interval.

        A drop is refused where its interval lies above `limit`, so its estimate must exceed the limit by the lower
        half of the interval; a true drop of the returned size gets there POWER of the time.
        """
        if self.low is None:
            return None
        half = self.mean - self.low
        return limit + half * (1 + _Z_POWER / _Z_INTERVAL)


@dataclass(frozen=True)
class Limits:
    """The limits that a quantized file must keep to pass."""

    min_centred_cosine: float
    max_mean_auroc_loss: float


@dataclass(frozen=True)
class LayerLoss:
    """The error of one layer of the quantized network, compared with the float32 network."""

    layer: str
    snr_db: float
    lost: float  # share of a channel's variance lost to this layer's own rounding and clipping
    cause: str


@dataclass(frozen=True)
class GateResult:
    """The measurements, the limits, and which terms of the gate passed.

    `auroc` is None where no labels were given, `auroc_passed` also where they were too few for an interval.
    """

    comparison: Comparison
    auroc: AurocDrop | None
    limits: Limits
    cosine_passed: bool
    auroc_passed: bool | None
    passed: bool
    layers: tuple[LayerLoss, ...]  # in order of execution

    def worst(self, count: int = 5) -> tuple[LayerLoss, ...]:
        """Return the `count` layers that add the most error of their own, worst first.

        Error inherited from earlier layers does not count. Layers with float activations add none and are ordered by
        their signal-to-noise ratio.
        """
        return tuple(sorted(self.layers, key=lambda layer: (-layer.lost, layer.snr_db))[:count])


def evaluate_gate(
    comparison: Comparison, auroc: AurocDrop | None, *, limits: Limits, layers: tuple[LayerLoss, ...]
) -> GateResult:
    """Decide whether a quantized file passes its gate.

    The centred cosine must reach its limit, and the 95 % interval of the mean AUROC drop, if there is one, must not lie
    above its own. The interval decides and not the estimate, because an estimate from few subjects refuses sound files
    by chance: a drop of 0.0038 [-0.0084, 0.0160] says nothing about a limit of 0.003. What the recordings could have
    shown is told by `AurocDrop.detectable`.

    Parameters
    ----------
    comparison : Comparison
        Agreement of the embeddings.
    auroc : AurocDrop or None
        The AUROC drop; None if it was not measured.
    limits : Limits
        The gate.
    layers : tuple of LayerLoss
        Errors of the layers, in order of execution; passed through.

    Returns
    -------
    GateResult
    """
    cosine_passed = comparison.centred_cosine >= limits.min_centred_cosine
    auroc_passed = None if auroc is None or auroc.low is None else auroc.low <= limits.max_mean_auroc_loss
    return GateResult(
        comparison, auroc, limits, cosine_passed, auroc_passed, cosine_passed and auroc_passed is not False, layers
    )


def read_gate_result(path: Path) -> GateResult:
    """Read the gate's result from a compare.json, without the further details it holds about layers.

    Raises
    ------
    InputError
        When the file is damaged or was written by another version.
    """
    data = read_json(path)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise InputError(
            f"{path}: its schema is not {SCHEMA}", "it was written by another version; quantize the run again"
        )
    try:
        layers = [{key: layer[key] for key in LayerLoss.__annotations__} for layer in data["layers"]]
        fields = {key: data[key] for key in GateResult.__annotations__}
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: it lacks {error}", "quantize the run again") from error
    return from_dict(GateResult, {**fields, "layers": layers}, where=str(path))
