"""Recipes are data; every one of them gives a file that runs; what a bad one breaks is found and named."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import OUTLIERS
from legacy import run_legacy
from numpy.typing import NDArray
from small import run_file, small_images, small_network

pytest.importorskip("tensorflow")

from hearlite.errors import InputError, UsageError
from hearlite.gate import read_gate_result
from hearlite.quantize.compare import LayerComparison, compare_embeddings, compare_layers
from hearlite.quantize.pipeline import quantize, quantize_auto
from hearlite.quantize.recipe import AUTO, find_recipe, read_recipe, recipes, require_known
from hearlite.quantize.static import quantize_static
from hearlite.quantize.weight_only import quantize_weights, weight_only
from hearlite.run import Run
from hearlite.spec import STUDENT_FRONTEND, STUDENTS, QuantSpec
from hearlite.student import build_network, load_network
from hearlite.tflite.convert import (
    convert_frontend,
    convert_network,
    convert_network_dynamic,
    convert_network_float16,
    join_frontend,
)
from hearlite.tflite.interpreter import RUNTIMES, TfliteModel
from hearlite.tflite.model_file import summarize

pytestmark = pytest.mark.kernels


@pytest.fixture(scope="module")
def built() -> dict[str, bytes]:
    """Networks by what they are: made without training, in a recipe's way."""
    network = small_network()
    plain = convert_network(network)
    images = list(small_images(32))
    static = quantize_static(plain, images, recipe=recipes()["static_wi8_ai8"])
    return {
        "float32": plain,
        "float16": convert_network_float16(network),
        "weight_only_wi8_afp32": weight_only(plain),
        "dynamic_wi8_afp32": convert_network_dynamic(network),
        "static_wi8_ai8": static.network,
        "rounded_from": static.rounded_from,
    }


def test_names_say_what_they_are() -> None:
    assert sorted(recipes()) == sorted(AUTO)
    for name, recipe in recipes().items():
        assert recipe.recipe == name
        assert ("wi8" in name) is (recipe.weights == "int8")
        assert name.endswith("ai8") is (recipe.activations == "int8")
        assert (recipe.qat.fraction > 0) is name.startswith("qat")


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": "../elsewhere"},
        {"recipe": "records"},
        {"weights": "int4"},
        {"activations": "int16"},
        {"ranges": "entropy"},
        {"percentile": 20.0},
        {"refit_ridge": -1.0},
        {"calibration_clips": 0},
    ],
)
def test_a_recipe_that_is_not_built(change: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        require_known(dataclasses.replace(QuantSpec(), **change))  # type: ignore[arg-type]
    assert str(next(iter(change.values()))) in caught.value.message
    assert caught.value.hint


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"recipe": "mine", "ranges": "percentile", "percentile": 99.9}))
    assert read_recipe(path).percentile == 99.9
    path.write_text(json.dumps({"recipe": "mine", "min_centred_cosine": 1, "max_mean_auroc_loss": None}))
    assert (find_recipe(str(path)).min_centred_cosine, find_recipe(str(path)).max_mean_auroc_loss) == (1.0, None)
    for broken, says in (
        ({"range": "minmax"}, "unknown key 'range'"),
        ({"max_mean_auroc_loss": "little"}, "max_mean_auroc_loss is 'little'"),
    ):
        path.write_text(json.dumps({"recipe": "mine", **broken}))
        with pytest.raises(InputError, match=says):
            read_recipe(path)


def test_a_recipe_by_its_name(tmp_path: Path) -> None:
    assert find_recipe("float16") == recipes()["float16"]
    with pytest.raises(UsageError, match=r"recipe is 'int2'") as caught:
        find_recipe("int2")
    assert "static_wi8_ai8" in caught.value.hint
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"recipe": "static_wi8_ai8", "ranges": "minmax"}))
    with pytest.raises(UsageError, match="as one of hearlite's that differs"):
        find_recipe(str(path))
    with pytest.raises(InputError, match="No such file"):
        find_recipe(str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    ("name", "least"),
    [("float16", 0.9999), ("weight_only_wi8_afp32", 0.99), ("dynamic_wi8_afp32", 0.98), ("static_wi8_ai8", 0.95)],
)
def test_every_file_follows_the_float_one(built: dict[str, bytes], name: str, least: float) -> None:
    images = small_images(32, seed=4)
    wanted = run_file(built["float32"], images)
    found = run_file(built[name], images)
    assert compare_embeddings(wanted - wanted.mean(axis=0), found - wanted.mean(axis=0)).centred_cosine > least


