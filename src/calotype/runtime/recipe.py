"""The choices that make one model of a codec: a TOML file in the codec's `recipes/`, stored again in its weights."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import asdict, dataclass, fields
from importlib import resources
from types import UnionType
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

from ..errors import Unsupported


@dataclass(frozen=True)
class BaseRecipe:
    """What all recipes have; a codec's own, in its `recipe.py`, adds its choices."""

    name: str
    """The recipe's own name, as in `<codec>.<name>`."""
    source: str
    """The paper, with section, or what it builds on."""

    def to_dict(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, table: dict[str, Any], origin: str) -> Self:
        """Build from a TOML table; `origin` names it in errors.

        Raises `Unsupported` for unknown or missing keys, and for values of another type.
        """
        known = {entry.name for entry in fields(cls)}
        if unknown := sorted(table.keys() - known):
            raise Unsupported(f"{origin}: unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
        }
        hints = get_type_hints(cls)
        for key, value in values.items():
            if not _fits(value, hints[key]):
                raise Unsupported(f"{origin}: {key} cannot be {value!r}")
        try:
            return cls(**values)
        except TypeError as error:
            raise Unsupported(f"{origin}: {error}") from None

    @classmethod
    def load(cls, name: str) -> Self:
        """The shipped recipe of that name. Raises `Unsupported` if there is none."""
        package = sys.modules[cls.__module__].__package__ or ""
        folder = resources.files(package) / "recipes"
        path = folder / f"{name}.toml"
        if not path.is_file():
            names = sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir())
            raise Unsupported(f"{package.rpartition('.')[2]} has no recipe {name!r}; it has {', '.join(names)}")
        return cls.from_dict(tomllib.loads(path.read_text()), str(path))


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type such as fields of recipes have: numbers, names, choices, tuples and unions."""
    kind, parts = get_origin(hint), get_args(hint)
    if kind is Literal:
        return value in parts
    if kind in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if kind is tuple:
        each = parts[:1] * len(value) if isinstance(value, tuple) and parts[-1] is ... else parts
        return isinstance(value, tuple) and len(value) == len(each) and all(map(_fits, value, each))
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint
