"""`python -m calotype`: the command line."""

from .cli import main

main()
