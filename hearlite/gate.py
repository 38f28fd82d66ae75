"""What quantization cost a file and whether that passes its gate: quantize writes it, benchmarks measures a part of it,
export passes it on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hearlite.errors import InputError
from hearlite.files import read_json
from hearlite.serialization import from_dict

SCHEMA = "hearlite-compare/1"  # of compare.json


@dataclass(frozen=True)
class Comparison:
    """Embeddings of both files. Centred: the float32 mean is subtracted from both, since raw cosines of embeddings are
    near 1 whatever happens.
    """

    clips: int
    centred_cosine: float  # mean over clips
    centred_cosine_p5: float  # 5th percentile
    snr_db: float  # power of the centred float32 embeddings over that of the difference


@dataclass(frozen=True)
class TaskDrop:
    """The AUROC of one probe task with both files. `loss` is reference - quantized: above 0 the quantized file is the
    worse one.
    """

    name: str
    clips: int
    positive_subjects: int
    negative_subjects: int
    reference: float
    quantized: float
    loss: float
    low: float | None  # paired 95 % interval of the loss; null where too few bootstrap replicates have both classes
    high: float | None


@dataclass(frozen=True)
class AurocDrop:
    """Over all tasks, with the interval of their mean loss."""

    data: str  # sha256 of the recordings, labels and protocol that it was measured with
    dataset: str
    clips: int
    subjects: int
    replicates: int
    mean: float
    low: float | None
    high: float | None
    tasks: tuple[TaskDrop, ...]


@dataclass(frozen=True)
class Limits:
    min_centred_cosine: float
    max_mean_auroc_loss: float


@dataclass(frozen=True)
class LayerLoss:
    """One layer of the quantized network beside the float32 one."""

    layer: str
    snr_db: float
    lost: float  # share of a channel's variance that this layer's own rounding and clipping takes
    cause: str


@dataclass(frozen=True)
class GateResult:
    """What was measured, the limits, and which term of the gate passed. `auroc` and `auroc_passed` are None where no
    labels were given.
    """

    comparison: Comparison
    auroc: AurocDrop | None
    limits: Limits
    cosine_passed: bool
    auroc_passed: bool | None
    passed: bool
    layers: tuple[LayerLoss, ...]  # in order of execution

    def worst(self, count: int = 5) -> tuple[LayerLoss, ...]:
        """The layers that lose most by themselves: what they inherit is another's fault. Where activations are float
        none does; then by noise.
        """
        return tuple(sorted(self.layers, key=lambda layer: (-layer.lost, layer.snr_db))[:count])


def evaluate_gate(
    comparison: Comparison, auroc: AurocDrop | None, *, limits: Limits, layers: tuple[LayerLoss, ...]
) -> GateResult:
    """Both terms must pass; an AUROC loss that was not measured decides nothing.

    Its point estimate decides: with few subjects an interval is so wide that no file would pass, or every one. Read the
    interval beside it.
    """
    cosine_passed = comparison.centred_cosine >= limits.min_centred_cosine
    auroc_passed = None if auroc is None else auroc.mean <= limits.max_mean_auroc_loss
    return GateResult(
        comparison, auroc, limits, cosine_passed, auroc_passed, cosine_passed and auroc_passed is not False, layers
    )


def read_gate_result(path: Path) -> GateResult:
    """The verdict in a compare.json, which holds more about the layers. Raises InputError for another version's or a
    damaged one.
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
