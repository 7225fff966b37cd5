"""`meerkat faces` against a real hub's page."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from faces_support import networks
from faces_support.pictures import painted, portrait_path
from hub_support.web_house import Served, WebHouse
from meerkat_contract.connection import Connection, write_connections
from meerkat_contract.errors import MediaError, MeerkatError, UsageError
from meerkat_contract.messages import ModelInfo
from meerkat_inference import loading
from meerkat_inference.detector import Found
from meerkat_inference.faces_command import faces
from support.shared import shared

CATALOGUE = """
[[model]]
name = "mine"
title = "tiles"
task = "recognise_faces"
family = "embedding"
engines = ["onnxruntime"]
licence = "mine"
input = [64, 64]
[model.embedding]
dimensions = 48
alignment = "box"
rim = 0
mean = 127.5
scale = 0.01
threshold = 0.5
measured_on = "this test"
[[model.files]]
role = "model"
name = "mine.onnx"
bytes = {bytes}
sha256 = "{sha256}"
"""


class Counting:
    """Finds as many faces as the picture's corner says (see `save`)."""

    info = ModelInfo(name="counting")

    def detect(self, picture: np.ndarray) -> list[Found]:
        count = round(float(picture[:4, :4].mean()) / 50)
        return [Found("face", 0.9, (0.0, 0.1 * n, 1.0, 1.0 - 0.1 * n)) for n in range(count)]

    def close(self) -> None: ...


def save(path: Path, picture: np.ndarray, count: int = 1) -> Path:
    marked = picture.copy()
    marked[:4, :4] = 50 * count
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), marked)
    return path


def like(seed: int, picture: int) -> np.ndarray:
    """Another picture of the same pattern."""
    noise = np.random.default_rng(1000 * seed + picture).integers(-15, 16, (200, 200, 3), dtype=np.int16)
    return np.clip(painted(seed).astype(np.int16) + noise, 0, 255).astype(np.uint8)


