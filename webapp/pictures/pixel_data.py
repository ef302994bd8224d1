"""Decode a picture, or find out that pixels of it are missing.

Pixels count, not what a decoder raises. Decoders are given a file's pixels and colours without its other metadata, so
that damaged metadata never cost a picture; and they accept files whose pixels are missing, which they fill with grey or
green, so that this is looked for here.
"""

import io
import math
import re
import zlib
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import IO

import numpy as np
from PIL import Image

from webapp.pictures import isobmff, picture_heads
from webapp.pictures.picture_heads import Head

Draft = Callable[[Image.Image], None]
"""What is asked of a JPEG's decoder before it begins, such as a smaller size."""

_EOI = b"\xff\xd9"
_LATER_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_MAX_SEGMENTS = 1000
_RANDOM = np.random.default_rng(1).integers(1, 255, 8192, dtype=np.uint8).tobytes()
_PADDING = _RANDOM + b"".join(bytes([0xFF, 0xD0 + number]) + _RANDOM for number in range(8)) * 2
"""Entropy-coded data and restart markers that are certainly not those that are missing."""

_GREY = range(126, 131)
_ALIKE = 6
"""Steps of 255 between pixels of one colour, as lossy formats keep it."""

_PNG_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS"})
_PNG_COLOURS = frozenset({b"cICP", b"cHRM", b"gAMA", b"sRGB", b"sBIT", b"iCCP"})
_EXIF_FLAG, _XMP_FLAG, _ANIMATION_FLAG = 0x08, 0x04, 0x02
_FEW_EQUAL = 8
"""Equal bytes in a row that compressed data may contain by chance."""

_DENSER = 4
"""How many times as many pixels as an average byte one of many equal bytes stands for at least."""


class MissingPixelsError(Exception):
    """Pixels of the picture are not in the file."""


class _Pieces(io.RawIOBase):
    """A stream of pieces of another one, and of bytes between them, without a copy of the whole."""

    def __init__(self, stream: IO[bytes], pieces: list[bytes | tuple[int, int]]) -> None:
        super().__init__()
        self._stream, self._place, self._pieces = stream, 0, pieces
        sizes = (len(piece) if isinstance(piece, bytes) else piece[1] for piece in pieces)
        self._ends = list(accumulate(sizes))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._ends[-1]}[whence])
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        number = bisect_right(self._ends, self._place)
        if number == len(self._pieces):
            return 0
        piece, left = self._pieces[number], self._ends[number] - self._place
        size = min(len(target), left)
        if isinstance(piece, bytes):
            found = piece[len(piece) - left :][:size]
        else:
            start, length = piece
            self._stream.seek(start + length - left)
            found = self._stream.read(size)
        target[: len(found)] = found
        self._place += len(found)
        return len(found)


def load(stream: IO[bytes], head: Head, formats: tuple[str, ...], draft: Draft) -> Image.Image:
    """Decode the pixels of a file whose head was read before.

    Raises:
        MissingPixelsError: some are not there.
        Exception: whatever Pillow's decoders raise where data are damaged.
    """
    if head.format == "JPEG":
        return _jpeg(stream, head, formats, draft)
    content: bytes | bytearray
    fill = size = 0
    if head.format == "PNG":
        source: IO[bytes] = _png(stream)
    elif head.format == "WEBP":
        content, fill, size = _webp(stream)
        source = io.BytesIO(content)
    else:
        content, fill, size = _container(stream, head)
        source = io.BytesIO(content)
    image = Image.open(source, formats=formats)
    _check_size(image, head)
    image.load()
    _check_size(image, head)
    _check_fill(image, fill, size)
    return image


def _check_size(image: Image.Image, head: Head) -> None:
    """Check that a decoder finds as many pixels as the header said, by which the picture was let in."""
    if head.format == "HEIF":
        # libheif rounds otherwise what is left of a cropped picture, and may show another one than the primary image.
        fits = image.width * image.height <= head.pixels
    else:
        # Pillow turns an AVIF later than the container says.
        fits = sorted(image.size) == sorted((head.width, head.height))
    if not fits:
        raise MissingPixelsError("a picture of another size than its header says")


def _differ(image: Image.Image) -> float:
    """By how much, of 255, 99 % of an image's pixels differ from its median at most."""
    pixels = np.asarray(image).reshape(image.width * image.height, -1).astype(np.int16)
    return float(np.percentile(np.abs(pixels - np.median(pixels, axis=0)).max(axis=1), 99))


# JPEG


