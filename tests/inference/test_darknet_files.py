"""Darknet's pair of files is checked before anything reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from meerkat_contract.errors import ModelError
from meerkat_inference.engines.darknet_files import check_darknet
from support.networks import CFG, PARAMETERS, write_darknet
from support.shared import shared


def test_a_sound_pair_is_read(tmp_path: Path) -> None:
    network = check_darknet(*write_darknet(tmp_path)).network
    assert (network.width, network.height, network.channels, network.classes) == (32, 32, 3, 1)


@pytest.mark.parametrize(
    ("name", "classes"), [("yolo-fastest-1.1", 80), ("yolo-fastest-1.1_body", 1), ("yoloface-50k", 1)]
)
def test_the_size_of_real_weights_is_computed(name: str, classes: int) -> None:
    weights = shared(f"models/{name}.weights")
    assert check_darknet(weights, weights.with_suffix(".cfg")).network.classes == classes


@pytest.mark.parametrize("off", [-1, 1, 1000])
def test_weights_of_another_size_are_refused(tmp_path: Path, off: int) -> None:
    weights, config = write_darknet(tmp_path, parameters=PARAMETERS + off)
    with pytest.raises(ModelError, match="truncated or belongs to another") as caught:
        check_darknet(weights, config)
    assert str((PARAMETERS + off) * 4 + 20) in caught.value.what
    assert str(PARAMETERS * 4 + 20) in caught.value.what


def test_weights_without_even_a_header_are_refused(tmp_path: Path) -> None:
    weights, config = write_darknet(tmp_path)
    weights.write_bytes(b"")
    with pytest.raises(ModelError, match="truncated"):
        check_darknet(weights, config)


def test_a_missing_cfg_names_the_remedy(tmp_path: Path) -> None:
    weights, config = write_darknet(tmp_path)
    config.unlink()
    with pytest.raises(ModelError, match=r"Put the \.cfg beside"):
        check_darknet(weights, config)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("[shortcut]", "[reorg3d]", "layer \\[reorg3d\\] is not known"),
        ("activation=leaky", "activation=gelu", "activation 'gelu'"),
        ("groups=2", "groups=3", "3 groups do not divide"),
        ("groups=2", "groups=2\ndilation=2", "dilation=2 would be ignored"),
        ("from=-1", "from=-9", "points at layer '-9'"),
        ("from=-1", "from=x", "points at layer 'x'"),
        ("layers=-1,-2", "layers=7", "points at layer '7'"),
        ("filters=18", "filters=-18", "filters=-18 is not a number"),
        ("width=32", "width=1e9", "width=1e9 is not a number"),
        ("[yolo]", "[dropout]", "no \\[yolo\\] or \\[region\\] layer"),
        ("[net]", "[convolutional]", "starts with \\[net\\]"),
        ("width=32", "what is this", "neither a \\[layer\\] nor option=value"),
    ],
)
def test_what_would_give_a_wrong_network_is_refused(tmp_path: Path, old: str, new: str, what: str) -> None:
    weights, config = write_darknet(tmp_path, cfg=CFG.replace(old, new, 1))
    with pytest.raises(ModelError, match=what) as caught:
        check_darknet(weights, config)
    assert str(config) in str(caught.value)


def test_the_line_of_the_fault_is_named(tmp_path: Path) -> None:
    weights, config = write_darknet(tmp_path, cfg=CFG.replace("activation=leaky", "activation=gelu"))
    with pytest.raises(ModelError) as caught:
        check_darknet(weights, config)
    line = CFG.splitlines().index("activation=leaky") + 1
    assert caught.value.where == f"{config}:{line}"
