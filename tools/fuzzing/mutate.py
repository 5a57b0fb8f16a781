"""Damage to bytes: what breaks readers more often than noise does."""

from __future__ import annotations

from random import Random

EXTREMES = (
    b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0", b"\xff\xff", b"\0\x80", b"\xff\x7f", b"\0\0\0\0", b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f", b"\x7f\xff\xff\xff", b"\0\0\0\x80", b"\x80\0\0\0", b"\0\0\xc0\x7f", b"\0\0\x80\x7f",
    b"\xff" * 8, b"\xff" * 9 + b"\x01",
)  # fmt: skip
"""Ends of the ranges of integers in either order, of floats and of varints."""
HEAD = 64  # bytes at the start, where formats say most; half of the damage goes there


def mutate(data: bytes, random: Random) -> bytes:
    """Some bytes changed, dropped, put in, repeated or moved; now and then cut off."""
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 2, 4, 12))):
        _damage(found, random)
    return bytes(found)


def _damage(found: bytearray, random: Random) -> None:
    if not found:
        found += random.randbytes(random.randrange(9))
        return
    at = random.randrange(len(found) if random.random() < 0.5 else min(len(found), HEAD))
    size = random.choice((1, 1, 1, 2, 4, 8, 32))
    match random.randrange(9):
        case 0:
            found[at] ^= 1 << random.randrange(8)
        case 1:
            found[at : at + 1] = bytes([random.randrange(256)])
        case 2:
            extreme = random.choice(EXTREMES)
            found[at : at + len(extreme)] = extreme
        case 3:
            found[at : at + 1] = bytes([(found[at] + random.choice((-2, -1, 1, 2))) % 256])
        case 4:
            del found[at : at + size]
        case 5:
            found[at:at] = random.randbytes(size)
        case 6:
            found[at:at] = found[at : at + size] * random.choice((1, 1, 2, 100))
        case 7:
            other = random.randrange(len(found))
            found[at : at + size] = found[other : other + size]
        case _ if random.random() < 0.3:
            del found[at:]
