"""Datasets: manifests for users' own copies of public datasets. May import tasks; studies and the command line import
it.
"""
