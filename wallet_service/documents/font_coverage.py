"""Which characters a font can draw, read from its `cmap` table.

Only what is needed of OpenType: the two formats that fonts of this century use.
Source: the OpenType specification, `cmap`, formats 4 and 12.
"""

import struct
from collections.abc import Iterable
from typing import Final

_TABLES_AT: Final = 12
_SEGMENTS: Final = 4
_GROUPS: Final = 12


def covered_by(font: bytes) -> frozenset[int]:
    """The code points of a TrueType or OpenType font."""
    (tables,) = struct.unpack_from(">H", font, 4)
    for table in range(tables):
        tag, _, offset, _ = struct.unpack_from(">4sIII", font, _TABLES_AT + 16 * table)
        if tag == b"cmap":
            return frozenset(_of_cmap(font, offset))
    return frozenset()


def _of_cmap(font: bytes, start: int) -> Iterable[int]:
    (count,) = struct.unpack_from(">H", font, start + 2)
    for record in range(count):
        (offset,) = struct.unpack_from(">I", font, start + 4 + 8 * record + 4)
        (form,) = struct.unpack_from(">H", font, start + offset)
        if form == _SEGMENTS:
            yield from _of_segments(font, start + offset)
        elif form == _GROUPS:
            yield from _of_groups(font, start + offset)


def _of_segments(font: bytes, at: int) -> Iterable[int]:
    """Format 4: segments of the basic plane, some with an array of glyphs beside them."""
    (twice,) = struct.unpack_from(">H", font, at + 6)
    many = f">{twice // 2}H"
    ends = struct.unpack_from(many, font, at + 14)
    starts = struct.unpack_from(many, font, at + 16 + twice)
    deltas = struct.unpack_from(many, font, at + 16 + 2 * twice)
    offsets_at = at + 16 + 3 * twice
    offsets = struct.unpack_from(many, font, offsets_at)
    for segment, (first, last) in enumerate(zip(starts, ends, strict=True)):
        for code in range(first, last + 1):
            if offsets[segment] == 0:
                glyph = (code + deltas[segment]) & 0xFFFF
            else:
                place = offsets_at + 2 * segment + offsets[segment] + 2 * (code - first)
                (glyph,) = struct.unpack_from(">H", font, place) if place + 2 <= len(font) else (0,)
            if glyph and code != 0xFFFF:  # noqa: PLR2004 (the end mark of the table)
                yield code


def _of_groups(font: bytes, at: int) -> Iterable[int]:
    """Format 12: runs of code points of every plane."""
    (groups,) = struct.unpack_from(">I", font, at + 12)
    for group in range(groups):
        first, last, glyph = struct.unpack_from(">III", font, at + 16 + 12 * group)
        yield from range(first + (glyph == 0), last + 1)
