"""One face cut out of a photo, whoever stands beside it."""

import io

import numpy as np
from PIL import Image

from tests.support import faces
from webapp.pictures.crops import PAINT, probe_crop, probe_part


def test_the_part_is_twice_as_large_as_the_box_and_of_a_size_that_services_take() -> None:
    frame = np.zeros((1000, 2000, 3), dtype=np.uint8)
    assert probe_part(frame, 0.4, 0.4, 0.1, 0.2).shape == (400, 400, 3)
    assert probe_part(frame, 0.4, 0.4, 0.01, 0.02).shape == (200, 200, 3)
    assert max(probe_part(np.zeros((4000, 4000, 3), dtype=np.uint8), 0.2, 0.2, 0.5, 0.5).shape) == 1000
    assert probe_part(frame, 0.0, 0.0, 0.1, 0.2).shape == (300, 300, 3)
    assert probe_part(frame, -0.05, 0.95, 0.1, 0.2).size


def test_a_larger_neighbour_is_painted_over_and_the_face_itself_is_not() -> None:
    frame = np.full((1000, 1000, 3), 10, dtype=np.uint8)
    frame[400:500, 400:500] = 200
    part = probe_part(frame, 0.4, 0.4, 0.1, 0.1, [(0.45, 0.2, 0.4, 0.6)])
    middle = part.shape[0] // 2
    assert (part[middle - 45 : middle + 45, middle - 45 : middle + 45] == 200).all()
    assert (part[middle, -20:] == PAINT).all()
    assert (part[middle, :20] == 10).all()
    assert frame[450, 600, 0] == 10, "the photo itself stays as it is"


def test_the_face_that_a_service_would_take_is_the_one_that_is_meant() -> None:
    grace, eileen = (Image.fromarray(faces.portrait(name)) for name in ("grace", "eileen"))
    small, large = grace.resize((300, 300 * grace.height // grace.width)), eileen.resize((700, 700))
    scene = Image.new("RGB", (1100, 900), (90, 110, 130))
    scene.paste(small, (0, 250))
    scene.paste(large, (290, 50))
    frame = np.asarray(scene)
    found = faces.analyzer().photo_faces(frame)
    boxes = [(face.box.x, face.box.y, face.box.width, face.box.height) for face in found]
    assert len(boxes) == 2
    crop = np.asarray(Image.open(io.BytesIO(probe_crop(frame, *boxes[1], boxes[:1]))))
    (seen,) = faces.analyzer().photo_faces(crop)
    assert seen.vector is not None and found[1].vector is not None
    assert float(seen.vector @ found[1].vector) > 0.8
