"""Rewrites the shipped int8 models into plain fp32 ones that ONNX Runtime computes fast. Used once per installation.

This is the only module that imports `onnx`, and `models.py` imports it only when there is nothing in the cache.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]


def fold_yunet(source: bytes) -> bytes:
    """YuNet in fp32 that takes (n, 3, height, width), any n and any multiple of 32; outputs (n, anchors, channels)."""
    model = onnx.load_model_from_string(source)
    _fold_weights(model)
    _name_dimensions(model.graph.input[0], {0: "n", 2: "height", 3: "width"})
    for output in model.graph.output:
        _name_dimensions(output, {0: "n", 1: f"anchors_{output.name}"})
    _free_head_reshapes(model)
    return _finish(model)


def fold_sface(source: bytes) -> bytes:
    """SFace in fp32 that takes (n, 3, 112, 112), RGB, 0 to 255, and gives (n, 128), not normalised."""
    model = onnx.load_model_from_string(source)
    _fold_weights(model)
    _replace_prelu(model)
    _name_dimensions(model.graph.input[0], {0: "n"})
    _name_dimensions(model.graph.output[0], {0: "n"})
    return _finish(model)


def _finish(model: onnx.ModelProto) -> bytes:
    # Shapes noted for the old fixed input would contradict the dynamic one.
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _fold_weights(model: onnx.ModelProto) -> None:
    """Compute every chain of DequantizeLinear and Reshape over constants once, and keep its result as a constant."""
    graph = model.graph
    constants: dict[str, Array] = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    folded: dict[str, Array] = {}
    kept = []
    for node in graph.node:
        compute = _FOLDABLE.get(node.op_type)
        if compute and all(name in constants for name in node.input):
            result = compute(node, [constants[name] for name in node.input])
            constants[node.output[0]] = folded[node.output[0]] = result
        else:
            kept.append(node)
    used = {name for node in kept for name in node.input}
    remaining = [item for item in graph.initializer if item.name in used]
    remaining += [
        numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in folded.items() if name in used
    ]
    _replace(graph.node, kept)
    _replace(graph.initializer, remaining)
    _drop_stale_inputs(graph)


def _drop_stale_inputs(graph: onnx.GraphProto) -> None:
    """Old exporters list constants as inputs too; ONNX Runtime would then refuse to optimise or even to load them."""
    constants = {item.name for item in graph.initializer}
    used = {name for node in graph.node for name in node.input}
    _replace(graph.input, [item for item in graph.input if item.name in used and item.name not in constants])


def _dequantize(node: onnx.NodeProto, inputs: list[Array]) -> Array:
    """DequantizeLinear as the ONNX standard defines it: per tensor, per axis or in blocks along an axis."""
    quantized, scale = inputs[0].astype(np.float32), inputs[1]
    zero = inputs[2].astype(np.float32) if len(inputs) > 2 else np.zeros_like(scale)
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)
    if block:
        window = tuple(slice(0, extent) for extent in quantized.shape)
        scale, zero = (np.repeat(values, block, axis=axis)[window] for values in (scale, zero))
    elif scale.size > 1:
        shape = [1] * quantized.ndim
        shape[axis] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return ((quantized - zero) * scale).astype(np.float32)


def _reshape(_node: onnx.NodeProto, inputs: list[Array]) -> Array:
    return inputs[0].reshape(inputs[1])


_FOLDABLE: dict[str, Callable[[onnx.NodeProto, list[Array]], Array]] = {
    "DequantizeLinear": _dequantize,
    "Reshape": _reshape,
}


def _free_head_reshapes(model: onnx.ModelProto) -> None:
    """Each head ends in a reshape to (1, anchors of a 640 px input, channels): let it follow batch and size instead."""
    constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    for node in model.graph.node:
        shape = constants.get(node.input[1]) if node.op_type == "Reshape" else None
        if shape is not None and len(shape) == 3:
            name = f"{node.output[0]}_shape"
            model.graph.initializer.append(numpy_helper.from_array(np.array([0, -1, shape[2]], dtype=np.int64), name))
            node.input[1] = name


def _replace_prelu(model: onnx.ModelProto) -> None:
    """Write PReLU as slope·x + (1 − slope)·relu(x), which is relu(x) − slope·relu(−x) with one operation fewer.

    ONNX Runtime's own PReLU kernel takes two thirds of SFace's time on a CPU.
    """
    constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if node.op_type != "PRelu":
            nodes.append(node)
            continue
        given, result = node.input[0], node.output[0]
        slope = constants[node.input[1]].reshape(-1, 1, 1).astype(np.float32)
        for suffix, value in (("_slope", slope), ("_rest", 1 - slope)):
            model.graph.initializer.append(numpy_helper.from_array(value, result + suffix))
        nodes += [
            helper.make_node("Relu", [given], [f"{result}_positive"]),
            helper.make_node("Mul", [given, f"{result}_slope"], [f"{result}_scaled"]),
            helper.make_node("Mul", [f"{result}_positive", f"{result}_rest"], [f"{result}_lifted"]),
            helper.make_node("Add", [f"{result}_scaled", f"{result}_lifted"], [result]),
        ]
    _replace(model.graph.node, nodes)
    used = {name for node in nodes for name in node.input}
    _replace(model.graph.initializer, [item for item in model.graph.initializer if item.name in used])


def _name_dimensions(value: onnx.ValueInfoProto, names: dict[int, str]) -> None:
    for position, name in names.items():
        value.type.tensor_type.shape.dim[position].dim_param = name


def _replace(field: Any, items: list[Any]) -> None:
    del field[:]
    field.extend(items)
