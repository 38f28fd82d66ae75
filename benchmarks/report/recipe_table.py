"""Quantization recipes side by side, as Markdown, from one benchmark of several files of each float32 student."""

from __future__ import annotations

from collections.abc import Sequence

from hearlite.benchmarks.report.format import auroc_text, bytes_text, loss_text, ms_text
from hearlite.benchmarks.schema.cost import Latency
from hearlite.benchmarks.schema.results import ModelInfo, Results
from hearlite.benchmarks.stats.estimates import Estimate, Paired

HEADER = "| student | recipe | file | latency | faster than float32 | centred cosine | mean AUROC | loss to float32 |\n"


def compares_recipes(results: Results) -> bool:
    """Whether one float32 file stands beside two quantized ones at least."""
    floats = [pair.to for pair in results.comparisons if pair.to != results.reference]
    return len(floats) > len(set(floats))


def recipe_table(name: str, results: Results) -> str:
    """The section of the benchmark in the folder `name`; a loss is float32's AUROC less the file's, paired, of the mean over tasks."""
    models = {model.name: model for model in results.models}
    pairs: dict[str, list[Paired]] = {}
    for pair in results.comparisons:
        if pair.to != results.reference:
            pairs.setdefault(pair.to, []).append(pair)
    latency = {row.model: row for row in results.latency}
    aurocs = {score.model: score.auroc for score in results.summary}
    rows = [HEADER + f"|{8 * '---|'}"]
    for float_name, group in pairs.items():
        rows.append(_row(models[float_name], aurocs[float_name], latency, None, first=True))
        rows += [_row(models[pair.model], aurocs[pair.model], latency, pair, first=False) for pair in group]
    told = next(iter(results.latency), None)
    timed = f" Latency: {told.device}, {told.threads} thread, {told.runs} interleaved runs, {told.date}." if told else ""
    return (
        f"\n**Recipes, `{results.dataset.name}`.** {len(results.tasks)} tasks, {results.dataset.test_subjects} test subjects"
        f"{_forced([models[pair.model] for group in pairs.values() for pair in group])}.{timed} Centred cosine: of embeddings to the float32"
        f" file's, on validation clips ([results.json](benchmarks/results/{name}/results.json)).\n\n" + "\n".join(rows) + "\n"
    )


def _forced(models: Sequence[ModelInfo]) -> str:
    failed = [model.name for model in models if model.quantization and not model.quantization.passed]
    return f"; written by force past the gate: {', '.join(failed)}" if failed else ""


def _row(model: ModelInfo, auroc: Estimate, latency: dict[str, Latency], pair: Paired | None, *, first: bool) -> str:
    cosine = f"{model.quantization.comparison.centred_cosine:.4f}" if model.quantization else ""
    time, base = latency.get(model.name), latency.get(pair.to) if pair else None
    cells = [
        model.file.removesuffix(".tflite").removesuffix("_f32") if first else "",
        f"`{model.recipe}`" if model.recipe else "float32",
        bytes_text(model.bytes),
        f"{ms_text(time.median_ms)} ms" if time else "",
        f"{base.median_ms / time.median_ms:.2f}x" if time and base else "",
        cosine,
        auroc_text(auroc),
        loss_text(_loss(pair.difference)) if pair else "",
    ]
    return f"| {' | '.join(cells)} |"


def _loss(difference: Estimate) -> Estimate:
    """The other sign, with the ends in order."""
    value, low, high = (None if end is None else -end for end in (difference.value, difference.high, difference.low))
    return Estimate(value, low, high)
