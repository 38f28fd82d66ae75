import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest
from fixtures import BENCH

from hearlite.benchmarks.report.cost import SYMBOLS
from hearlite.benchmarks.report.format import (
    auroc_text,
    bytes_text,
    difference_text,
    ms_text,
    p_text,
    percent_text,
    times_text,
)
from hearlite.benchmarks.report.html import write_report
from hearlite.benchmarks.report.rendering import KIND_NAMES
from hearlite.benchmarks.report.svg import MARKERS, Series, reliability_svg
from hearlite.benchmarks.schema.cost import COST_KINDS, Latency
from hearlite.benchmarks.schema.io import collect, read_results, write_results
from hearlite.benchmarks.schema.results import KINDS, SCHEMA, DatasetInfo, Leaking, ModelInfo, ProbeResults, TaskResult
from hearlite.benchmarks.stats.estimates import (
    Calibration,
    Confusion,
    Counts,
    Curve,
    Estimate,
    OperatingPoint,
    Paired,
    Reliability,
    Score,
    Setting,
    Subgroup,
    Subgroups,
    SweepFigures,
)
from hearlite.benchmarks.tasks.binary import LeftOut
from hearlite.embedders.base import EmbedderInfo
from hearlite.errors import InputError, UsageError
from hearlite.gate import AurocDrop, Comparison, LayerLoss, Limits, TaskDrop, evaluate_gate

HOSTILE = "<script>alert(1)</script> $\\frac{x $ \" ' & \ud800 \u0000 \u202e 咳"


def score(model, value, *, reference=False):
    ratio = Estimate() if reference else Estimate((value - 0.5) / 0.4, 0.81, 0.97)
    difference = Estimate() if reference else Estimate(value - 0.9, value - 0.92, value - 0.88)
    curve = Curve((0.0, 0.1, 1.0), (0.0, value, 1.0))
    auroc = around(value)
    return Score(
        model,
        auroc,
        difference,
        ratio,
        chosen=(Setting("C", 0.01),),
        roc=curve,
        sweep=SweepFigures(around(0.71), 0.385, around(0.62), 0.95),
        point=OperatingPoint(
            0.4, Confusion(20, 6, 5, 34), around(0.8), around(0.85), around(0.83), around(0.825), around(0.784)
        ),
        calibration=Calibration(
            around(0.12),
            around(0.05),
            around(0.06),
            Reliability((0.2, 0.7), (0.25, 0.66), (0.1, None), (0.4, None), (50, 15)),
        ),
        subgroups=(
            Subgroups(
                "sex",
                (
                    Subgroup("female", Counts(12, 20, 5, 7), around(value)),
                    Subgroup("male", Counts(13, 20, 5, 8), around(value - 0.08)),
                ),
                around(0.08),
                0.2,
                "female",
                "male",
                (LeftOut("sex=other", "1 positive subjects in test, needs 5"),),
            ),
        ),
    )


def around(value):
    return Estimate(value, value - 0.03, min(1.0, value + 0.03))


def task(name):
    scores = (
        score("teacher", 0.9, reference=True),
        score("small_f32", 0.87),
        score("small_i8", 0.86),
        score("permuted labels", 0.5),
    )
    return TaskResult(
        name, "event", "cough", Counts(50, 90, 20, 30), Counts(25, 40, 10, 15), 3, scores, comparisons=pairs()
    )


def pairs(verdict="inconclusive"):
    return (
        Paired("small_f32", "teacher", Estimate(-0.03, -0.05, -0.01), 0.004, 0.008, 0.8, 0.2, verdict, "inconclusive"),
        Paired("small_i8", "teacher", Estimate(-0.04, -0.06, -0.02), 0.001, 0.002, 0.9, 0.1, verdict, "inconclusive"),
        Paired(
            "small_i8",
            "small_f32",
            Estimate(-0.011, -0.014, -0.008),
            0.03,
            0.06,
            0.001,
            0.999,
            "non-inferior",
            "non-inferior",
        ),
    )


def latency(model, median_ms):
    return Latency(
        model,
        "Some CPU",
        "litert 2",
        1,
        50,
        "2026-01-01",
        median_ms,
        median_ms - 0.1,
        median_ms + 0.3,
        median_ms,
        9.0,
        "teacher",
        40 / median_ms,
        1.0,
        99.0,
    )