def _jpeg(stream: IO[bytes], head: Head, formats: tuple[str, ...], draft: Draft) -> Image.Image:
    """Decode a JPEG with or without its end marker. With it, libjpeg paints whatever is missing in grey; without it,
    Pillow refuses a picture whose pixels may all be there.
    """

    def decoded(source: IO[bytes]) -> Image.Image:
        image = Image.open(source, formats=formats)
        _check_size(image, head)
        draft(image)
        image.load()
        return image

    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - 64))
    ended = stream.read().rstrip(b"\0").endswith(_EOI)
    whole = _jpeg_pixels(stream, size)
    if ended and not head.progressive:
        image = decoded(io.BufferedReader(whole, 2**16))
        if not _ends_in_grey(image):
            return image
    whole.seek(0)
    data = whole.readall()
    end, ended = _scans(data)
    image = decoded(io.BytesIO(data[:end] + _EOI))
    # Of several scans, the last may lack details of any place; libjpeg leaves them out.
    if ended and not head.progressive and not _ends_in_grey(image):
        return image
    pixels = image.tobytes()

    def suffices(size: int) -> bool:
        # Data behind the last pixel change nothing; where pixels are missing, they become those.
        return decoded(io.BytesIO(data[:size] + _PADDING + _EOI)).tobytes() == pixels

    if not suffices(end) or not (ended or _are_zeros_pixels(data, end, image, suffices)):
        raise MissingPixelsError("rows or details of a JPEG are missing")
    return image


def _are_zeros_pixels(data: bytes, end: int, image: Image.Image, suffices: Callable[[int], bool]) -> bool:
    """Whether zeros at the end of a JPEG without an end marker are none of what was reserved for a file and never
    written, or stand for no pixels. A picture may end in zeros whose lower part is of one colour.

    suffices: whether the first bytes of the data, as many as it is given, are enough for all pixels.
    """
    written = len(data[:end].rstrip(b"\0"))
    # Two bytes FF 00 stand for one of data.
    written += written < end and data[written - 1] == 0xFF
    if written == end or suffices(written):
        return True
    corner = image.crop((max(0, image.width - 16), max(0, image.height - 16), image.width, image.height))
    # What was not written is never exactly as long as the pixels that it is taken for.
    exact = suffices(min(end, written + 8)) or not suffices(max(written, end - 8))
    return exact and _differ(corner) <= _ALIKE


def _jpeg_pixels(stream: IO[bytes], size: int) -> _Pieces:
    """The file without its metadata, but with what says how its colours are meant."""
    pieces: list[bytes | tuple[int, int]] = [b"\xff\xd8"]
    for segment in picture_heads.jpeg_segments(stream):
        if segment.marker == 0xDA:
            pieces.append((segment.start, size - segment.start))
        elif _says_pixels(stream, segment):
            pieces.append((segment.start, segment.end - segment.start))
    return _Pieces(stream, pieces)


def _says_pixels(stream: IO[bytes], segment: picture_heads.Segment) -> bool:
    least = {0xE0: (b"JFIF\0", 14), 0xE2: (b"ICC_PROFILE\0", 14), 0xEE: (b"Adobe", 12)}.get(segment.marker)
    if least is None:
        return not (0xE0 <= segment.marker <= 0xEF or segment.marker == 0xFE)
    stream.seek(segment.body)
    return segment.size >= least[1] and stream.read(len(least[0])) == least[0]


def _ends_in_grey(image: Image.Image) -> bool:
    """Whether the last pixel may be one that libjpeg made up."""
    pixel = image.getpixel((image.width - 1, image.height - 1))
    values = pixel if isinstance(pixel, tuple) else (pixel,)
    return all(value in _GREY for value in values)


def _scans(data: bytes) -> tuple[int, bool]:
    """Where the data of the last scan end, and whether an end marker follows.

    Raises:
        MissingPixelsError: scans are missing that bring parts of the picture or its details.
    """
    segments = list(picture_heads.jpeg_segments(io.BytesIO(data)))
    left = _unsent(data, segments)
    place = segments[-1].start
    for _ in range(_MAX_SEGMENTS):
        # Tables may stand between two scans.
        if data[place + 1] == 0xDA:
            _note_scan(data, place, left)
        found = _LATER_MARKER.search(data, place + 2 + int.from_bytes(data[place + 2 : place + 4], "big"))
        if found is None:
            break
        place = found.start()
        if data[place + 1] == 0xD9:
            break
    if any(left.values()):
        raise MissingPixelsError("scans of a JPEG are missing")
    ended = data[place : place + 2] == _EOI
    return (place if ended else len(data.rstrip(b"\xff"))), ended


def _unsent(data: bytes, segments: list[picture_heads.Segment]) -> dict[int, set[int]]:
    """The coefficients (0 to 63) of each component that are still to come in full precision."""
    left: dict[int, set[int]] = {}
    for segment in segments:
        if 0xC0 <= segment.marker <= 0xCF and segment.marker not in (0xC4, 0xC8, 0xCC):
            left = {data[segment.body + 6 + 3 * at]: set(range(64)) for at in range(data[segment.body + 5])}
    return left


def _note_scan(data: bytes, scan: int, left: dict[int, set[int]]) -> None:
    count = data[scan + 4]
    spectral = data[scan + 5 + 2 * count : scan + 8 + 2 * count]
    if len(spectral) < 3 or spectral[2] & 15:
        return
    for at in range(count):
        left.get(data[scan + 5 + 2 * at], set()).difference_update(range(spectral[0], spectral[1] + 1))


