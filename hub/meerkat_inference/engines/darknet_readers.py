"""What each reader of a Darknet .cfg acts on. What it does not act on must not be there.

A reader ignores what it does not know, and computes another network than the one that was trained, with
exit status 0. So each has its list of layers, options and activations; whatever else a .cfg says is
refused, unless it concerns training alone or has the value that changes nothing.

The lists were checked against the readers themselves: OpenCV 4.14 against formulas in numpy, Debian's
darknet (20180914) by its own word ("Unused field", "Type not recognized", "going with ReLU").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reader:
    """One program that reads a .cfg."""

    name: str
    title: str
    """For people."""
    layers: Mapping[str, frozenset[str]]
    """By layer: the options that it acts on, all of which are passed on to it."""
    activations: frozenset[str]
    added: Mapping[str, Mapping[str, str]]
    """By layer: options that are put in for it."""
    remedy: str
    """What somebody does whose .cfg it does not know."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NET = _words("width height channels")
"""Of [net] nothing else matters to a network that only looks; `batch` is set to 1."""

_CONVOLUTIONAL = _words("batch_normalize filters size stride pad padding groups activation")
_YOLO = _words("mask anchors classes num")
_REGION = _words("anchors classes num coords softmax")

OPENCV = Reader(
    "opencv",
    "OpenCV",
    {
        "convolutional": _CONVOLUTIONAL,
        "maxpool": _words("size stride padding"),
        "avgpool": frozenset(),
        "dropout": frozenset(),
        "reorg": _words("stride"),
        "route": _words("layers groups group_id"),
        "shortcut": _words("from activation alpha"),
        "upsample": _words("stride"),
        "yolo": _YOLO | _words("scale_x_y new_coords"),
        "region": _REGION,
    },
    _words("leaky linear relu mish swish logistic tanh"),
    # It zeroes class scores below `thresh`, 0.2 unless it is told otherwise: the detector wants to see the
    # weak ones too and sets its own threshold. In [region] it also zeroes those of doubles (IoU 0.4).
    {name: {"thresh": "0.01"} for name in ("yolo", "region")},
    "Convert the model to ONNX",
)

DEBIAN = Reader(
    "libdarknet",
    "Debian's Darknet of 2018",
    {
        "convolutional": _CONVOLUTIONAL,
        "maxpool": _words("size stride padding"),
        "avgpool": frozenset(),
        "dropout": frozenset(),
        "reorg": _words("stride"),
        "route": _words("layers"),
        "shortcut": _words("from activation alpha"),
        "upsample": _words("stride"),
        "yolo": _YOLO,
        "region": _REGION,
    },
    _words("leaky linear relu logistic tanh elu hardtan lhtan ramp loggy relie plse stair"),
    {},
    "Use the engine opencv, which knows more",
)

READERS: Mapping[str, Reader] = {"opencv": OPENCV, "libdarknet": DEBIAN, "darknet": DEBIAN}
"""By engine."""

NEUTRAL: Mapping[str, str] = {
    "alpha": "1",
    "beta": "0",
    "dilation": "1",
    "groups": "1",
    "group_id": "0",
    "new_coords": "0",
    "scale": "1",
    "scale_x_y": "1",
    "weights_type": "none",
    "weights_normalization": "none",
}
"""Values with which an option changes nothing; 0 of all others."""

DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "convolutional": {"filters": "1", "size": "1", "stride": "1", "activation": "logistic"},
    "maxpool": {"stride": "1"},
    "reorg": {"stride": "1"},
    "upsample": {"stride": "2"},
    "shortcut": {"activation": "linear"},
    "yolo": {"classes": "20"},
    "region": {"classes": "20", "coords": "4", "softmax": "0"},
}
"""What Darknet, which trained it, takes where an option is left out: OpenCV takes other values for some."""

TRAINING_ANYWHERE = _words(
    "stopbackward onlyforward dontsave learning_rate burnin_update train_only_bn dont_update"
)
TRAINING: Mapping[str, frozenset[str]] = {
    "convolutional": _words("grad_centr label_smooth_eps"),
    "yolo": _words(
        """
        jitter ignore_thresh truth_thresh random max iou_thresh iou_normalizer cls_normalizer obj_normalizer
        delta_normalizer iou_loss iou_thresh_kind nms_kind beta_nms max_delta resize objectness_smooth
        focal_loss label_smooth_eps show_details counters_per_class thresh nms_threshold
        """
    ),
    "region": _words(
        """
        jitter ignore_thresh random max rescore thresh nms_threshold object_scale noobject_scale class_scale
        coord_scale mask_scale bias_match absolute focal_loss log sqrt classfix
        """
    ),
}
"""Options that concern training, or what is done with the boxes afterwards, which is the detector's part."""

LAYERS = frozenset(OPENCV.layers) | frozenset(DEBIAN.layers)
