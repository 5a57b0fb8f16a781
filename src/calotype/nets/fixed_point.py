"""How exact networks count: shared by the layers that are trained and the code that feeds them. No PyTorch here.

An *activation* is an integer 0..2047 that stands for a real number in [0, 32), a *weight* one within +-255 that stands
for [-2, 2); a *sum* has the fraction bits of both.
"""

ACTIVATION_BITS = 6  # fraction bits of an activation
ACTIVATION_MAX = 2047  # 11 bits
WEIGHT_BITS = 7  # fraction bits of a weight
WEIGHT_MAX = 255  # 9 bits with sign
EXACT_LIMIT = 2**24  # integers of a smaller magnitude are exact in float32
