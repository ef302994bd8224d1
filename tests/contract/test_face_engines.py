"""What every face engine has to do, held against each of them: the local one, and Rekognition over its wire protocol.

What only a service can do or get wrong is in test_rekognition.py.
"""

import io
from collections.abc import Iterator
from typing import Protocol

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from tests.cloud.rekognition import RekognitionServer
from tests.support import faces
from tests.support.rekognition import GALLERY, GUESTS, Account, crop, rekognition_for_tests
from tests.support.scenes import crowd, lit, selfie, shot
from tests.support.servers import Valkey
from webapp.faces.core.protocols import (
    REASONS,
    Angle,
    DetectedFace,
    FaceAnalyzer,
    FaceIndex,
    FaceKey,
    Frame,
    Gallery,
    Keep,
    Probe,
    SelfieCheck,
)
from webapp.faces.local.index import LocalFaceIndex
from webapp.pictures import imaging

OTHER = Gallery(2, "evt-two")


class Engine(Protocol):
    """How faces come into an engine differs; what is asked of it afterwards does not."""

    analyzer: FaceAnalyzer
    index: FaceIndex
    maybe: float
    """The similarity from which a face is worth a question."""

    def put(self, gallery: Gallery, name: str, frame: Frame) -> list[tuple[FaceKey, DetectedFace]]:
        """Find a photo's faces and put them into the gallery."""
        ...

    def check(self, frame: Frame, angle: Angle = "front") -> SelfieCheck: ...

    def probe(self, frame: Frame) -> Probe:
        """What to search with for whoever is on this selfie."""
        ...


class Local:
    maybe = 0.42

    def __init__(self) -> None:
        self.analyzer: FaceAnalyzer = faces.analyzer()
        self.index: FaceIndex = LocalFaceIndex()
        self.count = 0

    def put(self, gallery: Gallery, name: str, frame: Frame) -> list[tuple[FaceKey, DetectedFace]]:
        found = self.analyzer.photo_faces(frame)
        keys = list(range(self.count, self.count + len(found)))
        self.count += len(found)
        if found:
            self.index.add(gallery, keys, np.stack([face.vector for face in found if face.vector is not None]))
        return list(zip(keys, found, strict=True))

    def check(self, frame: Frame, angle: Angle = "front") -> SelfieCheck:
        return self.analyzer.check_selfie(frame, angle)

    def probe(self, frame: Frame) -> Probe:
        face = self.check(frame).face
        assert face is not None
        return Probe(vector=face.vector)


class Rekognition:
    maybe = 0.80

    def __init__(self, account: Account) -> None:
        self.analyzer: FaceAnalyzer = account.analyzer
        self.index: FaceIndex = account.index
        for gallery in (GALLERY, OTHER):
            self.index.prepare(gallery)

    def put(self, gallery: Gallery, name: str, frame: Frame) -> list[tuple[FaceKey, DetectedFace]]:
        found = self.analyzer.photo_faces(frame, Keep(gallery, name))
        return [(face.external_id or "", face) for face in found]

    def check(self, frame: Frame, angle: Angle = "front") -> SelfieCheck:
        return self.analyzer.check_selfie(frame, angle, Keep(GUESTS, "a-selfie"))

    def probe(self, frame: Frame) -> Probe:
        face = self.check(frame).face
        assert face is not None
        return Probe(key=None, picture=crop(frame, face.box))


@pytest.fixture(scope="module")
def server() -> Iterator[RekognitionServer]:
    with RekognitionServer() as running:
        yield running


@pytest.fixture(params=["local", "rekognition"])
def engine(request: pytest.FixtureRequest, server: RekognitionServer, redis_server: Valkey) -> Iterator[Engine]:
    if request.param == "local":
        yield Local()
        return
    with rekognition_for_tests(server, redis_server) as account:
        yield Rekognition(account)


# --- faces of photos


def test_finds_a_face_and_says_where(engine: Engine) -> None:
    ((_, face),) = engine.put(GALLERY, "photo", faces.portrait("eileen"))
    assert face.box.x < 0.44 < face.box.x + face.box.width < 0.6
    assert face.box.y < 0.23 < face.box.y + face.box.height < 0.45
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0] and left_mouth[0] < right_mouth[0]
    assert left_eye[1] < nose[1] < left_mouth[1]
    assert face.size > 80 and not face.weak and 0 < face.score <= 1


