"""What the Rekognition engine sends and reads, against Amazon's documented limits and botocore's model of it."""

import io
import subprocess
import sys

import botocore.session
import numpy as np
import pytest
from botocore import xform_name
from botocore.model import ListShape, Shape, StructureShape
from PIL import Image

from tests.support import faces
from webapp import aws
from webapp.errors import Invalid
from webapp.faces.core import boxes, selfie_rules
from webapp.faces.core.protocols import REASONS, Box
from webapp.faces.rekognition import details, galleries, index, pictures, quotas, selfie_gate, users
from webapp.faces.rekognition.analyzer import MOST_FACES
from webapp.faces.rekognition.client import LAST_ATTEMPT, OPERATIONS
from webapp.settings import Settings

MODEL = botocore.session.get_session().get_service_model("rekognition")
LONGEST_PAUSE = 16
"""Of botocore's standard retries before the sixth attempt, in seconds."""


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def jpeg(frame: np.ndarray, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.fromarray(frame).convert(mode).save(file, "JPEG", quality=95)
    return file.getvalue()


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


# --- the service's model


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_each_operation_and_each_member_that_we_read_is_in_the_model(name: str) -> None:
    operation = MODEL.operation_model(name)
    assert OPERATIONS[name].method == xform_name(name)
    for path in OPERATIONS[name].reads:
        shape: Shape = operation.output_shape
        for step in path.split("."):
            assert isinstance(shape, StructureShape)
            shape = shape.members[step.removesuffix("[]")]
            if step.endswith("[]"):
                assert isinstance(shape, ListShape), path
                shape = shape.member


def test_each_reason_of_the_service_has_a_word_of_ours() -> None:
    known = set(MODEL.shape_for("Reason").enum) - {"EXCEEDS_MAX_FACES"}
    assert set(selfie_gate.REASONS_OF_SERVICE) == known
    assert set(selfie_gate.REASONS_OF_SERVICE.values()) <= set(REASONS)


def test_the_landmarks_are_the_services() -> None:
    assert {name for group in details.LANDMARKS for name in group} <= set(MODEL.shape_for("LandmarkType").enum)


def test_the_limits_are_the_models() -> None:
    def members(operation: str) -> dict[str, Shape]:
        return dict(MODEL.operation_model(operation).input_shape.members)

    assert members("IndexFaces")["Image"].members["Bytes"].metadata["max"] == pictures.MOST_BYTES
    assert members("SearchFaces")["MaxFaces"].metadata["max"] == index.MOST_HITS
    assert members("SearchUsersByImage")["MaxUsers"].metadata["max"] == users.MOST_USERS
    assert members("ListUsers")["MaxResults"].metadata["max"] == users.MOST_USERS
    assert members("ListFaces")["MaxResults"].metadata["max"] == galleries.MOST_LISTED
    assert members("DeleteFaces")["FaceIds"].metadata["max"] == galleries.MOST_LISTED
    assert members("AssociateFaces")["FaceIds"].metadata["max"] == galleries.MOST_ASSOCIATED
    assert members("DisassociateFaces")["FaceIds"].metadata["max"] == galleries.MOST_ASSOCIATED
    assert MOST_FACES == 100


def test_the_last_attempt_ends_before_the_job_does() -> None:
    longest = LAST_ATTEMPT + aws.CONNECT_SECONDS + aws.READ_SECONDS["rekognition"] + LONGEST_PAUSE
    assert longest < Settings(_env_file=None).job_timeout


# --- quotas


@pytest.mark.parametrize(
    ("region", "operation", "chosen", "expected"),
    [
        ("us-east-1", "IndexFaces", 0, 50),
        ("eu-west-1", "SearchFacesByImage", 0, 50),
        ("us-west-2", "ListFaces", 0, 50),
        ("us-east-1", "AssociateFaces", 0, 5),
        ("us-east-1", "DeleteFaces", 0, 5),
        ("eu-central-1", "IndexFaces", 0, 5),
        ("eu-central-1", "IndexFaces", 80, 80),
        ("eu-central-1", "CreateUser", 80, 5),
        ("us-east-1", "IndexFaces", 2, 2),
        ("us-east-1", "CreateUser", 2, 2),
    ],
)
def test_the_quota_is_the_regions_or_the_one_that_is_set(
    region: str, operation: str, chosen: float, expected: float
) -> None:
    settings = Settings(_env_file=None, rekognition_region=region, rekognition_calls_per_second=chosen)
    assert quotas.quota(settings, operation) == expected


def test_another_endpoint_has_the_quota_that_is_set_for_everything() -> None:
    settings = Settings(_env_file=None, rekognition_endpoint_url="http://localhost:1", rekognition_calls_per_second=80)
    assert quotas.quota(settings, "CreateUser") == quotas.quota(settings, "IndexFaces") == 80


def test_the_region_of_the_engine_goes_before_the_one_of_the_rest() -> None:
    assert quotas.region(Settings(_env_file=None, aws_region="eu-west-3")) == "eu-west-3"
    both = Settings(_env_file=None, aws_region="eu-west-3", rekognition_region="eu-west-1")
    assert quotas.region(both) == "eu-west-1"


# --- pictures


@pytest.mark.parametrize(("height", "width"), [(3000, 4500), (4096, 4096), (6000, 1500)])
def test_even_noise_fits_into_five_megabytes(height: int, width: int) -> None:
    picture = pictures.for_service(noise(height, width))
    assert picture is not None and len(picture.content) <= pictures.MOST_BYTES
    image = opened(picture.content)
    assert image.size == (picture.width, picture.height) and image.mode == "RGB"
    assert picture.width / picture.height == pytest.approx(width / height, rel=0.01)


def test_a_photo_keeps_its_pixels_up_to_the_long_side() -> None:
    frame = np.repeat(np.repeat(faces.portrait("eileen"), 8, axis=0), 8, axis=1)
    picture = pictures.for_service(frame)
    assert picture is not None and (picture.width, picture.height) == (4096, 4096)
    small = pictures.for_service(faces.portrait("eileen"))
    assert small is not None and (small.width, small.height) == (512, 512)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (40, 60), (79, 3000)])
