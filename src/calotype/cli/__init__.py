"""The command line: `app.py` finds the verbs, each verb is a file and a function of its name."""