@pytest.fixture(autouse=True)
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tiny embedder in the owner's catalogue, for the hub too, and a detector that counts."""
    models = tmp_path / "models"
    models.mkdir()
    file = networks.entry(networks.write_onnx(models / "mine.onnx")).model
    (tmp_path / "mine.toml").write_text(CATALOGUE.format(bytes=file.bytes, sha256=file.sha256))
    monkeypatch.setenv("MEERKAT_CATALOGUE", str(tmp_path / "mine.toml"))
    monkeypatch.setenv("MEERKAT_MODELS", str(models))
    monkeypatch.setenv("MEERKAT_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(loading, "load_detector", lambda *given, **options: Counting())
    return


def run(*arguments: object, **options: Any) -> Result:
    return CliRunner().invoke(faces, [str(argument) for argument in arguments], **options)


def enrol(web: Served, name: str, *pictures: Path, more: tuple[str, ...] = ()) -> Result:
    return run("enrol", name, *pictures, "--model", "mine", "--hub", web.base, *more)


def test_enrolled_listed_recognised_and_forgotten(house: WebHouse, web: Served, tmp_path: Path) -> None:
    folder = tmp_path / "ada"
    for n in range(3):
        save(folder / f"{n}.png", like(1, n))
    done = enrol(web, "Ada", folder)
    assert done.exit_code == 0, done.output
    assert done.stdout == "Ada: 3 of 3 pictures taken, 3 in all\n"
    assert done.stderr == ""
    listed = run("list", "--hub", web.base)
    assert listed.stdout.startswith("Ada  3 pictures  mine  since 20")

    from meerkat_inference.faces.loading import load_embedder

    embedder = load_embedder("mine")
    gallery, sha256 = house.hub.people.gallery, embedder.info.sha256
    whole = (0.0, 0.0, 1.0, 1.0)
    assert gallery.who(embedder.describe(like(1, 9), whole).embedding.tobytes(), sha256).person == "Ada"
    assert gallery.who(embedder.describe(like(2, 9), whole).embedding.tobytes(), sha256).stranger

    assert run("forget", "Ada", "--hub", web.base, input="n\n").exit_code == 1
    assert house.hub.people.gallery.people == {"Ada"}
    assert run("forget", "Ada", "--yes", "--hub", web.base).stdout == "Ada is forgotten\n"
    assert house.hub.people.gallery.people == frozenset()
    assert "Nobody is enrolled" in run("list", "--hub", web.base).stdout
    assert json.loads(run("list", "--json", "--hub", web.base).stdout) == []


def test_who_is_in_a_picture(house: WebHouse, web: Served, tmp_path: Path) -> None:
    assert enrol(web, "Ada", save(tmp_path / "a.png", like(1, 0))).exit_code == 0
    pictures = [
        save(tmp_path / "1.png", like(1, 1)),
        save(tmp_path / "2.png", like(2, 1)),
        save(tmp_path / "3.png", like(1, 1), count=0),
    ]
    told = run("who", *pictures, "--model", "mine", "--hub", web.base)
    assert told.exit_code == 0, told.output
    first, second, third = told.stdout.splitlines()
    assert first.startswith(f"{pictures[0]}: Ada (Ada at 0.")
    assert second.startswith(f"{pictures[1]}: unknown (nobody is near: Ada at ")
    assert third == f"{pictures[2]}: no face is to be seen"
    lines = run("who", *pictures, "--json", "--model", "mine", "--hub", web.base).stdout.splitlines()
    assert [len(json.loads(line)["faces"]) for line in lines] == [1, 1, 0]
    assert json.loads(lines[0])["faces"][0]["person"] == "Ada"


def test_many_pictures_go_in_several_requests(
    web: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meerkat_inference.faces.hub_people.AT_A_TIME", 2)
    assert enrol(web, "Bob", save(tmp_path / "b.png", like(2, 0))).exit_code == 0
    ada = [save(tmp_path / f"a{n}.png", like(1, n)) for n in range(4)]
    done = enrol(web, "Ada", *ada, save(tmp_path / "bob.png", like(2, 1)))
    assert done.stdout == "Ada: 5 of 5 pictures taken, 5 in all\n"
    assert f"{tmp_path / 'bob.png'}: resembles Bob" in done.stderr
    assert "a0.png" not in done.stderr


def test_pictures_that_will_not_do_are_left_out_with_their_reason(web: Served, tmp_path: Path) -> None:
    good = save(tmp_path / "good.png", like(1, 0))
    nobody = save(tmp_path / "nobody.png", like(1, 0), count=0)
    crowd = save(tmp_path / "crowd.png", like(1, 0), count=3)
    smear = save(tmp_path / "smear.png", cv2.GaussianBlur(like(1, 0), (0, 0), 9))
    (tmp_path / "text.png").write_text("not a picture")
    done = enrol(web, "Ada", good, nobody, crowd, smear, tmp_path / "text.png")
    assert done.exit_code == 1
    assert done.stdout == "Ada: 1 of 5 pictures taken, 1 in all\n"
    for file, reason in {
        "nobody.png": "no face is to be seen",
        "crowd.png": "3 faces are to be seen: whose is meant? Cut the picture",
        "smear.png": "the face can hardly be made out (blurred)",
        "text.png": "is no picture",
    }.items():
        (line,) = [line for line in done.stderr.splitlines() if file in line]
        assert reason in line


def test_nothing_is_sent_when_no_picture_will_do(web: Served, tmp_path: Path) -> None:
    nobody = save(tmp_path / "nobody.png", like(1, 0), count=0)
    done = enrol(web, "Ada", nobody)
    assert isinstance(done.exception, MediaError)
    assert done.exception.exit_status == 1, "refused, as some would be"
    assert web.json("/api/people") == []


def test_a_picture_of_somebody_else_is_pointed_at(web: Served, tmp_path: Path) -> None:
    assert enrol(web, "Ada", save(tmp_path / "a.png", like(1, 0))).exit_code == 0
    bob = [save(tmp_path / f"b{n}.png", like(2, n)) for n in range(2)]
    done = enrol(web, "Bob", *bob, save(tmp_path / "ada.png", like(1, 1)), more=("--json",))
    told = json.loads(done.stdout)
    assert told["added"] == [*map(str, bob), str(tmp_path / "ada.png")]
    assert told["samples"] == 3
    assert len(told["warnings"]) == 2
    assert all(str(tmp_path / "ada.png") in warning for warning in told["warnings"])
    assert "resembles none of the others" in told["warnings"][0]
    assert "resembles Ada" in told["warnings"][1]


def test_the_hubs_own_words_reach_the_person(web: Served) -> None:
    done = run("forget", "<Ada>", "--yes", "--hub", web.base)
    assert isinstance(done.exception, MeerkatError)
    assert "path name" in str(done.exception)
    done = run("forget", "Nobody", "--yes", "--hub", web.base)
    assert str(done.exception).endswith("nobody is enrolled as Nobody. `meerkat faces list` shows who is")


def test_who_is_enrolled_is_listed_in_columns(web: Served, tmp_path: Path) -> None:
    assert enrol(web, "Ada", save(tmp_path / "a.png", like(1, 0))).exit_code == 0
    bob = [save(tmp_path / f"b{n}.png", like(2, n)) for n in range(2)]
    assert enrol(web, "Bob", *bob).exit_code == 0
    first, second = run("list", "--hub", web.base).stdout.splitlines()
    assert first.startswith("Ada  1 picture   mine  since ")
    assert second.startswith("Bob  2 pictures  mine  since ")


def test_the_hub_of_meerkat_up_is_found(web: Served, tmp_path: Path) -> None:
    write_connections(tmp_path, {"client": Connection("127.0.0.1", 1)}, http=web.base)
    assert run("list", "--data", tmp_path).exit_code == 0


def test_a_hub_that_is_not_there_is_told_before_the_work(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = run("enrol", "Ada", save(tmp_path / "a.png", like(1, 0)), "--model", "mine", "--hub", address)
    assert "the hub does not answer" in str(done.exception)
    assert "Start `meerkat up`" in str(done.exception)


def test_what_is_no_hub_is_told(tmp_path: Path) -> None:
    done = run("list", "--hub", "ftp://x")
    assert isinstance(done.exception, UsageError)


def test_a_set_of_ones_own_is_evaluated(tmp_path: Path) -> None:
    for person in range(4):
        for n in range(3):
            save(tmp_path / "set" / f"p{person}" / f"{n}.png", like(person, n))
    save(tmp_path / "set" / "p0" / "crowd.png", like(0, 7), count=2)
    figure = tmp_path / "curve.png"
    done = run("evaluate", tmp_path / "set", "--plain", "--model", "mine", "--figure", figure)
    assert done.exit_code == 0, done.output
    assert "mine: 4 people, 12 pictures, 12 probes (0 too poor to be named)" in done.stdout
    assert "2 faces are to be seen" in done.stderr
    assert figure.read_bytes().startswith(b"\x89PNG")
    told = json.loads(run("evaluate", tmp_path / "set", "--plain", "--model", "mine", "--json").stdout)
    assert told["proposed"]["identified"] == 1
    assert told["proposed"]["accepted"] == 0
    assert told["equal_error"]["rate"] == 0


def test_one_plain_picture_of_each_measures_strangers_alone_and_says_so(tmp_path: Path) -> None:
    for person in range(3):
        save(tmp_path / "set" / f"p{person}" / "0.png", like(person, 0))
    options = ("evaluate", tmp_path / "set", "--plain", "--model", "mine")
    said = run(*options).stdout
    assert "Nobody has a second picture" in said
    assert "nan" not in said
    assert "Equal error" not in said
    told = json.loads(run(*options, "--json").stdout, parse_constant=pytest.fail)
    assert told["proposed"]["identified"] is told["equal_error"] is None
    assert told["nearest_stranger"] > 0


@pytest.mark.parametrize(
    ("figure", "told"),
    [
        ("curve.txt", "'curve.txt' is no name of a PNG"),
        ("folder", "'folder' is no name of a PNG"),
        ("nowhere/curve.png", "cannot be written .No such file"),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_told_before_the_work(
    figure: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    for person in range(2):
        save(tmp_path / "set" / f"p{person}" / "0.png", like(person, 0))
    monkeypatch.setattr(
        "meerkat_inference.faces.evaluate.describe_people", lambda *_, **__: pytest.fail("it looked")
    )
    done = run("evaluate", tmp_path / "set", "--model", "mine", "--figure", tmp_path / figure)
    assert isinstance(done.exception, MeerkatError)
    assert re.search(told, str(done.exception))


def test_a_folder_of_models_that_is_not_there_is_told(web: Served, tmp_path: Path) -> None:
    picture = save(tmp_path / "a.png", like(1, 0))
    done = run("who", picture, "--model", "mine", "--folder", tmp_path / "nowhere", "--hub", web.base)
    assert done.exit_code == 2
    assert "does not exist" in done.stderr


def test_variations_are_evaluated_too(tmp_path: Path) -> None:
    for person in range(2):
        save(tmp_path / "set" / f"p{person}" / "0.png", like(person, 0))
    told = json.loads(run("evaluate", tmp_path / "set", "--model", "mine", "--json").stdout)
    assert told["probes"] == 2 * 17
    assert told["pictures"] == 2
    assert told["same_picture"] > 0


def test_an_owners_threshold_goes_before_ours(tmp_path: Path) -> None:
    from meerkat_hub.adapters.people_store import meanings
    from meerkat_inference import catalogue

    own = tmp_path / "mine.toml"
    own.write_text("[thresholds]\ndlib-resnet = 0.36\nmine = 0.3\n" + own.read_text())
    catalogue._all.cache_clear()
    assert catalogue.get("dlib-resnet").embedding.threshold == 0.36  # type: ignore[union-attr]
    assert meanings()[catalogue.get("mine").model.sha256].threshold == 0.3
    own.write_text("[thresholds]\nyunet = 0.41\n")
    catalogue._all.cache_clear()
    with pytest.raises(UsageError, match="no embedder 'yunet'"):
        catalogue.entries()
    catalogue._all.cache_clear()


@pytest.mark.parametrize("folder", ["", "one"])
def test_a_folder_that_is_no_set_is_told(tmp_path: Path, folder: str) -> None:
    save(tmp_path / "one" / "p0" / "0.png", like(0, 0))
    done = run("evaluate", tmp_path / folder / "x" if not folder else tmp_path / folder, "--model", "mine")
    assert isinstance(done.exception, UsageError)
    assert "a folder for each person" in str(done.exception)


@pytest.mark.shared
def test_a_real_face_is_enrolled_and_known_again(
    house: WebHouse, web: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With YuNet and dlib: a portrait is known when it is smaller, darker and turned; others are not."""
    pytest.importorskip("dlib", reason="needs the extra faces")
    monkeypatch.undo()
    models = shared("models/yunet_n_320_320.onnx").parent
    done = run("enrol", "Grace", portrait_path(), "--folder", models, "--hub", web.base)
    assert done.exit_code == 0, done.output

    from meerkat_inference.faces.evaluate import describe_people
    from meerkat_inference.faces.loading import load_embedder

    detector = loading.load_detector("yunet", folders=[models])
    embedder = load_embedder("dlib-resnet")
    probes = describe_people(
        [("Grace", [portrait_path()])], embedder, detector, vary=True, tell=print, advance=lambda: None
    )
    gallery = house.hub.people.gallery
    matches = {
        probe.variation: gallery.who(
            probe.embedding.astype("<f4").tobytes(), embedder.info.sha256, probe.quality
        )
        for probe in probes
        if probe.embedding is not None
    }
    assert len(matches) >= 15
    missed = {name for name, match in matches.items() if match.verdict not in {"known", "unfit"}}
    assert missed <= {"size: 48 pixels, poor JPEG"}, "from one picture enrolled"
    assert sum(match.person == "Grace" for match in matches.values()) >= 13, matches


@pytest.mark.parametrize("name", ["", "a/b", " Ada", "-Ada", "x" * 81, "Ada\n", "\u202eAda"])
def test_a_name_that_the_hub_would_not_take_is_told_at_once(web: Served, tmp_path: Path, name: str) -> None:
    picture = save(tmp_path / "1.png", like(1, 1))
    refused = run("enrol", "--hub", web.base, "--", name, picture)
    assert isinstance(refused.exception, UsageError)
    assert "cannot name a person" in str(refused.exception)
    assert web.json("/api/people") == []


@pytest.mark.parametrize("name", ["Jürgen", "Ju\u0308rgen", "李雷", "O'Neill", "R2-D2", "Anne_Marie d.J."])
def test_what_the_command_takes_for_a_name_the_hub_does_too(web: Served, tmp_path: Path, name: str) -> None:
    done = enrol(web, name, save(tmp_path / "1.png", like(1, 1)))
    assert done.exit_code == 0, done.output


def test_a_picture_that_cannot_be_read_does_not_stop_the_others(web: Served, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"nothing")
    picture = save(tmp_path / "fine.png", like(1, 1))
    asked = run("who", tmp_path / "broken.png", picture, "--model", "mine", "--hub", web.base)
    assert asked.exit_code == 1
    assert "broken.png: is no picture" in asked.stderr
    assert f"{picture}: unknown" in asked.stdout


def test_a_picture_that_is_enrolled_is_not_taken_again(web: Served, tmp_path: Path) -> None:
    picture = save(tmp_path / "1.png", like(1, 1))
    assert enrol(web, "Ada", picture).exit_code == 0
    again = enrol(web, "ADA", picture, save(tmp_path / "2.png", like(1, 2)))
    assert (again.exit_code, again.stdout) == (0, "Ada: 1 of 2 pictures taken, 2 in all\n")
    assert again.stderr == f"{picture}: is enrolled already\n"
