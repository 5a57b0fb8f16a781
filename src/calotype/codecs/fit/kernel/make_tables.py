"""Writes tables.h, the chances of `fit`'s entropy coder; run by hand, never imported by the package.

docs/format/fit.md has the formulas. Each is rounded once, and none lies near enough to a half for the rounding to be
in doubt.
"""

from collections.abc import Callable
from decimal import Decimal, getcontext
from pathlib import Path

getcontext().prec = 40
HALF = Decimal(1) / 2
LN_2 = Decimal(2).ln()

SCALES = 97
PER_OCTAVE = 8
SMALLEST = -5  # octaves
OFFSETS = 33  # of the mean from the nearest integer, in 1/64
DIGITS = 7


def scale(index: int) -> Decimal:
    """The b of a Laplace distribution, in latent steps."""
    return (LN_2 * (Decimal(index) / PER_OCTAVE + SMALLEST)).exp()


def chance(probability: Decimal, least: int, most: int = 65536) -> int:
    """In 1/65536."""
    exact = 65536 * probability
    if abs(exact % 1 - HALF) < Decimal("1e-7"):
        raise ValueError(f"{exact} is too near to a half")
    return min(max(int(exact + HALF), least), most - least)


def other(index: int, offset: int) -> int:
    """Of any other integer than the nearest one to the mean."""
    b, phi = scale(index), Decimal(offset) / 64
    return chance(((-(HALF - phi) / b).exp() + (-(HALF + phi) / b).exp()) / 2, 2)


def near(index: int, offset: int) -> int:
    """Of the side on which the mean lies, among the others."""
    return chance(1 / (1 + (-2 * Decimal(offset) / 64 / scale(index)).exp()), 32)


def digits(index: int) -> int:
    """How many binary digits of the distance are coded by themselves."""
    count = 0
    while (-(1 << count) / scale(index)).exp() > HALF:
        count += 1
    return count


def digit(index: int, place: int) -> int:
    """Of a 1 in such a digit."""
    ratio = (-(1 << place) / scale(index)).exp()
    return chance(ratio / (1 + ratio), 32)


def more(index: int) -> int:
    """Of going on by another 2^digits."""
    return chance((-(1 << digits(index)) / scale(index)).exp(), 128)


def rows(name: str, kind: str, function: Callable[[int, int], int], columns: int) -> list[str]:
    lines = [f"static const {kind} {name}[FIT_SCALES][{columns}] = {{"]
    lines += [f"    {{{', '.join(str(function(i, j)) for j in range(columns))}}}," for i in range(SCALES)]
    return [*lines, "};"]


if __name__ == "__main__":
    text = [
        "/* Chances in 1/65536, by the scale of the distribution; written by make_tables.py. */",
        "#ifndef FIT_TABLES_H",
        "#define FIT_TABLES_H",
        "",
        "#include <stdint.h>",
        "",
        f"enum {{ FIT_SCALES = {SCALES}, FIT_OFFSETS = {OFFSETS}, FIT_DIGITS = {DIGITS} }};",
        "",
        *rows("OTHER", "uint16_t", other, OFFSETS),
        *rows("NEAR", "uint16_t", near, OFFSETS),
        *rows("DIGIT", "uint16_t", lambda i, j: digit(i, j) if j < digits(i) else 0, DIGITS),
        f"static const uint16_t MORE[FIT_SCALES] = {{{', '.join(str(more(i)) for i in range(SCALES))}}};",
        f"static const uint8_t DIGIT_COUNTS[FIT_SCALES] = {{{', '.join(str(digits(i)) for i in range(SCALES))}}};",
        "",
        "#endif",
    ]
    Path(__file__).with_name("tables.h").write_text("\n".join(text) + "\n")
