"""People who can be recognised: who is enrolled, enrol, forget."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from meerkat_contract.messages import ModelInfo
from meerkat_hub.adapters.people_store import NewSample, PeopleStore, StoredPerson
from meerkat_hub.core.workflows.gallery import Meaning, key_of, vector_of
from meerkat_inference import catalogue
from meerkat_inference.catalogue import Entry

from .models import View
from .parameters import IdPath
from .parts import ThePeople
from .problems import BAD_QUERY, NOT_FOUND, REFUSED, ApiError

NAME = r"^[\p{L}\p{N}][\p{L}\p{M}\p{N} .'’_-]{0,79}$"
"""Letters of any language, digits, blanks and . ' - _: it goes into events and addresses."""
MOST = 100
"""Samples of one person and model. Thirty varied pictures are plenty; each is compared with every face."""

PersonPath = Annotated[str, Path(pattern=NAME, description="a person's name", examples=["Ada"])]


class SampleView(View):
    """One picture of a person."""

    id: str
    model: str = Field(description="name of the embedder that described it", examples=["dlib-resnet"])
    model_sha256: str
    quality: float = Field(description="0..1", examples=[0.86])
    added_at: datetime
    has_picture: bool


class PersonView(View):
    """A person and their samples. Embeddings do not leave the hub."""

    name: str = Field(examples=["Ada"])
    added_at: datetime
    samples: list[SampleView]


class SampleBody(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    embedding: Base64Bytes = Field(description="little-endian float32", max_length=32_768)
    quality: float = Field(ge=0, le=1, description="as the embedder says")
    picture: Base64Bytes | None = Field(None, max_length=30_000, description="JPEG, 20 kB at most")


class SamplesBody(BaseModel):
    """Pictures of one person, described by one embedder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: ModelInfo
    samples: list[SampleBody] = Field(min_length=1, max_length=50)


class FaceBody(BaseModel):
    """A face that somebody asks about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: ModelInfo
    embedding: Base64Bytes = Field(description="little-endian float32", max_length=32_768)
    quality: float = Field(1.0, ge=0, le=1)


class WhoView(View):
    """Who it is, or why nobody is named."""

    verdict: Literal["known", "unknown", "between", "unfit", "incomparable"]
    person: str | None = Field(None, description="only with `known`", examples=["Ada"])
    distance: float | None = Field(None, description="to the nearest person, named or not")
    reason: str = Field(description="in words", examples=["Ada at 0.31"])


class Enrolled(View):
    person: PersonView
    added: list[str] = Field(description="ids of the new samples")
    already: list[int] = Field(description="which samples were enrolled before, from 0: they are not twice")
    warnings: list[str] = Field(description="what to look at, such as a sample that resembles another person")


def view(stored: StoredPerson) -> PersonView:
    return PersonView(
        name=stored.name,
        added_at=stored.added_at,
        samples=[
            SampleView(
                id=s.id,
                model=s.model_name,
                model_sha256=s.model_sha256,
                quality=s.quality,
                added_at=s.added_at,
                has_picture=s.has_picture,
            )
            for s in stored.samples
        ],
    )


router = APIRouter(prefix="/api", tags=["people"], responses=REFUSED)


def _missing(request: Request, what: str) -> ApiError:
    remedy = "GET /api/people lists who is enrolled"
    return ApiError(404, what, where=request.url.path, remedy=remedy)


@router.get("/people", summary="List people")
def listed(people: ThePeople) -> list[PersonView]:
    """Everybody who is enrolled, by name."""
    return [view(person) for person in people.people()]


@router.post("/people/{name}/samples", summary="Enrol", responses=BAD_QUERY)
def enrol(request: Request, people: ThePeople, name: PersonPath, body: SamplesBody) -> Enrolled:
    """Add pictures of a person, who is made if new. `meerkat faces enrol` sends them."""
    meaning = _check(body, request.url.path)
    there = people.embeddings(name, body.model.sha256)
    numbers = [sample.embedding for sample in body.samples]
    already = [at for at, one in enumerate(numbers) if one in there or one in numbers[:at]]
    if len(there) + len(body.samples) - len(already) > MOST:
        raise ApiError(
            422,
            f"{name} would have more than {MOST} samples of this model",
            where=request.url.path,
            remedy="Forget some, or forget the person and enrol the best pictures again",
        )
    warnings = _resemblances(people, name, body, meaning)
    new = [NewSample(s.embedding, s.quality, s.picture) for s in body.samples]
    added = people.add(name, body.model.sha256, body.model.name, new)
    stored = people.person(name)
    if stored is None:
        raise _missing(request, f"{name} was forgotten meanwhile")
    return Enrolled(person=view(stored), added=added, already=already, warnings=warnings)


@router.post("/recognise", summary="Who is this?", responses=BAD_QUERY)
def recognise(people: ThePeople, body: FaceBody) -> WhoView:
    """Compare a face with all who are enrolled, as a workflow would. Nothing of it is kept."""
    match = people.gallery.who(body.embedding, body.model.sha256, body.quality)
    return WhoView(
        verdict=match.verdict,
        person=match.person,
        distance=match.distance if math.isfinite(match.distance) else None,
        reason=match.reason,
    )


@router.delete("/people/{name}", summary="Forget a person", status_code=204, responses=NOT_FOUND)
def forget(request: Request, people: ThePeople, name: PersonPath) -> Response:
    """Remove a person with all samples and pictures for good."""
    if not people.forget(name):
        raise _missing(request, f"nobody is enrolled as {name}")
    return Response(status_code=204)


@router.delete(
    "/people/{name}/samples/{sample_id}", summary="Forget a sample", status_code=204, responses=NOT_FOUND
)
def forget_sample(request: Request, people: ThePeople, name: PersonPath, sample_id: IdPath) -> Response:
    """Remove one picture of a person for good."""
    if not people.forget_sample(name, sample_id):
        raise _missing(request, "there is no such sample")
    return Response(status_code=204)


@router.get(
    "/people/{name}/samples/{sample_id}/picture",
    summary="A sample's picture",
    response_class=Response,
    responses={**NOT_FOUND, 200: {"content": {"image/jpeg": {}}, "description": "The face, small"}},
)
def picture(request: Request, people: ThePeople, name: PersonPath, sample_id: IdPath) -> Response:
    """A JPEG of the face, for people to see whether the right one is enrolled."""
    found = people.picture(name, sample_id)
    if found is None:
        raise _missing(request, "this sample has no picture")
    return Response(found, media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})


def _check(body: SamplesBody, where: str) -> Meaning:
    """What the model's distances mean. Raises ApiError 422 for samples that could never match."""
    entry = _entry(body.model, where)
    assert entry.embedding is not None
    meaning = Meaning(entry.embedding.threshold, entry.embedding.margin)
    for at, sample in enumerate(body.samples):
        place = f"samples.{at}"
        numbers = len(sample.embedding) / 4
        if numbers != entry.embedding.dimensions or not all(map(math.isfinite, vector_of(sample.embedding))):
            raise ApiError(
                422,
                f"{numbers:g} numbers, and {entry.name} gives {entry.embedding.dimensions}"
                if numbers != entry.embedding.dimensions
                else "some of the numbers are infinite, or none",
                where=place,
                remedy="Send its embedding as little-endian float32 in base64",
            )
        if sample.quality < meaning.quality:
            raise ApiError(
                422,
                f"the face can hardly be made out (quality {sample.quality:.2f} of {meaning.quality})",
                where=place,
                remedy="Take a larger, sharper, brighter picture that looks at the camera",
            )
        if sample.picture is not None and sample.picture[:2] != b"\xff\xd8":
            raise ApiError(422, "the picture is no JPEG", where=place, remedy="Send a JPEG or none")
    return meaning


def _entry(model: ModelInfo, where: str) -> Entry:
    for entry in catalogue.ranked("recognise_faces"):
        if entry.model.sha256 == model.sha256:
            return entry
    raise ApiError(
        422,
        f"the hub's catalogue does not know the embedder {model.name!r} ({model.sha256[:12] or 'no hash'})",
        where=where,
        remedy="Use one that `meerkat models list` shows, or set MEERKAT_CATALOGUE for the hub too",
    )


def _resemblances(people: PeopleStore, name: str, body: SamplesBody, meaning: Meaning) -> list[str]:
    """Samples that the gallery would call somebody else by now."""
    warnings = []
    for at, sample in enumerate(body.samples):
        match = people.gallery.who(sample.embedding, body.model.sha256)
        nearest = key_of(match.nearest or name)
        if nearest != key_of(name) and match.distance <= meaning.threshold:
            warnings.append(
                f"samples.{at} resembles {match.nearest} (distance {match.distance:.2f}): the right person?"
            )
    return warnings
