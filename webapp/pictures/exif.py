"""What a camera wrote into a picture: which way is up, when it was taken, and by which camera."""

import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from PIL import ExifTags, Image

FIRST_YEAR, LAST_YEAR = 1990, 2100
MAX_NAME = 80
"""Letters of a camera's name that are kept."""

_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})")
_TIMES = (
    (ExifTags.Base.DateTimeOriginal, ExifTags.Base.SubsecTimeOriginal, ExifTags.Base.OffsetTimeOriginal),
    (ExifTags.Base.DateTimeDigitized, ExifTags.Base.SubsecTimeDigitized, ExifTags.Base.OffsetTimeDigitized),
    (ExifTags.Base.DateTime, ExifTags.Base.SubsecTime, ExifTags.Base.OffsetTime),
)
"""When the shutter opened, else when the file was digitised or written: each with its fraction and its zone."""


_OUTER = frozenset(
    {
        ExifTags.Base.Make,
        ExifTags.Base.Model,
        ExifTags.Base.Orientation,
        ExifTags.Base.DateTime,
        ExifTags.Base.CameraSerialNumber,
        ExifTags.IFD.Exif,
    }
)
_INNER = frozenset({ExifTags.Base.BodySerialNumber, *(tag for tags in _TIMES for tag in tags)})
"""Tags that are read, of the outer table and of the one for details."""

_MOST_TAGS, _MOST_VALUES = 500, 1000
"""Tags of one table that are looked at, and values of one tag. Pillow makes an object of each value."""

_ORDERS = {b"II*\0": "<", b"II\0*": "<", b"MM\0*": ">", b"MM*\0": ">"}


@dataclass(frozen=True, slots=True)
class CameraBody:
    """Which camera took a picture, as its file says. The serial number is for telling bodies apart, never shown."""

    make: str
    model: str
    serial: str

    @property
    def name(self) -> str:
        """Maker and model, without the maker twice."""
        maker = self.make.split(" ")[0].casefold()
        twice = maker and self.model.casefold().startswith(maker)
        return (self.model if twice or not self.make else f"{self.make} {self.model}").strip()[:MAX_NAME]


def read(content: bytes, xmp: bytes = b"") -> Image.Exif:
    """Parse EXIF; an empty one where it is damaged, since the picture itself may be fine.

    xmp: says which way is up where the EXIF does not.
    """
    exif = Image.Exif()
    try:
        exif.load(_pruned(content))
        exif.get_ifd(ExifTags.IFD.Exif)
    except Exception:
        exif = Image.Exif()
    turn = _XMP_ORIENTATION.search(xmp)
    if turn and ExifTags.Base.Orientation not in exif:
        exif[ExifTags.Base.Orientation] = int(turn[1])
    return exif


def _pruned(content: bytes) -> bytes:
    """Return EXIF whose tags are all empty but for those that are read here: of some bytes each.

    Pillow parses every tag, which takes seconds and 40 MB for a megabyte of numbers.
    """
    content = content.removeprefix(b"Exif\0\0")
    order, kept = _ORDERS.get(content[:4], ""), bytearray(content)
    if not order:
        return b""
    (outer,) = struct.unpack_from(order + "I", kept, 4)
    inner = _prune(kept, order, outer, _OUTER)
    if inner is not None:
        _prune(kept, order, inner, _INNER)
    return bytes(kept)


def _prune(content: bytearray, order: str, place: int, wanted: frozenset[int]) -> int | None:
    """Empty a table's tags but the wanted ones; returns where the table of details is, if this one says so."""
    found = None
    (count,) = struct.unpack_from(order + "H", content, place)
    struct.pack_into(order + "H", content, place, min(count, _MOST_TAGS))
    for entry in range(place + 2, place + 2 + 12 * min(count, _MOST_TAGS), 12):
        if entry + 12 > len(content):
            break
        tag, _, values, value = struct.unpack_from(order + "HHII", content, entry)
        if tag not in wanted or values > _MOST_VALUES:
            struct.pack_into(order + "I", content, entry + 4, 0)
        elif tag == ExifTags.IFD.Exif:
            found = value
    return found


def orientation(exif: Image.Exif) -> int:
    """How the picture lies, 1 to 8; 1 is upright."""
    value = exif.get(ExifTags.Base.Orientation, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def taken_at(exif: Image.Exif) -> datetime | None:
    """When it was taken by the camera's clock, to the millisecond; with a zone only where the camera wrote one."""
    detail = exif.get_ifd(ExifTags.IFD.Exif)
    for moment, fraction, offset in _TIMES:
        # Of all these tags only the last time lies in the outer table.
        written = exif.get(moment) if moment is ExifTags.Base.DateTime else detail.get(moment)
        try:
            # A camera's clock has no zone: which one it meant is the event's to say.
            taken = datetime.strptime(_text(written)[:19], "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - cameras know no zone
        except ValueError:
            continue
        # A clock that was never set, or runs far ahead, would put the photo at an end of every gallery.
        if FIRST_YEAR <= taken.year <= LAST_YEAR:
            milliseconds = _milliseconds(_text(detail.get(fraction)))
            return taken.replace(microsecond=milliseconds * 1000, tzinfo=_zone(_text(detail.get(offset))))
    return None


def camera(exif: Image.Exif) -> CameraBody | None:
    """The camera that took it; None where the file names none."""
    detail = exif.get_ifd(ExifTags.IFD.Exif)
    make, model = _text(exif.get(ExifTags.Base.Make)), _text(exif.get(ExifTags.Base.Model))
    serial = _text(detail.get(ExifTags.Base.BodySerialNumber)) or _text(exif.get(ExifTags.Base.CameraSerialNumber))
    return CameraBody(make, model, serial) if make or model else None


def _text(value: object) -> str:
    """A tag's value as one line of plain text: files hold bytes, zeros and worse."""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value if value is not None else "")
    return " ".join("".join(char if char.isprintable() else " " for char in text.partition("\0")[0]).split())


def _milliseconds(fraction: str) -> int:
    """`5` is half a second and `057` is 57 thousandths: these are the digits behind the point."""
    return int(fraction[:3].ljust(3, "0")) if fraction.isascii() and fraction.isdigit() else 0


def _zone(offset: str) -> timezone | None:
    found = _OFFSET.fullmatch(offset)
    if found is None or int(found[2]) > 14 or int(found[3]) > 59:
        return None
    ahead = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return UTC if not ahead else timezone(ahead if found[1] == "+" else -ahead)
