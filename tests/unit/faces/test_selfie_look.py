"""What is told of a selfie before consent: all that can be seen, without a template of the face."""

import io
from functools import cache

import cv2
import numpy as np
import pytest

from tests.support import faces
from webapp.demo import compositions
from webapp.faces.core.protocols import Angle, Frame
from webapp.faces.local.analyzer import LocalFaceAnalyzer
from webapp.pictures import imaging


class NoTemplates:
    """Stands where the embedder does, and fails the test that makes a template."""

    def embed(self, crops: Frame) -> None:
        raise AssertionError(f"Templates of {len(crops)} faces were made before consent.")


def blind() -> LocalFaceAnalyzer:
    return LocalFaceAnalyzer(faces.analyzer().detector, NoTemplates())  # type: ignore[arg-type]


@cache
def selfie(person: str) -> Frame:
    return imaging.decode(io.BytesIO(compositions.selfie(person)), max_megapixels=80).frame


def look(frame: Frame, angle: Angle = "front") -> str | None:
    return blind().look_at_selfie(np.ascontiguousarray(frame), angle)


def lit(gain: float, lift: float = 0) -> Frame:
    return np.clip(selfie("grace").astype(np.float32) * gain + lift, 0, 255).astype(np.uint8)


def far_away() -> Frame:
    wall = np.full((1920, 1440, 3), (188, 190, 184), dtype=np.uint8)
    small = cv2.resize(selfie("grace"), (180, 240), interpolation=cv2.INTER_AREA)
    wall[300:540, 200:380] = small
    return wall


def two_people() -> Frame:
    return np.hstack([cv2.resize(selfie(person), (600, 800)) for person in ("grace", "eileen")])


def cut_at_the_nose() -> Frame:
    face = faces.analyzer().check_selfie(selfie("grace")).face
    assert face is not None
    return selfie("grace")[:, int(face.landmarks[2][0] * selfie("grace").shape[1]) :]


PICTURES = {
    "good": (lambda: selfie("grace"), None),
    "another": (lambda: selfie("eileen"), None),
    "dark": (lambda: lit(0.3), "too_dark"),
    "black": (lambda: lit(0.02), "too_dark"),
    "bright": (lambda: lit(0.2, 215), "too_bright"),
    "blurred": (lambda: cv2.GaussianBlur(selfie("grace"), (0, 0), 28), "blurred"),
    "small": (far_away, "too_small"),
    "two people": (two_people, "several_faces"),
    "a cat": (faces.cat, "no_face"),
    "a wall": (lambda: np.full((800, 600, 3), 128, dtype=np.uint8), "no_face"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_verdict_is_reached_without_a_template(name: str) -> None:
    make, reason = PICTURES[name]
    assert look(make()) == reason
    assert faces.analyzer().check_selfie(np.ascontiguousarray(make())).reason == reason, "after consent it is the same"


def test_templates_would_be_noticed() -> None:
    with pytest.raises(AssertionError, match="before consent"):
        blind().check_selfie(selfie("grace"))


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_selfie_on_its_side_or_head_is_seen_all_the_same(turns: int) -> None:
    assert look(np.rot90(selfie("grace"), turns)) is None


def test_a_face_cut_by_the_edge_is_not_fine() -> None:
    assert look(cut_at_the_nose()) in ("unclear", "no_face", "turned_away")


def test_what_is_turned_away_from_the_front_is_fine_from_the_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.faces.local.analyzer.head_turn", lambda _: 0.6)
    assert look(selfie("grace")) == "turned_away"
    assert look(selfie("grace"), "left") is None
    assert look(selfie("grace"), "right") is None
    monkeypatch.setattr("webapp.faces.local.analyzer.head_turn", lambda _: 0.9)
    assert look(selfie("grace"), "left") == "turned_away"


def test_a_pattern_that_only_a_template_unmasks_hides_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second face of the picture is made as unsure as patterns on shirts are."""
    analyzer = blind()
    assert analyzer.look_at_selfie(two_people()) == "several_faces"
    see = analyzer._see

    def unsure(*asked: object) -> object:
        seen, crops = see(*asked)  # type: ignore[arg-type]
        for one in seen[1:]:
            object.__setattr__(one, "score", 0.85)
        return seen, crops

    monkeypatch.setattr(analyzer, "_see", unsure)
    assert analyzer.look_at_selfie(two_people()) is None


def test_people_who_are_accepted_later_are_not_refused_before() -> None:
    folders = sorted(path for path in (faces.faces_dir() / "people").iterdir() if len(list(path.glob("*.jpg"))) >= 5)
    accepted = refused = 0
    for folder in folders[::12]:
        frame = cv2.resize(
            faces.read_frame(min(folder.glob("*.jpg")))[45:205, 45:205], (960, 960), interpolation=cv2.INTER_LANCZOS4
        )
        if faces.analyzer().check_selfie(frame).face is not None:
            accepted += 1
            refused += look(frame) is not None
    assert accepted > 10
    assert refused == 0
