"""Run the command line as `python -m hearlite`."""

from hearlite.cli.main import main

main()
