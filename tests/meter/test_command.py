"""`meerkat meter` as a person types it, the networks replaced by ones that read colours."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from meerkat_contract.meter_layout import MeterLayout
from meerkat_inference.meter.command import COMMANDS, meter
from meerkat_inference.meter.layout_file import save_layout
from meter_support.painted import ColourNetworks, paint, row


@pytest.fixture(autouse=True)
def _colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meerkat_inference.meter.networks.Networks", ColourNetworks)


class Desk:
    """A folder with a layout and pictures."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.layout = folder / "layout.yaml"

    def lay_out(self, layout: MeterLayout) -> MeterLayout:
        save_layout(layout, self.layout)
        return layout

    def picture(self, name: str, pixels: np.ndarray) -> str:
        cv2.imwrite(str(self.folder / name), pixels)
        return str(self.folder / name)

    def type(self, *words: str) -> Result:
        return CliRunner().invoke(meter, words)

    def read(self, *words: str) -> Result:
        return self.type("read", *words, "--layout", str(self.layout))

    def objects(self, *words: str) -> list[dict[str, object]]:
        result = self.read(*words, "--json")
        assert not result.stderr, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_reading_in_json(desk: Desk) -> None:
    layout = desk.lay_out(row(4, 1))
    shot = desk.picture("a.png", paint(layout, [0, 1, 2, 3], [4.5]))
    (told,) = desk.objects(shot)
    assert told["picture"] == shot
    assert (told["value"], told["verdict"], told["reason"], told["unit"]) == (123.4, "accepted", "", "m³")
    assert 0.9 < told["confidence"] <= 1
    assert [wheel["digit"] for wheel in told["wheels"]] == [0, 1, 2, 3]
    assert told["needles"] == [{"position": 4.5, "confidence": pytest.approx(1, abs=0.01), "digit": 4}]
    assert told["candidates"][0]["value"] == 123.4
    assert "counter" not in told


def test_a_reading_in_words(desk: Desk) -> None:
    layout = desk.lay_out(row(4, 1))
    result = desk.read(desk.picture("a.png", paint(layout, [0, 1, 2, 3], [4.5])))
    assert result.exit_code == 0
    assert "a.png: 123.4 m³, accepted" in result.stdout
    assert "wheels 0.0 1.0 2.0 3.0, needles 4.5" in result.stdout


def test_the_one_before_decides_an_open_question(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    class Torn(ColourNetworks):
        def _one(self, crop: np.ndarray) -> np.ndarray:
            found = super()._one(crop)
            return (found + np.append(np.roll(found[:100], 50), 0)) / 2 if found[20] > 0.1 else found

    monkeypatch.setattr("meerkat_inference.meter.networks.Networks", Torn)
    layout = desk.lay_out(row(5))
    shot = desk.picture("a.png", paint(layout, [0, 1, 2, 3, 4]))
    (alone,) = desk.objects(shot)
    assert alone["verdict"] == "held"
    (low,) = desk.objects(shot, "--previous", "1230", "--max-flow", "10")
    assert (low["value"], low["verdict"]) == (1234, "accepted")
    assert low["expected"][0] == 1230
    (high,) = desk.objects(shot, "--previous", "1730", "--max-flow", "10")
    assert (high["value"], high["verdict"]) == (1734, "accepted")


def test_a_previous_value_ahead_is_implausible(desk: Desk) -> None:
    layout = desk.lay_out(row(5))
    shot = desk.picture("a.png", paint(layout, [0, 1, 2, 3, 4]))
    (told,) = desk.objects(shot, "--previous", "50000")
    assert told["verdict"] == "implausible"
    assert "behind 50000" in told["reason"]


def test_pictures_in_their_order_are_one_history(desk: Desk) -> None:
    layout = desk.lay_out(row(5))
    shots = [desk.picture(f"{i}.png", paint(layout, [0, 0, 0, i, 5])) for i in (1, 3, 2)]
    told = desk.objects(*shots, "--previous", "10", "--max-flow", "30")
    assert [one["verdict"] for one in told] == ["accepted", "accepted", "implausible"]


def test_several_counters_are_several_lines(desk: Desk) -> None:
    night = {"digits": [[60 + 50 * i, 300, 40, 64] for i in range(3)]}
    layout = desk.lay_out(row(3, counters={"night": night}))
    painted = row(3).model_copy(update={"digits": (*layout.digits, *layout.counters["night"].digits)})
    shot = desk.picture("a.png", paint(painted, [1, 2, 3, 4, 5, 6]))
    told = desk.objects(shot, "--previous", "120", "--previous", "night=999")
    assert [(one["counter"], one["value"], one["verdict"]) for one in told] == [
        (None, 123, "accepted"),
        ("night", 456, "implausible"),
    ]


def test_what_is_no_picture_is_told_and_the_rest_goes_on(desk: Desk) -> None:
    layout = desk.lay_out(row(5))
    good = desk.picture("a.png", paint(layout, [0, 1, 2, 3, 4]))
    small = desk.picture("small.png", np.zeros((8, 8, 3), np.uint8))
    text = desk.folder / "notes.txt"
    text.write_text("no picture")
    result = desk.read(str(text), small, good, "--json")
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert [one["verdict"] for one in told] == ["unreadable", "unreadable", "accepted"]
    assert "notes.txt: 10 bytes that do not begin like a picture" in told[0]["reason"]
    assert "outside the picture of 8x8" in told[1]["reason"]
    in_words = desk.read(str(text), good)
    assert in_words.exit_code == 1
    assert "error:" in in_words.stderr
    assert "1234" in in_words.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--previous", "nan"], "no reading of a counter"),
        (["--previous", "-1"], "no reading of a counter"),
        (["--previous", "100000"], "from 0 to 100000"),
        (["--previous", "much"], "'much' is no reading"),
        (["--previous", "night=5"], "no counter 'night'"),
        (["--previous", "5", "--max-flow", "nan"], "no flow"),
        (["--previous", "5", "--max-flow", "-1"], "no flow"),
    ],
)
def test_wrong_usage_is_told(desk: Desk, words: list[str], complaint: str) -> None:
    layout = desk.lay_out(row(5))
    shot = desk.picture("a.png", paint(layout, [0, 1, 2, 3, 4]))
    result = desk.read(shot, *words)
    assert result.exit_code != 0
    assert complaint in str(result.exception)
    assert getattr(result.exception, "exit_status", None) == 2


