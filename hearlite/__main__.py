"""`python -m hearlite` is the command line."""

from hearlite.cli.main import main

main()