def make(*, tasks=("event=cough",), surrogate_note="", synthetic=False, dataset="field data", notes=()):
    results = tuple(task(name) for name in tasks)
    summary = results[0].scores if results else ()
    probes = ProbeResults(
        results,
        summary,
        pairs() if results else (),
        "teacher",
        2000,
        margin=0.02,
        probe="logistic",
        leaking=(),
        seed=0,
        notes=(),
    )
    return collect(
        probes,
        command="hearlite bench data",
        machine="Some CPU (x86_64, 2 logical CPUs)",
        dataset=DatasetInfo(dataset, "ab" * 32, 100, 30, 5, 15, synthetic),
        teacher=EmbedderInfo("hear:/data/hear", "hear", 4, "HAI-DEF", "cd" * 32, surrogate_note, "a notice"),
        models=[
            ModelInfo("teacher", "teacher", bytes=1_213_000_000, parameters=303_200_000, macs=29_800_000_000, dim=4),
            ModelInfo("small_f32", "f32", "small_f32.tflite", 4_400_000, 1_070_000, 42_000_000, 4, "ef" * 32),
            ModelInfo("small_i8", "i8", "small_i8.tflite", 1_600_000, 1_070_000, 42_000_000, 4, "01" * 32),
        ],
        latency=[latency("teacher", 40.0), latency("small_i8", 2.0)],
        left_out=[LeftOut("event=rare", "2 positive subjects in test, needs 5")],
        skipped=2,
        seeds={"split": 3},
        notes=notes,
    )


@pytest.fixture
def page(tmp_path):
    def written(results):
        write_results(results, tmp_path / "results.json")
        write_report(tmp_path / "results.json", tmp_path / "report.html")
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return written


class Text(HTMLParser):
    """Visible text, elements and attributes of a page."""

    def __init__(self, html):
        super().__init__()
        self.text, self.tags, self.attributes, self._quiet = [], [], [], 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self._quiet += tag in ("style", "title")

    def handle_endtag(self, tag):
        self._quiet -= tag in ("style", "title")

    def handle_data(self, data):
        if not self._quiet and data.strip():
            self.text.append(" ".join(data.split()))

    def __str__(self):
        return " ".join(self.text)


