"""Cost: what is read from the file, what is made of times, what is written. No time is asserted."""

import contextlib
import dataclasses
import json

import numpy as np
import pytest
from fixtures import ARM, BENCH

from hearlite.benchmarks.cost import measure as cost_module
from hearlite.benchmarks.cost.footprint import footprint
from hearlite.benchmarks.cost.measure import Plan, measure_cost
from hearlite.benchmarks.cost.operator_profile import operator_parts, to_parts
from hearlite.benchmarks.cost.reference_models import HEAR
from hearlite.benchmarks.cost.roofline import convolution, measure_ceiling, roofline_bound
from hearlite.benchmarks.cost.stage_profile import FRONTEND, stage_parts, stage_prefixes
from hearlite.benchmarks.cost.subprocesses import OLD, compare_old, output_step, run_isolated
from hearlite.benchmarks.cost.targets import TARGETS, Targets, check_targets
from hearlite.benchmarks.report.html import write_report
from hearlite.benchmarks.report.markdown import cost_table
from hearlite.benchmarks.run_cost import gather_cost
from hearlite.benchmarks.schema.cost import ArmRow, Ceiling, Cost, Footprint, Latency, Part, Profile, Speedup
from hearlite.benchmarks.schema.cost_text import BETWEEN, limit_text
from hearlite.benchmarks.schema.device import EMULATED, DeviceBench, DeviceFacts, DeviceLatency, DeviceParity
from hearlite.benchmarks.schema.io import read_cost, read_results, write_cost, write_results
from hearlite.cli.main import main
from hearlite.errors import InputError, UsageError
from hearlite.serialization import load_toml
from hearlite.spec import AUDIO
from hearlite.tflite.interpreter import TfliteModel
from hearlite.tflite.model_file import load, summarize

