"""The house's words for what a camera sees: one vocabulary for every model.

The labels are the 80 of COCO (2017 spelling) and `face`; older spellings and the names of other
data sets are mapped to them. A category groups labels for people: person, vehicle, animal.
"""

from __future__ import annotations

LABELS: tuple[str, ...] = tuple(
    """
    person bicycle car motorcycle airplane bus train truck boat traffic_light fire_hydrant
    stop_sign parking_meter bench bird cat dog horse sheep cow elephant bear zebra giraffe backpack
    umbrella handbag tie suitcase frisbee skis snowboard sports_ball kite baseball_bat
    baseball_glove skateboard surfboard tennis_racket bottle wine_glass cup fork knife spoon bowl
    banana apple sandwich orange broccoli carrot hot_dog pizza donut cake chair couch potted_plant
    bed dining_table toilet tv laptop mouse remote keyboard cell_phone microwave oven toaster sink
    refrigerator book clock vase scissors teddy_bear hair_drier toothbrush
    """.split()
)
"""COCO's order: the index is the class number of an 80-class model. Blanks become underscores."""

_SYNONYMS = {
    "aeroplane": "airplane",
    "motorbike": "motorcycle",
    "sofa": "couch",
    "pottedplant": "potted_plant",
    "diningtable": "dining_table",
    "tvmonitor": "tv",
    "body": "person",
    "pedestrian": "person",
    "people": "person",
    "cellphone": "cell_phone",
    "hair_dryer": "hair_drier",
}

CATEGORIES: dict[str, frozenset[str]] = {
    "person": frozenset({"person", "face"}),
    "vehicle": frozenset({"bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"}),
    "animal": frozenset(
        {"bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"}
    ),
}

WATCHED: frozenset[str] = CATEGORIES["person"] | CATEGORIES["vehicle"] | CATEGORIES["animal"]
"""What makes an event unless a camera's configuration says otherwise."""


def normalise(label: str) -> str:
    """A label of any model in the words of the house: `Traffic Light` → `traffic_light`."""
    word = label.strip().lower().replace(" ", "_").replace("-", "_")
    return _SYNONYMS.get(word, word)


def category(label: str) -> str:
    """person | vehicle | animal | object"""
    return next((name for name, labels in CATEGORIES.items() if label in labels), "object")