def test_results_come_back_as_they_were_written(tmp_path):
    results = make()
    write_results(results, tmp_path / "results.json")
    assert read_results(tmp_path / "results.json") == results
    assert json.loads((tmp_path / "results.json").read_text())["schema"] == SCHEMA
    assert [model.name for model in results.models][-1] == "permuted labels"  # probed but not listed by the caller
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_results_of_version_0_1_are_read(tmp_path):
    """Keys that were renamed, and facts that stood in notes only."""
    path, student = tmp_path / "results.json", "hearlite_tiny_2s_i8.tflite"
    results = read_results(BENCH)
    data = json.loads(BENCH.read_text())
    for model in data["models"]:
        for key in ("size", "gate_passed", "trained_on", "trained_on_dataset"):
            model.pop(key, None)
    for model in data["cost"]["models"]:
        model.pop("size", None)
    del data["dataset"]["framing"]
    data["cost"]["goals"] = []
    text = json.dumps({**data, "schema": "hearlite-results/2"})
    for old, new in (("standin", "surrogate_note"), ("excess_ratio", "retention"), ("alone", "cold_starts")):
        text = text.replace(f'"{new}":', f'"{old}":')
    path.write_text(text)
    read = read_results(path)
    assert read.summary == results.summary and read.teacher == results.teacher and read.cost == results.cost
    data = json.loads(text)
    data["notes"] = [
        "framing of short events: zero-pad",
        f"{student} failed its quality gate and was written by force",
        f"{student} was distilled on elsewhere and has heard nothing of sprsound",
        "3 clips are silent",
    ]
    path.write_text(json.dumps(data))
    read = read_results(path)
    (model,) = (model for model in read.models if model.name == student)
    assert (model.size, model.gate_passed, model.trained_on, model.trained_on_dataset) == (
        "tiny",
        False,
        "elsewhere",
        False,
    )
    assert read.dataset.framing == "zero-pad" and read.notes == ("3 clips are silent",)
    write_report(path, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert (
        "Don't ship it" in page and "which leaks their duration" in page and "without any subject of sprsound" in page
    )


def test_numbers_keep_their_precision_and_nan_becomes_null(tmp_path):
    results = make()
    first = dataclasses.replace(results.summary[0], auroc=Estimate(0.1 + 0.2, float("nan"), float("inf")))
    write_results(dataclasses.replace(results, summary=(first, *results.summary[1:])), tmp_path / "results.json")
    assert read_results(tmp_path / "results.json").summary[0].auroc == Estimate(0.1 + 0.2, None, None)
    assert not re.search(r"NaN|Infinity", (tmp_path / "results.json").read_text())


def edited(key, value):
    def edit(data):
        data[key] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (
            edited("schema", "other/1"),
            (
                "schema is 'other/1'; this hearlite reads 'hearlite-results/3' and, on its own, 'hearlite-cost/2'; a"
                " study's figures"
            ),
        ),
        (edited("schema", "hearlite-results/1"), "'hearlite-cost/2'; run hearlite bench again"),
        (lambda data: data["tasks"][0]["scores"][0]["point"]["f1"].update(high=1.5), "outside 0 to 1"),
        (lambda data: data["tasks"][0]["scores"][0]["calibration"]["reliability"]["low"].pop(), "unequal sides"),
        (edited("probe", "guess"), "probe is 'guess'; use one of logistic, svm, forest, boosting, mlp"),
        (
            edited("leaking", [{"model": "teacher", "auroc": {"value": 1.2}, "gap": {}}]),
            "leaking AUROC is outside 0 to 1",
        ),
        (edited("margin", 0.7), "margin is 0.7"),
        (lambda data: data["comparisons"][0].update(verdict="fine"), "the verdict of 'small_f32' is 'fine'"),
        (lambda data: data["tasks"][0]["comparisons"][0].update(p=1.5), "p-value outside 0 to 1"),
        (
            lambda data: data["tasks"][0]["comparisons"][0].update(to="nobody"),
            "model 'nobody' is measured but not listed",
        ),
        (edited("surprise", 1), "unknown key 'surprise'"),
        (edited("skipped", "two"), "skipped is 'two'"),
        (edited("reference", "nobody"), "model 'nobody' is measured but not listed"),
        (edited("models", [{"name": "teacher", "kind": "magic"}]), "kind 'magic'"),
        (lambda data: data.pop("teacher"), "teacher"),
        (lambda data: data["models"].append(data["models"][0]), "two models have the same name"),
        (lambda data: data["models"][0].update(bytes=-1), "negative size"),
        (lambda data: data["summary"][0]["auroc"].update(value=1.5), "outside 0 to 1"),
        (lambda data: data["tasks"][0]["scores"][0]["roc"].update(false_positive=[0.0]), "unequal sides"),
        (lambda data: data["latency"][0].update(median_ms=-1.0), "negative"),
        (lambda data: data["latency"][0].update(median_ms=10**400), "too large"),
    ],
)
def test_results_that_are_wrong_are_refused(tmp_path, edit, says):
    path = tmp_path / "results.json"
    write_results(make(), path)
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=re.escape(says)):
        read_results(path)


@pytest.mark.parametrize(
    "garbage", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"schema": NaN}', b'{"schema": 1e999}']
)
def test_garbage_is_refused(tmp_path, garbage):
    (tmp_path / "results.json").write_bytes(garbage)
    with pytest.raises(InputError, match=re.escape("results.json")):
        read_results(tmp_path / "results.json")
    with pytest.raises(InputError):
        read_results(tmp_path / "absent.json")


def test_results_that_could_not_be_read_are_not_written(tmp_path):
    with pytest.raises(UsageError, match="kind 'odd'"):
        write_results(
            dataclasses.replace(make(), models=(*make().models, ModelInfo("x", "odd"))), tmp_path / "results.json"
        )
    assert not list(tmp_path.iterdir())


