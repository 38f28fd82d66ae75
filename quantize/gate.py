"""The quality gate of a quantized file: embeddings near the float32 ones, and almost no AUROC lost by probes.

Neither says what the other does: a mean cosine of 0.9986 has cost 0.008 of mean AUROC, and one of 0.9917 only 0.001.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

from hearlite.errors import GateError
from hearlite.gate import POWER, SCHEMA, AurocDrop, GateResult, Limits, TaskDrop
from hearlite.spec import MAX_MEAN_AUROC_LOSS, QuantSpec, StudentSpec

NOT_MEASURED = "AUROC loss was not measured: no labelled recordings were given, so the centred cosine alone decides"


class QualityProbe(Protocol):
    """What the gate needs of the benchmarks stage, handed in by the caller since stages don't import each other."""

    @property
    def data(self) -> str:
        """sha256 of the recordings, labels and protocol: what was measured with another one counts as not measured."""

    def __call__(self, reference: bytes, quantized: bytes) -> AurocDrop:
        """Return what probes lose from the float32 file to the quantized one."""


def gate_limits(recipe: QuantSpec, student: StudentSpec) -> Limits:
    """Return the recipe's own limits, or those of the student's size."""
    cosine, loss = recipe.min_centred_cosine, recipe.max_mean_auroc_loss
    return Limits(
        student.min_centred_cosine if cosine is None else cosine, MAX_MEAN_AUROC_LOSS if loss is None else loss
    )


def compare_json(verdict: GateResult, layers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return compare.json: what `hearlite.gate` reads, the worst layers, and `layers`.

    The latter has all that is known of each.
    """
    return {
        "schema": SCHEMA,
        "gate": NOT_MEASURED if verdict.auroc is None else "centred cosine, and the interval of the mean AUROC loss",
        **{key: value for key, value in dataclasses.asdict(verdict).items() if key != "layers"},
        "worst_layers": [dataclasses.asdict(layer) for layer in verdict.worst()],
        "layers": list(layers),
    }


def failure(recipe: QuantSpec, verdict: GateResult) -> GateError | None:
    """Return the error of a failed gate, None when it is passed.

    It says what was measured, the limit, the likely cause and what to try next.
    """
    if verdict.passed:
        return None
    worst = verdict.worst(1)
    blame = f"; the worst layer is {worst[0].layer} ({worst[0].snr_db:.0f} dB: {worst[0].cause})" if worst else ""
    return GateError(
        f"{recipe.recipe}: {describe(verdict)}{blame}",
        f"{_remedy(recipe, verdict)}, or pass --allow-failed-gate to keep a file marked as failed",
    )


def describe(verdict: GateResult) -> str:
    """Both terms of the gate in a sentence."""
    found, limits = verdict.comparison, verdict.limits
    text = (
        f"the mean centred cosine of its embeddings to the float32 ones is {found.centred_cosine:.4f} on {found.clips}"
        f" validation clips, {'at least' if verdict.cosine_passed else 'below'} the gate of"
        f" {limits.min_centred_cosine:g}"
    )
    if verdict.auroc is None:
        return f"{text}; AUROC loss was not measured"
    loss, limit = verdict.auroc, limits.max_mean_auroc_loss
    tasks = (
        f"{len(loss.tasks)} task{'s' * (len(loss.tasks) > 1)} and {loss.subjects} training and validation subjects of"
        f" {loss.dataset}"
    )
    text = f"{text}; the mean AUROC loss is {loss.mean:.4f}{_interval(loss)} over {tasks}"
    if verdict.auroc_passed is None:
        return f"{text}, too few for an interval, so the gate of {limit:g} does not judge it"
    if not verdict.auroc_passed:
        return f"{text}, its interval above the gate of {limit:g}"
    return f"{text}, {_power(loss, limit)}"


def more_telling(known: GateResult | None, found: AurocDrop) -> AurocDrop:
    """Return the drop that judges a file that may have been refused before.

    A refusal stays when other recordings, which would have missed a drop that it saw, are asked instead.
    """
    if known is None or known.auroc is None or known.auroc_passed is not False or known.auroc.data == found.data:
        return found
    limit = known.limits.max_mean_auroc_loss
    before, now = known.auroc.detectable(limit), found.detectable(limit)
    return known.auroc if before is not None and (now is None or now > before) else found


def _power(loss: AurocDrop, limit: float) -> str:
    """Say what a passed AUROC term is worth: the drop that these recordings would have refused."""
    above = "" if loss.mean <= limit else "; its estimate is above, and more labelled recordings would tell"
    return (
        f"its interval not above the gate of {limit:g}, which would refuse a loss of {loss.detectable(limit):.4f} with"
        f" a probability of {POWER:.0%}{above}"
    )


def summary(verdict: GateResult) -> dict[str, Any]:
    """Return what the command line prints."""
    loss = verdict.auroc
    rows = [
        f"{row.name}: {row.reference:.3f} -> {row.quantized:.3f}, loss {row.loss:.4f}{_interval(row)}"
        for row in (loss.tasks if loss else ())
    ]
    return {
        **dataclasses.asdict(verdict.comparison),
        "mean_auroc_loss": loss.mean if loss else None,
        "mean_auroc_loss_low": loss.low if loss else None,
        "mean_auroc_loss_high": loss.high if loss else None,
        "detectable_auroc_loss": loss.detectable(verdict.limits.max_mean_auroc_loss) if loss else None,
        **dataclasses.asdict(verdict.limits),
        "passed": verdict.passed,
        "auroc loss": rows or NOT_MEASURED,
        "worst layers": [f"{layer.layer}: {layer.snr_db:.1f} dB, {layer.cause}" for layer in verdict.worst()],
    }


def _interval(loss: AurocDrop | TaskDrop) -> str:
    return "" if loss.low is None or loss.high is None else f" [{loss.low:.4f}, {loss.high:.4f}]"


def _remedy(recipe: QuantSpec, verdict: GateResult) -> str:
    """Return what to try next."""
    worst = verdict.worst(1)
    if verdict.cosine_passed:
        return "learn around it with --recipe qat_wi8_ai8, or measure it again with more labelled subjects"
    if recipe.weights != "int8" or recipe.activations != "int8":
        return "train longer"
    if recipe.qat.fraction:
        return "train longer, or keep activations in float32: --recipe weight_only_wi8_afp32"
    if worst and worst[0].cause.startswith("range too wide") and not recipe.equalize:
        return "set 'equalize' to true in the recipe, or let --recipe auto find one that passes"
    if worst and worst[0].cause.startswith(("range too wide", "range clipped")) and recipe.ranges != "mse":
        return "set 'ranges' to 'mse' in the recipe, or learn around it: --recipe qat_wi8_ai8"
    return "train longer, learn around it with --recipe qat_wi8_ai8, or let --recipe auto find one that passes"
