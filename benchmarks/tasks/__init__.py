"""Tasks that probes are scored on: labels of clips, made from the columns of a manifest.

May import no sibling folder.
"""

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
from hearlite.benchmarks.tasks.challenge_score import ChallengeScore, challenge_score
from hearlite.benchmarks.tasks.regression import RegressionSet, RegressionTask, regression_tasks

__all__ = [
    "MIN_SUBJECTS",
    "TEST_SPLIT",
    "TRAIN_SPLITS",
    "ChallengeScore",
    "LeftOut",
    "RegressionSet",
    "RegressionTask",
    "Task",
    "TaskSet",
    "binary_tasks",
    "challenge_score",
    "check_splits",
    "distinct_tasks",
    "regression_tasks",
]
