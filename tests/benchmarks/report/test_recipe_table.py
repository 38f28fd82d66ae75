"""The README's table of quantization recipes: what stands beside one float32 file, and losses with the right sign."""

from __future__ import annotations

import dataclasses

from fixtures import BENCH

from hearlite.benchmarks.report.format import auroc_text
from hearlite.benchmarks.report.markdown import compares_recipes, recipe_table
from hearlite.benchmarks.schema.io import read_results
from hearlite.benchmarks.schema.results import Results
from hearlite.benchmarks.stats.estimates import Estimate

FLOAT, INT8, OTHER = "hearlite_tiny_2s_f32.tflite", "hearlite_tiny_2s_i8.tflite", "hearlite_tiny_2s_i8.tflite (another)"


def two_recipes() -> Results:
    """A stored benchmark with a second file that loses 0.01 to tiny's float32 one and takes half of the time."""
    results = read_results(BENCH)
    model = next(item for item in results.models if item.name == INT8)
    pair = next(item for item in results.comparisons if (item.model, item.to) == (INT8, FLOAT))
    score = next(item for item in results.summary if item.model == INT8)
    latency = next(item for item in results.latency if item.model == FLOAT)
    return dataclasses.replace(
        results,
        models=(*results.models, dataclasses.replace(model, name=OTHER, recipe="another")),
        comparisons=(
            *results.comparisons,
            dataclasses.replace(pair, model=OTHER, difference=Estimate(-0.01, -0.03, 0.002)),
        ),
        summary=(*results.summary, dataclasses.replace(score, model=OTHER)),
        latency=(*results.latency, dataclasses.replace(latency, model=OTHER, median_ms=latency.median_ms / 2)),
    )


def test_one_file_beside_its_float32_one_is_no_comparison_of_recipes() -> None:
    assert not compares_recipes(read_results(BENCH))
    assert compares_recipes(two_recipes())


def test_a_row_for_every_file_behind_its_float32_one() -> None:
    text = recipe_table("folder", two_recipes())
    (row,) = (line for line in text.splitlines() if "`another`" in line)
    results = two_recipes()
    auroc = next(score.auroc for score in results.summary if score.model == OTHER)
    cosine = next(
        model.quantization.comparison.centred_cosine
        for model in results.models
        if model.name == OTHER and model.quantization
    )
    assert row.endswith(f"| 2.00x | {cosine:.4f} | {auroc_text(auroc)} | 0.0100 [\u22120.0020, 0.0300] |")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert [line.split("|")[1].strip() for line in rows[1:]] == ["hearlite tiny", "", "", "hearlite small", ""]
    assert "written although" not in text, "every file of this benchmark passed"
    results = two_recipes()
    models = tuple(
        dataclasses.replace(model, quantization=dataclasses.replace(model.quantization, passed=False))
        if model.name == "hearlite_small_2s_i8.tflite" and model.quantization
        else model
        for model in results.models
    )
    assert "written although they failed the gate: hearlite_small_2s_i8.tflite" in recipe_table(
        "folder", dataclasses.replace(results, models=models)
    )
    assert "`folder`" in text
