"""Statistics of scores, labels and subjects: numpy and scipy alone.

May import tasks; every room to its right may import it.
"""
