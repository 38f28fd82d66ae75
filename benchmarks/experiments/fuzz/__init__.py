"""Feed hearlite thousands of damaged inputs and count how it ends: done, refused, or in a way that is a bug.

    hearlite study fuzz --audio 10000 --manifests 2000 --models 1000 --bundles 1000 --results 250 --recipes 250 --out O

`mutators.py` damages, `samples.py`, `sounds.py` and `tables.py` make what is damaged, `targets.py` lists who reads it,
`batch.py` runs cases in a process that may crash, and `run.py` counts. A case is made from its target, its number and
the seed alone.
"""
