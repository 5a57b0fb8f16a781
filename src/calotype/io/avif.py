"""AVIF: what the boxes of its first image declare. ISO/IEC 14496-12 (boxes), 23008-12 (items), AV1-ISOBMFF (av1C)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from ..image import Metadata
from .boxes import Box, Boxes
from .declared import Declared

_TRACK = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
_USUAL = {(1, 13), (2, 2), (1, 2), (2, 13), (1, 1)}
# primaries and transfer as viewers take them without a word: sRGB, BT.709, or nothing is said; ITU-T H.273
_GAIN_MAP = "tmap"


def declared(file: IO[bytes]) -> Declared:
    """What the boxes say of the primary image and its alpha."""
    boxes = Boxes(file)
    meta = boxes.find(b"meta")
    if meta is None:
        return Declared(bits=max(map(_bits, _of_track(boxes, 0, boxes.size, _TRACK)), default=8))
    items = _Items.read(boxes, Box(meta.kind, meta.start + 4, meta.end))
    own = items.properties_of(items.parts(items.primary))
    alpha = items.properties_of(items.parts(*items.alphas()))
    colours = next((body for kind, body in own if kind == b"colr" and body[:4] == b"nclx" and len(body) >= 11), b"")
    return Declared(
        bits=max((_bits(body) for kind, body in own + alpha if kind == b"av1C"), default=8),
        metadata=Metadata(cicp=_cicp(colours)),
        converted="premultiplied alpha" if items.references("prem", items.primary) else None,
        notes=("its gain map is left out",) if _GAIN_MAP in items.kinds.values() else (),
    )


@dataclass(frozen=True)
class _Items:
    """The pieces of a file and how they belong together."""

    primary: int
    kinds: dict[int, str]
    links: list[tuple[str, int, list[int]]]
    """Kind of a reference, from which item, to which."""
    properties: list[tuple[bytes, bytes]]
    owned: dict[int, list[int]]
    """Indices of an item's properties, from 1."""

    @classmethod
    def read(cls, boxes: Boxes, meta: Box) -> _Items:
        inner = {box.kind: box for box in boxes.within(meta.start, meta.end)}
        ipco = ipma = None
        if (iprp := inner.get(b"iprp")) is not None:
            ipco, ipma = boxes.find(b"ipco", *iprp[1:]), boxes.find(b"ipma", *iprp[1:])
        return cls(
            _primary(boxes, inner.get(b"pitm")),
            dict(_kinds(boxes, inner.get(b"iinf"))),
            list(_links(boxes, inner.get(b"iref"))),
            [(box.kind, boxes.bytes(box.start, min(box.end - box.start, 64))) for box in boxes.within(*ipco[1:])]
            if ipco is not None
            else [],
            dict(_owned(boxes, ipma)),
        )

    def references(self, kind: str, source: int) -> list[int]:
        return [target for name, start, targets in self.links for target in targets if (name, start) == (kind, source)]

    def alphas(self) -> list[int]:
        """Items that help the primary one, as its alpha does."""
        return [source for name, source, targets in self.links if name == "auxl" and self.primary in targets]

    def parts(self, *items: int) -> set[int]:
        """Items, and the tiles that they are made of."""
        found, waiting = set[int](), list(items)
        while waiting:
            item = waiting.pop()
            if item not in found:
                found.add(item)
                waiting += self.references("dimg", item)
        return found

    def properties_of(self, items: set[int]) -> list[tuple[bytes, bytes]]:
        numbers = {number for item in items for number in self.owned.get(item, ())}
        return [entry for number, entry in enumerate(self.properties, 1) if number in numbers]


def _primary(boxes: Boxes, pitm: Box | None) -> int:
    if pitm is None:
        return 0
    return boxes.number(pitm.start + 4, 2 if boxes.number(pitm.start, 1) == 0 else 4)


def _kinds(boxes: Boxes, iinf: Box | None) -> Iterator[tuple[int, str]]:
    if iinf is None:
        return
    start = iinf.start + (6 if boxes.number(iinf.start, 1) == 0 else 8)
    for infe in boxes.within(start, iinf.end):
        version = boxes.number(infe.start, 1)
        width = 4 if version >= 3 else 2
        if version >= 2:
            item = boxes.number(infe.start + 4, width)
            yield item, boxes.bytes(infe.start + 6 + width, 4).decode("latin-1")


def _links(boxes: Boxes, iref: Box | None) -> Iterator[tuple[str, int, list[int]]]:
    if iref is None:
        return
    width = 2 if boxes.number(iref.start, 1) == 0 else 4
    for box in boxes.within(iref.start + 4, iref.end):
        count = boxes.number(box.start + width, 2)
        data = boxes.bytes(box.start + width + 2, count * width)
        targets = [int.from_bytes(data[place : place + width]) for place in range(0, len(data), width)]
        yield box.kind.decode("latin-1"), boxes.number(box.start, width), targets


def _owned(boxes: Boxes, ipma: Box | None) -> Iterator[tuple[int, list[int]]]:
    if ipma is None:
        return
    version, wide = boxes.number(ipma.start, 1), boxes.number(ipma.start + 3, 1) & 1
    place = ipma.start + 8
    for _ in range(boxes.number(ipma.start + 4, 4)):
        width = 2 if version == 0 else 4
        item, count = boxes.number(place, width), boxes.number(place + width, 1)
        place += width + 1
        size = 2 if wide else 1
        data = boxes.bytes(place, count * size)
        mask = 0x7FFF if wide else 0x7F  # above it: whether a reader must know the property
        yield item, [int.from_bytes(data[at : at + size]) & mask for at in range(0, len(data), size)]
        place += count * size


def _of_track(boxes: Boxes, start: int, end: int, path: tuple[bytes, ...]) -> Iterator[bytes]:
    """Properties av1C of a file without items."""
    if not path:
        for sample in boxes.within(start + 8, end):  # version, flags and count
            found = boxes.find(b"av1C", sample.start + 78, sample.end)  # after the fields of a visual sample
            if found is not None:
                yield boxes.bytes(found.start, 4)
        return
    for box in boxes.within(start, end):
        if box.kind == path[0]:
            yield from _of_track(boxes, box.start, box.end, path[1:])


def _bits(av1c: bytes) -> int:
    """Flags high_bitdepth and twelve_bit in the third byte."""
    flags = av1c[2] if len(av1c) > 2 else 0
    return (12 if flags & 0x20 else 10) if flags & 0x40 else 8


def _cicp(nclx: bytes) -> bytes | None:
    """For pixels that were made RGB: matrix 0, full range."""
    primaries, transfer = int.from_bytes(nclx[4:6]), int.from_bytes(nclx[6:8])
    if not nclx or (primaries, transfer) in _USUAL or max(primaries, transfer) > 255:
        return None
    return bytes((primaries, transfer, 0, 1))