# PNG


def _png(stream: IO[bytes]) -> IO[bytes]:
    """The file with its pixels and what says how its colours are meant."""
    size = stream.seek(0, io.SEEK_END)
    pieces: list[bytes | tuple[int, int]] = [b"\x89PNG\r\n\x1a\n"]
    first = last = 0
    for chunk in picture_heads.png_chunks(stream, most=size // 12):
        end = chunk.body + chunk.size + 4
        if chunk.kind == b"IDAT":
            first, last = first or chunk.body - 8, end
        elif first:
            break
        elif _is_kept(stream, chunk):
            pieces.append((chunk.body - 8, end - chunk.body + 8))
    pieces.append((first, last - first))
    if last <= size:
        pieces.append(b"\0\0\0\0IEND" + zlib.crc32(b"IEND").to_bytes(4, "big"))
    return io.BufferedReader(_Pieces(stream, pieces), 2**16)


def _is_kept(stream: IO[bytes], chunk: picture_heads.Chunk) -> bool:
    """Whether a chunk before the pixels is given to the decoder."""
    if chunk.kind in _PNG_PIXELS:
        return True
    if chunk.kind not in _PNG_COLOURS or not picture_heads.is_intact(stream, chunk):
        return False
    return chunk.kind != b"iCCP" or _has_profile(stream, chunk)


def _has_profile(stream: IO[bytes], chunk: picture_heads.Chunk) -> bool:
    stream.seek(chunk.body)
    compressed = stream.read(chunk.size).partition(b"\0")[2]
    return compressed[:1] == b"\0" and bool(picture_heads.inflated(compressed[1:]))


# WebP


def _webp(stream: IO[bytes]) -> tuple[bytes, int, int]:
    """The file with its pixels and its colour profile, of an animated one with the first frame; how many equal bytes
    its pixels end in, and in how many bytes they are.
    """
    parts: list[bytes] = []
    length = stream.seek(0, io.SEEK_END)
    written, fill, size = _written(stream), 0, 0
    for chunk in picture_heads.webp_chunks(stream):
        if chunk.kind not in (b"VP8X", b"ICCP", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L"):
            continue
        end = chunk.body + chunk.size
        if end > length or (chunk.size and chunk.body >= written):
            raise MissingPixelsError("a WebP ends within its pixels")
        stream.seek(chunk.body)
        content = stream.read(chunk.size)
        if chunk.kind == b"VP8X":
            content = bytes([content[0] & ~(_EXIF_FLAG | _XMP_FLAG)]) + content[1:]
        parts.append(chunk.kind + chunk.size.to_bytes(4, "little") + content + b"\0" * (chunk.size % 2))
        fill, size = fill + max(0, end - written), size + chunk.size
        if chunk.kind == b"ANMF":
            break
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + len(body).to_bytes(4, "little") + body, fill, size


# HEIC and AVIF


def _container(stream: IO[bytes], head: Head) -> tuple[bytearray, int, int]:
    """The file without its metadata; how many equal bytes its pixels end in, and in how many bytes they are."""
    if head.container is None:
        raise MissingPixelsError("no container")
    isobmff.check_tiles(stream, head.container)
    written = _written(stream)
    extents = {extent for item in head.container.needed().values() for extent in item.extents}
    ends = [(at, at + length if length else head.container.file_size) for at, length in extents]
    if any(end - at > _FEW_EQUAL and at >= written for at, end in ends):
        raise MissingPixelsError("a part of a picture was never written")
    fill = sum(max(0, end - max(at, written)) for at, end in ends)
    size = sum(end - at for at, end in ends)
    return isobmff.without_metadata(stream, head.container), fill, size


# Files of full length whose transfer broke off


def _written(stream: IO[bytes]) -> int:
    """Where the zeros at the end of the file begin, or the bytes 0xFF, which erased flash memory is full of."""
    place = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, place - 1))
    fill = stream.read(1)
    kept = 0
    while fill in (b"\0", b"\xff") and place and not kept:
        start = max(0, place - 2**20)
        stream.seek(start)
        kept = len(stream.read(place - start).rstrip(fill))
        place = start
    return place + kept


def _check_fill(image: Image.Image, fill: int, size: int) -> None:
    """Check that equal bytes at the end of the pixels' data stand for pixels of one colour: these take fewer bytes than
    others, so that more of the picture than its share of the data must be of that colour. What was never written is
    decoded to fewer pixels.

    fill: how many bytes are equal; size: how many there are.
    """
    if fill < _FEW_EQUAL:
        return
    rows = math.ceil(image.height * _DENSER * fill / size)
    if rows > image.height or _differ(image.crop((0, image.height - rows, image.width, image.height))) > _ALIKE:
        raise MissingPixelsError("the end of a picture was never written")