@pytest.mark.parametrize("runtime", [*RUNTIMES, "tflite-runtime"])
@pytest.mark.parametrize("name", ["float16", "weight_only_wi8_afp32", "dynamic_wi8_afp32", "static_wi8_ai8"])
def test_every_file_loads_everywhere(
    built: dict[str, bytes], name: str, runtime: str, request: pytest.FixtureRequest
) -> None:
    images = small_images(8, seed=4)
    if runtime == "tflite-runtime":
        (found,) = run_legacy(request.getfixturevalue("legacy_python"), built[name], images)
    else:
        model = TfliteModel(built[name], runtime=runtime)  # type: ignore[arg-type]
        found = np.concatenate([next(iter(model.run(image[None]).values())) for image in images])
    wanted = run_file(built[name], images)
    assert np.abs(found - wanted).max() < 0.1 * np.ptp(wanted)


@pytest.fixture(scope="module")
def tiny() -> dict[str, bytes]:
    """The tiny student: the converter leaves weights of less than 1024 values as they are, which the small network has
    only of.
    """
    network = build_network(dataclasses.replace(STUDENTS["tiny"], embedding_dim=32))
    plain = convert_network(network)
    return {
        "float16": convert_network_float16(network),
        "weight_only_wi8_afp32": weight_only(plain),
        "dynamic_wi8_afp32": convert_network_dynamic(network),
        "static_wi8_ai8": quantize_static(
            plain, list(small_images(2)), recipe=dataclasses.replace(QuantSpec(), equalize=False, refit_ridge=0.0)
        ).network,
    }


@pytest.mark.slow
def test_int8_weights_make_a_smaller_file_than_float16(tiny: dict[str, bytes]) -> None:
    frontend = convert_frontend(STUDENT_FRONTEND)
    sizes = {name: len(join_frontend(frontend, network)) for name, network in tiny.items()}
    assert max(size for name, size in sizes.items() if "wi8" in name) < 0.8 * sizes["float16"]


def test_weights_and_activations_are_what_the_name_says(tiny: dict[str, bytes]) -> None:
    ops = {name: [op for op in summarize(network).ops if op.weight_type] for name, network in tiny.items()}
    linear = [op for op in ops["static_wi8_ai8"] if op.name == "FULLY_CONNECTED"]
    assert {(op.input_type, op.weight_type, op.output_type) for op in linear} == {("FLOAT32", "INT8", "FLOAT32")}
    trunk = [op for op in ops["static_wi8_ai8"] if op not in linear]
    assert len(trunk) > 12
    for op in trunk:
        assert (op.input_type, op.weight_type, op.output_type) == ("INT8", "INT8", "INT8"), op
        assert op.weight_channels > 1, op
    assert {op.input_type for op in summarize(tiny["weight_only_wi8_afp32"]).ops if op.name == "DEQUANTIZE"} == {"INT8"}
    assert {op.input_type for op in ops["dynamic_wi8_afp32"]} == {"FLOAT32"}
    assert [op.weight_type for op in ops["dynamic_wi8_afp32"]].count("INT8") > 15


@pytest.mark.parametrize("axis", [0, 1])
def test_weights_are_rounded_per_channel(axis: int) -> None:
    weights = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32) * np.float32(10.0) ** np.arange(
        6, dtype=np.float32
    )
    weights[:, 3] = 0.0
    values, scales = quantize_weights(weights, axis=axis)
    assert len(scales) == weights.shape[axis]
    shape = (-1, 1) if axis == 0 else (1, -1)
    assert (np.abs(values * scales.reshape(shape) - weights) <= 0.5001 * scales.reshape(shape)).all()
    assert values.min() >= -127


@pytest.fixture(scope="module")
def clips() -> NDArray[np.int16]:
    rng = np.random.default_rng(0)
    return rng.normal(0.0, rng.uniform(100.0, 3000.0, (6, 1)), (6, 32_000)).astype(np.int16)


def layers_of(network: bytes, recipe: QuantSpec, clips: NDArray[np.int16]) -> tuple[LayerComparison, ...]:
    from hearlite.audio.clips import from_int16
    from hearlite.audio.frontend_tf import Frontend

    images = list(Frontend(STUDENT_FRONTEND)(from_int16(clips)).numpy())
    static = quantize_static(network, images, recipe=recipe)
    frontend = convert_frontend(STUDENT_FRONTEND)
    return compare_layers(
        join_frontend(frontend, static.rounded_from), join_frontend(frontend, static.network), pcm=clips
    )


