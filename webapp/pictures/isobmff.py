"""The container of HEIC and AVIF: which items there are, where their bytes are, and whether all of them are there.

ISO/IEC 14496-12 (boxes) and 23008-12 (items). Only what belongs to the primary image is looked at.
"""

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO

MAX_META = 4 * 2**20
"""Bytes of the box `meta`, which also holds colour profiles."""

MAX_ITEMS = 4000
_PADDED = 1.5
"""How many times as many pixels as a picture its tiles may have: those at the edges stand out beyond it."""

_MAX_BOXES = 1000
_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"avif", b"avis")
_METADATA = (b"Exif", b"mime")
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
_HEVC = (b"hvc1", b"hev1")
_ERASED = b"\xff" * 256
"""What erased flash memory is full of; compressed data hold far fewer such bytes in a row."""
_FILLER = 38
"""Type of the NAL units of bytes 0xFF by which cameras bring their data to a wanted size."""


class BrokenContainerError(Exception):
    """The boxes can't be read, or bytes of the primary image are missing."""


@dataclass(slots=True)
class Item:
    """An image, a tile of one, or metadata."""

    kind: bytes = b""
    kind_at: int = 0
    """Position of `kind` in the file."""
    extents: list[tuple[int, int]] = field(default_factory=list)
    """Position in the file and length in bytes; a length of 0 is "to the end of the file"."""
    parts: list[int] = field(default_factory=list)
    """Ids of the items that this one is made of, such as the tiles of a grid."""
    describes: list[int] = field(default_factory=list)
    """Ids of the items that this one belongs to, as metadata or as transparency."""
    properties: list[int] = field(default_factory=list)
    """Numbers of properties, from 1, in the order in which they are applied."""


@dataclass(slots=True)
class Container:
    """The items of a file."""

    file_size: int
    primary: int = 0
    items: dict[int, Item] = field(default_factory=dict)
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Type and content of each."""
    idat: tuple[int, int] = (0, 0)
    """Position and length of the bytes that are kept beside the items."""

    def needed(self) -> dict[int, Item]:
        """Return the items without which pixels would be missing: the primary image, its parts, its transparency."""
        needed: dict[int, Item] = {}
        waiting = [self.primary, *(number for number, item in self.items.items() if self._is_alpha(item))]
        while waiting:
            number = waiting.pop()
            if number not in needed:
                needed[number] = self.items.get(number, Item())
                waiting += needed[number].parts
        return needed

    @property
    def pixels(self) -> int:
        """How many pixels a decoder handles at most: the images uncropped, and each use of each part counted.

        Raises:
            BrokenContainerError: an image is made of itself.
        """
        counted: dict[int, int | None] = {}
        transparency = (number for number, item in self.items.items() if self._is_alpha(item))
        decoded = self._decoded(self.primary, counted), sum(self._decoded(number, counted) for number in transparency)
        largest = max(self._area(item) for item in self.needed().values())
        return max(largest, math.ceil(max(decoded) / _PADDED))

    def properties_of(self, item: Item) -> Iterator[tuple[bytes, bytes]]:
        """Return the types and contents of an item's properties."""
        for number in item.properties:
            if 1 <= number <= len(self.properties):
                yield self.properties[number - 1]

    @property
    def is_avif(self) -> bool:
        """Whether the primary image is coded in AV1."""
        return any(item.kind == b"av01" for item in self.needed().values())

    @property
    def exif_item(self) -> Item | None:
        """The EXIF of the primary image."""
        return next((item for item in self.items.values() if item.kind == b"Exif"), None)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the primary image, cropped and turned."""
        width = height = 0
        crops = not self.is_avif  # Pillow shows an AVIF uncropped.
        for kind, content in self.properties_of(self.items[self.primary]):
            if kind == b"ispe" and len(content) >= 12:
                width, height = struct.unpack_from(">II", content, 4)
            elif kind == b"clap" and len(content) >= 16 and crops:
                across, across_unit, down, down_unit = struct.unpack_from(">IIII", content)
                width, height = across // max(1, across_unit), down // max(1, down_unit)
            elif kind == b"irot" and content and content[0] & 1:
                width, height = height, width
        return width, height

    def _decoded(self, number: int, counted: dict[int, int | None]) -> int:
        """Pixels of an image and of its parts, whichever are more. counted: those of other images; None of one that
        is being counted.
        """
        if number not in counted:
            counted[number] = None
            item = self.items.get(number, Item())
            counted[number] = max(self._area(item), sum(self._decoded(part, counted) for part in item.parts))
        pixels = counted[number]
        if pixels is None:
            raise BrokenContainerError("an image is made of itself")
        return pixels

    def _area(self, item: Item) -> int:
        """Pixels of one image before it is cropped."""
        sizes = (
            struct.unpack_from(">II", body, 4)
            for kind, body in self.properties_of(item)
            if kind == b"ispe" and len(body) >= 12
        )
        return max((width * height for width, height in sizes), default=0)

    def _is_alpha(self, item: Item) -> bool:
        return self.primary in item.describes and any(
            kind == b"auxC" and content[4:].startswith(_ALPHA) for kind, content in self.properties_of(item)
        )


def is_picture(start: bytes) -> bool:
    """Return whether a file that begins with these bytes is a HEIC or AVIF by its brand."""
    return start[4:8] == b"ftyp" and start[8:12] in _BRANDS


def read(stream: IO[bytes], file_size: int) -> Container:
    """Read the items of a file, and check that the primary image's bytes are within the file.

    Raises:
        BrokenContainerError: they are not, or there is no primary image.
    """
    container = Container(file_size)
    try:
        start, meta = _meta(stream, file_size)
        _read_meta(container, meta, start)
    except (struct.error, IndexError) as error:
        raise BrokenContainerError("a box ends too early") from error
    if container.primary not in container.items:
        raise BrokenContainerError("no primary image")
    for item in container.needed().values():
        if not item.extents and not item.parts:
            raise BrokenContainerError("an image without bytes")
        if any(at + length > file_size or at >= file_size for at, length in item.extents):
            raise BrokenContainerError("bytes beyond the end of the file")
    # Two images may have the same bytes, but no honest file needs any of them twice for one image.
    distinct = {tuple(item.extents) for item in container.needed().values()}
    if sum(length for extents in distinct for length in _lengths(container, extents)) > file_size:
        raise BrokenContainerError("extents that overlap")
    return container


def content(stream: IO[bytes], container: Container, item: Item, most: int | None = None) -> bytes:
    """Return an item's bytes; nothing when there are more than `most`."""
    lengths = _lengths(container, item.extents)
    if most is not None and sum(lengths) > most:
        return b""
    found = []
    for (at, _), length in zip(item.extents, lengths, strict=True):
        stream.seek(at)
        found.append(stream.read(length))
    return b"".join(found)


