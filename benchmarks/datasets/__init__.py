"""Datasets: manifests for users' own copies of public datasets. May import tasks; only studies and the command line import it."""
