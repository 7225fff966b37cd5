"""The model card: what the networks are, how they were made and what they are worth.

`card.json` stands beside the networks, for programs (the reader takes the temperature from it and can
check the files' hashes). `docs/reference/meter-models.md` says the same to a person; `page` writes it.
"""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FORMAT = 1
PACKAGES = ("torch", "litert-torch", "ai-edge-quantizer", "ai-edge-litert", "numpy", "opencv-python-headless")

Card = dict[str, Any]


def fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def versions() -> dict[str, str]:
    """The installed versions of what makes the files."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def read(folder: Path) -> Card:
    """The card in a folder of models; an empty one when there is none yet."""
    path = folder / "card.json"
    if not path.is_file():
        return {"format": FORMAT, "networks": {}}
    card: Card = json.loads(path.read_text(encoding="utf-8"))
    return card


def write(folder: Path, kind: str, entry: dict[str, Any]) -> Card:
    """Put one network's entry into the folder's card, with the hashes of its files; returns the card."""
    card = read(folder)
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": fingerprint(path)}
        for path in (folder / f"{kind}.tflite", folder / f"{kind}-float.tflite")
        if path.is_file()
    }
    card["networks"][kind] = {"files": files, **entry}
    text = json.dumps(card, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    (folder / "card.json").write_text(text, encoding="utf-8")
    return card


def summed(earlier: Card, kind: str, training: dict[str, Any]) -> dict[str, Any]:
    """The facts of a training that went on from an earlier one: of all goes together."""
    before = earlier["networks"].get(kind, {}).get("training")
    if before is None:
        return training
    total = {
        name: round(before[name] + training[name], 1)
        for name in ("samples", "renders", "minutes", "examples")
    }
    return {**training, **total, "goes": before.get("goes", 1) + 1}


_WHAT = {
    "wheel": "One roller of a counter: the box of a layout, 32 high and 20 wide. Position 3.0 is the 3 "
    "in the middle, at 3.5 the 4 has come half in from below.",
    "needle": "One needle's dial: the box of a layout, 48×48. Position 2.5 is a quarter turn clockwise "
    "from 12 o'clock. Dials that run counter-clockwise are mirrored before they are shown to it.",
    "segment": "One digit of an LCD or LED of seven segments: the box of a layout, 32 high and 20 wide. It "
    "was checked on rendered displays only: no picture of a real one was at hand. Look at what it reads on "
    "yours for some days before you rely on it.",
}

_HEAD = """# The networks that read meters

Small networks come with Meerkat. Each looks at one box of a picture. Those for wheels and needles say how
likely each of 100 positions is (0.0 to 9.9, tenths of a turn), and how likely it is that there is nothing to
read. {displays} They
learnt from rendered pictures only: none of the people whose meters were used to check them gave a picture
away. They are made by `scripts/train-meter`, which writes this page;
[train your own](../how-to/train-meter.md) tells how.

Only the int8 files come with Meerkat. The float files, four times their size, are what they were made
from; training writes both.

