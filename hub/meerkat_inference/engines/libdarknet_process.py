"""The process in which Darknet's library runs: `python -m meerkat_inference.engines.libdarknet_process`.

    … LIBRARY CFG WEIGHTS CLASSES

A process of its own, since the library ends the one that loaded it when something is wrong (`exit`,
`assert`, memory it should not touch). On standard input: pictures, each channels*height*width float32.
On standard output: a line `ready` and the number of those floats, then for each picture an int32 and that
many rows of 5 + CLASSES float32: centre and size in fractions, objectness, class scores. Ends with its input.

Imports nothing that is large: the network is what needs the memory.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from typing import Any

THRESHOLD = 0.01
"""Scores below it are none; OpenCV gets the same (darknet_readers)."""


class _Box(ctypes.Structure):
    _fields_ = [(name, ctypes.c_float) for name in ("x", "y", "w", "h")]


class _Detection(ctypes.Structure):
    """`detection` of darknet.h, as Debian's package of 2018 has it."""

    _fields_ = [
        ("box", _Box),
        ("classes", ctypes.c_int),
        ("scores", ctypes.POINTER(ctypes.c_float)),
        ("mask", ctypes.POINTER(ctypes.c_float)),
        ("objectness", ctypes.c_float),
        ("sort_class", ctypes.c_int),
    ]


def declare(path: str) -> Any:
    """Load the library and tell ctypes what its functions take. Raises OSError or AttributeError."""
    library = ctypes.CDLL(path)
    library.load_network.restype = ctypes.c_void_p
    library.load_network.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int]
    library.set_batch_network.restype = None
    library.set_batch_network.argtypes = [ctypes.c_void_p, ctypes.c_int]
    for name in ("network_inputs", "network_width", "network_height"):
        function = getattr(library, name)
        function.restype, function.argtypes = ctypes.c_int, [ctypes.c_void_p]
    library.network_predict.restype = ctypes.c_void_p
    library.network_predict.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.get_network_boxes.restype = ctypes.POINTER(_Detection)
    library.get_network_boxes.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_float,
        ctypes.c_float,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.POINTER(ctypes.c_int),
    ]
    library.free_detections.restype = None
    library.free_detections.argtypes = [ctypes.POINTER(_Detection), ctypes.c_int]
    return library


def main() -> None:
    path, config, weights, classes = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the library prints is not an answer
    try:
        library = declare(path)
    except (OSError, AttributeError) as error:
        sys.exit(f"Cannot use {path}: {error}")
    network = library.load_network(os.fsencode(config), os.fsencode(weights), 0)
    library.set_batch_network(network, 1)
    size = library.network_inputs(network)
    answers.write(f"ready {size}\n".encode())
    answers.flush()
    pixels = (ctypes.c_float * size)()
    width, height = library.network_width(network), library.network_height(network)
    pictures = open(0, "rb", closefd=False)  # noqa: SIM115 - it ends with the process
    while pictures.readinto(memoryview(pixels).cast("B")) == 4 * size:
        library.network_predict(network, pixels)
        answers.write(_rows(library, network, width, height, int(classes)))
        answers.flush()


def _rows(library: Any, network: Any, width: int, height: int, classes: int) -> bytes:
    count = ctypes.c_int()
    # The picture is as large as the input: so the boxes come in fractions of that, without a letterbox.
    found = library.get_network_boxes(network, width, height, THRESHOLD, 0.5, None, 1, ctypes.byref(count))
    parts = [struct.pack("<i", count.value)]
    for index in range(count.value):
        each = found[index]
        box = each.box
        parts.append(struct.pack("<5f", box.x, box.y, box.w, box.h, each.objectness))
        parts.append(ctypes.string_at(each.scores, 4 * classes))
    library.free_detections(found, count)
    return b"".join(parts)


if __name__ == "__main__":
    main()
