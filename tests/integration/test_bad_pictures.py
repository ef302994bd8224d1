"""Files as strangers send them, through the whole product: each ends in a clear sentence or as an upright picture with
its face in the right place, and none of them ends a web process, a worker, or what a worker runs its jobs in.
"""

import hashlib
import io
import struct
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
import requests
from PIL import ExifTags, Image

from tests.chaos.points import until
from tests.support import scenes
from tests.support.product import Client, Product, photographer, running

pytestmark = [pytest.mark.slow]

SECONDS = 60
FACE = (60 / 1200, 300 / 900, 572 / 1200, 1.0)
"""Where the only face of the scene is: left, top, right and bottom, relative to the upright picture."""

# How a picture lies in its file so that each orientation brings it upright.
_LAID = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
_NUMBERS = count(1)


def scene() -> Image.Image:
    """One person on the left below, so that every turn and every mirroring shows."""
    return Image.fromarray(scenes.shot("grace"))


def encode(image: Image.Image, file_format: str = "JPEG", **options: object) -> bytes:
    target = io.BytesIO()
    image.save(target, file_format, **options)
    return target.getvalue()


def oriented(orientation: int) -> bytes:
    """The scene as a camera writes it that was held in one of eight ways."""
    tags, turn = Image.Exif(), _LAID[orientation]
    tags[ExifTags.Base.Orientation] = orientation
    lying = scene() if turn is None else scene().transpose(turn)
    return encode(lying, exif=tags, quality=92)


def animated() -> bytes:
    """The first frame is the scene, the others are somebody else and nobody."""
    others = [Image.fromarray(scenes.shot("eileen")), Image.new("RGB", (1200, 900), "green")]
    return encode(scene(), "WEBP", save_all=True, append_images=others, duration=200, quality=85)


def sixteen_bits(mode: str) -> bytes:
    """A PNG with 16 bits a channel, whose tones use all of them."""
    deep = np.asarray(scene().convert(mode)).astype(np.uint16) * 257
    _, content = cv2.imencode(".png", deep if deep.ndim == 2 else deep[..., ::-1])
    return content.tobytes()


