"""The command line: `app.py` finds the verbs, each verb is a file and a function of its name."""

from .interrupts import stopping


def main() -> None:
    """Run the command line and exit; Ctrl-C is heeded while it is still being imported."""
    with stopping():
        from .app import main

        main()
