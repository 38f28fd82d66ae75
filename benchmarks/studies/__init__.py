"""Studies, each of which answers one question about a teacher and its students.

Each module has a click command called `command`. STUDIES lists them for `hearlite study`, together with commands of
other folders of benchmarks that are run the same way; the modules are imported when a command runs. Studies may import
all of benchmarks but android, arm and experiments.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Study:
    """A command of `hearlite study`."""

    module: str  # full name; its click command is called `command`
    summary: str  # what it measures, in a few words


_ROOT = "hearlite.benchmarks."
STUDIES = {
    "robustness": Study(
        _ROOT + "studies.robustness.study", "test clips changed in known ways: gain, padding, devices, noise"
    ),
    "label-efficiency": Study(
        _ROOT + "studies.label_efficiency", "probes fitted to 100 to 5 % of the training subjects"
    ),
    "self-training": Study(_ROOT + "studies.self_training", "AUROC gained from unlabelled training subjects"),
    "recording-pooling": Study(
        _ROOT + "studies.recording_pooling", "mean, maximum and attention over a recording's clips"
    ),
    "challenge": Study(_ROOT + "studies.challenge", "official splits and scores of ICBHI and SPRSound"),
    "listening": Study(_ROOT + "studies.listening", "events at known times in hours of real background"),
    "own-sounds": Study(_ROOT + "studies.own_sounds", "personal heads, fitted to 3 to 10 examples"),
    "regression": Study(_ROOT + "studies.regression", "a column of numbers, against predicting the mean"),
    "cross-dataset": Study(_ROOT + "studies.cross_dataset", "train on one dataset, test on another"),
    "embedding-pca": Study(_ROOT + "studies.embedding_pca", "a picture of the embeddings of teacher and students"),
    "error-gallery": Study(_ROOT + "studies.error_gallery", "a page to listen to what a student gets wrong"),
    "interval-coverage": Study(
        _ROOT + "studies.interval_coverage", "simulated studies: do 95 % intervals hold the truth?"
    ),
    "scaling": Study(_ROOT + "studies.scaling", "time and memory over 1 to 100 times as much sound"),
    "android-bench": Study(_ROOT + "android.bench", "parity and latency of one file on a phone, over adb"),
    "targets": Study(_ROOT + "cost.targets", "check a results.json of cost against the project's own targets"),
    "ablation": Study(_ROOT + "experiments.ablation", "AUROC gained by each piece of the training recipe"),
    "student-search": Study(
        _ROOT + "experiments.student_search", "students of different shapes, by fidelity to the teacher and cost"
    ),
    "ptq-ladder": Study(_ROOT + "experiments.ptq_ladder", "accuracy gained by each step of int8 quantization"),
    "training-throughput": Study(
        _ROOT + "experiments.training_throughput", "clips per second of every stage of training"
    ),
    "training-forms": Study(
        _ROOT + "experiments.training_forms", "a training step with threads, processes, XLA and bfloat16"
    ),
    "adapted-heads": Study(
        _ROOT + "experiments.adapted_heads", "heads of the teacher's embeddings, adapted to students without labels"
    ),
    "event-scores": Study(
        _ROOT + "experiments.event_scores", "scores of events, beside those of the network that taught them"
    ),
    "fuzz": Study(_ROOT + "experiments.fuzz.run", "damaged inputs: does each end as a result or an error message?"),
    "input-memory": Study(_ROOT + "experiments.input_memory", "peak memory of a huge manifest and of hours of silence"),
    "kill-drill": Study(
        _ROOT + "experiments.kill_drill", "commands killed at random and run again: is the result equal?"
    ),
    "synthetic-spirometry": Study(
        _ROOT + "datasets.synthetic_spirometry", "write forced exhalations with their FEV1/FVC"
    ),
}