def test_a_flow_since_nothing_is_a_warning(desk: Desk) -> None:
    shot = desk.picture("a.png", paint(desk.lay_out(row(5)), [0, 1, 2, 3, 4]))
    assert "--max-flow" in desk.read(shot, "--max-flow", "1").stderr
    told = desk.read(shot, "--max-flow", "1", "--previous", "1234", "--json")
    assert told.stderr == ""
    assert json.loads(told.stdout)["value"] == 1234


def test_an_unknown_key_of_the_layout_is_one_warning_for_all_pictures(desk: Desk) -> None:
    layout = desk.lay_out(row(5))
    desk.layout.write_text(desk.layout.read_text() + "integr_digits: 5\n")
    shot = desk.picture("a.png", paint(layout, [0, 1, 2, 3, 4]))
    result = desk.read(shot, shot, "--json")
    assert result.exit_code == 0
    assert len([json.loads(line) for line in result.stdout.splitlines()]) == 2
    assert result.stderr.count("warning:") == 1
    assert "did you mean 'integer_digits'" in result.stderr


def test_a_reference_beside_the_layout_is_found(desk: Desk) -> None:
    rng = np.random.default_rng(5)
    face = cv2.resize(rng.integers(0, 255, (60, 80, 3), np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC)
    layout = desk.lay_out(row(5, reference="reference.png"))
    painted = paint(layout, [0, 1, 2, 3, 4])
    for x, y, w, h in layout.digits:
        place = np.s_[int(y) : int(y + h), int(x) : int(x + w)]
        face[place] = painted[place]
    desk.picture("reference.png", face)
    shot = desk.picture("a.png", np.roll(face, (5, 9), axis=(0, 1)))
    (told,) = desk.objects(shot)
    assert told["value"] == 1234
    assert told["alignment"]["dx"] == pytest.approx(9, abs=1.5)
    (desk.folder / "reference.png").unlink()
    gone = desk.read(shot)
    assert f"{desk.layout}: its reference" in str(gone.exception)
    assert "reference.png: cannot be read" in str(gone.exception)
    assert "take `reference` out" in str(gone.exception)
    assert getattr(gone.exception, "exit_status", None) == 2


def test_draw_writes_the_picture_with_its_boxes(desk: Desk) -> None:
    layout = desk.lay_out(row(4, 1, rotation_deg=4.0))
    pixels = paint(layout, [0, 1, 2, 3], [4.5])
    shot, out = desk.picture("a.png", pixels), desk.folder / "out.png"
    result = desk.type("draw", shot, "--layout", str(desk.layout), "-o", str(out))
    assert result.exit_code == 0, result.output
    assert "123.4 m³, accepted" in result.stdout
    drawn = cv2.imread(str(out))
    assert drawn.shape == pixels.shape
    changed = np.abs(drawn.astype(int) - pixels).max(axis=2) > 20
    assert 0.01 < changed.mean() < 0.4
    assert changed[80:380].any()


def test_draw_shows_boxes_alone_without_reading(desk: Desk) -> None:
    layout = desk.lay_out(row(4))
    shot, out = desk.picture("a.png", np.zeros((480, 640, 3), np.uint8)), desk.folder / "out.jpg"
    result = desk.type("draw", shot, "--layout", str(desk.layout), "-o", str(out), "--boxes")
    assert (result.exit_code, result.stdout) == (0, "")
    assert cv2.imread(str(out)).max() > 100
    assert layout.digits


@pytest.mark.parametrize("command", ["wheel", "needle"])
def test_crops_of_one_wheel_or_dial(desk: Desk, command: str) -> None:
    crop = desk.picture("six.png", np.full((64, 40, 3), (250, 255, 124), np.uint8))
    grey = desk.picture("grey.png", np.full((64, 40, 3), 90, np.uint8))
    result = desk.type(command, crop, grey, "--json")
    assert result.exit_code == 0
    six, none = (json.loads(line) for line in result.stdout.splitlines())
    assert (six["crop"], six["position"], six["digit"]) == (crop, 6.2, 6)
    assert 0.9 < six["confidence"] <= 1
    assert (none["position"], none["digit"]) == (None, None)
    words = desk.type(command, crop, grey).stdout
    assert "six.png: 6.2 (100%)" in words
    assert "grey.png: no " in words


def test_a_crop_that_is_no_picture(desk: Desk) -> None:
    good = desk.picture("six.png", np.full((64, 40, 3), (250, 255, 120), np.uint8))
    result = desk.type("wheel", str(desk.folder / "gone.png"), good, "--json")
    gone, six = (json.loads(line) for line in result.stdout.splitlines())
    assert result.exit_code == 1
    assert gone["position"] is None
    assert "cannot be read" in gone["reason"]
    assert six["digit"] == 6


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(meter, ["--help"])
    assert result.exit_code == 0
    for name in COMMANDS:
        assert name in result.stdout
    assert CliRunner().invoke(meter, ["raed"]).exit_code == 2
