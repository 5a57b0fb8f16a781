"""What `tools/fuzz.py` mutates, a file per kind: a module with a class `Target`, made once in every process.

`make(random)` gives the bytes of a mutant, and a function that tries it and says in a few words what became of it (an
image, the type of an error); whatever else that raises is a finding. `memory` is how much more of it a mutant may take.
"""