def test_no_side_is_below_the_smallest(height: int, width: int) -> None:
    picture = pictures.for_service(noise(height, width))
    assert picture is not None and min(picture.width, picture.height) >= pictures.LEAST_SIDE


@pytest.mark.parametrize(("height", "width"), [(1, 9000), (12000, 90)])
def test_a_strip_is_not_sent(height: int, width: int) -> None:
    assert pictures.for_service(noise(height, width)) is None


def test_a_probe_that_fits_is_sent_as_it_is() -> None:
    content = jpeg(noise(240, 240))
    assert pictures.as_probe(content) == content


def test_a_small_probe_is_enlarged() -> None:
    content = pictures.as_probe(jpeg(faces.portrait("eileen")[70:140, 180:250]))
    assert content is not None and min(opened(content).size) >= pictures.PROBE_SIDE


def test_a_probe_in_cmyk_or_grey_is_converted() -> None:
    for mode in ("CMYK", "L"):
        content = pictures.as_probe(jpeg(noise(240, 240), mode))
        assert content is not None and opened(content).mode == "RGB"


def test_a_probe_that_is_no_picture_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        pictures.as_probe(b"nothing")
    assert refused.value.code == "unreadable"


def test_hidden_faces_are_not_found_again_and_their_neighbours_are() -> None:
    frame = np.hstack([faces.portrait("eileen"), faces.portrait("eileen")])
    left, right = sorted(faces.analyzer().photo_faces(frame), key=lambda face: face.box.x)
    shown = pictures.hide(frame, [left.box])
    (found,) = faces.analyzer().photo_faces(shown)
    assert boxes.overlap(found.box, right.box) > 0.9
    assert (frame[:, 512:] == shown[:, 512:]).all()


def test_hiding_what_lies_beyond_the_edge_does_no_harm() -> None:
    frame = noise(100, 100)
    assert pictures.hide(frame, [Box(-0.5, -0.5, 0.4, 0.4), Box(0.9, 0.9, 0.5, 0.5)]).shape == frame.shape


# --- a face of the service's in our terms


def a_detail(**changes: object) -> dict[str, object]:
    points = {"eyeRight": (0.6, 0.3), "eyeLeft": (0.4, 0.3), "nose": (0.5, 0.4)}
    points |= {"mouthLeft": (0.42, 0.5), "mouthRight": (0.58, 0.5), "chinBottom": (0.5, 0.7)}
    return {
        "BoundingBox": {"Left": -0.1, "Top": 0.2, "Width": 0.5, "Height": 0.6},
        "Landmarks": [{"Type": name, "X": x, "Y": y} for name, (x, y) in points.items()],
        "Pose": {"Yaw": 0.0, "Roll": 3.0, "Pitch": 1.0},
        "Quality": {"Brightness": 60.0, "Sharpness": 80.0},
        "Confidence": 99.5,
        **changes,
    }


PICTURE = pictures.Picture(b"", 1000, 500)


def test_a_face_in_our_terms() -> None:
    face = details.describe(a_detail(), PICTURE, "its-id")
    assert face.box == Box(-0.1, 0.2, 0.5, 0.6), "nothing is cut off silently"
    assert face.landmarks == ((0.4, 0.3), (0.6, 0.3), (0.5, 0.4), (0.42, 0.5), (0.58, 0.5))
    assert (face.size, face.external_id, face.vector, face.weak) == (500, "its-id", None, False)
    assert (face.score, face.quality, face.blur) == (pytest.approx(0.995), 80.0, 80.0)
    assert face.light == pytest.approx(153)