def _lengths(container: Container, extents: Iterable[tuple[int, int]]) -> list[int]:
    return [length or container.file_size - at for at, length in extents]


def check_tiles(stream: IO[bytes], container: Container) -> None:
    """Check that all tiles of a grid are there and no HEVC data was overwritten by zeros, as in a file of full length
    whose transfer broke off: decoders paint such tiles green.

    Raises:
        BrokenContainerError: pixels are missing.
    """
    whole: set[tuple[tuple[int, int], ...]] = set()
    for item in container.needed().values():
        if item.kind == b"grid":
            layout = content(stream, container, item)
            if len(layout) < 4 or len(item.parts) < (layout[2] + 1) * (layout[3] + 1):
                raise BrokenContainerError("a grid without some of its tiles")
        elif item.kind in _HEVC and tuple(item.extents) not in whole:
            whole.add(tuple(item.extents))
            settings = next((body for kind, body in container.properties_of(item) if kind == b"hvcC"), b"")
            if len(settings) < 23 or not _is_hevc(content(stream, container, item), (settings[21] & 3) + 1):
                raise BrokenContainerError("damaged HEVC data")


def without_metadata(stream: IO[bytes], container: Container) -> bytearray:
    """Return the file with its metadata hidden from decoders, which refuse a picture for damaged EXIF or XMP."""
    stream.seek(0)
    file = bytearray(stream.read())
    for item in container.items.values():
        if item.kind in _METADATA:
            file[item.kind_at : item.kind_at + 4] = b"skip"
    return file


def _is_hevc(data: bytes, length_size: int) -> bool:
    """Whether the data are a sequence of whole NAL units. Within one, three zero bytes can't follow each other."""
    place = 0
    while place < len(data):
        size = int.from_bytes(data[place : place + length_size], "big")
        place += length_size
        unit = data[place : place + size]
        if not size or len(unit) < size or unit[-1] == 0 or b"\0\0\0" in unit:
            return False
        if unit[0] >> 1 & 63 != _FILLER and _ERASED in unit:
            return False
        place += size
    return bool(data)


def _meta(stream: IO[bytes], file_size: int) -> tuple[int, bytes]:
    """Position and content of the box that lists the items."""
    place = 0
    for _ in range(_MAX_BOXES):
        stream.seek(place)
        header = stream.read(16)
        if len(header) < 8:
            break
        size, kind, head = int.from_bytes(header[:4], "big"), header[4:8], 8
        if size == 1:
            size, head = int.from_bytes(header[8:16], "big"), 16
        size = size or file_size - place
        if size < head:
            break
        if kind == b"meta":
            if size > MAX_META or place + size > file_size:
                break
            stream.seek(place + head)
            return place + head, stream.read(size - head)
        place += size
    raise BrokenContainerError("no list of items")


def _boxes(data: bytes, place: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the content of each box."""
    while place + 8 <= end:
        size, kind, head = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        size = size or end - place
        if size < head or place + size > end:
            raise BrokenContainerError("a box is larger than the one around it")
        yield kind, place + head, place + size
        place += size


def _read_meta(container: Container, data: bytes, start: int) -> None:
    boxes = {kind: (first, last) for kind, first, last in _boxes(data, 4, len(data))}
    if b"idat" in boxes:
        first, last = boxes[b"idat"]
        container.idat = (start + first, last - first)
    for kind, reader in (
        (b"iinf", _read_kinds),
        (b"iloc", _read_extents),
        (b"iref", _read_references),
        (b"iprp", _read_properties),
    ):
        if kind in boxes:
            reader(container, data, *boxes[kind], start)
    if b"pitm" in boxes:
        first = boxes[b"pitm"][0]
        container.primary = int.from_bytes(data[first + 4 : first + (6 if data[first] == 0 else 8)], "big")


def _read_kinds(container: Container, data: bytes, first: int, last: int, start: int) -> None:
    for kind, at, _ in _boxes(data, first + (6 if data[first] == 0 else 8), last):
        if kind == b"infe" and data[at] >= 2:
            wide = data[at] > 2
            number = int.from_bytes(data[at + 4 : at + (8 if wide else 6)], "big")
            place = at + (10 if wide else 8)
            container.items[number] = Item(data[place : place + 4], start + place)
        if len(container.items) > MAX_ITEMS:
            raise BrokenContainerError("too many items")


class _Reader:
    """Numbers of some bytes each, one after the other."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data, self._place = data, place

    def next(self, size: int) -> int:
        if self._place + size > len(self._data):
            raise BrokenContainerError("a box ends too early")
        self._place += size
        return int.from_bytes(self._data[self._place - size : self._place], "big")


def _read_extents(container: Container, data: bytes, first: int, _last: int, _start: int) -> None:
    reader, version = _Reader(data, first + 4), data[first]
    sizes, more_sizes = reader.next(1), reader.next(1)
    offset_size, length_size, base_size = sizes >> 4, sizes & 15, more_sizes >> 4
    index_size = more_sizes & 15 if version else 0
    left = MAX_ITEMS
    for _ in range(min(reader.next(4 if version > 1 else 2), MAX_ITEMS)):
        number = reader.next(4 if version > 1 else 2)
        method = reader.next(2) & 15 if version else 0
        reader.next(2)
        base = reader.next(base_size)
        item = container.items.get(number, Item())
        for _ in range(reader.next(2)):
            left -= 1
            if left < 0:
                raise BrokenContainerError("too many extents")
            reader.next(index_size)
            at, length = base + reader.next(offset_size), reader.next(length_size)
            item.extents.append(_extent(container, method, at, length))


def _extent(container: Container, method: int, at: int, length: int) -> tuple[int, int]:
    """Where an extent is in the file. method: 0 counts from the start of the file, 1 from that of the box `idat`."""
    if method == 0:
        return at, length
    start, size = container.idat
    if method != 1 or at + length > size:
        # Never within the file, so that it counts as missing.
        return container.file_size, 1
    return start + at, length or size - at


def _read_references(container: Container, data: bytes, first: int, last: int, _start: int) -> None:
    size = 4 if data[first] else 2
    for kind, at, _ in _boxes(data, first + 4, last):
        reader = _Reader(data, at)
        item = container.items.get(reader.next(size), Item())
        targets = [reader.next(size) for _ in range(min(reader.next(2), MAX_ITEMS))]
        if kind == b"dimg":
            item.parts += targets
        elif kind in (b"auxl", b"cdsc"):
            item.describes += targets


def _read_properties(container: Container, data: bytes, first: int, last: int, _start: int) -> None:
    for kind, at, end in _boxes(data, first, last):
        if kind == b"ipco":
            container.properties = [(name, data[begin:stop]) for name, begin, stop in _boxes(data, at, end)]
        elif kind == b"ipma":
            reader, wide = _Reader(data, at + 4), data[at + 3] & 1
            for _ in range(min(reader.next(4), MAX_ITEMS)):
                item = container.items.get(reader.next(4 if data[at] else 2), Item())
                marks = [reader.next(2 if wide else 1) for _ in range(reader.next(1))]
                item.properties += [mark & (0x7FFF if wide else 0x7F) for mark in marks]
