"""Opens the two models in ONNX Runtime, from a cache of folded files that is filled on the first start."""

import logging
import os
import tempfile
from collections.abc import Callable
from functools import cache as once
from pathlib import Path

import onnxruntime

from webapp.faces.local import RECIPE
from webapp.faces.local.weights import SFACE, YUNET, Weights, read_weights

log = logging.getLogger(__name__)


def open_yunet(cache: Path) -> onnxruntime.InferenceSession:
    """The detector: float32 (n, 3, height, width) RGB or BGR 0 to 255 in, four heads for three strides out.

    Raises:
        ConfigurationError: the weights are missing or not the pinned ones.
    """
    return _open(YUNET, cache)


def open_sface(cache: Path) -> onnxruntime.InferenceSession:
    """The embedder: float32 (n, 3, 112, 112) RGB 0 to 255 in, float32 (n, 128), not normalised, out.

    Raises:
        ConfigurationError: the weights are missing or not the pinned ones.
    """
    return _open(SFACE, cache)


def folded_path(weights: Weights, cache: Path) -> Path:
    """Where the folded model lies; its name changes with the source file and with the recipe."""
    return cache / f"{weights.name}-{weights.sha256[:12]}-r{RECIPE}.onnx"


def ensure_folded(weights: Weights, cache: Path) -> Path:
    """Fold the model unless that was done before; returns the file.

    Two processes may do this at the same time: each writes a file of its own and moves it into place in one step, and
    both make the same bytes.
    """
    path = folded_path(weights, cache)
    source = read_weights(weights)
    if not path.exists():
        log.info("folding the face model %s into %s", weights.file, path)
        _write_atomically(path, _folder(weights)(source))
    return path


def open_session(model: str | bytes) -> onnxruntime.InferenceSession:
    """ONNX Runtime on one thread: the product scales by processes, and more threads would fight over the cores."""
    _share_memory()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # A plan of the memory is kept for each size of picture, and guests send every size.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.use_env_allocators", "1")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@once
def _share_memory() -> None:
    """One pool for both models that grows by what is asked: 280 MB a worker instead of 480 at the same speed."""
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    growth = onnxruntime.OrtArenaCfg({"arena_extend_strategy": 1})
    onnxruntime.create_and_register_allocator(memory, growth)


def _open(weights: Weights, cache: Path) -> onnxruntime.InferenceSession:
    path = ensure_folded(weights, cache)
    try:
        return open_session(str(path))
    except Exception:
        # A disk that was full or a copy that was cut leaves a file that can't be loaded: make it anew, once.
        log.warning("the cached face model %s is damaged and is folded again", path)
        path.unlink(missing_ok=True)
        return open_session(str(ensure_folded(weights, cache)))


def _folder(weights: Weights) -> Callable[[bytes], bytes]:
    # Imported here because `onnx` costs a second and 40 MB, and is needed once per installation only.
    from webapp.faces.local import folding

    return {YUNET: folding.fold_yunet, SFACE: folding.fold_sface}[weights]


def _write_atomically(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
