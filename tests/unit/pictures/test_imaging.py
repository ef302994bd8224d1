"""Picture files as people send them: good ones of every kind come out upright, bad ones with a word that helps."""

import contextlib
import io
import struct
import subprocess
import sys
import zlib
from datetime import datetime

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from tests.support.faces import portrait
from webapp.errors import FindMeError, TooLarge, UnsupportedType
from webapp.pictures import imaging

LIMIT = 80
EVENING = datetime(2026, 6, 20, 18, 30, 5)  # noqa: DTZ001 - cameras know no zone


def encode(image: Image.Image, file_format: str = "JPEG", **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, file_format, **options)
    return target.getvalue()


def decode(content: bytes, **options: float) -> imaging.Decoded:
    return imaging.decode(io.BytesIO(content), **{"max_megapixels": LIMIT, **options})  # type: ignore[arg-type]


def probe(content: bytes, max_megapixels: float = LIMIT) -> imaging.PictureInfo:
    return imaging.probe(io.BytesIO(content), max_megapixels=max_megapixels)


def marked(width: int = 640, height: int = 480) -> Image.Image:
    """A picture whose upper left quarter is red, upper right green, lower left blue, lower right white."""
    image = Image.new("RGB", (width, height), "white")
    half = (width // 2, height // 2)
    for colour, corner in (("red", (0, 0)), ("lime", (half[0], 0)), ("blue", (0, half[1]))):
        image.paste(colour, (*corner, corner[0] + half[0], corner[1] + half[1]))
    return image


def png_head(width: int, height: int) -> bytes:
    """A PNG that claims a size and brings no pixels."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0" * 64)),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def fault_of(content: bytes, look: str = "decode", **options: float) -> FindMeError:
    with pytest.raises(FindMeError) as caught:
        (decode if look == "decode" else probe)(content, **options)
    assert caught.value.code in imaging.FAULTS
    return caught.value


@pytest.mark.parametrize("look", ["decode", "probe"])
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"\xff", "not_a_picture"),
        (b"Dear guests, here is the list of songs.\n" * 40, "not_a_picture"),
        (b"%PDF-1.7\n" + b"x" * 2000, "not_a_picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><rect width='9' height='9'/></svg>", "not_a_picture"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 500, "truncated"),
        (encode(marked(), "GIF"), "not_a_picture"),
        (encode(marked(), "TIFF"), "not_a_picture"),
        (encode(marked(), "BMP"), "not_a_picture"),
    ],
    ids=["empty", "one byte", "text", "pdf", "svg", "heic", "gif", "tiff", "bmp"],
)
def test_refuses_what_is_no_picture_for_us(content: bytes, code: str, look: str) -> None:
    error = fault_of(content, look)
    assert error.code == code
    assert isinstance(error, UnsupportedType)


@pytest.mark.parametrize("look", ["decode", "probe"])
@pytest.mark.parametrize("size", [(60_000, 60_000), (20_000, 5_000), (9_000, 9_000)])
def test_refuses_too_many_pixels_before_decoding(size: tuple[int, int], look: str) -> None:
    error = fault_of(png_head(*size), look)
    assert error.code == "too_many_pixels"
    assert isinstance(error, TooLarge)


def test_the_limit_is_the_callers() -> None:
    content = encode(Image.new("RGB", (1200, 1000)))
    assert fault_of(content, max_megapixels=1).code == "too_many_pixels"
    assert decode(content, max_megapixels=1.2).info.width == 1200


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_a_truncated_file_is_named_so(file_format: str, share: float) -> None:
    content = encode(Image.fromarray(portrait("grace")), file_format)
    assert fault_of(content[: int(len(content) * share)]).code == "truncated"


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_damaged_bytes_are_an_answer_and_never_a_crash(file_format: str) -> None:
    content = bytearray(encode(Image.fromarray(portrait("grace")).resize((200, 240)), file_format))
    rng = np.random.default_rng(5)
    for _ in range(60):
        broken = bytearray(content)
        for place in rng.integers(2, len(broken), 12):
            broken[place] = rng.integers(256)
        with contextlib.suppress(FindMeError):
            assert decode(bytes(broken)).frame.ndim == 3


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_gives_the_same_upright_frame(file_format: str, orientation: int) -> None:
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = marked()
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    content = encode(stored, file_format, exif=exif, quality=95)
    decoded = decode(content)
    assert decoded.frame.shape == (480, 640, 3)
    assert np.abs(decoded.frame.astype(int) - np.asarray(marked()).astype(int)).mean() < 3
    assert (decoded.info.width, decoded.info.height) == (640, 480)
    assert probe(content) == decoded.info


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"original": "2026:06:20 18:30:05", "base": "2027:01:01 00:00:00"}, EVENING),
        ({"base": "2026:06:20 18:30:05"}, EVENING),
        ({"original": "0000:00:00 00:00:00"}, None),
        ({"original": "last summer"}, None),
        ({}, None),
    ],
)
def test_reads_when_it_was_taken(tags: dict[str, str], expected: datetime | None) -> None:
    exif = Image.Exif()
    if "base" in tags:
        exif[ExifTags.Base.DateTime] = tags["base"]
    if "original" in tags:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = tags["original"]
    content = encode(marked(), exif=exif)
    assert probe(content).taken_at == expected
    assert decode(content).info.taken_at == expected


def camera_exif(**inner: str) -> Image.Exif:
    """Tags of a camera; `inner` by their names in the inner table."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Canon\0", "Canon EOS R6"
    detail = exif.get_ifd(ExifTags.IFD.Exif)
    for name, value in {"DateTimeOriginal": "2026:06:20 18:30:05", **inner}.items():
        detail[ExifTags.Base[name]] = value
    return exif


@pytest.mark.parametrize(
    ("inner", "iso"),
    [
        ({}, "2026-06-20T18:30:05"),
        ({"SubsecTimeOriginal": "5"}, "2026-06-20T18:30:05.500000"),
        ({"SubsecTimeOriginal": "057 "}, "2026-06-20T18:30:05.057000"),
        ({"SubsecTimeOriginal": "x", "OffsetTimeOriginal": "+02:00"}, "2026-06-20T18:30:05+02:00"),
        ({"OffsetTimeOriginal": "-03:30"}, "2026-06-20T18:30:05-03:30"),
        ({"OffsetTimeOriginal": "+99:99"}, "2026-06-20T18:30:05"),
    ],
)
def test_reads_fractions_of_a_second_and_the_zone(inner: dict[str, str], iso: str) -> None:
    taken = probe(encode(marked(), exif=camera_exif(**inner))).taken_at
    assert taken is not None and taken.isoformat() == iso


def test_reads_which_camera_it_was() -> None:
    camera = probe(encode(marked(), exif=camera_exif(BodySerialNumber="0123"))).camera
    assert camera is not None and (camera.name, camera.serial) == ("Canon EOS R6", "0123")
    assert probe(encode(marked())).camera is None


@pytest.mark.parametrize("file_format", ["HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_phones_formats_come_out_upright(file_format: str, orientation: int) -> None:
    pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    laid = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    turn = laid[orientation]
    lying = marked() if turn is None else marked().transpose(turn)
    content = encode(lying, file_format, exif=exif.tobytes(), quality=95)
    decoded = decode(content)
    assert decoded.info.format == file_format
    assert (decoded.info.width, decoded.info.height) == (640, 480) == (probe(content).width, probe(content).height)
    assert np.abs(decoded.frame[60, 60].astype(int) - (255, 0, 0)).max() < 30
    assert np.abs(decoded.frame[400, 60].astype(int) - (0, 0, 255)).max() < 30
    assert fault_of(content[: len(content) // 2]).code == "truncated"


def test_without_its_extra_a_heic_is_refused_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pillow_heif")
    content = encode(marked(), "HEIF")
    monkeypatch.setattr(imaging, "HEIC", False)
    monkeypatch.setattr(imaging, "FORMATS", ("JPEG", "PNG", "WEBP", "AVIF"))
    assert fault_of(content).code == "heic"


def test_damaged_exif_does_not_cost_the_picture() -> None:
    content = encode(marked(), exif=b"Exif\0\0II*\0\xff\xff\xff\xff garbage")
    assert decode(content).frame.shape == (480, 640, 3)
    assert probe(content).taken_at is None


def test_large_jpegs_are_scaled_while_they_are_decoded() -> None:
    content = encode(marked(6000, 4000), quality=80)
    decoded = decode(content)
    assert decoded.frame.shape == (2000, 3000, 3)
    assert (decoded.info.width, decoded.info.height) == (6000, 4000)
    assert max(decode(encode(marked(1700, 1000))).frame.shape) == 1700


def test_other_formats_are_scaled_to_at_least_the_wanted_side() -> None:
    decoded = decode(encode(marked(5000, 3000), "PNG"))
    assert decoded.frame.shape == (1000, 1667, 3)
    assert (decoded.info.width, decoded.info.height) == (5000, 3000)


def test_cmyk_jpeg_keeps_its_colours() -> None:
    frame = decode(encode(marked().convert("CMYK"), quality=95)).frame
    assert np.abs(frame[60, 60].astype(int) - (255, 0, 0)).max() < 12
    assert np.abs(frame[400, 600].astype(int) - 255).max() < 12


def test_sixteen_bit_png_keeps_its_tones() -> None:
    ramp = np.linspace(0, 65535, 256 * 64).reshape(64, 256).astype(np.uint16)
    frame = decode(encode(Image.fromarray(ramp), "PNG")).frame
    assert np.abs(frame[..., 0].astype(int) - (ramp >> 8)).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_png_lies_on_white(mode: str) -> None:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 32, 64))
    frame = decode(encode(image.convert(mode), "PNG")).frame
    assert frame[30, 10].tolist() == [0, 0, 0]
    assert frame[30, 50].tolist() == [255, 255, 255]


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    assert decode(encode(marked().convert("L").convert(mode), "PNG")).frame.shape == (480, 640, 3)


def test_of_an_animated_picture_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue", "lime")]
    frame = decode(encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)).frame
    assert frame[32, 32].tolist() == [255, 0, 0]


def test_a_phones_double_jpeg_is_a_jpeg() -> None:
    content = encode(marked(4000, 3000), "MPO", save_all=True, append_images=[Image.new("RGB", (400, 300))])
    decoded = decode(content)
    assert (probe(content).format, decoded.info.format) == ("JPEG", "JPEG")
    assert decoded.frame.shape == (1500, 2000, 3)
    assert decoded.frame[100, 100, 0] > 240


def test_colours_of_another_profile_are_brought_to_srgb() -> None:
    swapped = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert decode(encode(marked(), icc_profile=swapped)).frame.shape == (480, 640, 3), "a profile that does not fit"
    assert decode(encode(marked(), icc_profile=b"no profile at all")).frame.shape == (480, 640, 3)


def test_probing_leaves_the_stream_at_its_start() -> None:
    stream = io.BytesIO(encode(marked()))
    imaging.probe(stream, max_megapixels=LIMIT)
    assert stream.tell() == 0


def test_renditions_fit_and_carry_nothing_about_the_person() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "SecretCamera"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 51.0, 30.0)
    frame = decode(encode(Image.fromarray(portrait("grace")).resize((3000, 3516)), exif=exif, comment=b"private")).frame
    made = imaging.renditions(frame)
    for rendition, side in ((made.preview, 1600), (made.thumbnail, 400), (imaging.selfie_preview(frame), 480)):
        with Image.open(io.BytesIO(rendition.content)) as image:
            assert max(image.size) == side
            assert image.size == (rendition.width, rendition.height)
            assert image.get_format_mimetype() == rendition.content_type
            assert not image.getexif()
            assert not {"exif", "icc_profile", "comment", "xmp"} & set(image.info)
        assert b"SecretCamera" not in rendition.content
    assert made.placeholder.startswith("data:image/webp;base64,")
    assert len(made.placeholder) < 400


def test_small_pictures_are_never_enlarged() -> None:
    made = imaging.renditions(decode(encode(marked(90, 60))).frame)
    assert (made.preview.width, made.thumbnail.width) == (90, 90)
    thin = imaging.renditions(np.zeros((1, 5000, 3), dtype=np.uint8))
    assert (thin.preview.width, thin.preview.height) == (1600, 1)


@pytest.mark.parametrize("box", [(0.4, 0.4, 0.1, 0.2), (0.9, 0.9, 0.1, 0.1), (0.0, 0.0, 1.0, 1.0)])
def test_a_crop_shows_the_face_only(box: tuple[float, float, float, float]) -> None:
    crop = imaging.face_crop(np.asarray(marked()), *box)
    assert (crop.width, crop.height) == (240, 240)
    if box[0] == 0.9:
        pixels = np.asarray(Image.open(io.BytesIO(crop.content)))
        assert pixels.min() > 240, "only the white corner is in it"


def test_probing_loads_neither_a_model_runtime_nor_opencv() -> None:
    program = (
        "import io, sys; from PIL import Image; from webapp.pictures import imaging\n"
        "target = io.BytesIO(); Image.new('RGB', (40, 30)).save(target, 'PNG')\n"
        "assert imaging.probe(target, max_megapixels=1).width == 40\n"
        "assert not {'cv2', 'onnx', 'onnxruntime'} & set(sys.modules), sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
