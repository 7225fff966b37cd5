"""Tiny embedders made on the spot: a picture of 64 pixels averaged over tiles of 16, which makes 48 numbers.

What they say is known beforehand, and pictures that look alike come out near each other.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from meerkat_inference.catalogue import Embedding, Entry, ModelFile

SIDE, TILE = 64, 16
NUMBERS = 3 * (SIDE // TILE) ** 2


def entry(path: Path, **embedding: Any) -> Entry:
    """The catalogue's entry for a network that was written there."""
    data = path.read_bytes()
    meaning = {"dimensions": NUMBERS, "alignment": "box", "threshold": 0.5, "measured_on": "this test"}
    return Entry(
        name=f"tiny-{path.suffix[1:]}",
        title="tiles",
        task="recognise_faces",
        family="embedding",
        engines=("onnxruntime",) if path.suffix == ".onnx" else ("litert",),
        licence="Apache-2.0",
        files=(
            ModelFile(role="model", name=path.name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest()),
        ),
        input=(SIDE, SIDE),
        embedding=Embedding.model_validate({**meaning, **embedding}),
    )


def write_onnx(path: Path) -> Path:
    """y = flatten(average_pool(x)) over float32 (1, 3, 64, 64), in ONNX's protobuf encoding."""

    def varint(value: int) -> bytes:
        out = bytearray()
        while value > 127:
            out.append(value & 127 | 128)
            value >>= 7
        return bytes([*out, value])

    def message(field: int, content: bytes) -> bytes:
        return varint(field << 3 | 2) + varint(len(content)) + content

    def number(field: int, value: int) -> bytes:
        return varint(field << 3) + varint(value)

    def tensor(name: bytes, *shape: int) -> bytes:
        sizes = b"".join(message(1, number(1, size)) for size in shape)
        return message(1, name) + message(2, message(1, number(1, 1) + message(2, sizes)))

    def integers(name: bytes, *values: int) -> bytes:
        return message(5, message(1, name) + b"".join(number(8, v) for v in values) + number(20, 7))

    pool = message(1, b"x") + message(2, b"p") + message(4, b"AveragePool")
    pool += integers(b"kernel_shape", TILE, TILE) + integers(b"strides", TILE, TILE)
    flat = message(1, b"p") + message(2, b"y") + message(4, b"Flatten")
    graph = message(1, pool) + message(1, flat) + message(2, b"g")
    graph += message(11, tensor(b"x", 1, 3, SIDE, SIDE)) + message(12, tensor(b"y", 1, NUMBERS))
    path.write_bytes(number(1, 8) + message(7, graph) + message(8, number(2, 13)))
    return path


def write_tflite(path: Path, *, quantised: bool = False) -> Path:
    """The same over (1, 64, 64, 3); `quantised` takes int8 pixels and gives int8 numbers."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    flatbuffers = pytest.importorskip("flatbuffers")

    def tensor(name: str, shape: list[int], buffer: int) -> Any:
        made = schema.TensorT()
        made.name, made.shape, made.buffer = name, shape, buffer
        made.type = schema.TensorType.INT8 if quantised else schema.TensorType.FLOAT32
        if quantised:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [1.0], [-128]
        return made

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.AVERAGE_POOL_2D
    code.version = 2 if quantised else 1
    pool = schema.OperatorT()
    pool.inputs, pool.outputs = [0], [1]
    pool.builtinOptionsType = schema.BuiltinOptions.Pool2DOptions
    pool.builtinOptions = options = schema.Pool2DOptionsT()
    options.padding = schema.Padding.VALID
    options.strideW = options.strideH = options.filterWidth = options.filterHeight = TILE
    graph = schema.SubGraphT()
    tiles = SIDE // TILE
    graph.tensors = [tensor("x", [1, SIDE, SIDE, 3], 1), tensor("y", [1, tiles, tiles, 3], 2)]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [pool]
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT() for _ in range(3)]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path
