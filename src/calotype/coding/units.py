"""Integer units of mixtures of logistics, shared by coding, networks and training. Needs no kernel and no PyTorch.

`docs/reference/mixtures.md` has the formulas.
"""

LOCATION_BITS = 6
LOCATION_UNIT = 1 << LOCATION_BITS
"""Locations count 1/64 of a symbol."""
SCALES = 96
SCALES_PER_OCTAVE = 8
"""Scale i of 0 .. 95 stands for 2**(i / 8 - 3) symbols."""
MAX_COMPONENTS = 10
COEFFICIENT_BITS = 6
"""By how much a location moves with what was found before counts 1/64."""
MIXTURE_PRECISION = 16
"""Frequencies of a mixture sum to 2**16."""

WEIGHT_STEPS = 64
WEIGHTS_PER_OCTAVE = 4
# round(2**(16 + r / 4)), r = 0 .. 3
_MANTISSAS = (65536, 77936, 92682, 110218)
MIXTURE_WEIGHTS = tuple(_MANTISSAS[i % WEIGHTS_PER_OCTAVE] >> 16 - i // WEIGHTS_PER_OCTAVE for i in range(WEIGHT_STEPS))
"""The steps 0 .. 63 of a weight that a network gives as the integers that are coded with, about 2**(i / 4)."""
