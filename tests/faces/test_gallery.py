"""Who is it: naming, and above all not naming."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meerkat_contract.messages import Face, ModelInfo
from meerkat_hub.core.workflows.gallery import Gallery, Match, Meaning, Sample

MODEL, OTHER = "a" * 64, "b" * 64
MEANING = Meaning(threshold=0.5, margin=0.1, quality=0.3)


def at(*numbers: float) -> tuple[float, ...]:
    return (*numbers, *[0.0] * (4 - len(numbers)))


def gallery(*people: tuple[str, tuple[float, ...]], model: str = MODEL) -> Gallery:
    samples = [Sample(str(n), person, model, vector) for n, (person, vector) in enumerate(people)]
    return Gallery(samples, {MODEL: MEANING, OTHER: MEANING})


def packed(vector: tuple[float, ...]) -> bytes:
    return struct.pack(f"<{len(vector)}f", *vector)


def test_the_nearest_person_is_named() -> None:
    house = gallery(("ada", at(0)), ("bob", at(2)))
    match = house.who(at(0.25), MODEL)
    assert match == Match("known", "ada", 0.25, "ada", "bob", 1.75, "ada at 0.25")
    assert not match.stranger
    assert house.who(packed(at(0.25)), MODEL) == match


def test_the_nearest_of_a_persons_pictures_counts() -> None:
    house = gallery(("ada", at(5)), ("ada", at(0)), ("bob", at(2)))
    assert house.who(at(0.1), MODEL).person == "ada"


def test_somebody_far_from_all_is_a_stranger() -> None:
    match = gallery(("ada", at(0)), ("bob", at(2))).who(at(-1), MODEL)
    assert match.person is None
    assert match.stranger
    assert (match.nearest, match.distance) == ("ada", 1)
    assert match.reason == "nobody is near: ada at 1.00, named up to 0.50"


@pytest.mark.parametrize(("distance", "person"), [(0.5, "ada"), (math.nextafter(0.5, 1), None)])
def test_the_threshold_is_the_greatest_distance(distance: float, person: str | None) -> None:
    assert gallery(("ada", at(0))).who(at(distance), MODEL).person == person


def test_between_two_people_nobody_is_named() -> None:
    match = gallery(("ada", at(0)), ("bob", at(0.5))).who(at(0.22), MODEL)
    assert (match.verdict, match.person, match.stranger) == ("between", None, False)
    assert "ada at 0.22 and bob at 0.28 are too close to call" in match.reason
    assert gallery(("ada", at(0)), ("bob", at(0.5))).who(at(0.19), MODEL).person == "ada"


def test_the_margin_is_the_least_difference() -> None:
    people = [Sample("1", "ada", MODEL, at(0)), Sample("2", "bob", MODEL, at(0.5))]
    house = Gallery(people, {MODEL: Meaning(threshold=0.5, margin=0.25)})
    assert house.who(at(0.125), MODEL).person == "ada"
    assert house.who(at(math.nextafter(0.125, 1)), MODEL).verdict == "between"


def test_two_pictures_of_one_person_are_no_doubt() -> None:
    assert gallery(("ada", at(0)), ("ada", at(0.01))).who(at(0), MODEL).person == "ada"


def test_a_face_that_is_hardly_to_be_made_out_is_not_named_and_no_stranger() -> None:
    house = gallery(("ada", at(0)))
    assert house.who(at(0), MODEL, quality=0.3).person == "ada"
    match = house.who(at(0), MODEL, quality=0.29)
    assert (match.verdict, match.person, match.stranger) == ("unfit", None, False)


def test_a_face_described_by_another_model_is_not_called_unknown() -> None:
    match = gallery(("ada", at(0))).who(at(0), OTHER)
    assert (match.verdict, match.person, match.stranger) == ("incomparable", None, False)
    assert "different models cannot be compared" in match.reason


def test_samples_of_two_models_do_not_meet() -> None:
    samples = [Sample("1", "ada", MODEL, at(0)), Sample("2", "bob", OTHER, at(0))]
    house = Gallery(samples, {MODEL: MEANING, OTHER: MEANING})
    assert house.who(at(0), MODEL).person == "ada"
    assert house.who(at(0), OTHER).person == "bob"
    assert house.people == {"ada", "bob"}


def test_a_model_without_a_meaning_names_nobody() -> None:
    house = Gallery([Sample("1", "ada", MODEL, at(0))], {})
    assert house.who(at(0), MODEL).verdict == "incomparable"


def test_where_nobody_is_enrolled_everybody_is_a_stranger() -> None:
    match = gallery().who(at(0), MODEL)
    assert match.stranger
    assert match.reason == "nobody is enrolled"


@pytest.mark.parametrize(
    "embedding", [b"abc", packed((0.0, 0.0)), packed((math.nan, 0, 0, 0)), packed((math.inf, 0, 0, 0)), b""]
)
def test_numbers_that_are_none_name_nobody(embedding: bytes) -> None:
    """A worker that lies harms nobody but itself."""
    match = gallery(("ada", at(0))).who(embedding, MODEL)
    assert (match.verdict, match.person) == ("incomparable", None)


def test_what_a_model_cannot_know_is_said_with_the_remedy() -> None:
    """Of who is enrolled with another model only; by number, for it goes out on the bus."""
    samples = [Sample("1", "ada", MODEL, at(0)), Sample("2", "bob", MODEL, at(2))]
    meanings = {MODEL: MEANING, OTHER: MEANING}
    dlib, sface = ModelInfo(name="dlib-resnet", sha256=MODEL), ModelInfo(name="sface", sha256=OTHER)
    house = Gallery(samples, meanings)
    assert house.doubt(dlib) == ""
    assert house.doubt(sface) == (
        "nobody can be recognised by sface: they were enrolled with another model. "
        "Enrol them again: `meerkat faces enrol NAME PICTURES --model sface`"
    )
    assert house.who(at(0), OTHER).incomparable
    half = Gallery([*samples, Sample("3", "ada", OTHER, at(0))], meanings)
    assert half.doubt(sface).startswith("1 of 2 people cannot be recognised by sface: ")
    assert half.doubt(dlib) == ""
    assert not half.who(at(0), OTHER).incomparable
    assert Gallery((), meanings).doubt(sface) == "", "everybody is a stranger then, and told of"


@pytest.mark.parametrize(("sha256", "known_as"), [("c" * 64, "c" * 12), ("", "no hash")])
def test_a_model_that_the_catalogue_does_not_know_is_not_what_to_enrol_with(
    sha256: str, known_as: str
) -> None:
    doubt = gallery(("ada", at(0))).doubt(ModelInfo(name="mine", sha256=sha256))
    assert doubt.startswith(f"nobody can be recognised by mine ({known_as}), which the hub's catalogue does")
    assert "MEERKAT_CATALOGUE" in doubt
    assert "enrol" not in doubt


def face(vector: tuple[float, ...], quality: float = 1.0) -> Face:
    from base64 import b64encode

    return Face(box=(0, 0, 1, 1), score=1, quality=quality, embedding=b64encode(packed(vector)))


def test_nobody_is_in_one_picture_twice() -> None:
    house = gallery(("ada", at(0)), ("bob", at(3)))
    far, near, bob, poor = house.who_all(
        [face(at(0.4)), face(at(0.25)), face(at(3)), face(at(0), quality=0.1)], MODEL
    )
    assert (near.person, bob.person) == ("ada", "bob")
    assert (far.verdict, far.person) == ("between", None)
    assert "another face in the picture is nearer to ada" in far.reason
    assert poor.verdict == "unfit"


def test_two_faces_that_are_equally_near_are_one_person_and_a_doubt() -> None:
    matches = gallery(("ada", at(0))).who_all([face(at(0.25)), face(at(0.25))], MODEL)
    assert [match.person for match in matches] == ["ada", None]


numbers = st.floats(-3, 3, width=32)
vectors = st.tuples(numbers, numbers, numbers, numbers)


@given(
    people=st.lists(st.tuples(st.sampled_from(["ada", "bob", "cy"]), vectors), min_size=1, max_size=12),
    vector=vectors,
)
def test_a_name_is_never_given_against_the_rule(
    people: list[tuple[str, tuple[float, ...]]], vector: tuple[float, ...]
) -> None:
    match = gallery(*people).who(vector, MODEL)
    nearest = {
        name: min(math.dist(vector, other) for person, other in people if person == name)
        for name, _ in people
    }
    ranked = sorted(nearest.values())
    sure = ranked[0] <= 0.5 and (len(ranked) == 1 or ranked[1] - ranked[0] >= 0.1)
    assert (match.person is not None) == sure
    if match.person is not None:
        assert nearest[match.person] == ranked[0]
    assert match == gallery(*reversed(people)).who(vector, MODEL)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_sample_that_is_no_number_does_not_hide_the_others_of_its_person(bad: float) -> None:
    for samples in ([at(bad), at(0)], [at(0), at(bad)]):
        house = gallery(*[("ada", sample) for sample in samples], ("bob", at(2)))
        assert house.who(at(0.1), MODEL).person == "ada"


def test_a_quality_that_is_no_number_is_unfit() -> None:
    assert gallery(("ada", at(0))).who(at(0), MODEL, quality=math.nan).verdict == "unfit"
