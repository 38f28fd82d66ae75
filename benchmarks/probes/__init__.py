"""Classifiers and regressors on frozen embeddings, and their folds. May import tasks, stats and schema."""
