"""A layout in a file: what is wrong with it is named with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from meerkat_contract.errors import StorageError, UsageError
from meerkat_contract.meter_layout import MeterLayout
from meerkat_inference.meter.layout_file import layout_text, load_layout, save_layout

FULL = MeterLayout.model_validate(
    {
        "rotation_deg": -2.5,
        "digits": [[69, 269, 64, 102.25], [146, 263, 64, 102]],
        "integer_digits": 1,
        "pointers": [[300, 263, 90, 90], [400, 263, 90, 90]],
        "mirrored": [False, True],
        "unit": "kWh",
        "width": 800,
        "height": 600,
        "reference": "basement.jpg",
        "landmarks": "aGFsbG8=",
        "counters": {"night": {"digits": [[69, 400, 64, 102]], "pointers": [[300, 400, 90, 90]]}},
    }
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "layout.yaml"


def test_a_layout_that_is_written_is_read_again(file: Path) -> None:
    save_layout(FULL, file)
    assert load_layout(file) == (FULL, ())
    text = file.read_text()
    assert "- [69, 269, 64, 102.25]" in text
    assert "# one box for each wheel, most significant first" in text


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 200), min_size=0, max_size=4, unique=True),
    st.integers(0, 3),
    st.floats(-30, 30).map(lambda turn: round(turn, 2)),
)
def test_any_layout_survives(wheels: list[int], needles: int, turn: float) -> None:
    if not wheels and not needles:
        return
    layout = MeterLayout.model_validate(
        {
            "rotation_deg": turn,
            "digits": [[60.5 * place, 10, 50, 80] for place in wheels],
            "pointers": [[100 * i, 300, 90, 90] for i in range(needles)],
            "integer_digits": len(wheels) // 2,
        }
    )
    parsed = YAML(typ="safe", pure=True).load(layout_text(layout))
    assert MeterLayout.model_validate(parsed) == layout


def test_json_is_a_layout_too(file: Path) -> None:
    file.write_text(
        '{"digits": [[1, 2, 30, 40]], "integer_digits": 1, "pointers": [], "pointer_factors": []}'
    )
    assert load_layout(file)[0].digits == ((1, 2, 30, 40),)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("digits:\n  - [1, 2, .nan, 4]\n", r":2:12: digits\[0\]\[2\]: nan is no number"),
        ("digits: [[1, 2, 3, .inf]]", r":1:20: digits\[0\]\[3\]: inf is no number"),
        ("digits: [[1, 2, -3, 4]]", r":1:17: digits\[0\]\[2\]: -3 is not above zero"),
        ("digits: [[1, 2, 0, 4]]", r"0 is not above zero"),
        ("digits: [[1, 2, wide, 4]]", r"digits\[0\]\[2\]: 'wide' is no number"),
        ("digits: [[1, 2, 3]]", r"digits\[0\]: write a box as \[x, y, width, height\]"),
        ("digits: [[1, 2, 3, 4, 5]]", r"digits\[0\]: has 5 numbers"),
        ("digits: [1, 2, 3, 4]", r"digits\[0\]: write a box"),
        ("digits: 5", r":1:9: digits: write a box"),
        ("digits: [[1, 2, 30, 40], [3, 4, 30, 40]]", r"digits\[0\] and digits\[1\] lie on each other"),
        ("digits: [[1, 2, 30, 40]]\ninteger_digits: 3", "integer_digits is 3, and there are 1 digits"),
        ("pointers: [[1, 2, 30, 30]]\npointer_factors: [1, 0.1]", "1 pointers, and 2 pointer_factors"),
        (
            "pointers: [[1, 2, 30, 30], [50, 2, 30, 30]]\npointer_factors: [0.1, 1]",
            "the most significant dial comes first",
        ),
        ("digit: [[1, 2, 30, 40]]", r":1:1: digit: means nothing here \(did you mean 'digits'\?\)"),
        ("unit: m³", "neither digits nor pointers"),
        ("digits: [[1, 2, 30, 40]]\nrotation_deg: askew", r":2:15: rotation_deg: 'askew' is no number"),
        ("digits: [[1, 2, 30, 40]]\ncounters: {night: }", r"counters.night: write `counters:"),
        ("digits: [[1, 2, 30, 40]]\n\tunit: l", "a tab stands here"),
        ("pointers: [[1, 2, 30, 30]]\nmirrored: maybe", r":2:11: mirrored: 'maybe' says no direction"),
        ("digits: [[1, 2, 30, 40]]\ncounters: {My Night: {digits: []}}", r"name is small letters"),
        ("digits: [[1, 2, 30, 40]]\nunit: 5", r":2:7: unit: 5 is no text"),
        ("digits: [[1, 2, 30, 40]]\ninteger_digits: 0.5", "0.5 is no whole number"),
        ("", "empty"),
        ("[1, 2]", "not a mapping"),
    ],
)
def test_each_mistake_is_named_with_its_line(file: Path, text: str, complaint: str) -> None:
    file.write_text(text)
    with pytest.raises(UsageError, match=complaint) as caught:
        load_layout(file)
    assert str(file) in str(caught.value)
    assert "read-a-meter.md" in caught.value.remedy


def test_all_mistakes_are_told_at_once(file: Path) -> None:
    file.write_text("rotation_deg: x\ndigits: [[1, 2, 3]]\nunit: [1]\n")
    with pytest.raises(UsageError) as caught:
        load_layout(file)
    assert [f":{line}:" in str(caught.value) for line in (1, 2, 3)] == [True] * 3


def test_one_mistake_is_told_once(file: Path) -> None:
    file.write_text("pointers: [[1, 2, 30, 30]]\nmirrored: maybe\n")
    with pytest.raises(UsageError) as caught:
        load_layout(file)
    assert str(caught.value).count("mirrored") == 1


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nope\.yaml: cannot be read: No such file"):
        load_layout(tmp_path / "nope.yaml")


def test_what_means_nothing_is_a_warning(file: Path) -> None:
    file.write_text(
        "digits: [[1, 2, 30, 40]]\nintegr_digits: 1\ncounters:\n  night: {digits: [[1, 60, 30, 40]], x: 1}\n"
    )
    layout, warnings = load_layout(file)
    assert layout.integer_digits == 1
    assert "2:1: integr_digits: means nothing here (did you mean 'integer_digits'?)" in warnings[0]
    assert "counters.night.x" in warnings[1]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"there is no folder .*nowhere\. Make the folder"):
        save_layout(FULL, tmp_path / "nowhere" / "layout.yaml")


def test_the_layout_that_is_documented_is_a_layout(file: Path) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "read-a-meter.md"
    first, more = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)[:2]
    file.write_text(first + more)
    layout, warnings = load_layout(file)
    assert warnings == ()
    assert layout.step == 0.01
    assert set(layout.counters) == {"night"}