def test_first_screen_answers_what_is_kept_how_small_and_how_fast(page):
    text = str(Text(page(make())))
    head = text[: text.index("AUROC per task")]
    assert head.startswith("Teacher: hear:/data/hear. What small_i8 keeps of its teacher on field data")
    for expected in (
        "90 % [81, 97]",
        "0.900 [0.87, 0.93] teacher",
        "0.860 [0.83, 0.89] small_i8",
        "758×",
        "1.6 MB instead of 1.2 GB",
        "Mean AUROC over 1 task, 15 test subjects:",
        "20× [1.0×, 99×] faster",
        "2.00 ms instead of 40.0 ms",
        "of its AUROC above chance; brackets on this card are 95 % intervals.",
        "brackets on this card: 5th to 95th percentile",
    ):
        assert expected in head.replace("\u202f", " "), expected


@pytest.mark.parametrize(
    ("of_mean", "of_tasks", "says"),
    [
        ("non-inferior", ("non-inferior", "non-inferior"), "Yes"),
        ("non-inferior", ("non-inferior", "inconclusive"), "Yes, on average"),
        ("non-inferior", ("non-inferior", "inferior"), "Not on every task"),
        ("inconclusive", ("non-inferior", "inconclusive"), "Not proven"),
        ("inferior", ("inconclusive", "inconclusive"), "No"),
    ],
)
def test_first_screen_says_whether_the_teacher_can_be_replaced(page, of_mean, of_tasks, says):
    results = make(tasks=("event=cough", "event=snore"))

    def judge_all(compared, verdict):
        return tuple(
            dataclasses.replace(pair, verdict=verdict, verdict_holm=verdict) if pair.to == "teacher" else pair
            for pair in compared
        )

    tasks = tuple(
        dataclasses.replace(item, comparisons=judge_all(item.comparisons, verdict))
        for item, verdict in zip(results.tasks, of_tasks, strict=True)
    )
    html = page(dataclasses.replace(results, tasks=tasks, comparisons=judge_all(results.comparisons, of_mean)))
    text = str(Text(html))
    answer = text[text.index("May it replace") : text.index("Mean AUROC Above chance")]
    loss = {"non-inferior": "is ruled out", "inconclusive": "can’t be ruled out", "inferior": "is shown"}[of_mean]
    assert answer.startswith(
        f"May it replace the teacher on these tasks? {says} {of_mean} : a loss of more than 0.02 of mean AUROC, a"
        f" margin set before the run, {loss}."
    )
    assert not re.search(r"\bsafe", text)  # a clinical word
    assert "−0.040 [−0.060, −0.020]" in answer
    assert f"1 {of_tasks[1]}" in answer or f"2 {of_tasks[1]}" in answer
    assert "Quantization alone: non-inferior , −0.011 [−0.014, −0.008]" in answer


def with_baselines(results, **values):
    """Results with further baselines: name (with "_" for " ") and mean AUROC."""
    named = {name.replace("_", " "): value for name, value in values.items()}
    models = (*results.models, *(ModelInfo(name, "baseline") for name in named))
    return dataclasses.replace(
        results, models=models, summary=(*results.summary, *(score(name, value) for name, value in named.items()))
    )


def test_the_first_card_says_what_the_best_baseline_reaches(page):
    text = str(Text(page(with_baselines(make(), spectral=0.7, duration_only=0.81))))
    card = text[: text.index("How much smaller and faster?")]
    assert "The event’s length alone (duration only) reaches 0.810 [0.78, 0.84]." in card and "0.700" not in card
    head = text[: text.index("AUROC per task")]
    for row in ("spectral", "duration only", "permuted labels"):
        assert f"“{row}” is " in head
    assert "“permuted labels” is teacher with shuffled training labels, which must lie near 0.5" in head
    assert "The best baseline (silence) reaches 0.950" in str(
        Text(page(with_baselines(make(), silence=0.95, duration_only=0.81)))
    )
    alone = str(Text(page(make())))  # permuted labels lie at chance: no rival
    assert " reaches 0." not in alone and "“spectral” is" not in alone


