"""Reading a picture's header: of every format, in constant memory, without decoding."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import ExifTags, Image

from webapp.errors import FindMeError
from webapp.pictures import imaging, picture_heads, pixel_data

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


def box(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I", 8 + len(body)) + kind + body


def sized(width: int, height: int) -> bytes:
    return box(b"ispe", b"\0" * 4, struct.pack(">II", width, height))


CROPPED = box(b"clap", struct.pack(">8I", 64, 1, 64, 1, 0, 1, 0, 1))


@dataclass
class Listed:
    """An item of a container: kind, extents within the data, numbers of properties, parts, and whose alpha it is."""

    kind: bytes
    extents: list[tuple[int, int]]
    properties: list[int]
    parts: list[int] = field(default_factory=list)
    alpha_of: int = 0


def heic(items: list[Listed], properties: list[bytes], data: bytes = b"\1" * 10_000) -> bytes:
    """A container whose items are numbered from 1, the first of which is the primary one."""
    numbered = list(enumerate(items, 1))
    infos = [box(b"infe", struct.pack(">IHH", 2 << 24, number, 0), item.kind, b"\0") for number, item in numbered]
    links = [(b"dimg", number, item.parts) for number, item in numbered if item.parts]
    links += [(b"auxl", number, [item.alpha_of]) for number, item in numbered if item.alpha_of]
    references = [
        box(kind, struct.pack(f">HH{len(to)}H", number, len(to), *to)) for kind, number, to in links
    ]  # fmt: skip
    used = [struct.pack(">HB", number, len(item.properties)) + bytes(item.properties) for number, item in numbered]

    def head(start: int) -> bytes:
        places = b"".join(
            struct.pack(">HHH", number, 0, len(item.extents))
            + b"".join(struct.pack(">II", start + at, size) for at, size in item.extents)
            for number, item in numbered
        )
        return box(b"ftyp", b"heic\0\0\0\0mif1heic") + box(
            b"meta",
            b"\0" * 4,
            box(b"pitm", b"\0" * 4, b"\0\1"),
            box(b"iinf", b"\0" * 4, struct.pack(">H", len(items)), *infos),
            box(b"iloc", b"\0" * 4, b"\x44\0", struct.pack(">H", len(items)), places),
            box(b"iref", b"\0" * 4, *references),
            box(
                b"iprp",
                box(b"ipco", *properties),
                box(b"ipma", b"\0" * 4, struct.pack(">I", len(items)), *used),
            ),
        )

    return head(len(head(0)) + 8) + box(b"mdat", data)


def code_of(content: bytes) -> str:
    with pytest.raises(picture_heads.HeadError) as caught:
        picture_heads.read(io.BytesIO(content))
    return caught.value.code


def test_extents_that_overlap_are_refused() -> None:
    """Joined, they are many times as large as the file."""
    assert code_of(heic([Listed(b"hvc1", [(0, 9000)] * 100, [1])], [sized(64, 64)])) == "truncated"
    layers = [Listed(b"hvc1", [(0, 9000 - at)], [1]) for at in range(100)]
    whole = Listed(b"iovl", [(0, 9)], [1], parts=list(range(2, 102)))
    assert code_of(heic([whole, *layers], [sized(64, 64)])) == "truncated"


def test_tiles_that_look_alike_may_have_the_same_bytes() -> None:
    tiles = [Listed(b"hvc1", [(100, 9000)], [1]) for _ in range(4)]
    head = picture_heads.read(
        io.BytesIO(heic([Listed(b"grid", [(0, 8)], [2], parts=[2, 3, 4, 5]), *tiles], [sized(64, 64), sized(128, 128)]))
    )
    assert (head.width, head.pixels) == (128, 128 * 128)


HIDDEN = {
    "cropped": ([Listed(b"hvc1", [(0, 99)], [1, 3])], [sized(9000, 9000), sized(64, 64), CROPPED]),
    "one tile many times": (
        [Listed(b"grid", [(0, 8)], [2], parts=[2] * 100), Listed(b"hvc1", [(0, 99)], [1])],
        [sized(1200, 1200), sized(64, 64)],
    ),
    "an image of another": (
        [Listed(b"iden", [(0, 1)], [2], parts=[2]), Listed(b"hvc1", [(0, 99)], [1])],
        [sized(9000, 9000), sized(64, 64)],
    ),
    "layers of layers": (
        [
            Listed(b"iovl", [(0, 8)], [2], parts=[2] * 20),
            Listed(b"iovl", [(0, 8)], [2], parts=[3] * 20),
            Listed(b"hvc1", [(0, 99)], [1]),
        ],
        [sized(600, 600), sized(64, 64)],
    ),
    "transparency": (
        [Listed(b"hvc1", [(0, 99)], [2]), Listed(b"hvc1", [(0, 99)], [1, 3], alpha_of=1)],
        [sized(9000, 9000), sized(64, 64), box(b"auxC", b"\0" * 4, b"urn:mpeg:hevc:2015:auxid:1\0")],
    ),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_pixels_count_that_are_decoded_and_not_shown(name: str) -> None:
    pytest.importorskip("pillow_heif")
    content = heic(*HIDDEN[name])
    head = picture_heads.read(io.BytesIO(content))
    assert (head.width, head.height) == (64, 64)
    with pytest.raises(FindMeError) as caught:
        probe(io.BytesIO(content))
    assert caught.value.code == "too_many_pixels"


def test_an_image_that_is_made_of_itself_is_refused() -> None:
    pytest.importorskip("pillow_heif")
    content = heic(
        [Listed(b"iden", [(0, 1)], [1], parts=[2]), Listed(b"iden", [(0, 1)], [1], parts=[1])], [sized(8, 8)]
    )
    with pytest.raises(FindMeError) as caught:
        probe(io.BytesIO(content))
    assert caught.value.code == "truncated"


def test_tiles_may_stand_out_beyond_the_picture() -> None:
    """As those of phones: 12.2 megapixels in 48 tiles of 512 × 512, which are 12.6."""
    tiles = [Listed(b"hvc1", [(number, 1)], [1]) for number in range(48)]
    grid = Listed(b"grid", [(100, 8)], [2], parts=list(range(2, 50)))
    head = picture_heads.read(io.BytesIO(heic([grid, *tiles], [sized(512, 512), sized(4032, 3024)])))
    assert head.pixels == 4032 * 3024


def header_of_png(width: int, height: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def test_the_size_is_said_once() -> None:
    """Decoders go by the first header or refuse a second one."""
    png, jpeg, webp = encode("PNG"), encode("JPEG"), encode("WEBP")
    assert code_of(png[:-12] + header_of_png(64, 64) + png[-12:]) == "not_a_picture"
    assert code_of(png[:33] + header_of_png(64, 64) + png[33:]) == "not_a_picture"
    frame = jpeg.index(b"\xff\xc0")
    second = jpeg[frame : frame + 5] + struct.pack(">HH", 64, 64) + jpeg[frame + 9 : frame + 19]
    assert code_of(jpeg[: frame + 19] + second + jpeg[frame + 19 :]) == "not_a_picture"
    canvas = b"VP8X" + struct.pack("<IB3x", 10, 0) + (63).to_bytes(3, "little") * 2
    assert code_of(webp[:12] + canvas + webp[12:]) == "not_a_picture"
    assert code_of(webp + canvas) == "not_a_picture"


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WebP", "lossless WebP", "animated WebP", "HEIC", "AVIF"])
def test_a_decoder_must_find_the_size_of_the_header(name: str) -> None:
    stream = io.BytesIO(FILES[name]())
    head = picture_heads.read(stream)
    assert pixel_data.load(stream, head, imaging.FORMATS, lambda image: None).size == (900, 700)
    head.width, head.height = 90, 70
    if head.container is not None:
        told = head.container.properties
        head.container.properties = [(kind, b"" if kind == b"ispe" else body) for kind, body in told]
    with pytest.raises(pixel_data.MissingPixelsError):
        pixel_data.load(stream, head, imaging.FORMATS, lambda image: None)


def test_a_picture_that_takes_more_memory_than_there_is_has_too_many_pixels() -> None:
    with pytest.raises(FindMeError) as caught, imaging._faults_named():
        bytearray(2**62)
    assert caught.value.code == "too_many_pixels"
