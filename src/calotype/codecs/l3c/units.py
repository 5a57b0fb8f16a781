"""Integer units that training, freezing and coding share. No PyTorch here.

Glossary: scale s = 1, 2, 3 has latents d_s at 1/2, 1/4, 1/8 of the image's size, integers -12 .. 12 ("levels").
"""

SCALES = 3
LATENTS = 5  # channels at each scale (Mentzer et al. 2019, sec. 3.1)
LEVEL_MAX = 12
LEVELS = 2 * LEVEL_MAX + 1  # 25 of them in [-1, 1], likewise
LEVEL_UNIT = 128  # activations per level: what exact networks are given
VALUE_UNIT = 16  # of samples, per grey value
VALUE_MAX = 2040  # white; black is its negative
COARSE_DIGIT = LEVELS  # grey values of a level of a coarse digit
BLUE_DIGITS = 5  # coarse digits of blue: red's count as many levels each
STRIDE = 2**SCALES  # padded sizes are multiples of it

COLOURS = 3
COLOUR_MAX = 255