@pytest.mark.parametrize("yaw", [-90.0, -33.69, 0.0, 33.69, 90.0])
def test_the_turn_of_a_head_is_the_same_to_both_sides(yaw: float) -> None:
    turn = details.describe(a_detail(Pose={"Yaw": yaw}), PICTURE).turn
    assert turn == details.turn(-yaw)
    if abs(yaw) == 33.69:
        assert turn == pytest.approx(selfie_rules.MOST_TURN["front"], abs=0.001)


@pytest.mark.parametrize(
    "changes",
    [
        {"BoundingBox": {"Left": 0.1, "Top": 0.1, "Width": 0.04, "Height": 0.09}},
        {"Quality": {"Brightness": 60.0, "Sharpness": 5.0}},
    ],
)
def test_small_and_blurred_faces_are_weak(changes: dict[str, object]) -> None:
    assert details.describe(a_detail(**changes), PICTURE).weak


# --- the gate


def seen(kept: bool = True, reasons: tuple[str, ...] = (), **changes: object) -> selfie_gate.Seen:
    return selfie_gate.Seen(details.describe(a_detail(**changes), PICTURE, "kept" if kept else None), reasons)


@pytest.mark.parametrize(
    ("changes", "angle", "reason"),
    [
        ({}, "front", None),
        ({"Pose": {"Yaw": 40.0}}, "front", "turned_away"),
        ({"Pose": {"Yaw": 40.0}}, "left", None),
        ({"Pose": {"Yaw": -60.0}}, "right", "turned_away"),
        ({"Quality": {"Brightness": 10.0, "Sharpness": 80.0}}, "front", "too_dark"),
        ({"Quality": {"Brightness": 99.0, "Sharpness": 80.0}}, "front", "too_bright"),
        ({"Quality": {"Brightness": 60.0, "Sharpness": 2.0}}, "front", "blurred"),
        ({"BoundingBox": {"Left": 0.1, "Top": 0.1, "Width": 0.1, "Height": 0.2}}, "front", "too_small"),
        ({"Landmarks": [{"Type": name, "X": 1.2, "Y": 0.5} for group in details.LANDMARKS for name in group]}, "front",
         "unclear"),
    ],
)  # fmt: skip
def test_the_kept_face_is_judged_as_well(changes: dict[str, object], angle: str, reason: str | None) -> None:
    assert selfie_gate.judge([seen(**changes)], 1000, angle) == reason  # type: ignore[arg-type]


SMALLER = {"BoundingBox": {"Left": 0.5, "Top": 0.2, "Width": 0.25, "Height": 0.4}}
TINY = {"BoundingBox": {"Left": 0.5, "Top": 0.2, "Width": 0.1, "Height": 0.2}}


def test_whose_selfie_it_is() -> None:
    beyond = ("EXCEEDS_MAX_FACES",)
    assert selfie_gate.judge([seen(), seen(False, beyond, **SMALLER)], 1000, "front") == "several_faces"
    assert selfie_gate.judge([seen(), seen(False, beyond, **TINY)], 1000, "front") is None
    assert selfie_gate.judge([seen(), seen(False, beyond, **SMALLER, Pose={"Yaw": 80.0})], 1000, "front") is None
    assert selfie_gate.judge([seen(), seen(False, ("LOW_FACE_QUALITY",), **SMALLER)], 1000, "front") is None


def test_the_largest_face_decides_even_if_the_service_kept_another() -> None:
    assert selfie_gate.judge([seen(**TINY), seen(False, ("LOW_SHARPNESS",))], 1000, "front") == "blurred"
    both = seen(False, ("LOW_SHARPNESS", "LOW_BRIGHTNESS"))
    assert selfie_gate.judge([both], 1000, "front") == "too_dark", "the plainest cause first"
    assert selfie_gate.judge([seen(False, ("SOMETHING_NEW",))], 1000, "front") == "unclear"


@pytest.mark.parametrize(("shade", "reason"), [(4, "too_dark"), (250, "too_bright"), (120, "no_face")])
def test_why_nobody_is_seen(shade: int, reason: str) -> None:
    frame = np.full((200, 200, 3), shade, dtype=np.uint8)
    assert selfie_gate.explain_absence(frame) == "no_face"
    frame[:100] += 3
    assert selfie_gate.explain_absence(frame) == reason


# --- what is loaded


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("webapp.faces.rekognition", ("boto3", "botocore", "cv2", "onnxruntime")),
        ("webapp.faces.rekognition.engine", ("cv2", "onnxruntime")),
    ],
)
def test_nothing_heavy_is_loaded_where_it_is_not_used(module: str, never: tuple[str, ...]) -> None:
    code = f"import sys; import {module}; print([name for name in {never} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=faces.ROOT)
    assert answer.stdout.strip() == "[]", answer.stderr
