"""What a `vae` model is: read from `recipes/<name>.toml`, stored again in its weights."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, fields
from importlib import resources
from typing import Any, Literal

from ...errors import Unsupported

LATENT_STRIDE = 16  # pixels per latent, each way
HYPER_STRIDE = 64  # pixels per hyper-latent; padded sizes are multiples of it


@dataclass(frozen=True)
class Recipe:
    """The choices that make one model; see the papers' names in `recipes/`."""

    name: str
    """The recipe's own name, as in `vae.<name>`."""
    source: str
    """The paper, with section, or what it builds on."""
    transform: Literal["gdn", "shuffle"]
    """Analysis and synthesis: strided convolutions with GDN, or pixel shuffles with residual blocks."""
    width: int
    """Features inside the transforms."""
    latents: int
    """Channels of y; a multiple of 4."""
    prior: Literal["factorized", "gaussian"]
    """Of y: one table per channel, or zero-mean Gaussians whose width (and mean) hyper-latents tell."""
    lmbda: tuple[float, float]
    """Rate-distortion trade-off, loss = bpp + lmbda * 255^2 * MSE: at the lowest and at the highest rate."""
    blocks: tuple[int, int] = (0, 0)
    """Residual blocks of analysis and synthesis ("shuffle" only)."""
    knots: int = 1
    """Knots of the learned rate vectors; 1 is a model of one rate."""
    default_quality: float | None = None
    """Quality used where none is given; None for a model of one rate."""
    hyper_latents: int = 0
    """Channels of z; 0 without hyper-latents."""
    hyper_width: int = 0
    """Features inside the hyper networks, and of what they tell the context networks."""
    means: bool = True
    """Whether the Gaussians have predicted means (Minnen et al. 2018) or are centred (Ballé et al. 2018)."""
    context_width: int = 0
    """Features inside the networks that predict y's distribution."""
    context_steps: Literal[1, 2, 4] = 1
    """Steps in which y is decoded, each seeing the ones before."""

    def __post_init__(self) -> None:
        if self.latents % 4:
            raise Unsupported(f"recipe {self.name}: latents must be a multiple of 4, not {self.latents}")
        if (self.prior == "gaussian") != (self.hyper_latents > 0):
            raise Unsupported(f"recipe {self.name}: a gaussian prior, and only that, needs hyper_latents")

    @property
    def variable_rate(self) -> bool:
        return self.knots > 1

    def to_dict(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, table: dict[str, Any], origin: str) -> Recipe:
        """Build from a TOML table; `origin` names it in errors. Raises `Unsupported` for unknown or missing keys."""
        known = {entry.name for entry in fields(cls)}
        if unknown := sorted(table.keys() - known):
            raise Unsupported(f"{origin}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
        }
        try:
            return cls(**values)
        except TypeError as error:
            raise Unsupported(f"{origin}: {error}") from None

    @classmethod
    def load(cls, name: str) -> Recipe:
        """The shipped recipe of that name. Raises `Unsupported` if there is none."""
        folder = resources.files(__package__) / "recipes"
        path = folder / f"{name}.toml"
        if not path.is_file():
            names = sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir())
            raise Unsupported(f"vae has no recipe {name!r}; it has {', '.join(names)}")
        return cls.from_dict(tomllib.loads(path.read_text()), str(path))