def test_thresholds_calibration_subgroups_and_quantization_have_their_tables(page):
    text = str(Text(page(make())))
    for expected in (
        "0.710 [0.68, 0.74] 0.39 0.620 [0.59, 0.65] 0.800 [0.77, 0.83] 20 / 5 clips 0.850 [0.82, 0.88] 6 / 34 clips 0.784 [0.75, 0.82]",
        "0.120 [0.090, 0.150] 0.050 [0.020, 0.080]",  # Brier score, calibration error
        "By sex", "female 12 / 20 5 / 7", "largest gap", "female over male, p 0.20", "sex=other: 1 positive subjects in test, needs 5",
        "Quantized files beside their own float32", "−0.011 [−0.014, −0.008] non-inferior , p 0.060",
        "p (no difference), DeLong", "Both are corrected for 1 task (Holm), intervals are not",
        "DeLong’s test and the bootstrap’s interval can disagree where few subjects are positive", "a margin set before the run",
    ):  # fmt: skip
        assert expected in text, expected


def test_a_run_stands_beside_another_and_what_differs_is_said(page, tmp_path):
    here = make(tasks=("event=cough", "event=snore"))
    there = dataclasses.replace(make(), machine="Another CPU", command="hearlite bench before", latency=())
    for name, results in (("here", here), ("there", there)):
        write_results(results, tmp_path / f"{name}.json")
    write_report(tmp_path / "here.json", tmp_path / "both.html", compare=tmp_path / "there.json")
    html = (tmp_path / "both.html").read_text(encoding="utf-8")
    text = str(Text(html))
    section = text[text.index("Beside another run") : text.index("Overlapping intervals")]
    for expected in (
        "hearlite bench before", "There are other tasks, so means are over other ones.", "There is another machine, so times can't be compared.",
        "0.860 [0.83, 0.89] 0.860 [0.83, 0.89] 90 % [81, 97] 90 % [81, 97] 1.6 MB 1.6 MB 2.00 ms –",
    ):  # fmt: skip
        assert expected in section, expected
    assert section.count("event=cough") == 1 and "event=snore" not in section  # tasks of both runs only
    assert "other data" not in section and "another teacher" not in section
    assert not {"script", "link", "img"} & set(Text(html).tags)
    assert "Beside another run" not in str(Text(page(here)))


def test_leaking_figures_are_called_that_and_stand_beside_the_others(page):
    results = make()
    leaking = (Leaking("small_i8", around(0.95), Estimate(0.09, 0.05, 0.13)),)
    tasks = tuple(dataclasses.replace(item, leaking=leaking) for item in results.tasks)
    text = str(Text(page(dataclasses.replace(results, leaking=leaking, tasks=tasks, probe="forest"))))
    section = text[text.index("LEAKING: a paper’s clip-wise split") : text.index("Latency Model")]
    assert section.count("small_ i8 0.950 [0.92, 0.98] 0.860 [0.83, 0.89] 0.090 [0.050, 0.130]") == 2  # mean and task
    assert "These figures are too good; the gap says by how much. The two splits test different clips" in section
    assert "0.950" not in text.replace(section, "") and "They are too good." in text
    assert section.index("mean over all tasks") < section.index("Task by task event=cough")
    assert "Its embeddings go into a random forest" in text
    assert "LEAKING" not in str(Text(page(results)))


def test_leaking_figures_are_too_good_only_where_the_gap_shows(page):
    unclear = Leaking("small_i8", around(0.87), Estimate(0.01, -0.03, 0.05))
    text = str(Text(page(dataclasses.replace(make(), leaking=(unclear,)))))
    assert "These figures may be too good; here no gap shows: no model’s interval lies above 0." in text
    assert "They may be too good; here no gap shows." in text and "are too good" not in text
    both = (unclear, Leaking("small_f32", around(0.95), Estimate(0.08, 0.04, 0.12)))
    assert "too good for 1 of 2 models, whose gap’s interval lies above 0, and may be for the others" in str(
        Text(page(dataclasses.replace(make(), leaking=both)))
    )
    assert not dataclasses.replace(unclear, gap=Estimate(0.2)).flatters  # without an interval nothing shows


