"""The headers of picture files: format, size and metadata, read without decoding and in constant memory.

Decoders are not used here: Pillow decodes a whole PNG to look for its EXIF, and reads WebP, HEIC and AVIF into memory
to open them. Every loop has an upper bound that does not depend on what the file says.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from webapp.pictures import isobmff

MAX_METADATA = 2**20
"""Bytes of EXIF or XMP that are read; larger ones are ignored."""

MAX_PARTS = 100_000
"""Chunks or segments of one file that are looked at."""

_MAX_JUNK = 4096
_MAX_TEXTS = 8
"""Chunks of EXIF and XMP that one PNG may bring: each may take a megabyte to unpack."""

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KINDS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""Colour type → bits per channel."""

_XMP_OF_JPEG = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_OF_PNG = b"XML:com.adobe.xmp"
_EXIF_AS_TEXT = b"Raw profile type exif"
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length."""


class HeadError(Exception):
    """A header that can't be read. `code` is `empty`, `not_a_picture` or `truncated`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class Head:
    """What the header of a file contains."""

    format: str
    """JPEG, PNG, WEBP, AVIF or HEIF."""
    progressive: bool = False
    """Of a JPEG: whether it comes in several scans, so that it is decoded as a whole, also where it is scaled down."""
    width: int = 0
    height: int = 0
    """Pixels as they are stored; of AVIF and HEIF after the turn that the container asks for."""
    exif: bytes = b""
    xmp: bytes = b""
    container: isobmff.Container | None = None
    """Of AVIF and HEIF."""

    @property
    def pixels(self) -> int:
        """How many pixels are decoded: more than are shown where the container crops them.

        Raises:
            isobmff.BrokenContainerError: see `isobmff.Container.pixels`.
        """
        shown = self.width * self.height
        return shown if self.container is None else max(shown, self.container.pixels)


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a JPEG before its first scan: `start` is where its marker is, `body` where its content is."""

    marker: int
    start: int
    body: int
    size: int

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.body + self.size


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a PNG or WebP: `body` is the position of its content."""

    kind: bytes
    body: int
    size: int


def read(stream: IO[bytes]) -> Head:
    """Return what the header says. Reads a few kilobytes, wherever they are in the file.

    Raises:
        HeadError: the file is empty, no picture of these formats, or ends within its header.
    """
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    start = stream.read(16)
    if not start:
        raise HeadError("empty")
    if start.startswith(b"\xff\xd8\xff"):
        head = _jpeg(stream)
    elif start.startswith(_PNG):
        head = _png(stream)
    elif start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        head = _webp(stream, size)
    elif isobmff.is_picture(start):
        head = _isobmff(stream, size)
    else:
        raise HeadError("not_a_picture")
    if not (head.width and head.height):
        raise HeadError("not_a_picture")
    return head


def jpeg_segments(stream: IO[bytes]) -> Iterator[Segment]:
    """Walk over a JPEG up to its first scan, which is the last segment that comes.

    Raises:
        HeadError: the file ends before a scan, or holds no segments.
    """
    place = 2
    for _ in range(MAX_PARTS):
        marker, place = _marker(stream, place)
        if marker in _JPEG_BARE:
            continue
        length = stream.read(2)
        size = int.from_bytes(length, "big") - 2
        if len(length) < 2 or size < 0 or marker == 0xD9:
            break
        segment = Segment(marker, place - 2, place + 2, size)
        yield segment
        if marker == 0xDA:
            return
        place = segment.end
    raise HeadError("truncated")


def png_chunks(stream: IO[bytes], most: int = MAX_PARTS) -> Iterator[Chunk]:
    """Walk over the chunks of a PNG as far as they can be told."""
    place = len(_PNG)
    for _ in range(most):
        stream.seek(place)
        header = stream.read(8)
        if len(header) < 8 or not header[4:].isalpha():
            return
        chunk = Chunk(header[4:], place + 8, int.from_bytes(header[:4], "big"))
        yield chunk
        if chunk.kind == b"IEND":
            return
        place = chunk.body + chunk.size + 4


def webp_chunks(stream: IO[bytes]) -> Iterator[Chunk]:
    """Walk over the chunks of a WebP."""
    place = 12
    for _ in range(MAX_PARTS):
        stream.seek(place)
        header = stream.read(8)
        if len(header) < 8:
            return
        chunk = Chunk(header[:4], place + 8, int.from_bytes(header[4:], "little"))
        yield chunk
        place = chunk.body + chunk.size + chunk.size % 2


def is_intact(stream: IO[bytes], chunk: Chunk) -> bool:
    """Return whether a chunk of a PNG is all there and its checksum is right; of a very large one it says no."""
    if chunk.size > MAX_METADATA:
        return False
    content = _content(stream, chunk.body, chunk.size)
    return len(content) == chunk.size and stream.read(4) == zlib.crc32(chunk.kind + content).to_bytes(4, "big")


def inflated(packed: bytes) -> bytes:
    """Return what zlib unpacks; nothing when it is damaged or would be larger than MAX_METADATA."""
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed, MAX_METADATA)
    except zlib.error:
        return b""
    return b"" if unpacker.unconsumed_tail else content