CHANNELS = 8
POSITIONS = 16 * 32


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One convolution, float32 and int8 inside."""
    folder = tmp_path_factory.mktemp("models")
    paths = {name: folder / f"{name}.tflite" for name in ("float32", "int8")}
    for name, path in paths.items():
        path.write_bytes(convolution(CHANNELS, int8=name == "int8"))
    return paths


def made(name="hearlite_small_2s_i8.tflite", *, kind="i8", audio_s=2.0, size="", **changes):
    macs = {"macs": 50_000_000, "int8_macs": 40_000_000, "frontend_macs": 5_000_000}
    bytes_of = {"bytes": 1_900_000, "weight_bytes": 1, "moved_bytes": 8_000_000, "activation_peak_bytes": 1}
    known = Footprint(
        name,
        kind,
        name,
        "ab" * 32,
        parameters=1_500_000,
        audio_s=audio_s,
        input_shape=(1, 32_000),
        size=size,
        **macs,
        **bytes_of,
    )
    return dataclasses.replace(known, **changes)


def timed(model, median_ms, *, to=HEAR):
    return Latency(
        model,
        "Some CPU",
        "litert 2",
        1,
        50,
        "2026-01-01",
        median_ms,
        median_ms,
        median_ms,
        median_ms,
        9.0,
        to,
        1.0,
        1.0,
        1.0,
    )


def measured(**changes):
    models = (
        made(HEAR, kind="shape", note="shape only"),
        made("yamnet_embedding", kind="peer", audio_s=0.975),
        made(size="small"),
    )
    student = models[2].name
    speedups = (
        Speedup(student, HEAR, 9, 200.0, 180.0, 210.0, 200.0),
        Speedup(student, "yamnet_embedding", 50, 0.9, 0.8, 1.0, 1.85),
    )
    stages = (Part(FRONTEND, 0.3, 0.3), Part("block0", 0.7, 0.7))
    known = Cost(
        device="Some CPU",
        threads=1,
        models=models,
        latency=(timed(HEAR, 600.0), timed("yamnet_embedding", 0.8), timed(student, 1.0)),
        speedups=speedups,
        profiles=(Profile(student, stages, "cuts", (Part("Convolution", 0.6, 0.6),), "the profiler"),),
    )
    return dataclasses.replace(known, **changes)


def test_a_file_says_what_it_costs(small):
    for name, macs_of_int8 in (("float32", 0), ("int8", POSITIONS * CHANNELS**2)):
        found = footprint(small[name], name=name, kind="peer", audio_s=2.0)
        assert found.macs == POSITIONS * CHANNELS**2 and found.int8_macs == macs_of_int8
        assert found.input_shape == (1, 16, 32, CHANNELS)
    width, kernel, bias = (
        POSITIONS * CHANNELS,
        CHANNELS**2,
        4 * CHANNELS,
    )  # activations and weights in elements, biases in bytes
    plain = footprint(small["float32"], name="f", kind="peer", audio_s=2.0)
    assert plain.weight_bytes == 4 * kernel + bias
    assert plain.moved_bytes == 2 * 4 * width + 4 * kernel + bias
    assert plain.activation_peak_bytes == 2 * 4 * width
    quantized = footprint(small["int8"], name="i", kind="peer", audio_s=2.0)
    assert quantized.weight_bytes == kernel + bias
    assert quantized.moved_bytes == 2 * (4 + 1) * width + 2 * width + kernel + bias
    assert (
        quantized.activation_peak_bytes == (4 + 1) * width
    )  # float and int8 of one border; the other is not there yet, or gone


def test_an_image_without_its_length_is_refused(small, tmp_path):
    with pytest.raises(InputError, match="no waveform"):
        footprint(small["float32"], name="f", kind="peer")
    with pytest.raises(InputError, match=r"absent.tflite"):
        footprint(tmp_path / "absent.tflite", name="f", kind="peer")


def test_the_models_of_the_ceiling_compute_what_they_should(small):
    image = np.random.default_rng(0).uniform(-1, 1, (1, 16, 32, CHANNELS)).astype(np.float32)
    weights = (
        np.random.default_rng(0)
        .integers(-127, 128, (CHANNELS, 1, 1, CHANNELS))
        .astype(np.int8)
        .reshape(CHANNELS, CHANNELS)
    )
    plain = TfliteModel(small["float32"]).run(image)["embedding"]
    np.testing.assert_allclose(plain, image @ (weights / np.float32(127)).T, atol=1e-5)
    quantized = TfliteModel(small["int8"]).run(image)["embedding"]
    np.testing.assert_allclose(quantized, np.clip(image @ (weights * 0.01).T, -12.8, 12.7), atol=0.2)


def test_the_ceiling_is_a_rate_of_both_precisions():
    found = measure_ceiling(runs=2, channels=(16,))
    assert found.int8_macs_per_s > 0 and found.float32_macs_per_s > 0 and "16 channels" in found.by


def test_prefixes_end_where_stages_end_and_compute_the_same(bundle):
    data = bundle.i8.read_bytes()
    prefixes = stage_prefixes(data)
    blocks = {
        op.output_name.split("/")[2].split("_")[0]
        for op in summarize(data).ops
        if op.output_name.startswith("network/network/block")
    }
    assert [prefix.stage for prefix in prefixes[:2]] == [FRONTEND, "stem"] and len(prefixes) == 3 + len(blocks)
    assert prefixes[-1].content == data
    assert summarize(prefixes[0].content).macs == summarize(data).macs - summarize(data).network_macs
    clip = np.random.default_rng(0).uniform(-0.1, 0.1, (1, AUDIO.clip_samples)).astype(np.float32)
    whole = load(data)
    for prefix in prefixes[:-1]:
        assert len(load(prefix.content).subgraphs[0].operators) < len(whole.subgraphs[0].operators)
        assert all(
            np.isfinite(values.astype(np.float32)).all() for values in TfliteModel(prefix.content).run(clip).values()
        )


def test_a_file_without_stages_has_no_prefixes(small):
    assert stage_prefixes(small["float32"].read_bytes()) == []


def test_stages_take_the_difference_between_prefixes():
    times_ms = np.array([[1.0, 3.0, 2.9], [1.0, 3.0, 2.9], [5.0, 9.0, 9.0]])
    parts = stage_parts(["a", "b", "c"], times_ms)
    assert [(part.name, round(part.ms, 6)) for part in parts] == [("a", 1.0), ("b", 2.0), ("c", 0.0)]
    assert parts[0].share == pytest.approx(1.0 / 2.9)


def test_operators_are_summed_by_kind_and_the_rest_is_between_them():
    parts = to_parts([("A", 1.0), ("B", 5.0), ("A", 1.0)], whole_ms=8.0)
    assert [(part.name, part.ms, part.share) for part in parts] == [
        ("B", 5.0, 0.625),
        ("A", 2.0, 0.25),
        (BETWEEN, 1.0, 0.125),
    ]


def test_litert_tells_its_operators(bundle):
    parts, by = operator_parts(bundle.i8, runs=2)
    if not parts:
        pytest.skip(by)
    assert any("Convolution" in part.name for part in parts)
    assert sum(part.share for part in parts) >= 0.999


def test_a_file_that_is_no_model_has_no_profile(tmp_path):
    path = tmp_path / "no.tflite"
    path.write_bytes(b"\0\0\0\0TFL3" + bytes(100))
    assert operator_parts(path, runs=1)[0] == ()


def test_a_process_of_its_own_says_memory_and_outputs(small, tmp_path):
    given, got = tmp_path / "in.npy", tmp_path / "out.npy"
    rows = np.random.default_rng(0).uniform(-1, 1, (2, 1, 16, 32, CHANNELS)).astype(np.float32)
    np.save(given, rows)
    found = run_isolated(small["float32"], runtime="litert", inputs=given, outputs=got)
    assert found["load_ms"] > 0 and found["first_ms"] > 0 and found["runtime"].startswith("litert ")
    if found["peak_bytes"] is not None:
        assert 0 < found["peak_bytes"] < found["process_bytes"]
    model = TfliteModel(small["float32"])
    np.testing.assert_array_equal(np.load(got), np.stack([model.run(row)["embedding"] for row in rows]))
    with pytest.raises(InputError, match="broken"):
        broken = tmp_path / "broken.tflite"
        broken.write_bytes(b"no model")
        run_isolated(broken, runtime="litert")


def test_the_older_runtime_is_compared_in_steps_of_the_output(small, tmp_path, legacy_python):
    assert (
        output_step(small["int8"].read_bytes()) == pytest.approx(0.1)
        and output_step(small["float32"].read_bytes()) == 0.0
    )
    images = np.random.default_rng(0).uniform(-1, 1, (3, 1, 16, 32, CHANNELS)).astype(np.float32)
    found = compare_old("i", small["int8"], python=legacy_python, inputs=images)
    assert found.loads and found.passed and found.largest_steps <= 1.001 and found.within_a_step == 1.0
    broken = load(small["float32"].read_bytes())
    broken.operatorCodes[0].version = 99
    from hearlite.tflite.model_file import save

    newer = tmp_path / "newer.tflite"
    newer.write_bytes(save(broken))
    with pytest.raises(InputError):  # LiteRT itself has no version 99
        compare_old("n", newer, python=legacy_python, inputs=images)
    assert OLD == "tflite-runtime"


CEILING = Ceiling("litert 2", int8_macs_per_s=100e9, float32_macs_per_s=50e9, by="a test")


@pytest.mark.parametrize(
    ("median_ms", "bandwidth", "bound"),
    [(0.8, 1e12, "compute"), (1.0, 10e9, "memory"), (10.0, 1e12, "overhead")],
)
def test_a_limit_names_what_explains_the_time(median_ms, bandwidth, bound):
    found = roofline_bound(
        made(),
        timed("hearlite_small_2s_i8.tflite", median_ms),
        ceiling=CEILING,
        profile=None,
        bandwidth_bytes_per_s=bandwidth,
    )
    assert found.compute_ms == pytest.approx(0.4 + 0.2)  # 40 M int8 at 100 G/s, 10 M float32 at 50 G/s
    assert found.memory_ms == pytest.approx(8e9 / bandwidth)
    assert found.bound == bound and found.fraction_of_peak == pytest.approx(0.6 / median_ms)


def test_a_bound_beyond_the_measured_time_is_none():
    found = roofline_bound(
        made(), timed("hearlite_small_2s_i8.tflite", 0.7), ceiling=CEILING, profile=None, bandwidth_bytes_per_s=8e9
    )
    assert found.memory_ms == pytest.approx(1.0)
    assert (
        found.text.startswith("No bound: moving")
        and "the model of memory overestimates here (arithmetic at peak: 86 %)" in found.text
    )
    too_low = roofline_bound(
        made(), timed("hearlite_small_2s_i8.tflite", 0.5), ceiling=CEILING, profile=None, bandwidth_bytes_per_s=1e12
    )
    assert (
        too_low.text.startswith("No bound: its multiply-accumulates")
        and "peak is too low here (memory: 2 %)" in too_low.text
    )


def test_the_page_of_cost_says_what_is_compared_what_passes_and_what_is_not_measured(tmp_path):
    committed = BENCH
    write_report(committed, tmp_path / "report.html")
    text = " ".join((tmp_path / "report.html").read_text(encoding="utf-8").split())
    results = read_results(committed).cost
    assert results is not None
    beyond = [found for found in results.limits if found.memory_ms > found.median_ms]
    assert text.count("No bound: moving") == len(beyond)
    for found in results.limits:  # the others are told as they were
        profile = next((item for item in results.profiles if item.model == found.model), None)
        assert found in beyond or limit_text(found, profile) == found.text
    section = text[text.index("On older phones") : text.index("Sources of the shapes")]
    assert (
        "no output differs by more than one step, or for float files by more than 0.001 of the largest output"
        in section
    )
    assert section.count(">yes</span>") == sum(item.passed for item in results.old_runtime)
    assert section.count(">no</span>") == sum(not item.passed for item in results.old_runtime) > 0
    assert "The runtime’s own size in an app, energy and heat, more than one thread, and a real device" in section


def outcomes(cost):
    return check_targets(cost, load_toml(Targets, TARGETS))


def test_targets_are_held_against_what_was_measured():
    found = {(item.model, item.what): item for item in outcomes(measured())}
    student = "hearlite_small_2s_i8.tflite"
    assert len(found) == 3
    assert found[student, f"faster a call than {HEAR}"].met
    missed = found[student, "faster a second of sound than yamnet_embedding"]
    assert not missed.met and missed.measured.startswith("1.9x") and missed.why
    assert found[student, "frontend's share of the time"].measured == "30 %, 0.30 ms"
    assert outcomes(measured(speedups=(), profiles=())) == ()


def test_a_size_goes_by_its_field_not_by_its_name():
    renamed = dataclasses.replace(measured().models[2], size="")
    assert outcomes(measured(models=(*measured().models[:2], renamed))) == ()


def test_a_missed_target_says_what_keeps_it():
    known = measured()
    profiles = {profile.model: profile for profile in known.profiles}
    limits = tuple(
        roofline_bound(model, row, ceiling=CEILING, profile=profiles.get(model.name), bandwidth_bytes_per_s=1e12)
        for model, row in zip(known.models, known.latency, strict=True)
    )
    (missed,) = (item for item in outcomes(measured(limits=limits)) if not item.met)
    # The same 50 M multiply-accumulates for 2 s as YAMNet here takes for 0.975; 0.6 ms of arithmetic in 1.0 and 0.8 ms;
    # 0.3 ms of frontend.
    assert "2.1x fewer" in missed.why
    assert "at 60 % of this processor's peak, where yamnet_embedding reaches 75 %" in missed.why
    assert f"alone would be {2 / 0.975 * 0.8 / 0.3:.1f}x faster" in missed.why


@pytest.mark.parametrize(("network", "met"), [(9, True), (11, False)])
def test_an_int8_network_executes_fewer_instructions_on_arm_than_its_float32_one(network, met):
    names = {"wide.tflite": ("f32", 18), "narrow.tflite": ("i8", network), "other.tflite": ("i8", network)}
    sizes = {"wide.tflite": "small", "narrow.tflite": "small", "other.tflite": "tiny"}
    facts = {"instructions": 30, "repeatable": True, "mega_cycles": None, "ms": None, "ms_per_audio_s": None}
    rows = [
        ArmRow(name, core, network_instructions=count, label="", parity="", made_by="QEMU", **facts)
        for name, (_, count) in names.items()
        for core in ("Cortex-A76, 2.4 GHz", "Cortex-A53, 1.4 GHz")
    ]
    models = tuple(made(name, kind=kind, size=sizes[name]) for name, (kind, _) in names.items())
    (item,) = outcomes(measured(models=models, speedups=(), profiles=(), arm=tuple(rows)))
    assert (item.model, item.met, item.measured) == ("narrow.tflite", met, f"{18 / network:.2f}x, counted")


def test_targets_are_a_command(tmp_path, capsys):
    path = tmp_path / "results.json"
    write_cost(measured(), path, command="hearlite cost")
    assert run("study", "targets", path) == 4
    output = capsys.readouterr()
    assert "MISSED: hearlite_small_2s_i8.tflite" in output.out and "1 of 3 targets are missed" in output.err


def test_rows_of_arm_are_joined_to_a_cost(monkeypatch):
    monkeypatch.setattr("hearlite.benchmarks.run_cost.measure_cost", lambda plan, log: measured())
    found = gather_cost(Plan(bundles=(), arm_results=ARM), command="hearlite cost", log=lambda text: None).cost.arm
    assert {row.core for row in found} == {
        "Cortex-A53, 1.4 GHz",
        "Cortex-A55, 1.8 GHz",
        "Cortex-A76, 2.4 GHz",
        "Cortex-A7, 0.9 GHz",
    }


def test_results_of_cost_are_read_as_written_and_shown(tmp_path):
    path, html = tmp_path / "results.json", tmp_path / "report.html"
    hostile = made("<b>x</b>_i8", kind="peer")
    cost = measured(models=(*measured().models, hostile))
    write_cost(cost, path, command="hearlite cost")
    assert read_cost(path).cost == cost
    write_report(path, html)
    page = html.read_text()
    assert "shape only" in page and "&lt;b&gt;x" in page and "<b>x" not in page
    assert "<svg" in page


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("cost", "models", 0, "kind"), "wrong", "kind"),
        (("cost", "models", 0, "bytes"), -1, "negative"),
        (("cost", "latency", 0, "median_ms"), -1.0, "negative"),
        (("cost", "latency", 0, "model"), "absent", "not listed"),
        (("cost", "models", 1, "name"), HEAR, "same name"),
        (("schema",), "other", "schema"),
    ],
)
def test_results_of_cost_are_distrusted(tmp_path, where, value, message):
    path = tmp_path / "results.json"
    write_cost(measured(), path, command="hearlite cost")
    data = json.loads(path.read_text())
    item = data
    for key in where[:-1]:
        item = item[key]
    item[where[-1]] = value
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=message):
        read_cost(path)


def test_too_few_runs_are_refused(bundle):
    with pytest.raises(UsageError, match="50 or more"):
        measure_cost(Plan(bundles=(bundle.i8,), runs=10), log=lambda text: None)


def test_everything_of_a_bundle_is_measured(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(cost_module, "measure_ceiling", lambda: CEILING)
    cost = measure_cost(Plan(bundles=(bundle.i8, bundle.f32), runs=50), log=lambda text: None)
    names = [model.name for model in cost.models]
    assert (
        [row.model for row in cost.latency]
        == [start.model for start in cost.cold_starts]
        == [item.model for item in cost.limits]
        == names
    )
    assert all(row.runs == 50 and row.threads == 1 for row in cost.latency)
    assert all(profile.stages[0].name == FRONTEND for profile in cost.profiles)
    assert cost.speedups == ()  # no peer
    write_cost(cost, tmp_path / "results.json", command="hearlite cost")
    assert read_cost(tmp_path / "results.json").cost == cost


def test_rows_of_arm_stand_beside_and_other_files_are_refused(tmp_path):
    from hearlite.benchmarks.arm.rows import read_rows

    rows = read_rows(ARM)
    modelled = [row for row in rows if row.ms and row.mega_cycles]
    assert {row.core.partition(",")[0] for row in modelled} == {"Cortex-A53", "Cortex-A55", "Cortex-A76"}
    assert all(row.instructions > 0 and row.label and row.parity for row in rows)
    assert all(row.ms[0] <= row.ms[1] for row in modelled)
    rows += (
        dataclasses.replace(
            rows[0], core="Cortex-A7, 0.9 GHz", mega_cycles=None, ms=None, ms_per_audio_s=None, made_by="tflite-runtime"
        ),
    )
    path, html = tmp_path / "results.json", tmp_path / "report.html"
    write_cost(measured(arm=rows), path, command="hearlite cost")
    assert read_cost(path).cost.arm == rows
    write_report(path, html)
    text = html.read_text()
    assert "Cortex-A53" in text
    assert "<td>–</td><td>–</td><td>–</td>" in text
    assert "; tflite-runtime" in text
    assert f"| Cortex-A7, 0.9 GHz | {rows[0].instructions / 1e6:.2f} M |" in cost_table("here", measured(arm=rows))
    for content in (
        "{}",
        '{"schema": "hearlite-arm/2"}',
        '{"schema": "hearlite-arm/2", "cores": 1, "files": 2, "versions": 3}',
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=r"results.json"):
            read_rows(path)


def on_phone(model, *, passed=True, latency=True):
    facts = DeviceFacts("Some Phone", "Android 16", "arm64-v8a", 8, 80, 30.0, False, False, emulated=not latency)
    parity = DeviceParity(passed, passed, 0.0 if passed else 0.3, None, 1e-6)
    times = DeviceLatency(200, 20, 9.0, 1237.89, 1.0, 1.5, 1.3) if latency else None
    return DeviceBench(
        model, "ab" * 32, "litert", 1, "2026-01-01T00:00:00+00:00", facts, parity, times, "" if latency else EMULATED
    )


@pytest.mark.parametrize(("passed", "latency"), [(True, True), (True, False), (False, True)])
def test_a_phone_stands_beside_and_what_it_computes_wrong_is_refused(passed, latency, tmp_path, monkeypatch):
    import hearlite.benchmarks.android.adb
    import hearlite.benchmarks.android.bench
    import hearlite.benchmarks.run_cost

    asked = []

    def bench_android(model, **options):
        asked.append((model.name, options))
        return on_phone(model.name, passed=passed, latency=latency)

    student = measured().models[2].name
    monkeypatch.setattr(hearlite.benchmarks.android.adb, "find_device", lambda **options: asked.append(options))
    monkeypatch.setattr(hearlite.benchmarks.android.bench, "bench_android", bench_android)
    monkeypatch.setattr(hearlite.benchmarks.run_cost, "measure_cost", lambda plan, log: measured())
    command = [
        "cost",
        student,
        "--out",
        str(tmp_path),
        "--android",
        "--serial",
        "abc",
        "--exec-prefix",
        "qemu",
    ]
    with pytest.raises(SystemExit) if not passed else contextlib.nullcontext() as caught:
        main(command)
    assert passed or caught.value.code == 4
    assert asked == [
        {"program": "adb", "serial": "abc"},
        (student, {"serial": "abc", "exec_prefix": "qemu", "benchmark_binary": None}),
    ]
    assert read_cost(tmp_path / "results.json").cost.android == (on_phone(student, passed=passed, latency=latency),)
    html = (tmp_path / "report.html").read_text()
    assert "Some Phone, Android 16" in html
    assert ("1237.89" in html) == latency
    assert (EMULATED in html) == (not latency)


def test_options_of_a_phone_without_a_phone_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["cost", "x.tflite", "--out", str(tmp_path), "--serial", "abc"])
    assert caught.value.code == 2
    assert "--serial has no effect without --android" in capsys.readouterr().err


def test_quality_and_cost_stand_in_one_report(tmp_path):
    from hearlite.benchmarks.report.markdown import results_page

    results = read_results(BENCH)
    path = tmp_path / "both" / "results.json"
    write_results(dataclasses.replace(results, cost=measured()), path)
    assert read_results(path).cost == measured()
    write_report(path, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Cost beside peers" in page and "AUROC per task" in page and "bottom line: not measured" in page
    write_cost(measured(), tmp_path / "alone" / "results.json", command="hearlite cost")
    table = results_page(tmp_path, [])
    assert table.count("Cost of a call: Some CPU, litert 2, 1 thread, 50 interleaved runs, 2026-01-01") == 2


def run(*arguments):
    """The exit code of a command."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        return end.code or 0
    return 0