def test_stand_in_and_synthetic_data_are_named_in_the_first_line(page):
    text = str(Text(page(make(surrogate_note="spectral stands in for HeAR: nothing learned", synthetic=True))))
    assert text.startswith(
        "Teacher: hear:/data/hear. Not HeAR: spectral stands in for HeAR: nothing learned. Synthetic data: these"
        " figures say nothing about people."
    )
    assert "Not HeAR" not in str(Text(page(make()))) and "Synthetic data" not in str(Text(page(make())))


def test_page_has_conditions_provenance_and_limits(page):
    text = str(Text(page(make())))
    for expected in (
        "research tool, not a diagnostic", "hearlite bench data", "ab" * 32, "cd" * 32, "01" * 32, "Some CPU", "litert 2", "split 3", "a notice",
        "2 recordings could not be used", "Task event=rare was left out: 2 positive subjects in test, needs 5", "3 of 2000 bootstrap replicates",
    ):  # fmt: skip
        assert expected in text, expected


def test_page_needs_nothing_from_outside(page):
    html = page(make())
    parsed = Text(html)
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(parsed.tags)
    links = [value for name, value in parsed.attributes if name in ("src", "href", "xlink:href", "action", "data")]
    assert links and all(link.startswith("#") for link in links)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))
    assert "@import" not in html and "@font-face" not in html


def test_ids_are_unique_and_references_resolve(page):
    html = page(make(tasks=("event=cough", "event=snore")))
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', html)) <= set(ids)


def test_same_results_give_the_same_page(page):
    results = make()
    assert page(results) == page(results)


def judged(auroc):
    layers = tuple(LayerLoss(f"block{k}_project", 20.0 + k, 0.01 * k, "rounding to 256 levels") for k in range(6))
    limits = Limits(0.99, 0.003)
    verdict = evaluate_gate(
        Comparison(40, 0.9917, 0.98, 20.0),
        auroc,
        limits=limits,
        layers=(*layers, LayerLoss(HOSTILE, 300.0, 0.0, HOSTILE)),
    )
    results = make()
    models = tuple(
        dataclasses.replace(model, quantization=verdict) if model.kind == "i8" else model for model in results.models
    )
    return dataclasses.replace(results, models=models)


def test_what_quantization_cost_is_shown_layer_by_layer(page):
    loss = AurocDrop(
        "00",
        "lungs",
        70,
        14,
        2000,
        0.0081,
        0.0019,
        0.0132,
        (TaskDrop(HOSTILE, 70, 9, 11, 0.91, 0.902, 0.0081, 0.0019, 0.0132),),
    )
    html = page(judged(loss))
    text = str(Text(html))
    for expected in (
        "Centred cosine to the float32 student: 0.9917 , passes the gate of 0.99",
        (
            "Mean AUROC loss: 0.0081 [0.0019, 0.0132] , passes the gate of 0.003. These recordings would refuse a loss"
            " of 0.0119 with a probability of 80 %."
        ),
        "9 / 11 0.0081 [0.0019, 0.0132]",
        "14 training and validation subjects of lungs",
        "Layers that lose most by themselves, whatever comes in (ringed):",
        "block5_project loses 5 % of its variance itself, 25.0 dB in all (rounding to 256 levels) block4_project",
        "signal over quantization noise, that of layers before included, dB",
    ):
        assert expected in text, expected
    assert text.index("AUROC per task") < text.index("What quantization cost") < text.index("Latency")
    assert html.count("<svg") == 5
    assert "<script" not in html
    ids = re.findall(r'\bid="([^"]*)"', html)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("low", "mean", "high", "says"),
    [
        (-0.0033, 0.0028, 0.0091, "passes the gate of 0.003. These recordings would refuse a loss of 0.0117"),
        (-0.0033, 0.0031, 0.0091, "passes the gate of 0.003. These"),
        (0.0031, 0.0081, 0.0132, "fails the gate of 0.003. These"),
        (None, 0.0011, None, "too few subjects to hold against the gate of 0.003. Task"),
    ],
)
def test_a_gate_is_decided_by_the_interval(page, low, mean, high, says):
    loss = AurocDrop(
        "00", "lungs", 70, 14, 2000, mean, low, high, (TaskDrop("sick", 70, 9, 11, 0.91, 0.902, mean, low, high),)
    )
    assert f", {says}" in str(Text(page(judged(loss))))


