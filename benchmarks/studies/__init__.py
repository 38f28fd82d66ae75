"""Studies: one question each, asked of a teacher and its students. May import all rooms but android, arm and
experiments.

Each module has a click command called `command`; STUDIES lists them for `hearlite study`, with those of other rooms
that are run the same way.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Study:
    """Where the command is, and what it answers, in a few words."""

    module: str
    summary: str


_ROOT = "hearlite.benchmarks."
STUDIES = {
    "robustness": Study(
        _ROOT + "studies.robustness.study", "test clips changed in known ways: gain, padding, devices, noise"
    ),
    "label-efficiency": Study(
        _ROOT + "studies.label_efficiency", "probes fitted to 100 ... 5 % of the training subjects"
    ),
    "self-training": Study(_ROOT + "studies.self_training", "what unlabelled training subjects add"),
    "recording-pooling": Study(
        _ROOT + "studies.recording_pooling", "mean, maximum and attention over a recording's clips"
    ),
    "challenge": Study(_ROOT + "studies.challenge", "official splits and scores of ICBHI and SPRSound"),
    "regression": Study(_ROOT + "studies.regression", "a column of numbers, against predicting the mean"),
    "cross-dataset": Study(_ROOT + "studies.cross_dataset", "train on one dataset, test on another"),
    "embedding-pca": Study(_ROOT + "studies.embedding_pca", "a picture of teacher's and students' embeddings"),
    "error-gallery": Study(_ROOT + "studies.error_gallery", "a page to listen to what a student gets wrong"),
    "interval-coverage": Study(_ROOT + "studies.interval_coverage", "do the 95 % intervals hold the truth? Simulated"),
    "scaling": Study(_ROOT + "studies.scaling", "time and memory over 1 to 100 times as much sound"),
    "android-bench": Study(_ROOT + "android.bench", "parity and latency of one file on a phone, over adb"),
    "targets": Study(_ROOT + "cost.targets", "the project's own targets, held against a results.json of cost"),
    "ablation": Study(_ROOT + "experiments.ablation", "what each piece of the training recipe is worth"),
    "ptq-ladder": Study(_ROOT + "experiments.ptq_ladder", "what each step of int8 quantization is worth"),
    "training-throughput": Study(
        _ROOT + "experiments.training_throughput", "clips per second of every stage of training"
    ),
    "synthetic-spirometry": Study(
        _ROOT + "datasets.synthetic_spirometry", "write forced exhalations with their FEV1/FVC"
    ),
}
