"""Feed hearlite thousands of damaged inputs and count how it ends: done, refused, or in a way that is a bug.

    python -m hearlite.benchmarks.experiments.fuzz --models 2000 --bundles 500 --results 500 --recipes 500 --out OUT

`mutators.py` damages, `samples.py` makes what is damaged, `targets.py` lists who reads it, `batch.py` runs a number of
cases in a process that may crash, and `run.py` counts. A case is made from its target, its number and the seed alone.
"""