def test_layers_that_lose_nothing_themselves_are_ringed_by_noise(page):
    results = judged(None)
    verdict = next(model.quantization for model in results.models if model.quantization)
    none_lost = dataclasses.replace(
        verdict, layers=tuple(dataclasses.replace(layer, lost=0.0) for layer in verdict.layers)
    )
    models = tuple(
        dataclasses.replace(model, quantization=none_lost) if model.quantization else model for model in results.models
    )
    text = str(Text(page(dataclasses.replace(results, models=models))))
    assert (
        "Layers with most noise (ringed); none rounds its activations: block0_project , 20.0 dB" in text
        and "(ringed: most noise)" in text
    )


def test_a_loss_of_an_impossible_auroc_is_refused(tmp_path):
    loss = AurocDrop(
        "00", "lungs", 70, 14, 2000, 0.1, None, None, (TaskDrop("sick", 70, 9, 11, 1.5, 1.4, 0.1, None, None),)
    )
    with pytest.raises(UsageError, match="outside 0 to 1"):
        write_results(judged(loss), tmp_path / "results.json")


def test_an_auroc_loss_that_was_not_measured_is_called_that(page):
    assert "AUROC loss was not measured" in str(Text(page(judged(None))))
    assert "What quantization cost" not in str(Text(page(make())))


def test_hostile_names_stay_text(page):
    results = make(tasks=(HOSTILE,), dataset=HOSTILE, notes=(HOSTILE,))
    rename = {model.name: f"{HOSTILE} {model.name}" for model in results.models}
    results = dataclasses.replace(
        results, models=tuple(dataclasses.replace(model, name=rename[model.name]) for model in results.models)
    )
    renamed = [dataclasses.replace(item, model=rename[item.model]) for item in results.summary]
    compared = tuple(
        dataclasses.replace(pair, model=rename[pair.model], to=rename[pair.to]) for pair in results.comparisons
    )
    tasks = tuple(dataclasses.replace(item, scores=tuple(renamed), comparisons=compared) for item in results.tasks)
    results = dataclasses.replace(results, comparisons=compared)
    times = tuple(
        dataclasses.replace(item, model=rename[item.model], ratio_to=rename[item.ratio_to]) for item in results.latency
    )
    html = page(
        dataclasses.replace(results, reference=rename["teacher"], summary=tuple(renamed), tasks=tasks, latency=times)
    )
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert not [name for name, _ in Text(html).attributes if name.startswith("on")]


def test_plots_take_their_colours_from_the_page(page):
    html = page(make())
    svgs = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(svgs) == 4  # dots, sizes, one ROC, one reliability curve
    assert all("currentColor" in svg and "var(--s0)" in svg for svg in svgs)
    assert not any(re.search(r"#[0-9a-f]{6}\b", svg) for svg in svgs)
    assert "prefers-color-scheme: dark" in html


def test_no_student_has_the_teacher_s_colour_or_another_student_s(page):
    results = make()
    several = [ModelInfo(f"student_{k}", "i8") for k in range(4)]
    html = page(dataclasses.replace(results, models=(*results.models, *several)))
    table = html[html.index("<th>Mean AUROC</th>") :]
    colours = re.findall(r"color: var\(--(\w+)\)", table[: table.index("</table>")])
    assert colours == ["ink", "s0", "s1", "baseline", "s2", "s3", "s4", "s5"]
    assert "stroke: currentColor; stroke-width: 1.4" in html  # the teacher's interval


def test_baselines_are_lines_in_the_plot_of_sizes(page):
    plots = re.findall(
        r"<svg.*?</svg>", page(with_baselines(make(), spectral=0.7, duration_only=0.81)), flags=re.DOTALL
    )
    sizes = plots[1]
    assert "duration only" in sizes and "spectral" in sizes and "permuted" not in sizes and "file size" in sizes
    assert (
        sizes.count("stroke-dasharray") == 2
        and "stroke-dasharray" not in re.findall(r"<svg.*?</svg>", page(make()), flags=re.DOTALL)[1]
    )