They read no face, plate or letter, and no displays of dots. What they cannot see they spread over many
positions or digits; the reader calls a picture unreadable then.
"""


_DISPLAYS = "The one for LCD and LED counters says which digit it is, or that its place is empty, or neither."
_NO_DISPLAYS = (
    "One for LCD and LED counters does not come with it yet: `scripts/train-meter --only segment` makes it."
)


def page(card: Card) -> str:
    """The card as a page of Markdown."""
    displays = _DISPLAYS if "segment" in card["networks"] else _NO_DISPLAYS
    parts = [_HEAD.replace("{displays}", displays)]
    for kind, entry in sorted(card["networks"].items(), reverse=True):
        parts.append(_section(kind, entry))
    return "\n".join(parts)


def _section(kind: str, entry: dict[str, Any]) -> str:
    figures, training = entry["figures"], entry["training"]
    shown = kind == "segment"
    goes = f" and {training['goes']} goes" if training.get("goes", 1) > 1 else ""
    lines = [f"## {kind.capitalize()}", "", _WHAT[kind], ""]
    lines += ["| | |", "|---|---|"]
    for name, facts in sorted(entry["files"].items()):
        lines.append(f"| `{name}` | {facts['bytes'] / 1000:.0f} kB, sha256 `{facts['sha256'][:16]}…` |")
    lines += [
        f"| Input, output | uint8 RGB {entry['input']} (`-float`: float32 of 0 to 255), "
        f"logits (1, {12 if shown else 101}) |",
        f"| Processor time of one look | {figures['milliseconds']:.3f} ms (int8, one core of the trainer) |",
        f"| Trained on | {training['renders']:,} renders, shown {training['samples']:,} times, in "
        f"{training['minutes']:.0f} minutes{goes}, seed {training['seed']}"
        + (f"; began with the {training['began']} network's weights |" if "began" in training else " |"),
        _agreement(figures["agreement"], shown),
        f"| Made with | {', '.join(f'{name} {number}' for name, number in entry['versions'].items())} |",
        "",
        "The int8 file was scored:",
        "",
    ]
    return "\n".join([*lines, *(_shown_scores(figures) if shown else _turn_scores(figures)), ""])


def _agreement(agreement: dict[str, Any], shown: bool) -> str:
    near = "" if shown else f", at most one bin off on {_percent(agreement['within_one_bin'])}"
    what = "answer" if shown else "bin"
    same = _percent(agreement["same"])
    return f"| Int8 against float | the same {what} on {same}{near} of {agreement['pictures']:,} |"


def _shown_scores(figures: dict[str, Any]) -> list[str]:
    readable = figures["readable"]
    rows = (
        (f"Digits that the picture tells from all others, of {readable['of']:,}", readable),
        ("Digits, all conditions", figures["digits"]),
        ("Empty places", figures["empty"]),
    )
    return [
        "| Held-out renders | Right | Believed (at least 0.9) | Of these right |",
        "|---|---|---|---|",
        *(
            f"| {name} ({score['pictures']:,}) | {_percent(score['right'])} | "
            f"{_percent(score['believed'])} | {_percent(score['right_of_believed'])} |"
            for name, score in rows
        ),
        "",
        "A picture tells a digit when the nearest ones (of an 8: 0, 6 and 9), drawn in the same light "
        "through the same lens, would have changed a patch of 3×3 pixels by at least 16 of 255 levels and "
        "0.3 of the picture's contrast. The others are too faint, or drown in glare, dirt or noise.",
        "",
        f"Of {figures['negatives']['pictures']:,} renders of letters, two digits at once, half a digit or "
        f"something else {_percent(figures['negatives']['believed'])} were believed to be a digit, of "
        f"{figures['nothing']['pictures']:,} plain tones and noise "
        f"{_percent(figures['nothing']['believed'])}.",
    ]


def _turn_scores(figures: dict[str, Any]) -> list[str]:
    return [
        "| Pictures | Position within 0.2 | Mean error | Steady digit right | Mean mass of the peak |",
        "|---|---|---|---|---|",
        *(
            _row(name, figures[key])
            for key, name in (
                ("renders", "Held-out renders, all conditions"),
                ("validation", "Crops of real meters, one look"),
                ("validation_shifts", "Crops of real meters, mean of nine looks a pixel apart"),
            )
            if key in figures
        ),
        "",
        f"Of {figures['nothing']['pictures']:,} pictures without a meter "
        f"{_percent(figures['nothing']['confident'])} were believed (peak of at least 0.9), of the renders "
        f"that show nothing {_percent(figures['negatives']['confident'])}.",
    ]


def _row(name: str, score: dict[str, Any]) -> str:
    steady = "" if score["steady"] is None else _percent(score["steady"])
    return (
        f"| {name} ({score['pictures']:,}) | {_percent(score['within'])} | {score['error']:.3f} | {steady} | "
        f"{score['confidence']:.2f} |"
    )


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"
