"""Units that training, freezing and coding share."""

LATENT_UNIT = 16  # predicted means, and so decoded latents, count sixteenths
SIGMA_MIN, SIGMA_MAX, SIGMA_COUNT = (
    0.11,
    128.0,
    64,
)  # widths of the Gaussian tables, log-spaced; 0.11: Ballé et al. 2018
RATE_STEPS = 64  # of a model of variable rate
RATE_UNIT = 16  # rate positions per step: vectors are interpolated between
SYMBOL_MAX = 1536  # largest symbol; with any mean (within 256) a decoded latent then fits 16 bits
BIT_WORTH = 0.1, 0.04  # in squared error of a scaled latent of usual gain, at the lowest and highest rate; from tiles