def test_an_outlier_channel_is_found_and_named(clips: NDArray[np.int16]) -> None:
    """One channel of a bottleneck a thousand times as loud as its neighbours: min-max leaves them no levels."""
    network = small_network()
    gamma, beta, mean, variance = network.get_layer("block3_project_bn").get_weights()
    gamma[0] *= 1000.0
    network.get_layer("block3_project_bn").set_weights([gamma, beta, mean, variance])
    recipe = dataclasses.replace(QuantSpec(), ranges="minmax", equalize=False, refit_ridge=0.0)
    layers = {layer.layer: layer for layer in layers_of(convert_network(network), recipe, clips)}
    assert {"stem", "block3_project", "head"} <= set(layers)
    worst = max(layers.values(), key=lambda layer: layer.lost)
    assert worst.layer == "block3_project"
    assert worst.cause.startswith("range too wide")


@pytest.mark.slow
def test_auto_gets_past_the_layers_that_fail_a_plain_recipe(tiny_run: Run, hard_run: Run, tmp_path: Path) -> None:
    """A student's own float32 function, which ranges from extremes alone wreck: compare.json names the layers that were
    made hard, and no others.
    """
    images = small_images(2)
    ours, theirs = (load_network(run.spec.student, run.weights)(images).numpy() for run in (hard_run, tiny_run))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())

    run, tried = (
        dataclasses.replace(hard_run, folder=Path(shutil.copytree(hard_run.folder, tmp_path / name)))
        for name in ("run", "tried")
    )
    path = tmp_path / "plain.json"
    wrecking = {"recipe": "plain", "ranges": "minmax", "equalize": False, "refit_ridge": 0.0}
    path.write_text(json.dumps({**wrecking, "min_centred_cosine": 0.0}))
    free = (find_recipe(str(path)), dataclasses.replace(find_recipe("static_wi8_ai8"), min_centred_cosine=0.0))
    low, high = (
        read_gate_result(quantize(tried, recipe=recipe) / "compare.json").comparison.centred_cosine for recipe in free
    )
    assert (
        low + 0.02 < high
    )  # how good a student of a dozen steps gets in int8 varies; that equalisation helps it doesn't
    gate = (low + high) / 2
    path.write_text(json.dumps({**wrecking, "min_centred_cosine": gate}))
    static = dataclasses.replace(find_recipe("static_wi8_ai8"), min_centred_cosine=gate)
    plain, passed = quantize_auto(run, recipes=[find_recipe(str(path)), static, find_recipe("float16")])
    verdict = read_gate_result(run.quantized("plain") / "compare.json")
    assert not verdict.passed
    assert {layer.layer for layer in verdict.worst(3)} < set(OUTLIERS)
    causes = [
        layer.cause for layer in verdict.worst(3)
    ]  # a clip may be louder than any of the few that calibrated: then an outlier is clipped
    assert all(cause.startswith(("range too wide", "range clipped")) for cause in causes), causes
    assert any(cause.startswith("range too wide") for cause in causes), causes
    assert plain.folder is None
    assert any(f"the worst layer is {name}" in plain.reason for name in OUTLIERS)
    assert not (run.quantized("plain") / "model.tflite").exists()

    assert passed.folder == run.quantized("static_wi8_ai8")
    assert (passed.folder / "model.tflite").is_file()
    assert not {
        layer.layer for layer in read_gate_result(passed.folder / "compare.json").layers if layer.lost > 0.05
    } & set(OUTLIERS)


def test_a_clipped_range_is_called_that(clips: NDArray[np.int16]) -> None:
    recipe = dataclasses.replace(QuantSpec(), ranges="percentile", percentile=80.0, equalize=False, refit_ridge=0.0)
    layers = layers_of(convert_network(small_network()), recipe, clips)
    worst = sorted(layers, key=lambda layer: layer.lost)[-3:]
    assert any(layer.cause.startswith("range clipped") and layer.outside > 0.05 for layer in worst), [
        layer.cause for layer in worst
    ]
    assert all(layer.lost >= 0.0 and layer.cosine <= 1.0 + 1e-9 for layer in layers)


def test_layers_come_in_order_and_once(clips: NDArray[np.int16]) -> None:
    names = [layer.layer for layer in layers_of(convert_network(small_network()), QuantSpec(), clips)]
    assert len(names) == len(set(names))
    assert names.index("stem") < names.index("block1_project") < names.index("block2_residual") < names.index("head")
