"""Darknet's pair of files is checked before anything reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from meerkat_contract.errors import ModelError
from meerkat_inference.engines.darknet_files import check_darknet
from support.darknet import DETECTOR, write_random
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


def refusal(tmp_path: Path, cfg: str, engine: str) -> ModelError | None:
    """What the engine's check says of a network with random weights."""
    weights, config = write_random(tmp_path, cfg)
    try:
        check_darknet(weights, config, engine)
    except ModelError as error:
        return error
    return None


NEWER = [
    ("activation=leaky", "activation=mish"),
    ("activation=leaky", "activation=swish"),
    ("layers=-1,-2", "layers=-1\ngroups=2\ngroup_id=1"),
    ("classes=2", "classes=2\nscale_x_y=1.05"),
    ("classes=2", "classes=2\nnew_coords=1"),
]
OLDER = [("activation=leaky", "activation=elu"), ("activation=relu", "activation=hardtan")]
HARMLESS = [
    ("batch=64", "batch=1\nletter_box=1\nmosaic=1\nhue=.5"),
    ("classes=2", "classes=2\nscale_x_y=1.0\nnew_coords=0\nnms_kind=greedynms\niou_loss=ciou\nmax_delta=5"),
    ("stride=2", "stride=2\ndilation=1\nantialiasing=0\nstopbackward=1"),
    ("batch_normalize=1", "batch_normalize=2"),
    ("[route]", "[ route ] # where from"),
]
HARMFUL = [
    ("stride=2", "stride=2\nantialiasing=1"),
    ("stride=2", "stride=2\nxnor=1"),
    ("stride=2", "stride=2\ndontload=1"),
    ("classes=2", "classes=2\nmap=data/classes.map"),
    ("from=-3", "from=-3\nweights_type=per_channel"),
    ("size=5", "size=5\nmaxpool_depth=1"),
    ("size=5", "size=5\nunheard_of=3"),
]


@pytest.mark.parametrize("engine", ["opencv", "libdarknet", "darknet"])
@pytest.mark.parametrize(("old", "new"), [*NEWER, *OLDER, *HARMLESS, *HARMFUL])
def test_each_engine_refuses_what_it_would_ignore(tmp_path: Path, engine: str, old: str, new: str) -> None:
    error = refusal(tmp_path, DETECTOR.replace(old, new), engine)
    mine = OLDER if engine == "opencv" else NEWER
    if (old, new) not in (*HARMFUL, *mine):
        assert error is None
        return
    assert error is not None
    changed = DETECTOR.replace(old, new).splitlines()
    first = next(line for line in new.splitlines() if line not in old)
    assert error.where.endswith(f"random.cfg:{changed.index(first) + 1}")
    assert ("Use the engine opencv" in error.remedy) == (engine != "opencv")


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("filters=21", "filters=24", r"gets 24 channels; 3 anchors and 2 classes need 21"),
        ("mask=0,1,2", "mask=0,1,6", "does not name anchors of 0 to 5"),
        ("num=6", "num=5", "12 numbers of anchors, num=5 needs 10"),
        ("width=96", "width=90", "sizes do not fit: 46x32 and 45x32 are put together"),
        ("height=64", "", "height=0 is not a number"),
        ("stride=2\npad=1", "stride=2", "sizes do not fit"),
    ],
)
def test_what_does_not_fit_together_is_told(tmp_path: Path, old: str, new: str, what: str) -> None:
    weights, config = write_random(tmp_path)
    config.write_text(DETECTOR.replace(old, new, 1))
    with pytest.raises(ModelError, match=what) as caught:
        check_darknet(weights, config)
    assert caught.value.remedy


def test_a_network_that_goes_on_behind_its_boxes_is_refused(tmp_path: Path) -> None:
    weights, config = write_random(tmp_path, DETECTOR)
    config.write_text(DETECTOR + "\n[route]\nlayers=-2\n")
    with pytest.raises(ModelError, match=r"ends with \[route\]"):
        check_darknet(weights, config)


def test_the_reader_gets_only_what_it_acts_on(tmp_path: Path) -> None:
    cfg = DETECTOR.replace("batch_normalize=1", "batch_normalize=2", 1)
    text = check_darknet(*write_random(tmp_path, cfg), "darknet").config.decode()
    head, _, rest = text.partition("[convolutional]")
    assert head.split() == ["[net]", "batch=1", "subdivisions=1", "channels=3", "height=64", "width=96"]
    assert "batch_normalize=2" not in rest
    for word in ("jitter", "probability", "ignore_thresh", "random"):
        assert word in cfg
        assert word not in text


def test_of_two_lines_the_first_counts_as_for_darknet(tmp_path: Path) -> None:
    cfg = DETECTOR.replace("width=96", "width=96\nwidth=416")
    assert check_darknet(*write_random(tmp_path, cfg)).network.width == 96
