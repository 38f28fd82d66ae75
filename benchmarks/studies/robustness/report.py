"""Render the table (Markdown) and the figure of a robustness study."""

from __future__ import annotations

from pathlib import Path

from hearlite.benchmarks.report.dot_plot import write_dots
from hearlite.benchmarks.report.format import auroc_text, loss_text
from hearlite.benchmarks.stats.estimates import Estimate
from hearlite.benchmarks.studies.inputs import model_dots
from hearlite.benchmarks.studies.robustness.results import ConditionCounts, Requirements, RobustnessResults


def table(results: RobustnessResults) -> str:
    """Render Markdown: a table for each student beside the teacher, the requirements, and the conditions."""
    reference, *students = results.results
    dataset, teacher, test, train = results.dataset, results.teacher, results.test, results.train
    lines = [
        f"{dataset.name}{' (synthetic)' if dataset.synthetic else ''}: {test.clips} test clips of {test.subjects}"
        f" subjects; probes fitted once to {train.clips} clean clips of {train.subjects} others. Teacher:"
        f" {teacher.surrogate_note or teacher.name}.",
        "",
    ]
    for student, required in zip(students, results.requirements, strict=True):
        titles = [
            "test clips",
            "changed",
            f"{reference.model}: AUROC less clean",
            "student: AUROC less clean",
            "student's less the teacher's",
            "verdict",
            "centred cosine, teacher",
            "student",
        ]
        lines += [
            f"**{student.model}**, mean AUROC over {len(results.tasks)} tasks on clean clips"
            f" {auroc_text(student.clean)}, {reference.model} {auroc_text(reference.clean)}",
            "",
            f"| {' | '.join(titles)} |",
            f"|{len(titles) * '---|'}",
        ]
        for condition, of_teacher, of_student in zip(
            results.conditions, reference.conditions, student.conditions, strict=True
        ):
            limit = f"; {results.gain_limit:g}: {of_student.gain_verdict}" if of_student.gain_verdict else ""
            cells = [
                condition.name,
                str(condition.changed),
                loss_text(of_teacher.change),
                loss_text(of_student.change),
                loss_text(of_student.beyond_reference),
                of_student.verdict + limit,
                *(f"{item.centred_cosine:.3f}" for item in (of_teacher, of_student)),
            ]
            lines.append(f"| {' | '.join(cells)} |")
        lines += ["", *_requirement_lines(required, results), ""]
    lines += ["How the clips were changed:", ""]
    return "\n".join([*lines, *map(_condition_line, results.conditions)]) + "\n"


def _requirement_lines(required: Requirements, results: RobustnessResults) -> list[str]:
    items = (
        (required.float_gain, f"Gain in floating point changes AUROC by at most {results.gain_limit:g}"),
        (required.gain, f"Gain at the microphone, before int16, changes AUROC by at most {results.gain_limit:g}"),
        (
            required.shift_and_padding,
            f"Shift and padding hurt no more than the teacher, within {results.margin:g}",
        ),
    )
    return [
        f"- {text}: **{item.verdict}**, {item.passed} of {item.conditions} conditions pass; furthest is"
        f" {item.furthest}, {loss_text(item.change or item.beyond_reference or Estimate())}"
        for item, text in items
        if item
    ]


def _condition_line(condition: ConditionCounts) -> str:
    effects = {
        f"{condition.clipped} clip ({condition.clipped_samples} samples)": condition.clipped,
        f"{condition.missing} lack real sound and are filled with zeros": condition.missing,
        f"{condition.silenced} become silent": condition.silenced,
    }
    parts = "; ".join([condition.source, *(text for text, count in effects.items() if count)])
    return f"- {condition.name}: {parts}"


def write_plot(results: RobustnessResults, path: Path) -> None:
    """Draw the change of AUROC, conditions from top to bottom, as .svg or .png by the ending of `path`."""
    series = [
        model_dots(
            item.model,
            [row.change for row in item.conditions],
            results.models,
            label=f"{item.model}, clean AUROC {item.clean.value:.3f}",
        )
        for item in results.results
    ]
    title = (
        f"{results.dataset.name}: {results.test.clips} test clips of {results.test.subjects} subjects; teacher:"
        f" {results.teacher.name.rpartition('/')[2]}"
    )
    groups = [(item.name, item.kind) for item in results.conditions]
    xlabel = "mean AUROC of changed test clips less that of clean ones, 95 % interval"
    write_dots(series, groups, path, xlabel=xlabel, title=title, line=0.0)