def _jpeg(stream: IO[bytes]) -> Head:
    head, components = Head("JPEG"), 0
    for segment in jpeg_segments(stream):
        if segment.marker in _JPEG_FRAMES:
            frame = _content(stream, segment.body, 6)
            if len(frame) < 6:
                raise HeadError("truncated")
            if head.width or frame[0] != 8 or frame[5] not in (1, 3, 4):
                raise HeadError("not_a_picture")
            head.progressive, components = segment.marker in _JPEG_PROGRESSIVE, frame[5]
            head.height, head.width = struct.unpack_from(">HH", frame, 1)
        elif segment.marker == 0xDA:
            head.progressive |= _content(stream, segment.body, 1) < bytes([components])
        elif segment.marker == 0xE1 and len(head.exif) + len(head.xmp) + segment.size <= MAX_METADATA:
            content = _content(stream, segment.body, segment.size)
            if content.startswith(b"Exif\0\0"):
                head.exif += content[6:]
            elif content.startswith(_XMP_OF_JPEG):
                head.xmp = content.removeprefix(_XMP_OF_JPEG)
    return head


def _marker(stream: IO[bytes], place: int) -> tuple[int, int]:
    """The next marker of a JPEG at or after `place`, and the position behind it."""
    stream.seek(place)
    window = stream.read(4)
    if window[:1] != b"\xff" or window[1:2] in (b"", b"\0", b"\xff"):
        window += stream.read(_MAX_JUNK)
    found = re.search(rb"\xff([^\x00\xff])", window)
    if found is None:
        raise HeadError("truncated")
    stream.seek(place + found.end())
    return found[1][0], place + found.end()


def _png(stream: IO[bytes]) -> Head:
    head, has_pixels, texts = Head("PNG"), False, 0
    for chunk in png_chunks(stream):
        if chunk.kind == b"IHDR":
            content = _content(stream, chunk.body, 13)
            if len(content) < 13:
                raise HeadError("truncated")
            if head.width:
                raise HeadError("not_a_picture")
            head.width, head.height, depth, colour = struct.unpack_from(">IIBB", content)
            if depth not in _PNG_KINDS.get(colour, ()):
                raise HeadError("not_a_picture")
        elif chunk.kind == b"IDAT":
            has_pixels = True
        elif texts < _MAX_TEXTS and _is_metadata(stream, chunk):
            texts += 1
            if is_intact(stream, chunk):
                _png_metadata(head, chunk.kind, _content(stream, chunk.body, chunk.size))
    if not has_pixels:
        raise HeadError("truncated")
    return head


def _is_metadata(stream: IO[bytes], chunk: Chunk) -> bool:
    if chunk.kind not in (b"iTXt", b"tEXt", b"zTXt"):
        return chunk.kind == b"eXIf"
    return _content(stream, chunk.body, 32).startswith((_XMP_OF_PNG + b"\0", _EXIF_AS_TEXT + b"\0"))


def _png_metadata(head: Head, kind: bytes, content: bytes) -> None:
    if kind == b"eXIf":
        head.exif = content
        return
    keyword, _, rest = content.partition(b"\0")
    if kind == b"iTXt" and keyword == _XMP_OF_PNG:
        text = rest[2:].split(b"\0", 2)[-1]
        head.xmp = inflated(text) if rest[:1] == b"\1" else text
    elif kind in (b"tEXt", b"zTXt") and keyword == _EXIF_AS_TEXT and not head.exif:
        text = inflated(rest[1:]) if kind == b"zTXt" else rest
        try:
            head.exif = bytes.fromhex("".join(text.decode("ascii").split("\n")[3:])).removeprefix(b"Exif\0\0")
        except ValueError:
            pass  # metadata that can't be read are no reason to refuse the picture


def _webp(stream: IO[bytes], size: int) -> Head:
    head, has_pixels = Head("WEBP"), False
    for chunk in webp_chunks(stream):
        if chunk.kind in (b"VP8X", b"VP8 ", b"VP8L"):
            frame = _webp_size(chunk.kind, _content(stream, chunk.body, 10))
            if head.width and frame != (head.width, head.height):
                raise HeadError("not_a_picture")
            head.width, head.height = frame
        if chunk.kind in (b"VP8 ", b"VP8L", b"ANMF"):
            has_pixels = has_pixels or chunk.body + chunk.size <= size
        elif chunk.kind in (b"EXIF", b"XMP ") and chunk.size <= MAX_METADATA:
            content = _content(stream, chunk.body, chunk.size)
            if chunk.kind == b"EXIF":
                head.exif = content.removeprefix(b"Exif\0\0")
            else:
                head.xmp = content
    if not has_pixels:
        raise HeadError("truncated")
    return head


def _webp_size(kind: bytes, content: bytes) -> tuple[int, int]:
    if len(content) < (5 if kind == b"VP8L" else 10):
        raise HeadError("truncated")
    if kind == b"VP8X":
        return int.from_bytes(content[4:7], "little") + 1, int.from_bytes(content[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(content[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", content, 6)
    return width & 0x3FFF, height & 0x3FFF


def _isobmff(stream: IO[bytes], size: int) -> Head:
    try:
        container = isobmff.read(stream, size)
    except isobmff.BrokenContainerError as error:
        raise HeadError("truncated") from error
    head = Head("AVIF" if container.is_avif else "HEIF", container=container)
    head.width, head.height = container.size
    item = container.exif_item
    if item is not None:
        content = isobmff.content(stream, container, item, MAX_METADATA)
        # Four bytes say how far behind them the TIFF header is.
        skipped = 4 + int.from_bytes(content[:4], "big")
        head.exif = content[skipped:]
    return head


def _content(stream: IO[bytes], place: int, size: int) -> bytes:
    stream.seek(place)
    return stream.read(size)
