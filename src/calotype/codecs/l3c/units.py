"""Integer units that training, freezing and coding share. No PyTorch here.

Glossary: scale s = 1, 2, 3 has latents d_s at 1/2, 1/4, 1/8 of the picture's size, integers -12 .. 12 ("levels").
"""

SCALES = 3
LATENTS = 5  # channels at each scale (Mentzer et al. 2019, sec. 3.1)
LEVEL_MAX = 12
LEVELS = 2 * LEVEL_MAX + 1  # 25 of them in [-1, 1], likewise
LEVEL_UNIT = 128  # activations per level: what exact networks are given
VALUE_UNIT = 16  # of a pyramid's values, per grey value
FINE_DIGIT = 3 * VALUE_UNIT  # a level of a fine digit; it reaches +-37.5 grey values
COARSE_DIGIT = LEVELS * FINE_DIGIT
STRIDE = 2**SCALES  # padded sizes are multiples of it

MIXTURES_MAX = 10  # that the coder takes
COLOURS = 3
COLOUR_MAX = 255
COEFFICIENT_BITS = 6  # coefficients of colours coded before count 1/64
WEIGHTS_PER_OCTAVE = 4
# round(2**(16 + r / 4)), r = 0 .. 3
_MANTISSAS = (65536, 77936, 92682, 110218)
MIXTURE_WEIGHTS = tuple(_MANTISSAS[i % WEIGHTS_PER_OCTAVE] >> 16 - i // WEIGHTS_PER_OCTAVE for i in range(64))
"""The networks' 64 steps of a weight as integers, about 2**(i / 4)."""
