"""The demo event: its people are found by their selfies, and by nobody else's."""

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.support import faces
from webapp.demo import compositions
from webapp.errors import ConfigurationError
from webapp.pictures import imaging

SURE, MAYBE = 0.55, 0.42


def test_there_is_something_of_everything() -> None:
    photos = faces.demo_set().photos
    assert len(photos) >= 24
    assert len({name for name, _, _ in photos}) == len(photos)
    kinds = [frozenset(people) for _, _, people in photos]
    for kind in (frozenset(), {"grace"}, {"eileen"}, {"grace", "eileen"}):
        assert kinds.count(frozenset(kind)) >= 5, kind
    assert set(faces.demo_set().selfies) == {"grace", "eileen"}


def test_photos_are_like_a_cameras() -> None:
    moments, cameras = [], Counter()
    for name, content, _ in faces.demo_set().photos:
        info = imaging.probe(io.BytesIO(content), max_megapixels=80)
        assert (info.format, name[-4:]) == ("JPEG", ".jpg")
        assert 1600 <= max(info.width, info.height) <= 2400
        moments.append(info.taken_at)
        cameras[info.camera and info.camera.name] += 1
    assert None not in moments
    assert moments == sorted(moments) and len(set(moments)) == len(moments)
    assert cameras == {"NIKON Z 6_2": 20, "Canon EOS R6": 10}


def test_each_selfie_finds_its_owners_photos_and_none_of_the_others() -> None:
    engine = faces.analyzer()
    probes = {}
    for person, content in faces.demo_set().selfies.items():
        face = engine.check_selfie(imaging.decode(io.BytesIO(content), max_megapixels=80).frame).face
        assert face is not None and face.vector is not None
        probes[person] = face.vector
    for name, content, people in faces.demo_set().photos:
        found = engine.photo_faces(imaging.decode(io.BytesIO(content), max_megapixels=80).frame)
        assert len(found) == len(people), f"{name}: every face in it is a person's"
        vectors = np.array([face.vector for face in found]).reshape(-1, 128)
        for person, probe in probes.items():
            similarities = sorted(vectors @ probe, reverse=True)
            mine, others = similarities[: person in people], similarities[person in people :]
            assert all(value >= SURE for value in mine), f"{name}: {person} {similarities}"
            assert all(value < MAYBE for value in others), f"{name}: {person} {similarities}"


def test_the_same_pictures_come_out_every_time_and_are_drawn_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted start leaves a folder without its mark: the next start draws all of it again."""
    whole = faces.demo_set()
    monkeypatch.setattr(compositions, "PHOTOS", compositions.PHOTOS[:4])
    first = compositions.DemoSet(whole.photos[:4], whole.selfies)
    interrupted = tmp_path / compositions._version()
    interrupted.mkdir()
    (interrupted / first.photos[3][0]).write_bytes(b"half")
    assert compositions.compose(tmp_path) == first
    stamps = {path: path.stat().st_mtime_ns for path in interrupted.iterdir()}
    assert compositions.compose(tmp_path) == first
    assert {path: path.stat().st_mtime_ns for path in interrupted.iterdir()} == stamps


def test_a_missing_portrait_names_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = compositions.Portrait("matplotlib", "mpl-data/sample_data/nobody.jpg", "", (0, 0, 1), "")
    monkeypatch.setitem(compositions.PEOPLE, "grace", missing)
    with pytest.raises(ConfigurationError, match="pip install --no-deps matplotlib"):
        compositions.portrait_path("grace")
