"""What is asked of the embeddings: probe tasks from label columns, and public datasets as manifests with those columns."""

from hearlite.benchmarks.tasks.binary import (
    MIN_SUBJECTS,
    TEST_SPLIT,
    TRAIN_SPLITS,
    LeftOut,
    Task,
    TaskSet,
    binary_tasks,
    check_splits,
    distinct_tasks,
)
from hearlite.benchmarks.tasks.challenge import ChallengeScore, challenge_score
from hearlite.benchmarks.tasks.importing import SOURCES, Imported, import_dataset, write_manifest
from hearlite.benchmarks.tasks.regression import RegressionSet, RegressionTask, regression_tasks

__all__ = [
    "MIN_SUBJECTS",
    "SOURCES",
    "TEST_SPLIT",
    "TRAIN_SPLITS",
    "ChallengeScore",
    "Imported",
    "LeftOut",
    "RegressionSet",
    "RegressionTask",
    "Task",
    "TaskSet",
    "binary_tasks",
    "challenge_score",
    "check_splits",
    "distinct_tasks",
    "import_dataset",
    "regression_tasks",
    "write_manifest",
]
