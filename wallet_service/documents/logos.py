"""Logos: pictures that come with the data itself. Nothing is ever fetched from an address.

An address would let whoever may write one make this service call any host that it can reach. So a
logo is a `data:` URI, of a PNG or JPEG, small enough to be drawn without harm.
"""

import base64
import binascii
import re
import struct
from typing import Final

BYTES_MAX: Final = 256 * 1024
PIXELS_MAX: Final = 4_000_000

_URI: Final = re.compile(r"data:image/(?:png|jpeg|jpg);base64,([A-Za-z0-9+/=\s]+)", re.ASCII)
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def logo_bytes(uri: str | None) -> bytes | None:
    """The picture of a logo; None where there is none that can be shown."""
    if uri is None or len(uri) > 2 * BYTES_MAX:
        return None
    match = _URI.fullmatch(uri.strip())
    if match is None:
        return None
    try:
        picture = base64.b64decode(match[1], validate=False)
    except binascii.Error:
        return None
    if len(picture) > BYTES_MAX:
        return None
    width, height = _size(picture)
    return picture if 0 < width * height <= PIXELS_MAX else None


def _size(picture: bytes) -> tuple[int, int]:
    """Width and height in pixels, as the file's head says; zeros where it is neither kind."""
    if picture.startswith(_PNG) and len(picture) >= 24:  # noqa: PLR2004 (the head of a PNG)
        width, height = struct.unpack_from(">II", picture, 16)
        return width, height
    return _size_of_jpeg(picture) if picture.startswith(_JPEG) else (0, 0)


def _size_of_jpeg(picture: bytes) -> tuple[int, int]:
    """Source: ITU-T T.81, annex B: segments, of which a frame header has the size."""
    at = 2
    while at + 9 <= len(picture) and picture[at] == 0xFF:  # noqa: PLR2004 (a marker's first byte)
        if picture[at + 1] in _FRAMES:
            height, width = struct.unpack_from(">HH", picture, at + 5)
            return width, height
        (length,) = struct.unpack_from(">H", picture, at + 2)
        at += 2 + length
    return 0, 0
