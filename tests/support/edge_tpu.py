"""A stand-in for a Coral: a real delegate, compiled on the spot, and a file that is made for it.

What the stub sees is the box around the bright pixels, so that a test can tell its answers from others.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("edge_tpu_stub.c")
BOXES = 10


def build_stub(folder: Path) -> Path:
    """The delegate as a shared library; skips the test where there is no C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("needs a C compiler")
    library = folder / "libstub_edgetpu.so"
    command = [compiler, "-O1", "-Wall", "-Werror", "-fPIC", "-shared", "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True)
    return library


def write_compiled_model(path: Path, *, side: int = 320) -> Path:
    """A .tflite file of one operator, edgetpu-custom-op, that ends like an SSD with post-processing.

    Input (1, side, side, 3) uint8; outputs boxes (1, n, 4), classes (1, n), scores (1, n), count (1).
    The note of a first fetch is written beside it.
    """
    pytest.importorskip("ai_edge_litert", reason="litert is not installed in this environment")
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name: str, shape: list[int], kind: int) -> object:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, shape, kind, 0
        return made

    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1, 2, 3, 4]
    graph = schema.SubGraphT()
    real, small = schema.TensorType.FLOAT32, schema.TensorType.UINT8
    graph.tensors = [
        tensor("picture", [1, side, side, 3], small),
        tensor("boxes", [1, BOXES, 4], real),
        tensor("classes", [1, BOXES], real),
        tensor("scores", [1, BOXES], real),
        tensor("count", [1], real),
    ]
    graph.inputs, graph.outputs, graph.operators = [0], [1, 2, 3, 4], [operator]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = "edgetpu-custom-op", 1
    model = schema.ModelT()
    model.version, model.subgraphs, model.operatorCodes = 3, [graph], [code]
    model.buffers = [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(path.name + ".sha256").write_text(digest)
    return path