def test_finds_everybody_the_largest_first(engine: Engine) -> None:
    found = [face for _, face in engine.put(GALLERY, "photo", shot("eileen+grace"))]
    assert len(found) == 2
    assert [face.size for face in found] == sorted((face.size for face in found), reverse=True)
    assert sorted(face.box.x < 0.5 for face in found) == [False, True]


@pytest.mark.parametrize("shape", [(1, 1, 3), (40, 3000, 3), (600, 800, 3)])
def test_a_picture_without_faces_has_none(engine: Engine, shape: tuple[int, int, int]) -> None:
    assert engine.put(GALLERY, "photo", np.full(shape, 128, dtype=np.uint8)) == []


def test_a_turned_picture_that_was_set_upright_is_like_any_other(engine: Engine) -> None:
    file = io.BytesIO()
    turned = Image.fromarray(np.rot90(faces.portrait("eileen"), 1).copy())
    exif = turned.getexif()
    exif[ExifTags.Base.Orientation] = 6
    turned.save(file, "JPEG", exif=exif, quality=95)
    file.seek(0)
    upright = imaging.decode(file, max_megapixels=80).frame
    ((_, face),) = engine.put(GALLERY, "photo", upright)
    assert face.box.x < 0.44 < face.box.x + face.box.width and face.box.y < 0.23 < face.box.y + face.box.height


@pytest.mark.slow
def test_all_of_a_hundred_and_one_people_are_found(engine: Engine) -> None:
    found = engine.put(GALLERY, "crowd", crowd(101))
    assert len(found) == len({key for key, _ in found}) == 101
    places = {(int(face_middle(face)[0] * 11), int(face_middle(face)[1] * 10)) for _, face in found}
    assert len(places) == 101, "one face in each place of the picture"
    assert len({key for key, _ in engine.index.contents(GALLERY)}) == 101


def face_middle(face: DetectedFace) -> tuple[float, float]:
    return face.box.x + face.box.width / 2, face.box.y + face.box.height / 2


# --- searching


def test_a_selfie_finds_its_person_and_nobody_else(engine: Engine) -> None:
    of_grace, of_eileen = [], []
    for number, gain in enumerate((1.0, 0.8, 0.6)):
        of_grace += engine.put(GALLERY, f"grace-{number}", lit(shot("grace"), gain))
        of_eileen += engine.put(GALLERY, f"eileen-{number}", lit(shot("eileen"), gain))
    both = engine.put(GALLERY, "both", shot("eileen+grace"))
    of_eileen.append(min(both, key=lambda pair: pair[1].box.x))
    of_grace.append(max(both, key=lambda pair: pair[1].box.x))
    for person, wanted in (("grace", of_grace), ("eileen", of_eileen)):
        result = engine.index.search(GALLERY, [engine.probe(selfie(person))], engine.maybe)
        assert {hit.face_id for hit in result.hits} == {key for key, _ in wanted}
        assert not result.capped
        similarities = [hit.similarity for hit in result.hits]
        assert similarities == sorted(similarities, reverse=True)
        assert all(engine.maybe <= similarity <= 1.0001 for similarity in similarities)


def test_the_floor_is_kept(engine: Engine) -> None:
    for number, gain in enumerate((1.0, 0.5)):
        engine.put(GALLERY, f"grace-{number}", lit(shot("grace"), gain))
    probe = engine.probe(selfie("grace"))
    best, other = engine.index.search(GALLERY, [probe], engine.maybe).hits
    between = (best.similarity + other.similarity) / 2
    assert [hit.face_id for hit in engine.index.search(GALLERY, [probe], between).hits] == [best.face_id]
    assert engine.index.search(GALLERY, [probe], 1.0).hits == []


def test_the_best_of_several_probes_counts(engine: Engine) -> None:
    for person in ("grace", "eileen"):
        engine.put(GALLERY, person, shot(person))
    probes = {person: engine.probe(selfie(person)) for person in ("grace", "eileen")}
    alone = {
        hit.face_id: hit.similarity
        for probe in probes.values()
        for hit in engine.index.search(GALLERY, [probe], engine.maybe).hits
    }
    together = engine.index.search(GALLERY, list(probes.values()), engine.maybe).hits
    assert {hit.face_id: hit.similarity for hit in together} == pytest.approx(alone)
    assert len(together) == 2
    assert engine.index.search(GALLERY, [], engine.maybe).hits == []


