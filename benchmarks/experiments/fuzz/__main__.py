"""Run the command of `run.py`."""

from hearlite.benchmarks.experiments.fuzz.run import command

command(prog_name="python -m hearlite.benchmarks.experiments.fuzz")
