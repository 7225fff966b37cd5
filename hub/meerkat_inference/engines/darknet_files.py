"""Check Darknet's pair of files before a runtime reads them.

Neither Darknet nor OpenCV compares the weights with the configuration: truncated weights load, and
find nothing or nonsense. An option that the reader does not know is ignored, which gives another graph
than the one that was trained. So the size of the weights is computed from the configuration and
compared, and a configuration that says something OpenCV 4 does not act on is refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from meerkat_contract.errors import ModelError

Section = tuple[str, dict[str, str], int]
"""Name, options, and the line it starts at."""

_ACTIVATIONS = frozenset({"leaky", "linear", "relu", "mish", "swish", "logistic"})
_TRAINING_ONLY = frozenset({"dropout"})
_LAYERS = (
    frozenset({"convolutional", "maxpool", "avgpool", "route", "shortcut", "upsample", "yolo", "region"})
    | _TRAINING_ONLY
)
_IGNORED_BY_OPENCV = frozenset(
    """
    antialiasing binary xnor deform rotate stretch sway assisted_excitation share_index dilation
    stride_x stride_y flipped maxpool_depth out_channels weights_type weights_normalization reverse
    spatial coordconv
    """.split()
)
"""Options that change the graph and that OpenCV's reader does not know; 0 (or 1 of a step) is harmless."""
_HARMLESS = {"dilation": "1", "stride_x": "", "stride_y": "", "weights_type": "none"}

_LIMIT = 4096
"""Largest width, height and number of filters that is believed."""


@dataclass(frozen=True, slots=True)
class DarknetFiles:
    """A checked pair: the network's input size in pixels, and both files' contents."""

    width: int
    height: int
    channels: int
    classes: int
    config: bytes
    weights: bytes


def read_darknet(weights: Path, config: Path) -> DarknetFiles:
    """Read and check a .weights and its .cfg. Raises ModelError that names file, line and remedy."""
    try:
        text = config.read_text(encoding="utf-8", errors="replace")
        data = weights.read_bytes()
    except OSError as error:
        raise ModelError(
            f"a Darknet network is two files, one cannot be read: {error.strerror}",
            where=str(error.filename),
            remedy="Put the .cfg beside the .weights; `meerkat models pull` fetches both",
        ) from error
    sections = parse(text, where=str(config))
    net = sections[0][1]
    width, height = (_integer(net, key, 416, sections[0], config) for key in ("width", "height"))
    channels = _integer(net, "channels", 3, sections[0], config)
    expected = count_parameters(sections, channels, where=str(config)) * 4 + _header_size(data, weights)
    if len(data) != expected:
        raise ModelError(
            f"the weights are {len(data)} bytes, {config.name} needs {expected}",
            where=str(weights),
            remedy="The file is truncated or belongs to another .cfg; fetch both again",
        )
    heads = [options for name, options, _ in sections if name in ("yolo", "region")]
    if not heads:
        raise ModelError(
            "the network has no [yolo] or [region] layer", where=str(config), remedy="Use a detector's .cfg"
        )
    return DarknetFiles(width, height, channels, int(heads[0].get("classes", "80")), text.encode(), data)


def parse(text: str, *, where: str) -> list[Section]:
    """The sections of a .cfg in order. Raises ModelError for what OpenCV would get wrong or ignore."""
    sections: list[Section] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.partition("#")[0].partition(";")[0].strip()
        if line.startswith("["):
            name = line.strip("[] ").lower()
            if sections and name not in _LAYERS:
                raise ModelError(
                    f"layer [{name}] is not known",
                    where=f"{where}:{number}",
                    remedy=f"Known layers: {', '.join(sorted(_LAYERS))}. Convert the model to ONNX",
                )
            sections.append((name, {}, number))
        elif "=" in line and sections:
            key, _, value = (part.strip() for part in line.partition("="))
            sections[-1][1][key] = value
            _check_option(sections[-1][0], key, value, where=f"{where}:{number}")
        elif line:
            raise ModelError(
                f"line {line[:40]!r} is neither a [layer] nor option=value",
                where=f"{where}:{number}",
                remedy="Is this the .cfg of a Darknet network?",
            )
    if not sections or sections[0][0] not in ("net", "network"):
        raise ModelError(
            "a Darknet configuration starts with [net]", where=where, remedy="Give the .cfg of the weights"
        )
    return sections


def _check_option(layer: str, key: str, value: str, *, where: str) -> None:
    if key == "activation" and value not in _ACTIVATIONS:
        raise ModelError(
            f"activation {value!r} is not known",
            where=where,
            remedy=f"Known: {', '.join(sorted(_ACTIVATIONS))}. Convert the model to ONNX",
        )
    if layer != "net" and key in _IGNORED_BY_OPENCV and value not in ("0", _HARMLESS.get(key, "0")):
        raise ModelError(
            f"[{layer}] option {key}={value} would be ignored, which gives a wrong network",
            where=where,
            remedy="Convert the model to ONNX",
        )


def count_parameters(sections: list[Section], channels: int, *, where: str) -> int:
    """How many float32 numbers the weights hold behind their header."""
    depths: list[int] = []
    total = 0
    for section in sections[1:]:
        name, options, line = section
        depth = depths[-1] if depths else channels
        if name == "convolutional":
            filters = _integer(options, "filters", 1, section, Path(where))
            size = _integer(options, "size", 1, section, Path(where))
            groups = _integer(options, "groups", 1, section, Path(where))
            if depth % groups or filters % groups:
                raise ModelError(f"{groups} groups do not divide {depth} channels", where=f"{where}:{line}")
            normalised = options.get("batch_normalize", "0") != "0"
            total += filters * (4 if normalised else 1) + filters * (depth // groups) * size * size
            depth = filters
        elif name == "route":
            sources = [_depth(source, depths, where, line) for source in options.get("layers", "").split(",")]
            depth = sum(sources) // _integer(options, "groups", 1, section, Path(where))
        elif name == "shortcut":
            _depth(options.get("from", ""), depths, where, line)
        depths.append(depth)
    return total


def _depth(source: str, depths: list[int], where: str, line: int) -> int:
    """The channels of the layer that `source` points at: -2 counts back from here, 7 from the start."""
    try:
        offset = int(source)
        index = offset if offset >= 0 else len(depths) + offset
        if not 0 <= index < len(depths):
            raise IndexError(index)
    except (ValueError, IndexError):
        raise ModelError(
            f"it points at layer {source.strip()!r}, which does not come before it",
            where=f"{where}:{line}",
            remedy="The .cfg is damaged; fetch it again",
        ) from None
    return depths[index]


def _integer(options: dict[str, str], key: str, default: int, section: Section, config: Path) -> int:
    text = options.get(key, str(default))
    if text.isascii() and text.isdigit() and 1 <= int(text) <= _LIMIT:
        return int(text)
    raise ModelError(
        f"[{section[0]}] {key}={text} is not a number from 1 to {_LIMIT}",
        where=f"{config}:{section[2]}",
        remedy="The .cfg is damaged; fetch it again",
    )


def _header_size(data: bytes, weights: Path) -> int:
    """Three int32 for the version, then how many pictures it was trained on: int64 since version 0.2."""
    if len(data) < 20:
        raise ModelError(
            f"the weights are {len(data)} bytes",
            where=str(weights),
            remedy="The file is truncated; fetch it again",
        )
    major, minor, _ = struct.unpack_from("<3i", data)
    return 20 if major * 10 + minor >= 2 else 16
