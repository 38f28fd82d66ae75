"""The table (Markdown) and the figure of a robustness study, from what `summarize` of verdicts.py found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hearlite.benchmarks.report.dot_plot import Dots, write_dots
from hearlite.benchmarks.report.svg import MARKERS
from hearlite.benchmarks.studies.robustness.verdicts import Estimate


def table(results: Mapping[str, Any]) -> str:
    """Markdown: a table for each student beside the teacher, the requirements, and what was done to the clips."""
    reference, *students = results["results"]
    dataset, teacher, test, train = (results[key] for key in ("dataset", "teacher", "test", "train"))
    lines = [
        f"{dataset['name']}{' (synthetic)' if dataset['synthetic'] else ''}: {test['clips']} test clips of"
        f" {test['subjects']} subjects; probes "
    ]
    lines[0] += (
        f"fitted once to {train['clips']} clean clips of {train['subjects']} others. Teacher:"
        f" {teacher['surrogate_note'] or teacher['name']}."
    )
    lines.append("")
    for student, required in zip(students, results["requirements"], strict=True):
        lines += [
            f"**{student['model']}**, mean AUROC over {len(results['tasks'])} tasks on clean clips"
            f" {_text(student['clean'], '{:.3f}')}, "
        ]
        lines[-1] += f"{reference['model']} {_text(reference['clean'], '{:.3f}')}"
        titles = [
            "test clips",
            "changed",
            f"{reference['model']}: AUROC less clean",
            "student: AUROC less clean",
            "student's less the teacher's",
        ]
        lines += ["", f"| {' | '.join([*titles, 'verdict', 'centred cosine, teacher', 'student'])} |", f"|{8 * '---|'}"]
        for condition, theirs, ours in zip(
            results["conditions"], reference["conditions"], student["conditions"], strict=True
        ):
            limit = f"; {results['gain_limit']:g}: {ours['gain_verdict']}" if "gain_verdict" in ours else ""
            cells = [
                condition["name"],
                str(condition["changed"]),
                _text(theirs["change"], "{:+.4f}"),
                _text(ours["change"], "{:+.4f}"),
            ]
            cells += [_text(ours["beyond_reference"], "{:+.4f}"), ours["verdict"] + limit]
            cells += [f"{item['centred_cosine']:.3f}" for item in (theirs, ours)]
            lines.append(f"| {' | '.join(cells)} |")
        lines += ["", *_requirement_lines(required, results), ""]
    lines += ["What was done to the clips:", ""]
    return "\n".join([*lines, *map(_condition_line, results["conditions"])]) + "\n"


def _requirement_lines(required: Mapping[str, Any], results: Mapping[str, Any]) -> list[str]:
    asked = {
        "float_gain": ("change", f"Gain in floating point changes AUROC by at most {results['gain_limit']:g}"),
        "gain": ("change", f"Gain at the microphone, before int16, changes AUROC by at most {results['gain_limit']:g}"),
        "shift_and_padding": (
            "beyond_reference",
            f"Shift and padding hurt no more than the teacher, within {results['margin']:g}",
        ),
    }
    lines = []
    for key, (figure, text) in asked.items():
        if item := required[key]:
            lines.append(f"- {text}: **{item['verdict']}**, {item['passed']} of {item['conditions']} conditions pass; ")
            lines[-1] += f"furthest is {item['furthest']}, {_text(item[figure], '{:+.4f}')}"
    return lines


def _condition_line(condition: Mapping[str, Any]) -> str:
    effects = {
        f"{condition['clipped']} clip ({condition['clipped_samples']} samples)": condition["clipped"],
        f"{condition['missing']} lack real sound and have zeros": condition["missing"],
        f"{condition['silenced']} are silent then": condition["silenced"],
    }
    said = "; ".join([condition["source"], *(text for text, count in effects.items() if count)])
    return f"- {condition['name']}: {said}"


def _text(estimate: Estimate, form: str) -> str:
    value, low, high = (
        form.format(estimate[key]) if estimate[key] is not None else "-" for key in ("value", "low", "high")
    )
    return f"{value} [{low}, {high}]"


def write_plot(results: Mapping[str, Any], path: Path) -> None:
    """Draw what `summarize` of robustness_verdicts.py gave, as .svg or .png by the ending of `path`; conditions from
    top to bottom.
    """
    kinds = {item["name"]: item["precision"] for item in results["models"]}
    series = [
        Dots(
            f"{model['model']}, clean AUROC {model['clean']['value']:.3f}",
            MARKERS[kinds.get(model["model"], "teacher")],
            [row["change"] for row in model["conditions"]],
        )
        for model in results["results"]
    ]
    title = (
        f"{results['dataset']['name']}: {results['test']['clips']} test clips of {results['test']['subjects']} subjects"
    )
    title += f"; teacher: {results['teacher']['name'].rpartition('/')[2]}"
    groups = [(item["name"], item["kind"]) for item in results["conditions"]]
    xlabel = "mean AUROC of changed test clips less that of clean ones, 95 % interval"
    write_dots(series, groups, path, xlabel=xlabel, title=title, line=0.0)
