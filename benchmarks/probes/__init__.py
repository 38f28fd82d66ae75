"""Classifiers and regressors on frozen embeddings, their folds, and their evaluation.

May import the sibling folders tasks, stats and schema.
"""
