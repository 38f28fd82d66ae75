"""From a run folder to a bundle: one self-contained .tflite, checked before anything is written."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hearlite import __version__
from hearlite.audio.clips import from_int16
from hearlite.bundle import METADATA_NAME, SCHEMA, Manifest, Metric, write_bundle
from hearlite.data.duplicates import Fingerprints
from hearlite.embedders.self_test import (
    GOLDEN_SIGNAL,
    TOLERANCE,
    check_embedder,
    check_signals,
    golden_embedding,
    require,
)
from hearlite.embedders.tflite import TfliteEmbedder
from hearlite.errors import GateError, InputError, UsageError
from hearlite.events.detector import EventRules
from hearlite.export.card import model_card, notice
from hearlite.export.coordinates import in_teacher_coordinates
from hearlite.files import read_json
from hearlite.gate import GateResult, read_gate_result
from hearlite.names import COORDINATES
from hearlite.run import Run, read_metrics
from hearlite.serialization import from_dict
from hearlite.spec import AUDIO, PRECISIONS, QuantSpec
from hearlite.student import load_network
from hearlite.tflite.classifier import OUTPUT as SCORES
from hearlite.tflite.classifier import FitHead, FittedHead, Head, fuse
from hearlite.tflite.convert import INPUT, OUTPUT, SIGNATURE, convert_frontend, convert_network, join_frontend
from hearlite.tflite.interpreter import TfliteModel
from hearlite.tflite.metadata import with_label_file, with_tflite_metadata
from hearlite.tflite.model_file import add_metadata, read_tflite, summarize
from hearlite.tflite.steps import Steps, add_steps
from hearlite.tflite.trial import require_trial, trust

# Share of a step's own logit in its score, of a head of events. Measured with a small student on half an hour of real
# background with coughs 20 dB above it: at two false alarms an hour it finds 7 % of them by steps alone, 17 % with a
# share of 0.2, 22 % with 0.1 and 24 % by windows alone, which do not say when.
EVENT_FOCUS = 0.2


@dataclass(frozen=True)
class Terms:
    """Licence and notice of a teacher that says nothing of them itself, such as a .tflite file."""

    licence: str
    notice: str = ""


UNKNOWN_LICENCE = "unknown"  # hearlite/embedders/tflite.py, saved_model.py: a file says nothing of its terms
FindRules = Callable[[bytes, Steps], EventRules]  # of the file with a head of events and its scores over time


def export(
    run: Run,
    *,
    to: Path,
    recipe: str = "",
    coordinates: str = COORDINATES[0],
    corpus: str = "",
    fit_head: FitHead | None = None,
    fitted_to: Fingerprints | None = None,
    steps: Sequence[str] = (),
    find_rules: FindRules | None = None,
    terms: Terms | None = None,
    overwrite: bool = False,
    allow_failed_gate: bool = False,
) -> Path:
    """Write `hearlite_<size>_2s_<precision>.tflite` to `to`, with manifest, card, NOTICE and targets.

    Returns its path. Without `recipe` it is float32.

    With coordinates "teacher" it is called `..._teacher.tflite`, and classifiers of the teacher's embeddings take its
    own (hearlite/export/coordinates.py), best those of `corpus`, one of several datasets that the run was distilled on.

    With `fit_head` it is called `..._head.tflite` and has scores as a second output; its embeddings are those of the
    file without, bit by bit. `fitted_to` are fingerprints of the recordings that the head is fitted to.

    `steps` are outputs over time (hearlite/tflite/steps.py). With `find_rules` the head is one of events, and the file
    is called `..._events.tflite`. `terms` are the teacher's, where it says nothing of them.

    Raises InputError when the run is not quantized by `recipe` or another file is there, GateError when the file fails
    its checks or its quantization failed the gate, UsageError for other coordinates; `allow_failed_gate` writes it all
    the same, marked as failed; `overwrite` replaces another file.
    """
    content = _quantized(run, recipe) if recipe else _float(run)
    precision = _precision(run, recipe) if recipe else "f32"
    if coordinates not in COORDINATES:
        raise UsageError(f"coordinates are {coordinates!r}", f"use one of {', '.join(COORDINATES)}")
    if corpus and coordinates != "teacher":
        raise UsageError(f"corpus {corpus!r} has no effect", "ask for the teacher's coordinates, too")
    ending = "_events" if find_rules else "_head" if fit_head else ""
    endings = ("_teacher" if coordinates == "teacher" else "") + ending
    model = to / f"hearlite_{run.spec.student.size}_{AUDIO.clip_s:g}s_{precision}{endings}.tflite"
    fitted = head = described = over_time = rules = None
    if coordinates == "teacher":
        embedder = TfliteEmbedder(content, name=model.name)
        content, described = in_teacher_coordinates(content, embedder, run, corpus=corpus)
    if fit_head is not None:
        fitted = fit_head(content)
        content, head = _with_head(content, fitted)
    if steps:
        focus = EVENT_FOCUS if find_rules else 1.0
        content, over_time = add_steps(content, outputs=steps, window_s=AUDIO.clip_s, head=fitted, focus=focus)
    if find_rules is not None and over_time is not None:
        rules = find_rules(content, over_time)
    heard = _heard(run, fitted_to=fitted_to, with_head=head is not None)
    manifest = dataclasses.replace(
        _with_terms(_manifest(run, name=model.name, precision=precision, recipe=recipe, content=content), terms),
        head=head,
        coordinates=described,
        steps=over_time,
        events=rules,
        heard_sha256=hashlib.sha256(heard).hexdigest() if heard else "",
    )
    if not manifest.gate_passed and not allow_failed_gate:
        raise GateError(
            f"{recipe} failed its gate in {run.folder}",
            "quantize again, or pass --allow-failed-gate to write a file marked as failed",
        )
    checks = check_embedder(TfliteEmbedder(content, output=OUTPUT, name=model.name), precision=precision)
    if not allow_failed_gate:
        require(checks, what=model.name)
    manifest = dataclasses.replace(manifest, gate_passed=manifest.gate_passed and all(check.passed for check in checks))
    content = with_tflite_metadata(content, manifest)  # after the checks, as the next: both say whether they passed
    content = with_label_file(add_metadata(content, METADATA_NAME, manifest.inside()), manifest)
    golden = golden_embedding(TfliteEmbedder(content, output=OUTPUT, name=model.name))
    manifest = dataclasses.replace(manifest, golden_embedding=tuple(golden))
    trust(content)
    texts = {".md": model_card(manifest), ".NOTICE.txt": notice(manifest)}
    write_bundle(model, content, manifest, texts=texts, targets=run.targets, heard=heard, overwrite=overwrite)
    return model


def export_files(
    run: Run,
    *,
    to: Path,
    names: Sequence[str],
    preferred: Sequence[str],
    coordinates: str = COORDINATES[0],
    corpus: str = "",
    fit_head: FitHead | None = None,
    fitted_to: Fingerprints | None = None,
    steps: Sequence[str] = (),
    find_rules: FindRules | None = None,
    terms: Terms | None = None,
    overwrite: bool = False,
    allow_failed_gate: bool = False,
) -> list[Path]:
    """Export each recipe of `names`; "float32" is the unquantized student.

    Without names: the first of `preferred` that passed, then float32.

    Of two recipes with the same precision the preferred one stands for it. Raises what `export` raises, and GateError
    when the run was quantized but every recipe was refused: after float32 was written, since the int8 file is missing.
    """
    refused = [] if names or allow_failed_gate else _refused(run, preferred)
    there = [name for name in preferred if (run.quantized(name) / "model.tflite").is_file()]
    passed = [name for name in there if read_gate_result(run.quantized(name) / "compare.json").passed]
    found = (passed or there)[:1]
    files = [
        export(
            run,
            to=to,
            recipe="" if name == "float32" else name,
            coordinates=coordinates,
            corpus=corpus,
            fit_head=fit_head,
            fitted_to=fitted_to,
            steps=steps,
            find_rules=find_rules,
            terms=terms,
            overwrite=overwrite,
            allow_failed_gate=allow_failed_gate,
        )
        for name in names or (*found, "float32")
    ]
    if refused:
        raise GateError(
            f"{run.folder}: only float32 was written, to {files[-1]}: {' and '.join(refused)} failed the gate",
            "quantize with another recipe, train longer, or quantize and export with --allow-failed-gate",
        )
    return files


def _refused(run: Run, preferred: Sequence[str]) -> list[str]:
    """Return the recipes that failed their gates, if the run was quantized and none passed."""
    judged = [name for name in preferred if (run.quantized(name) / "compare.json").is_file()]
    if any(read_gate_result(run.quantized(name) / "compare.json").passed for name in judged):
        return []
    return [name for name in judged if not (run.quantized(name) / "model.tflite").is_file()]


def _heard(run: Run, *, fitted_to: Fingerprints | None, with_head: bool) -> bytes:
    """Return the content of the .heard.npz; empty unless all that student and head have heard is known."""
    if not run.heard.is_file() or (with_head and fitted_to is None):
        return b""
    heard = Fingerprints.load(run.heard)
    return (heard if fitted_to is None else heard.with_others(fitted_to)).content()


def _with_head(content: bytes, fitted: FittedHead) -> tuple[bytes, Head]:
    """Return the file with the classifier that was fitted to it, and its entry in the manifest.

    With the golden signal's scores.
    """
    fused = fuse(content, fitted)
    scores = TfliteModel(fused).run(from_int16(check_signals()[GOLDEN_SIGNAL][None]))[SCORES]
    return fused, dataclasses.replace(fitted.head, golden_scores=tuple(float(score) for score in scores[0]))


def _quantized(run: Run, recipe: str) -> bytes:
    path = run.quantized(recipe) / "model.tflite"
    if not path.is_file():
        raise InputError(
            f"{run.folder} is not quantized by {recipe}", f"run: hearlite quantize {run.folder} --recipe {recipe}"
        )
    content = read_tflite(path)
    require_trial(content, where=str(path))
    return content


def _precision(run: Run, recipe: str) -> str:
    path = run.quantized(recipe) / "recipe.json"
    spec = from_dict(QuantSpec, read_json(path), where=str(path))
    return PRECISIONS[spec.weights, spec.activations]


def _float(run: Run) -> bytes:
    return join_frontend(
        convert_frontend(run.spec.student.frontend), convert_network(load_network(run.spec.student, run.weights))
    )


def _manifest(run: Run, *, name: str, precision: str, recipe: str, content: bytes) -> Manifest:
    spec, summary = run.spec, summarize(content)
    metrics = read_metrics(run)
    on = "clips of validation subjects"
    figures = [
        Metric(
            "centred cosine to the teacher's targets", metrics["val_centred_cosine"], f"{metrics['val_clips']:.0f} {on}"
        )
    ]
    verdict, calibration = None, ""
    if recipe:
        verdict = read_gate_result(run.quantized(recipe) / "compare.json")
        calibration = _calibration(run.quantized(recipe) / "calibration.json")
        figures += _cost(verdict, on=on)
    return Manifest(
        schema=SCHEMA,
        hearlite=__version__,
        name=name,
        size=spec.student.size,
        precision=precision,
        signature=SIGNATURE,
        input=INPUT,
        output=OUTPUT,
        dim=spec.student.embedding_dim,
        audio=AUDIO,
        student=spec.student,
        teacher=spec.teacher,
        licence=spec.teacher.licence,
        notice=spec.teacher.notice,
        dataset=spec.dataset,
        recipe=recipe,
        calibration_sha256=calibration,
        gate_passed=verdict is None or verdict.passed,
        metrics=tuple(figures),
        parameters=summary.parameters,
        macs=summary.macs,
        golden_signal=GOLDEN_SIGNAL,
        golden_embedding=(),
        golden_tolerance=TOLERANCE[precision],
        quantization=verdict,
    )


def _calibration(path: Path) -> str:
    """Return the hash of the clips that a quantization was calibrated with."""
    data = read_json(path)
    found = data.get("sha256") if isinstance(data, dict) else None
    if not isinstance(found, str) or not re.fullmatch(r"[0-9a-f]{64}", found):
        raise InputError(f"{path}: its sha256 is {found!r:.80}", "quantize the run again")
    return found


def _with_terms(manifest: Manifest, terms: Terms | None) -> Manifest:
    if terms is None:
        return manifest
    if manifest.licence != UNKNOWN_LICENCE:
        raise UsageError(
            f"the teacher's licence is {manifest.licence!r:.100}, not {terms.licence!r:.100}",
            "a student has its teacher's terms; leave --licence and --notice out",
        )
    return dataclasses.replace(manifest, licence=terms.licence, notice=terms.notice)


def _cost(verdict: GateResult, *, on: str) -> list[Metric]:
    """Return what quantization cost, as far as it was measured."""
    found, loss = verdict.comparison, verdict.auroc
    figures = [Metric("centred cosine to the float32 student", found.centred_cosine, f"{found.clips} {on}")]
    if loss is not None:
        where = (
            f"{len(loss.tasks)} task{'s' * (len(loss.tasks) > 1)}, {loss.subjects} training and validation subjects of"
            f" {loss.dataset}"
        )
        figures.append(Metric("mean AUROC loss to the float32 student", loss.mean, where))
    return figures
