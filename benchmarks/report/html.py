"""report.html from results.json alone: one file that needs nothing from outside.

For a screen in light or dark, a phone, or paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hearlite.benchmarks.report.cost import CostView, render_cost, view_cost
from hearlite.benchmarks.report.figures import DOT_TASKS, Row, dots, quantized, reliability, roc, sizes
from hearlite.benchmarks.report.format import unheard_text
from hearlite.benchmarks.report.rendering import KIND_NAMES, page
from hearlite.benchmarks.report.svg import Series
from hearlite.benchmarks.schema.baselines import PERMUTED, best_baseline, explained
from hearlite.benchmarks.schema.io import is_cost, read_cost, read_data, read_results
from hearlite.benchmarks.schema.results import CLASSIFIERS, Results, TaskResult
from hearlite.benchmarks.stats.estimates import Estimate, Paired
from hearlite.benchmarks.stats.noninferiority import INCONCLUSIVE, INFERIOR, NON_INFERIOR
from hearlite.files import write_bytes

_LOSS_IS = {
    NON_INFERIOR: "is ruled out",
    INCONCLUSIVE: "can’t be ruled out",
    INFERIOR: "is shown",
}  # a loss of more than the margin


@dataclass(frozen=True)
class Answer:
    """May the student replace its teacher? A task on which it is inferior is never hidden by the mean."""

    headline: str
    verdict: str
    mean: Paired
    counts: tuple[tuple[str, int], ...]  # tasks by verdict, all of them asked at once


def write_report(results_path: Path, html_path: Path, *, compare: Path | None = None) -> None:
    """Write report.html from results.json, next to another run's results.json if one is named.

    Raises InputError for a results.json that can't be used.
    """
    if compare is None and is_cost(read_data(results_path)):
        html = render_cost(read_cost(results_path))
    else:
        html = render(read_results(results_path), other=read_results(compare) if compare else None)
    write_bytes(html_path, html.encode("utf-8", errors="replace"))  # names may hold lone surrogates


def render(results: Results, *, other: Results | None = None) -> str:
    """Return the page.

    Names in results are hostile input: the template escapes every one.
    """
    from markupsafe import Markup

    rows = _rows(results)
    by_kind = {kind: next((row for row in rows if row.model.kind == kind), None) for kind in KIND_NAMES}
    reference = next(row for row in rows if row.model.name == results.reference)
    student = by_kind["i8"] or by_kind["f32"]
    trio = [row for row in (reference, by_kind["f32"], by_kind["i8"]) if row]
    return page(
        "report.html.j2",
        results=results,
        facts=_facts(results),
        rows=rows,
        trio=trio,
        reference=reference,
        student=student,
        compared=[row for row in rows if row.model.kind != "baseline" and row is not reference],
        answer=_answer(results, student) if student else None,
        loss_is=_LOSS_IS,
        baseline=best_baseline(results.models, results.summary),
        baselines=explained(results.models, reference=results.reference),
        own_float=[pair for pair in results.comparisons if pair.to != results.reference],
        pair_of=_pair,
        probe=CLASSIFIERS[results.probe],
        flattered=[item for item in results.leaking if item.flatters],
        other=other,
        unlike=_unlike(results, other) if other else (),
        roc=[(task, Markup(svg)) for task, svg in roc(results.tasks, trio)],
        calibrated=[(task, Markup(svg)) for task, svg in reliability(results.tasks, trio)],
        dots=Markup(dots(results, rows)),
        dotted=[row for row in rows if row.score and row.model.name != PERMUTED],
        dot_tasks=DOT_TASKS,
        sizes=Markup(sizes(rows)),
        quantized=[(row, worst, Markup(svg)) for row, worst, svg in quantized(rows)],
        estimate=Estimate,
        sized=[row for row in rows if row.model.bytes and row.score and row.score.auroc.shown],
        score_of=lambda task, name: next((score for score in task.scores if score.model == name), None),
        view=_cost(results, rows),
    )


def _facts(results: Results) -> tuple[str, ...]:
    """Return what a reader must know about the recordings and the models, as sentences."""
    framing = {
        "context": "Events shorter than a clip are shown in the real sound around them.",
        "zero-pad": "Events shorter than a clip are padded with zeros, which leaks their duration.",
    }
    apart = [
        f"{model.name} {unheard_text(model, dataset=results.dataset.name)}"
        for model in results.models
        if model.trained_on_dataset is False
    ]
    folds = (
        f"{results.folds}-fold cross-validation over {results.dataset.test_subjects} subjects: each is scored by probes"
        " that were fitted to others, and whose settings were chosen among those."
        + (
            f" {results.dataset.train_subjects} more, whom a file was made from, only train probes."
            if results.dataset.train_subjects
            else ""
        )
        if results.folds
        else ""
    )
    slimmed = "Curves and operating points are not in this results.json." if results.slimmed_from else ""
    return tuple(filter(None, (folds, framing[results.dataset.framing], *apart, slimmed)))


def _cost(results: Results, rows: Sequence[Row]) -> CostView | None:
    series = {row.model.name: row.series for row in rows if row.model.kind != "baseline"}
    quality = {row.model.name: row.score.auroc for row in rows if row.score}
    return view_cost(results.cost, series=series, quality=quality) if results.cost else None


def _rows(results: Results) -> list[Row]:
    scores = {score.model: score for score in results.summary}
    latency = {row.model: row for row in results.latency}
    rows = []
    colour = 0
    for model in results.models:
        rows.append(Row(model, Series(model.name, model.kind, colour), scores.get(model.name), latency.get(model.name)))
        colour += model.kind not in ("teacher", "baseline")
    return rows


def _pair(compared: Results | TaskResult, model: str, to: str) -> Paired | None:
    return next((pair for pair in compared.comparisons if (pair.model, pair.to) == (model, to)), None)


def _answer(results: Results, student: Row) -> Answer | None:
    """None where nothing was compared: in results of the version before, and for a teacher alone."""
    mean = _pair(results, student.model.name, results.reference)
    by_task = [
        pair.verdict_holm for task in results.tasks if (pair := _pair(task, student.model.name, results.reference))
    ]
    if mean is None:
        return None
    counts = tuple(
        (verdict, by_task.count(verdict)) for verdict in (NON_INFERIOR, INCONCLUSIVE, INFERIOR) if verdict in by_task
    )
    if INFERIOR in (mean.verdict, *by_task):
        return Answer("No" if mean.verdict == INFERIOR else "Not on every task", INFERIOR, mean, counts)
    if mean.verdict == INCONCLUSIVE:
        return Answer("Not proven", INCONCLUSIVE, mean, counts)
    return Answer("Yes" if set(by_task) == {NON_INFERIOR} else "Yes, on average", NON_INFERIOR, mean, counts)


def _unlike(results: Results, other: Results) -> tuple[str, ...]:
    """Return what makes the figures of two runs something other than a comparison of their models."""
    pairs = {
        "There is another kind of probe": (results.probe, other.probe),
        "Others are scored: one is a cross-validation": (results.folds, other.folds),
        "There are other data": (results.dataset.sha256, other.dataset.sha256),
        "There is another teacher": (results.teacher.fingerprint, other.teacher.fingerprint),
        "There are other tasks, so means are over other ones": (
            [task.name for task in results.tasks],
            [task.name for task in other.tasks],
        ),
        "There is another machine, so times can't be compared": (results.machine, other.machine),
        "There is another version of results.json, so intervals are of another kind": (results.schema, other.schema),
    }
    return tuple(what for what, (here, there) in pairs.items() if here != there)
