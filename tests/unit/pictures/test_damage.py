"""Damage is about pixels: what lacks some is refused, and what lacks nothing else is taken."""

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from tests.support.faces import portrait
from webapp.errors import FindMeError
from webapp.pictures import imaging, isobmff, picture_heads, pixel_data

TOLERANCE = 2.0
"""Steps of 255 by which the mean of any 16 × 16 pixels of a file that is taken may differ from the whole file's."""

CUTS = 20


def picture() -> Image.Image:
    return Image.fromarray(portrait("grace")).resize((400, 480))


def encode(file_format: str, image: Image.Image | None = None, **options: object) -> bytes:
    target = io.BytesIO()
    (image or picture()).save(target, file_format, **options)
    return target.getvalue()


def metadata() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Canon"
    exif[ExifTags.Base.Artist] = "x" * 3000
    return exif


def heic(**options: object) -> bytes:
    pytest.importorskip("pillow_heif")
    return encode("HEIF", quality=80, **options)


def animated() -> bytes:
    others = [picture().transpose(Image.Transpose.ROTATE_180), picture()]
    return encode("WEBP", save_all=True, append_images=others, duration=100, quality=80)


def phones_double() -> bytes:
    return encode("MPO", save_all=True, append_images=[picture().resize((200, 240))])


def interlaced() -> bytes:
    """A PNG in seven passes, which Pillow does not write."""
    pixels, rows = np.asarray(picture()), []
    for top, left, down, across in (
        (0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1),
    ):  # fmt: skip
        rows += [b"\0" + row.tobytes() for row in pixels[top::down, left::across]]
    height, width = pixels.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    return png([(b"IHDR", head), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b"")])


def png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*parts) for parts in chunks)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with(*chunks: bytes) -> bytes:
    """A PNG with chunks between its head and its pixels."""
    content = encode("PNG")
    return content[:33] + b"".join(chunks) + content[33:]


def three_scans() -> bytes:
    """A JPEG that is not progressive and has one scan for each component, which Pillow does not write."""
    scans, head = [], b""
    for number, band in enumerate(picture().convert("YCbCr").split(), 1):
        grey = encode("JPEG", band, quality=85)
        frame, scan = grey.index(b"\xff\xc0"), grey.index(b"\xff\xda")
        parts = b"".join(bytes([component, 0x11, 0]) for component in (1, 2, 3))
        head = grey[:frame] + b"\xff\xc0\0\x11" + grey[frame + 4 : frame + 9] + b"\3" + parts + grey[frame + 13 : scan]
        scans.append(b"\xff\xda\0\x08\1" + bytes([number]) + grey[scan + 6 : -2])
    return head + b"".join(scans) + b"\xff\xd9"


FILES: dict[str, Callable[[], bytes]] = {
    "baseline": lambda: encode("JPEG", quality=85, exif=metadata()),
    "baseline with colours in full": lambda: encode("JPEG", quality=95, subsampling=0),
    "baseline with restarts": lambda: encode("JPEG", quality=85, restart_marker_rows=2),
    "three scans": three_scans,
    "progressive": lambda: encode("JPEG", quality=85, progressive=True),
    "grey JPEG": lambda: encode("JPEG", picture().convert("L"), quality=85),
    "CMYK JPEG": lambda: encode("JPEG", picture().convert("CMYK"), quality=85),
    "MPO": phones_double,
    "PNG": lambda: encode("PNG"),
    "interlaced PNG": interlaced,
    "animated PNG": lambda: encode("PNG", save_all=True, append_images=[picture().rotate(90)]),
    "WebP": lambda: encode("WEBP", quality=85, exif=metadata()),
    "lossless WebP": lambda: encode("WEBP", lossless=True),
    "transparent WebP": lambda: encode("WEBP", transparent(), quality=85),
    "animated WebP": animated,
    "HEIC": lambda: heic(exif=metadata().tobytes()),
    "HEIC in tiles": lambda: heic(tile_size=128),
    "transparent HEIC": lambda: (pytest.importorskip("pillow_heif"), encode("HEIF", transparent()))[1],
    "AVIF": lambda: encode("AVIF", quality=80, exif=metadata().tobytes()),
    "AVIF in tiles": lambda: encode("AVIF", quality=80, tile_rows=1, tile_cols=1, autotiling=False),
}


