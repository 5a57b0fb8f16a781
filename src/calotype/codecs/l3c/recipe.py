"""What an `l3c` model is: read from `recipes/<name>.toml`, stored again in its weights."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, fields
from importlib import resources
from typing import Any

from ...errors import Unsupported
from .units import LATENTS, MIXTURES_MAX


@dataclass(frozen=True)
class Recipe:
    """The choices that make one model; three scales, 5 latent channels and 25 levels are common to all."""

    name: str
    """The recipe's own name, as in `l3c.<name>`."""
    source: str
    """The paper, or what differs from it."""
    features: int
    """Features of encoder and decoder at each scale."""
    blocks: int
    """Residual blocks per side and scale."""
    up: int
    """Features that a scale hands to the next finer one, and to its head."""
    head: int
    """Features of each of a head's three dilated convolutions."""
    mixtures: int
    """Logistics per distribution."""
    pyramid: bool
    """Whether latents are the digits of `pyramid.py`; the paper's are learnt."""

    def __post_init__(self) -> None:
        if self.features < 2 * LATENTS or min(self.up, self.head) < 1 or self.blocks < 0:
            raise Unsupported(f"recipe {self.name}: features, blocks, up or head are too few")
        if not 1 <= self.mixtures <= MIXTURES_MAX:
            raise Unsupported(f"recipe {self.name}: 1 to {MIXTURES_MAX} mixtures, not {self.mixtures}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, table: dict[str, Any], origin: str) -> Recipe:
        """Build from a TOML table; `origin` names it in errors. Raises `Unsupported` for unknown or missing keys."""
        known = {entry.name for entry in fields(cls)}
        if unknown := sorted(table.keys() - known):
            raise Unsupported(f"{origin}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")
        try:
            return cls(**table)
        except TypeError as error:
            raise Unsupported(f"{origin}: {error}") from None

    @classmethod
    def load(cls, name: str) -> Recipe:
        """The shipped recipe of that name. Raises `Unsupported` if there is none."""
        folder = resources.files(__package__) / "recipes"
        path = folder / f"{name}.toml"
        if not path.is_file():
            names = sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir())
            raise Unsupported(f"l3c has no recipe {name!r}; it has {', '.join(names)}")
        return cls.from_dict(tomllib.loads(path.read_text()), str(path))
