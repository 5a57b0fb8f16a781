"""The rate-distortion-perception function of Blau and Michaeli, "Rethinking lossy compression" (ICML 2019).

Of discrete sources it is computed, with a proof of how exact it is (`solve`), and of the Bernoulli source it is known
in closed form (`bernoulli`). `calotype.rdp.learn` learns the trade-off from samples, with PyTorch.
"""

from .bernoulli import bernoulli
from .solver import Solution, Source, grid, solve

__all__ = ["Solution", "Source", "bernoulli", "grid", "solve"]