def transparent() -> Image.Image:
    image = picture().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


@cache
def content_of(name: str) -> bytes:
    return FILES[name]()


def frame_of(content: bytes, min_long_side: int = 1600) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow about EXIF that ends too early
        return imaging.decode(io.BytesIO(content), max_megapixels=80, min_long_side=min_long_side).frame


def code_of(content: bytes) -> str | None:
    try:
        frame_of(content)
    except FindMeError as error:
        return error.code
    return None


def largest_difference(left: np.ndarray, right: np.ndarray) -> float:
    assert left.shape == right.shape
    height, width = (side // 16 * 16 for side in left.shape[:2])
    off = np.abs(left[-height:, -width:].astype(int) - right[-height:, -width:]).mean(axis=2)
    return float(off.reshape(height // 16, 16, width // 16, 16).mean(axis=(1, 3)).max())


def cuts(size: int) -> list[int]:
    """Places all over the file, and close to its end."""
    near = [size - left for left in (1, 2, 3, 4, 5, 8, 12, 20)]
    return [size * part // (CUTS - len(near) + 1) for part in range(1, CUTS - len(near) + 1)] + near


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_breaks_off_is_refused_or_as_good_as_whole(name: str) -> None:
    content = content_of(name)
    whole = frame_of(content)
    for place in cuts(len(content)):
        _refused_or_whole(content[:place], whole)


@pytest.mark.parametrize("name", FILES)
def test_a_file_whose_end_was_never_written_is_refused_or_as_good_as_whole(name: str) -> None:
    content = content_of(name)
    whole = frame_of(content)
    for place in cuts(len(content)):
        _refused_or_whole(content[:place] + b"\0" * (len(content) - place), whole)


@pytest.mark.parametrize("fill", [b"\0", b"\xff"])
@pytest.mark.parametrize("name", ["WebP", "lossless WebP", "transparent WebP", "AVIF", "HEIC", "HEIC in tiles"])
def test_zeros_or_erased_flash_instead_of_pixels_are_damage(name: str, fill: bytes) -> None:
    content = content_of(name)
    last = {"WebP": b"EXIF", "HEIC": b"Exif\0\0"}.get(name)
    end = len(content) if last is None else content.rindex(last) - 4
    assert end > 10_000
    for place in (700, end // 3, end // 2, end - 4000, end - 1200, end - 300):
        assert code_of(content[:place] + fill * (len(content) - place)) == "truncated", place


def test_filler_of_cameras_is_no_erased_flash() -> None:
    content = heic()
    container = picture_heads.read(io.BytesIO(content)).container
    assert container is not None
    data = isobmff.content(io.BytesIO(content), container, container.items[container.primary])
    filler = b"\x4c\1" + b"\xff" * 1000 + b"\x80"
    assert isobmff._is_hevc(data + struct.pack(">I", len(filler)) + filler, 4)
    assert not isobmff._is_hevc(data[:-1000] + b"\xff" * 1000, 4)


@pytest.mark.parametrize("name", ["noise", "portrait"])
def test_zeros_of_a_flat_part_belong_to_the_picture(name: str) -> None:
    """WebP codes much of one colour in zeros, here more than 5 % of the file."""
    image = Image.new("RGB", (1600, 1200), (200, 30, 40))
    image.paste(picture().resize((1600, 600)) if name == "portrait" else Image.effect_noise((50, 50), 90), (0, 0))
    content = encode("WEBP", image, quality=80, method=0 if name == "portrait" else 4)
    assert len(content) - len(content.rstrip(b"\0")) > 100
    assert code_of(content) is None


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
@pytest.mark.parametrize("colour", ["white", "black", (128, 128, 128)])
def test_a_picture_of_one_colour_is_whole(file_format: str, colour: str | tuple[int, int, int]) -> None:
    if file_format == "HEIF":
        pytest.importorskip("pillow_heif")
    image = Image.new("RGB", (2000, 1500), colour)
    assert largest_difference(frame_of(encode(file_format, image)), np.asarray(image)) <= TOLERANCE


def _refused_or_whole(content: bytes, whole: np.ndarray) -> None:
    code = code_of(content)
    assert code in (None, "truncated")
    if code is None:
        assert largest_difference(frame_of(content), whole) <= TOLERANCE


def test_what_follows_the_pixels_may_be_missing() -> None:
    """A cut within metadata behind the pixels costs nothing."""
    for name, marker in (("WebP", b"EXIF"), ("MPO", b"\xff\xd9\xff\xd8"), ("PNG", b"IEND")):
        content = content_of(name)
        place = content.rindex(marker) + 5
        assert largest_difference(frame_of(content[:place]), frame_of(content)) == 0, name


@pytest.mark.parametrize("file_format", ["HEIF", "AVIF"])
def test_metadata_of_phones_formats_may_be_missing_or_damaged(file_format: str) -> None:
    if file_format == "HEIF":
        pytest.importorskip("pillow_heif")
    content = encode(file_format, exif=metadata().tobytes(), xmp=b"<x:xmpmeta/>" * 500)
    whole = frame_of(content)
    container = picture_heads.read(io.BytesIO(content)).container
    assert container is not None
    others = [item for item in container.items.values() if item.kind in (b"Exif", b"mime")]
    assert len(others) == 2
    damaged = bytearray(content)
    for item in others:
        ((start, size),) = item.extents
        damaged[start : start + size] = b"\xee" * size
    assert largest_difference(frame_of(bytes(damaged)), whole) == 0
    pixels_end = max(start + size for item in container.needed().values() for start, size in item.extents)
    assert largest_difference(frame_of(content[:pixels_end]), whole) == 0


def test_a_tile_that_is_missing_or_zero_is_damage() -> None:
    content = heic(tile_size=128)
    container = picture_heads.read(io.BytesIO(content)).container
    assert container is not None
    tiles = [container.items[number] for number in container.items[container.primary].parts]
    assert len(tiles) == 16
    for tile in (tiles[3], tiles[9]):
        ((start, size),) = tile.extents
        assert code_of(content[:start] + b"\0" * size + content[start + size :]) == "truncated"
        assert code_of(content[: start + size // 2] + b"\0" * 40 + content[start + size // 2 + 40 :]) == "truncated"
    last = max(start + size for tile in tiles for start, size in tile.extents)
    with pytest.raises(FindMeError) as caught:
        imaging.probe(io.BytesIO(content[: last - 1]), max_megapixels=80)
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_end_marker_is_taken(progressive: bool) -> None:
    content = encode("JPEG", quality=90, progressive=progressive)
    for cut in (content[:-2], content[:-1], content[:-2] + b"\0" * 5000):
        assert np.array_equal(frame_of(cut), frame_of(content))
        assert np.array_equal(frame_of(cut, min_long_side=100), frame_of(content, min_long_side=100))


@pytest.mark.parametrize("name", ["baseline", "progressive", "three scans", "grey JPEG"])
def test_an_end_marker_does_not_make_a_jpeg_whole(name: str) -> None:
    content = content_of(name)
    for share in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97):
        assert code_of(content[: int(len(content) * share)] + b"\xff\xd9") == "truncated", share


def test_a_progressive_jpeg_without_its_last_scans_is_damaged() -> None:
    content = encode("JPEG", quality=90, progressive=True)
    scans = [at for at in range(len(content) - 1) if content[at : at + 2] == b"\xff\xda"]
    assert len(scans) > 5
    for scan in scans[1:]:
        assert code_of(content[:scan]) == "truncated"
        assert code_of(content[:scan] + b"\xff\xd9") == "truncated"


def test_a_jpeg_of_several_scans_is_decoded_as_a_whole() -> None:
    for name in ("progressive", "three scans"):
        assert not imaging.probe(io.BytesIO(content_of(name)), max_megapixels=80).scales
    assert imaging.probe(io.BytesIO(content_of("baseline")), max_megapixels=80).scales


@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize("colour", ["white", "black", (128, 128, 128), (250, 248, 240)])
def test_a_jpeg_of_a_flat_bottom_needs_no_end_marker(colour: str | tuple[int, int, int], optimize: bool) -> None:
    """Its last bytes may be zeros of its own."""
    for width in range(360, 400, 8):
        image = picture().crop((0, 0, width, 480))
        for top in (260, 0):
            image.paste(colour, (0, top, width, 480))
            content = encode("JPEG", image, quality=85, optimize=optimize)
            assert np.array_equal(frame_of(content[:-2]), frame_of(content))
            assert np.array_equal(frame_of(content[:-2], min_long_side=100), frame_of(content, min_long_side=100))


TEXT = b"<x:xmpmeta>" * 120_000
UNREADABLE = {
    "compressed XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(TEXT)),
    "XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + TEXT),
    "compressed text": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(TEXT)),
    "text that is no zlib": chunk(b"zTXt", b"Comment\0\0" + b"no zlib"),
    "very much text": b"".join(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(TEXT[: 10**6])) for _ in range(80)),
    "a wrong checksum": chunk(b"tEXt", b"Comment\0x")[:-4] + b"\0\0\0\0",
    "large profile": chunk(b"iCCP", b"p\0\0" + zlib.compress(b"\0" * 2**21)),
    "no profile": chunk(b"iCCP", b"p\0\0no zlib"),
    "profile without a method": chunk(b"iCCP", b"p"),
    "EXIF": chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff"),
    "frames": chunk(b"acTL", b"\0") + chunk(b"fcTL", b"\0\0"),
    "short density": chunk(b"pHYs", b"\0"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_png_with_metadata_that_can_not_be_read_is_taken(name: str) -> None:
    content = png_with(UNREADABLE[name])
    assert np.array_equal(frame_of(content), np.asarray(picture()))
    assert imaging.probe(io.BytesIO(content), max_megapixels=80).width == 400


@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xe0\0\x07JFIF\0",
        b"\xff\xe2\0\x0eICC_PROFILE\0",
        b"\xff\xee\0\x07Adobe",
        b"\xff\xe2\0\x0aMPF\0abcd",
        b"\xff\xe1\0\x0cExif\0\0II*\0",
        b"\xff\xe1\0\x20http://ns.adobe.com/xap/1.0/\0<",
        b"\xff\xed\0\x14Photoshop 3.0\08BIM",
    ],
)
def test_a_jpeg_with_metadata_that_can_not_be_read_is_taken(segment: bytes) -> None:
    content = encode("JPEG", quality=90)
    damaged = content[:2] + segment + content[2:]
    assert largest_difference(frame_of(damaged), frame_of(content)) == 0
    assert imaging.probe(io.BytesIO(damaged), max_megapixels=80).width == 400


def test_a_webp_with_a_damaged_profile_and_metadata_is_taken() -> None:
    content = encode("WEBP", quality=90, icc_profile=b"none", exif=b"Exif\0\0none", xmp=b"none")
    assert frame_of(content).shape == (480, 400, 3)


def test_an_intact_profile_of_a_png_still_counts() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    stream = pixel_data._png(io.BytesIO(encode("PNG", icc_profile=profile)))
    with Image.open(stream) as image:
        assert image.info["icc_profile"] == profile
