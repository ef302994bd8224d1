"""Reading a picture's header: of every format, in constant memory, without decoding."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import ExifTags, Image

from webapp import imaging, picture_heads
from webapp.errors import FindMeError

MOST_READ = 40_000
"""Bytes that are read of a file of any size, without its metadata."""


class Counting(io.BytesIO):
    """A file that counts how much of it is read."""

    total = 0

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        self.total += len(content)
        return content


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, (700, 900, 3), dtype=np.uint8))


def camera() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Canon"
    exif[ExifTags.Base.Orientation] = 1
    return exif.tobytes()


def encode(file_format: str, **options: object) -> bytes:
    if file_format == "HEIF":
        pytest.importorskip("pillow_heif")
    target = io.BytesIO()
    noise().save(target, file_format, **options)
    return target.getvalue()


def probe(stream: io.BytesIO) -> imaging.PictureInfo:
    return imaging.probe(stream, max_megapixels=80)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def exif_last(content: bytes) -> bytes:
    """The PNG with its EXIF behind its pixels."""
    at = content.index(b"eXIf") - 4
    end = at + 12 + struct.unpack(">I", content[at : at + 4])[0]
    last = content.rindex(b"IEND") - 4
    return content[:at] + content[end:last] + content[at:end] + content[last:]


FILES: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: encode("JPEG", quality=98, exif=camera()),
    "progressive JPEG": lambda: encode("JPEG", quality=98, progressive=True, exif=camera()),
    "MPO": lambda: encode("MPO", quality=98, save_all=True, append_images=[noise()], exif=camera()),
    "PNG": lambda: encode("PNG", exif=camera()),
    "PNG with EXIF behind its pixels": lambda: exif_last(encode("PNG", exif=camera())),
    "animated PNG": lambda: encode("PNG", save_all=True, append_images=[noise().rotate(180)], exif=camera()),
    "WebP": lambda: encode("WEBP", quality=98, exif=camera()),
    "lossless WebP": lambda: encode("WEBP", lossless=True, exif=camera()),
    "animated WebP": lambda: encode("WEBP", save_all=True, append_images=[noise().rotate(180)], exif=camera()),
    "HEIC": lambda: encode("HEIF", quality=90, exif=camera()),
    "AVIF": lambda: encode("AVIF", quality=90, exif=camera()),
}


@pytest.mark.parametrize("name", FILES)
def test_a_header_is_read_without_the_pixels(name: str) -> None:
    content = FILES[name]()
    assert len(content) > 5 * MOST_READ
    stream = Counting(content)
    info = probe(stream)
    assert (info.width, info.height) == (900, 700)
    assert info.camera is not None
    assert info.camera.make == "Canon"
    assert stream.total < MOST_READ


@pytest.mark.parametrize("interlaced", [0, 1])
def test_a_png_is_never_unpacked(interlaced: int) -> None:
    """8000 × 8000 pixels in 600 KB: unpacking them took 300 MB and seconds."""
    packed = zlib.compress(b"\0" * (8000 * 24001), 9)
    head = struct.pack(">IIBBBBB", 8000, 8000, 8, 2, 0, 0, interlaced)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    stream = Counting(content)
    tracemalloc.start()
    try:
        assert probe(stream).width == 8000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stream.total < 1000
    assert peak < 2**20


@pytest.mark.parametrize("kind", ["eXIf", "text"])
def test_metadata_of_a_png_are_never_unpacked_without_a_bound(kind: str) -> None:
    bomb = zlib.compress(b"0" * 10**8)
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb) if kind == "text" else chunk(b"eXIf", b"x" * 2**21)
    png = encode("PNG")
    stream = io.BytesIO(png[:33] + text * 50 + png[33:])
    tracemalloc.start()
    try:
        assert probe(stream).width == 900
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 2**20


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff" + b"\0" * 10**6,
        b"\xff\xd8" + b"\xff\xe0\0\2" * 300_000,
        b"\x89PNG\r\n\x1a\n" + chunk(b"tEXt", b"") * 300_000,
        b"RIFF\xff\xff\xff\x7fWEBP" + b"abcd\0\0\0\0" * 300_000,
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0\0\0\x08free" * 300_000,
        b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + b"\0\0\0\1meta\xff\xff\xff\xff\xff\xff\xff\xff",
    ],
    ids=["junk", "segments", "chunks", "RIFF chunks", "boxes", "endless box"],
)
def test_a_file_of_headers_only_is_given_up(content: bytes) -> None:
    stream = Counting(content)
    with pytest.raises(FindMeError) as caught:
        probe(stream)
    assert caught.value.code == "truncated"
    assert stream.total < 50 * picture_heads.MAX_PARTS


@pytest.mark.parametrize("name", FILES)
def test_any_damage_to_a_header_is_an_answer(name: str) -> None:
    content = FILES[name]()
    rng = np.random.default_rng(7)
    for size in range(1, 1000, 37):
        answers(content[:size])
    for _ in range(300):
        damaged = bytearray(content[:3000])
        for place in rng.integers(4, 1000, 6):
            damaged[place] = rng.integers(256)
        answers(bytes(damaged))


def answers(content: bytes) -> None:
    try:
        code = None if probe(io.BytesIO(content)) else ""
    except FindMeError as error:
        code = error.code
    assert code is None or code in imaging.FAULTS


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_xmp_says_which_way_is_up_where_exif_does_not(file_format: str) -> None:
    xmp = b'<rdf:Description tiff:Orientation="6"/>'
    if file_format == "PNG":
        png = encode("PNG")
        content = png[:33] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp)) + png[33:]
    else:
        content = encode(file_format, xmp=xmp)
    assert (probe(io.BytesIO(content)).width, probe(io.BytesIO(content)).height) == (700, 900)
    assert imaging.decode(io.BytesIO(content), max_megapixels=80).frame.shape[:2] == (900, 700)