@pytest.mark.slow
def test_cost_is_a_command_and_joins_a_report_of_quality(bundle, other_subjects, tmp_path, monkeypatch, capsys):
    assert run("bench", "--model", bundle.i8, "--out", tmp_path) == 2
    assert "hearlite cost" in capsys.readouterr().err
    monkeypatch.setattr(cost_module, "measure_ceiling", lambda: CEILING)
    options = ("--runs", 50, "--peer", bundle.f32, "--out", tmp_path / "out", "--json")
    assert run("cost", bundle.i8, *options) == 0
    assert json.loads(capsys.readouterr().out)["results"] == str(tmp_path / "out" / "results.json")
    found = read_cost(tmp_path / "out" / "results.json").cost
    assert [pair.to for pair in found.speedups] == [bundle.f32.stem] and (tmp_path / "out" / "report.html").is_file()
    assert run("bench", "--latency", "--model", bundle.i8, "--runs", 50, "--out", tmp_path / "former") == 0
    assert "hearlite cost" in capsys.readouterr().err, "the former spelling works, and says what it is called now"
    given = (
        "--teacher",
        "fake:32",
        "--model",
        bundle.f32,
        "--out",
        tmp_path / "both",
        "--cost",
        tmp_path / "out" / "results.json",
    )
    assert run("bench", other_subjects, "--label", "narrow", *given) == 0, capsys.readouterr().err
    assert read_results(tmp_path / "both" / "results.json").cost == found