def test_two_events_never_mix(engine: Engine) -> None:
    ((here, _),) = engine.put(GALLERY, "grace", shot("grace"))
    ((there, _),) = engine.put(OTHER, "grace", shot("grace"))
    probe = engine.probe(selfie("grace"))
    assert [hit.face_id for hit in engine.index.search(GALLERY, [probe], engine.maybe).hits] == [here]
    assert [hit.face_id for hit in engine.index.search(OTHER, [probe], engine.maybe).hits] == [there]
    engine.index.drop(GALLERY)
    engine.index.prepare(GALLERY)
    assert engine.index.search(GALLERY, [probe], engine.maybe).hits == []
    assert [hit.face_id for hit in engine.index.search(OTHER, [probe], engine.maybe).hits] == [there]


def test_what_is_removed_is_not_found(engine: Engine) -> None:
    ((gone, _),) = engine.put(GALLERY, "one", shot("grace"))
    ((stays, _),) = engine.put(GALLERY, "two", lit(shot("grace"), 0.7))
    engine.index.remove(GALLERY, [gone])
    probe = engine.probe(selfie("grace"))
    assert [hit.face_id for hit in engine.index.search(GALLERY, [probe], engine.maybe).hits] == [stays]
    assert [key for key, _ in engine.index.contents(GALLERY)] == [stays]


def test_unknown_faces_and_galleries_are_no_error_to_forget(engine: Engine) -> None:
    ((key, _),) = engine.put(GALLERY, "one", shot("grace"))
    nowhere = Gallery(99, "evt-nowhere")
    engine.index.remove(GALLERY, [10**6, 10**7] if isinstance(key, int) else ["0" * 8 + key[8:], key])
    engine.index.remove(GALLERY, [])
    engine.index.remove(nowhere, [key])
    engine.index.drop(nowhere)
    engine.index.drop(OTHER)
    engine.index.drop(OTHER)


def test_galleries_can_be_made_ready_again_and_keep_what_they_have(engine: Engine) -> None:
    first = engine.index.prepare(GALLERY)
    ((key, _),) = engine.put(GALLERY, "one", shot("grace"))
    assert engine.index.prepare(GALLERY) == first != ""
    assert [kept for kept, _ in engine.index.contents(GALLERY)] == [key]


# --- selfies


@pytest.mark.parametrize("person", ["grace", "eileen"])
@pytest.mark.parametrize("angle", ["front", "left", "right"])
def test_a_good_selfie_is_accepted(engine: Engine, person: str, angle: Angle) -> None:
    check = engine.check(selfie(person), angle)
    assert check.reason is None and check.face is not None


def on_wall(frame: Frame, scale: float) -> Frame:
    wall = np.full((1920, 1440, 3), (188, 190, 184), dtype=np.uint8)
    small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    wall[300 : 300 + len(small), 200 : 200 + small.shape[1]] = small
    return wall


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("nobody", {"no_face"}),
        ("a cat", {"no_face"}),
        ("two people", {"several_faces"}),
        ("far away", {"too_small"}),
        ("blurred", {"blurred", "unclear", "no_face"}),
        ("dark", {"too_dark"}),
        ("black", {"no_face", "too_dark"}),
        ("a point", {"no_face"}),
    ],
)
def test_another_selfie_is_asked_for_in_the_right_words(engine: Engine, name: str, reasons: set[str]) -> None:
    grace, eileen = (cv2.resize(selfie(person), (600, 800)) for person in ("grace", "eileen"))
    frame = {
        "nobody": lambda: np.full((800, 600, 3), 128, dtype=np.uint8),
        "a cat": faces.cat,
        "two people": lambda: np.hstack([grace, eileen]),
        "far away": lambda: on_wall(grace, 0.4),
        "blurred": lambda: cv2.GaussianBlur(selfie("grace"), (0, 0), 28),
        "dark": lambda: lit(selfie("grace"), 0.12),
        "black": lambda: np.zeros((800, 600, 3), dtype=np.uint8),
        "a point": lambda: np.full((1, 1, 3), 128, dtype=np.uint8),
    }[name]()
    check = engine.check(np.ascontiguousarray(frame))
    assert check.face is None
    assert check.reason in reasons <= set(REASONS)
