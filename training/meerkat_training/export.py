"""From a trained network to the two files a worker opens: float32 and int8 TensorFlow Lite.

torch → litert_torch → float .tflite → ai_edge_quantizer (static, calibrated on renders) → int8 .tflite,
which takes the picture's bytes as they are: uint8 RGB, scale 1. The quantiser only knows int8 inputs, so
one QUANTIZE operator is put in front afterwards, what TensorFlow's own converter does for
`inference_input_type = uint8`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meerkat_contract.errors import ModelError

from .chatter import held_back
from .networks import SHAPES, folded

CALIBRATION = 500
"""Renders whose activations give the int8 ranges."""

OPERATORS = frozenset(
    {"QUANTIZE", "PAD", "CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "FULLY_CONNECTED", "RESHAPE"}
)
"""What a file may use: all of it compiles for the Edge TPU. TRANSPOSE would not in this place."""
LARGEST = 300_000
"""Bytes of an int8 file."""


def export_float(network: Any, kind: str, path: Path) -> None:
    """Write a trained network as float32: input (1, height, width, 3) of 0..255, output (1, BINS) logits."""
    import torch

    with held_back():
        import litert_torch

    shape = SHAPES[kind]
    module = litert_torch.to_channel_last_io(folded(network), args=[0]).eval()
    example = torch.rand(1, shape.height, shape.width, 3) * 255
    path.parent.mkdir(parents=True, exist_ok=True)
    with held_back():
        litert_torch.convert(module, (example,)).export(str(path))


def export_int8(float_path: Path, pictures: NDArray[np.uint8], path: Path) -> None:
    """Quantise a float file with the ranges that `pictures` (n, height, width, 3) cause."""
    from ai_edge_quantizer import quantizer, recipe

    tool = quantizer.Quantizer(str(float_path), recipe.static_wi8_ai8())
    signature, name = _signature(float_path)
    samples = [{name: picture[None].astype(np.float32)} for picture in pictures[:CALIBRATION]]
    with held_back():
        ranges = tool.calibrate({signature: samples}, num_threads=1)
    _widen(ranges, float_path, pictures, f"{signature}_{name}")
    model = tool.quantize(ranges, enable_progress_report=False).quantized_model
    path.write_bytes(with_byte_input(bytes(model)))


def _widen(ranges: dict[str, Any], path: Path, pictures: NDArray[np.uint8], entry: str) -> None:
    """Put the true ranges where the tool puts running means of each picture's extremes.

    Those cut off the logits of sure pictures, and with them the confidence. A byte goes from 0 to 255,
    what leaves a ReLU6 from 0 to 6, and the logits as far as they went.
    """
    logits = _run(path, pictures)
    for name, found in ranges.items():
        if np.size(found.get("max", ())) != 1:
            continue
        if name == entry:
            low, high = 0.0, 255.0
        elif name.endswith("_output") or found["min"] < 0:
            low, high = float(logits.min()), float(logits.max())
        else:
            low, high = 0.0, 6.0
        found["min"], found["max"] = np.full_like(found["min"], low), np.full_like(found["max"], high)


def _run(path: Path, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The float file's logits."""
    from meerkat_inference.opening import open_engine

    engine = open_engine(path)
    return np.concatenate([engine.run(picture[None].astype(np.float32))[0] for picture in pictures])


def _signature(path: Path) -> tuple[str, str]:
    from ai_edge_litert.interpreter import Interpreter

    ((signature, names),) = Interpreter(str(path)).get_signature_list().items()
    return signature, names["inputs"][0]


def with_byte_input(model: bytes) -> bytes:
    """The same int8 network with a QUANTIZE in front, so that it takes uint8."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model))
    for buffer in graph.buffers:
        # Large files keep their weights behind the flatbuffer, where tflite-runtime does not look.
        if buffer.offset > 1:
            buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    subgraph = graph.subgraphs[0]
    for number, tensor in enumerate(subgraph.tensors):
        tensor.name = b"%d" % number  # the exporter's names are half a page each
    inner = int(subgraph.inputs[0])
    old = subgraph.tensors[inner]

    code = schema.OperatorCodeT()
    code.builtinCode = schema.BuiltinOperator.QUANTIZE
    code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
    code.version = 1
    graph.operatorCodes.append(code)

    tensor = schema.TensorT()
    tensor.name = b"picture"
    tensor.type = schema.TensorType.UINT8
    tensor.shape = old.shape
    tensor.shapeSignature = old.shapeSignature
    tensor.buffer = 0
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = np.array([old.quantization.scale[0]], np.float32)
    tensor.quantization.zeroPoint = np.array([old.quantization.zeroPoint[0] + 128], np.int64)
    subgraph.tensors.append(tensor)
    outer = len(subgraph.tensors) - 1

    operator = schema.OperatorT()
    operator.opcodeIndex = len(graph.operatorCodes) - 1
    operator.inputs = np.array([outer], np.int32)
    operator.outputs = np.array([inner], np.int32)
    operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
    operator.builtinOptions = schema.QuantizeOptionsT()
    subgraph.operators.insert(0, operator)
    subgraph.inputs = np.array([outer], np.int32)
    for definition in graph.signatureDefs or []:
        for entry in definition.inputs:
            entry.tensorIndex = outer

    builder = flatbuffers.Builder(len(model) + 4096)
    builder.Finish(graph.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def operators(path: Path) -> list[str]:
    """The names of a file's operators in the order they run."""
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    codes = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in graph.operatorCodes]
    return [codes[operator.opcodeIndex] for operator in graph.subgraphs[0].operators]


def check_int8(path: Path, kind: str) -> None:
    """Raises ModelError that says what would not run on the workers (Edge TPU included)."""
    wrong = list(_faults(path, kind))
    if wrong:
        raise ModelError(
            f"the exported network would not run everywhere: {'; '.join(wrong)}",
            where=str(path),
            remedy="Change meerkat_training/networks.py so that the exporter needs none of it",
        )


def _faults(path: Path, kind: str) -> Sequence[str]:
    from ai_edge_litert import schema_py_generated as schema

    faults = []
    size = path.stat().st_size
    if size > LARGEST:
        faults.append(f"{size} bytes, {LARGEST} at most")
    used = operators(path)
    if strange := sorted(set(used) - OPERATORS):
        faults.append(f"operators {', '.join(strange)}")
    graph = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    subgraph = graph.subgraphs[0]
    faults += [
        f"tensor {tensor.name.decode()} has no fixed shape"
        for tensor in subgraph.tensors
        if tensor.shapeSignature is not None and any(size < 0 for size in tensor.shapeSignature)
    ]
    faults += [
        f"tensor {tensor.name.decode()} is not quantised"
        for tensor in subgraph.tensors
        if tensor.type == schema.TensorType.FLOAT32
    ]
    faults += [
        "a dense layer has weights quantised by channel"
        for operator, name in zip(subgraph.operators, used, strict=True)
        if name == "FULLY_CONNECTED" and len(subgraph.tensors[operator.inputs[1]].quantization.scale) > 1
    ]
    first = subgraph.tensors[subgraph.inputs[0]]
    shape = SHAPES[kind]
    if first.type != schema.TensorType.UINT8 or list(first.shape) != [1, shape.height, shape.width, 3]:
        faults.append(f"the input is not uint8 (1, {shape.height}, {shape.width}, 3)")
    elif first.quantization.scale[0] != 1 or first.quantization.zeroPoint[0] != 0:
        faults.append("the input's scale is not 1")
    return faults
