"""Small ONNX files with random weights."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

KERNEL, STRIDE = 16, 8


def convolution(file: Path, *, shape: list, width: int = 6, seed: int = 0, pooled: bool = False, flat: bool = False):
    """A convolution and a rectifier over the last axis, or both axes of pictures.

    Args:
        file: Where the graph is written.
        shape: Of its input; strings are free.
        width: Features.
        seed: Of the weights.
        pooled: Whether it averages over positions: (B, D) instead of (B, P, D), or (B, D, H, W) of pictures.
        flat: Whether its input has no channels, (B, N).
    """
    picture = len(shape) == 4
    rng = np.random.default_rng(seed)
    taps = (width, shape[1], 4, 4) if picture else (width, 1 if flat else shape[1], KERNEL)
    weight = numpy_helper.from_array(rng.normal(size=taps).astype("f4") / 4, "weight")
    axis = numpy_helper.from_array(np.array([1]), "axis")
    over = numpy_helper.from_array(np.array([2, 3] if picture else [1]), "over")
    strides = [4, 4] if picture else [STRIDE]
    nodes = [helper.make_node("Unsqueeze", ["x", "axis"], ["wide"])] if flat else []
    nodes += [
        helper.make_node("Conv", ["wide" if flat else "x", "weight"], ["h"], strides=strides),
        helper.make_node("Relu", ["h"], ["map" if picture else "r"]),
    ]
    nodes += [] if picture else [helper.make_node("Transpose", ["r"], ["map"], perm=[0, 2, 1])]
    nodes += [helper.make_node("ReduceMean", ["map", "over"], ["mean"], keepdims=0)]
    dense = ["batch", width, "h", "w"] if picture else ["batch", "p", width]
    outputs = [("mean", ["batch", width]), ("map", dense)]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (outputs if pooled else outputs[::-1])],
        [weight, axis, over],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), file)
    return str(file)
