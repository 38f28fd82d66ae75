"""Estimators, tests and intervals for scores, labels and subjects, using numpy and scipy only.

May import the sibling folder tasks.
"""
