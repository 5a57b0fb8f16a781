"""`python -m calotype`: the command line."""

from .cli.app import main

main()
