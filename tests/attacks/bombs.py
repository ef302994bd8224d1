"""Small files and bodies that are expensive to read: what the tests of bombs send."""

import io
import struct
import zlib
from functools import cache

from PIL import Image

from webapp.pictures import imaging, isobmff

FORMATS = imaging.FORMATS
SIDE = 60_000
"""Pixels of each side that a header promises: 3,600 megapixels."""

UNDER, BEYOND = 8880, 9040
"""Sides of squares of 78.9 and 81.7 megapixels; the limit is 80."""

_TILE = 512


def named(file_format: str) -> str:
    """A file's name for a format."""
    return f"bomb.{ {'JPEG': 'jpg', 'HEIF': 'heic'}.get(file_format, file_format.lower()) }"


def encoded(file_format: str, width: int, height: int, mode: str = "RGB", **options: object) -> bytes:
    """A picture of one colour."""
    if file_format == "HEIF":
        options.setdefault("quality", 50)
    target = io.BytesIO()
    Image.new(mode, (width, height), 90 if mode == "L" else (90, 120, 90)).save(target, file_format, **options)
    return target.getvalue()


@cache
def promising(file_format: str) -> bytes:
    """A file of a few hundred bytes whose header promises 3,600 megapixels, or as many as the format allows."""
    content = encoded(file_format, 64, 64)
    if file_format == "JPEG":
        at = content.index(b"\xff\xc0") + 5
        return content[:at] + struct.pack(">HH", SIDE, SIDE) + content[at + 4 :]
    if file_format == "PNG":
        return content[:8] + png_header(SIDE, SIDE) + content[33:]
    if file_format == "WEBP":
        frame = content.index(b"VP8 ") + 14
        return content[:frame] + struct.pack("<HH", 16383, 16383) + content[frame + 4 :]
    return content.replace(_spatial(64), _spatial(SIDE))


@cache
def decoding_large(file_format: str, side: int) -> bytes:
    """A small file that truly decodes to side × side pixels: a few kilobytes to some hundred."""
    if file_format in ("AVIF", "HEIF"):
        return grid(file_format, side)
    options = {"WEBP": {"lossless": True, "quality": 0, "method": 0}, "PNG": {"compress_level": 1}}
    return encoded(file_format, side, side, **options.get(file_format, {"quality": 20}))


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def box(kind: bytes, *bodies: bytes) -> bytes:
    """A box of AVIF or HEIC."""
    body = b"".join(bodies)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _spatial(side: int) -> bytes:
    return b"ispe\0\0\0\0" + struct.pack(">II", side, side)


def grid(file_format: str, side: int) -> bytes:
    """An AVIF or HEIC in tiles that all have the same bytes."""
    across = -(-side // _TILE)
    tile = encoded(file_format, _TILE, _TILE)
    container = isobmff.read(io.BytesIO(tile), len(tile))
    primary = container.items[container.primary]
    data = isobmff.content(io.BytesIO(tile), container, primary)
    settings = [(kind, body) for kind, body in container.properties_of(primary) if kind in (b"hvcC", b"av1C", b"pixi")]
    properties = [box(kind, body) for kind, body in [*settings, (b"ispe", struct.pack(">III", 0, _TILE, _TILE))]]
    properties.append(box(b"ispe", struct.pack(">III", 0, side, side)))
    layout = struct.pack(">BBBBII", 0, 1, across - 1, across - 1, side, side)
    brand = b"avif" if file_format == "AVIF" else b"heic"
    head = box(b"ftyp", brand, b"\0\0\0\0mif1", brand)
    tiles = list(range(2, 2 + across * across))
    used = list(range(1, 2 + len(settings)))

    def meta(start: int) -> bytes:
        places = [(1, start, len(layout)), *((number, start + len(layout), len(data)) for number in tiles)]
        kinds = [(1, b"grid"), *((number, primary.kind) for number in tiles)]
        owned = [(1, [len(properties)]), *((number, used) for number in tiles)]
        pixi = next((number for number, (kind, _) in enumerate(settings, 1) if kind == b"pixi"), None)
        if pixi:
            owned[0] = (1, [len(properties), pixi])
        return box(
            b"meta",
            b"\0" * 4,
            box(b"hdlr", b"\0" * 8, b"pict", b"\0" * 13),
            box(b"pitm", b"\0" * 4, b"\0\1"),
            box(
                b"iinf",
                b"\0" * 4,
                struct.pack(">H", len(kinds)),
                *(box(b"infe", struct.pack(">IHH", 2 << 24, number, 0), kind, b"\0") for number, kind in kinds),
            ),
            box(
                b"iloc",
                b"\0" * 4,
                b"\x44\0",
                struct.pack(">H", len(places)),
                *(struct.pack(">HHHII", number, 0, 1, at, size) for number, at, size in places),
            ),
            box(b"iref", b"\0" * 4, box(b"dimg", struct.pack(f">HH{len(tiles)}H", 1, len(tiles), *tiles))),
            box(
                b"iprp",
                box(b"ipco", *properties),
                box(
                    b"ipma",
                    b"\0" * 4,
                    struct.pack(">I", len(owned)),
                    *(struct.pack(">HB", number, len(own)) + bytes(own) for number, own in owned),
                ),
            ),
        )

    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", layout, data)