def bomb(side: int) -> bytes:
    """A PNG of side × side pixels in black and white, every one of which is there: 450 MB packed into 2."""
    packer, line = zlib.compressobj(1), b"\0" * (1 + (side + 7) // 8)
    packed = b"".join(packer.compress(line * 100) for _ in range(side // 100)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", head), (b"IDAT", packed), (b"IEND", b""))
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@dataclass
class Place:
    """A running product with an event."""

    product: Product
    owner: Client
    event_id: str
    box: tuple[float, ...] = ()
    """Of the scene's face, as it was found in a picture without any oddity."""

    def send(self, name: str, content: bytes) -> dict[str, Any]:
        """Upload one file; the answer's row."""
        path = f"/photographer/events/{self.event_id}/upload-photos"
        (row,) = self.owner.post(path, files={"files": (name, io.BytesIO(content))})["files"]
        return dict(row)

    def finished(self, photo_id: str) -> dict[str, Any]:
        """The photo as the photographer's list shows it once nothing is left to be done."""
        found: dict[str, Any] = {}

        def is_over() -> bool:
            rows = self.owner.get(f"/photographer/events/{self.event_id}/photos")
            found.update(next(row for row in rows if row["id"] == photo_id))
            return found["status"] not in ("uploaded", "indexing")

        until(is_over, SECONDS)
        return found

    def indexed(self, name: str, content: bytes) -> dict[str, Any]:
        """A photo that is taken in and shows one face."""
        row = self.send(name, content)
        assert row["status"] == "accepted", row
        photo = self.finished(row["id"])
        assert (photo["status"], photo["reason"], photo["faces"]) == ("indexed", None, 1)
        return photo

    def picture(self, photo: dict[str, Any], size: str) -> bytes:
        """A rendition or the original, over HTTP."""
        answer = requests.get(
            f"{self.product.url}/api/photo/{photo['id']}",
            params={"size": size},
            headers={"Authorization": f"Bearer {self.owner.token}"},
            timeout=30,
        )
        answer.raise_for_status()
        return answer.content

    def page(self, path: str) -> str:
        """A page of the studio as its photographer sees it."""
        address = f"{self.product.url}/studio/events/{self.event_id}{path}"
        answer = requests.get(address, headers={"Authorization": f"Bearer {self.owner.token}"}, timeout=30)
        answer.raise_for_status()
        return answer.text

    def boxes(self, photo: dict[str, Any]) -> list[tuple[float, ...]]:
        return self.product.rows(
            f"""SELECT f.box_x, f.box_y, f.box_width, f.box_height FROM face f JOIN photo p ON p.id = f.photo_id
                WHERE p.public_id = '{photo["id"]}'"""
        )

    def processes(self) -> set[int]:
        """Who serves and who works: gunicorn's processes, the workers, and the horses that run their jobs."""
        return {
            child.pid
            for child in psutil.Process(self.product.process.pid).children(recursive=True)
            if any(word in " ".join(child.cmdline()) for word in ("gunicorn", "jobs.worker.Worker"))
        }

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """Whatever happens in the block, everybody lives on, and the next good photo is indexed."""
        before = self.processes()
        yield
        number = next(_NUMBERS)
        self.indexed(f"good-{number}.jpg", encode(Image.fromarray(scenes.shot("eileen")), quality=60 + number))
        assert self.processes() == before


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with running(tmp_path_factory.mktemp("pictures") / "data", MATCHING_PROCESSES="1") as product:
        owner = photographer(product)
        event = owner.post("/photographer/events", json={"name": "Party", "date": "2026-06-20"})
        place = Place(product, owner, event["id"])
        until(lambda: all(worker.children() for worker in product.workers()), SECONDS)
        photo = place.indexed("plain.png", encode(scene(), "PNG"))
        ((left, top, width, height),) = place.boxes(photo)
        assert FACE[0] < left < left + width < FACE[2] and FACE[1] < top < top + height < FACE[3]
        place.box = (left, top, width, height)
        yield place


@pytest.mark.parametrize(
    ("name", "make", "reason", "words"),
    [
        ("empty.jpg", lambda: b"", "empty", "The file is empty. Please choose it again"),
        (
            "songs.jpg",
            lambda: b"Dear guests, here is the list of songs.\n" * 400,
            "not_a_picture",
            "This file is not a picture that we can open. Please choose a JPEG, PNG",
        ),
        (
            "poster.png",
            lambda: bomb(60_000),
            "too_many_pixels",
            "The picture has too many pixels. Please export it smaller",
        ),
    ],
    ids=["empty", "text", "3,600 megapixels"],
)
def test_what_can_not_be_used_is_answered_and_listed_with_a_sentence(
    here: Place, name: str, make: Callable[[], bytes], reason: str, words: str
) -> None:
    content = make()
    assert len(content) < 2**21
    with here.unharmed():
        row = here.send(name, content)
        assert (row["status"], row["reason"], row["id"]) == ("rejected", reason, None)
        assert row["detail"].startswith(words)
    assert here.product.rows(f"SELECT status, reason, byte_size FROM upload WHERE filename = '{name}'") == [
        ("rejected", reason, len(content))
    ]
    page = here.page("/upload")
    assert name in page and words in page


def test_a_jpeg_that_breaks_off_is_kept_and_said_to_be_damaged(here: Place) -> None:
    content = encode(scene(), quality=91)
    content = content[: len(content) // 2]
    with here.unharmed():
        row = here.send("broken.jpg", content)
        assert row["status"] == "accepted"
        photo = here.finished(row["id"])
        assert (photo["status"], photo["reason"], photo["url"]) == ("failed", "truncated", None)
        assert photo["detail"].startswith("The picture is damaged or did not arrive completely. Please send it again.")
    assert photo["detail"] in here.page("")
    assert here.picture(photo, "original") == content


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("animated.webp", animated),
        ("cmyk.jpg", lambda: encode(scene().convert("CMYK"), quality=92)),
        ("grey-16.png", lambda: sixteen_bits("L")),
        ("colour-16.png", lambda: sixteen_bits("RGB")),
        ("phone.heic", lambda: encode(scene(), "HEIF", quality=85)),
        ("phone.avif", lambda: encode(scene(), "AVIF", quality=85)),
        *((f"orientation-{number}.jpg", lambda number=number: oriented(number)) for number in range(1, 9)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_odd_pictures_come_out_upright_with_the_face_in_its_place(
    here: Place, name: str, make: Callable[[], bytes]
) -> None:
    if name.endswith(".heic"):
        pytest.importorskip("pillow_heif")
    content = make()
    with here.unharmed():
        photo = here.indexed(name, content)
    (box,) = here.boxes(photo)
    assert box == pytest.approx(here.box, abs=0.01)
    wanted = scene().convert("L" if "grey" in name else "RGB").convert("RGB")
    for size, long_side in (("preview", 1200), ("thumbnail", 400)):
        with Image.open(io.BytesIO(here.picture(photo, size))) as shown:
            assert shown.size == (long_side, long_side * 3 // 4) and not getattr(shown, "is_animated", False)
            assert shown.getexif() == {} and differs(shown, wanted) < 5
    assert here.picture(photo, "original") == content


def differs(shown: Image.Image, wanted: Image.Image) -> float:
    """By how many of 255 steps the pixels of two pictures differ on average."""
    small = [np.asarray(image.convert("RGB").resize((400, 300)), dtype=np.int16) for image in (shown, wanted)]
    return float(np.abs(small[0] - small[1]).mean())


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("🎉 Fête 💃🏽 – 花.jpg", "🎉 Fête 💃🏽 – 花.jpg"),
        ("../../findme.sqlite", "findme.sqlite"),
        # In the head of a part of a form, a backslash only says that the next character stands for itself.
        ("..\\..\\windows\\me.jpg", "....windowsme.jpg"),
        ("/etc/passwd", "passwd"),
        ("..", ".."),
    ],
)
def test_names_are_shown_and_never_a_place(here: Place, sent: str, shown: str) -> None:
    # Each sends its own bytes, so that the file can be found again wherever it might have been put.
    content = encode(scene(), comment=sent.encode())
    with here.unharmed():
        photo = here.indexed(sent, content)
    assert photo["filename"] == shown
    assert here.picture(photo, "original") == content
    home = here.product.data_dir
    (kept,) = [path for path in home.parent.rglob("*") if path.is_file() and path.read_bytes() == content]
    assert kept.relative_to(home / "blobs" / "events" / here.event_id / "photos").parts == (photo["id"], "original.jpg")


def test_the_same_file_from_eight_at_once_is_one_photo(here: Place) -> None:
    content = encode(scene(), quality=70)
    with here.unharmed(), ThreadPoolExecutor(8) as people:
        rows = list(people.map(lambda number: here.send(f"mine-{number}.jpg", content), range(8)))
        assert sorted(row["status"] for row in rows) == ["accepted"] + ["duplicate"] * 7
        (photo_id,) = {row["id"] for row in rows}
        assert here.finished(photo_id)["status"] == "indexed"
    digest = hashlib.sha256(content).hexdigest()
    assert here.product.rows(f"SELECT count(*) FROM photo WHERE sha256 = '{digest}'") == [(1,)]
    originals = (here.product.data_dir / "blobs").rglob("original*")
    assert [path.parent.name for path in originals if path.read_bytes() == content] == [photo_id]