def test_models_stand_beside_each_other_in_the_plot_of_calibration():
    curve = Reliability((0.2, 0.7), (0.25, 0.66), (0.1, 0.5), (0.4, 0.8), (50, 15))
    drawn = [
        reliability_svg([(Series(name, name, 0), curve) for name in names], name="r")
        for names in (("f32",), ("f32", "i8"))
    ]
    points = r"M ([\d.]+) [\d.]+ \nL ([\d.]+) [\d.]+ \n"
    one, two = (
        {start for start, end in re.findall(points, svg) if start == end} for svg in drawn
    )  # where upright lines stand
    assert len(two) - len(one) == 2  # two bins, each with two bars instead of one


def test_at_most_nine_roc_curves_and_the_rest_is_said(page):
    html = page(make(tasks=tuple(f"event={k}" for k in range(11))))
    assert html.count("ROC curves of") == 9
    assert "The first 9 of 11 tasks" in html


def test_figures_without_an_interval_are_not_shown(page):
    results = make()
    bare = dataclasses.replace(results.summary[2], auroc=Estimate(0.8642), retention=Estimate(0.9142))
    text = str(Text(page(dataclasses.replace(results, summary=(*results.summary[:2], bare, results.summary[3])))))
    assert "0.864" not in text and "91" not in text.split("AUROC per task")[0]
    assert "undefined" in text


def test_page_without_tasks_teacher_size_or_latency_says_so(page):
    results = make(tasks=())
    text = str(
        Text(
            page(
                dataclasses.replace(results, latency=(), models=(ModelInfo("teacher", "teacher"), *results.models[1:]))
            )
        )
    )
    for expected in (
        "quality was not measured",
        "The size of the teacher is not known",
        "not measured",
        "Not measured.",
    ):
        assert expected in text


def test_page_of_a_teacher_alone(page):
    results = make()
    tasks = tuple(dataclasses.replace(item, scores=item.scores[:1], comparisons=()) for item in results.tasks)
    alone = dataclasses.replace(
        results, models=results.models[:1], summary=results.summary[:1], tasks=tasks, latency=results.latency[:1]
    )
    text = str(Text(page(dataclasses.replace(alone, comparisons=()))))
    assert "Benchmark on field data" in text


def test_formats():
    assert auroc_text(Estimate(0.9119, 0.884, 0.936)) == "0.912 [0.88, 0.94]"
    assert (
        auroc_text(Estimate(0.998, 0.996, 1.0)) == "0.998 [0.99, 1.00]"
    )  # outwards: the interval never excludes its value
    assert auroc_text(Estimate(0.29, 0.29, 0.29)) == "0.290 [0.29, 0.29]"
    assert auroc_text(Estimate(0.9)) == "–"
    assert difference_text(Estimate(-0.0121, -0.0199, 0.0001)) == "−0.012 [−0.020, 0.001]"
    assert difference_text(Estimate(-0.00001, -0.0001, 0.0)) == "0.000 [−0.001, 0.000]"
    assert percent_text(Estimate(0.932, 0.881, 0.969)) == "93\u202f% [88, 97]"
    assert [bytes_text(size) for size in (1_610_000, 1_213_000_000, 430_000, 12, None)] == [
        "1.6\u202fMB",
        "1.2\u202fGB",
        "430\u202fkB",
        "12\u202fB",
        "–",
    ]
    assert [times_text(ratio) for ratio in (758.4, 1.38, 0.8, 12_345)] == ["758×", "1.4×", "0.80×", "12\u202f345×"]
    assert [p_text(p) for p in (0.0004, 0.0123, 0.4567, None)] == ["p < 0.001", "p 0.012", "p 0.46", "–"]
    assert [ms_text(value) for value in (1.1049, 20.14, 0.012345, 1234.5)] == ["1.10", "20.1", "0.0123", "1234"]


def test_every_kind_of_model_has_a_mark_a_symbol_and_a_name() -> None:
    assert set(MARKERS) == {*KINDS, *COST_KINDS} == set(KIND_NAMES)
    assert set(MARKERS.values()) == set(SYMBOLS)


def test_results_of_a_study_make_no_page_and_say_where_its_figures_are(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"schema": "hearlite-label-efficiency/1", "rows": []}))
    with pytest.raises(InputError, match=r"table\.md beside"):
        write_report(path, tmp_path / "report.html")
