"""The models that this machine has, for workers that lack them: a file is asked for by its SHA-256."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse, Response
from pydantic import Field

from meerkat_inference import catalogue, store
from meerkat_inference.catalogue import ModelFile

from .files import send_file
from .models import View
from .problems import NOT_FOUND, ApiError

ShaPath = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of a file, in hex")]


class ModelFileView(View):
    """One file of a model."""

    name: str
    role: str = Field(description="model, config, labels or landmarks", examples=["model"])
    bytes: int = Field(description="0 where nobody knows beforehand")
    sha256: str = Field(description="empty where nobody knows beforehand")
    here: bool = Field(description="whether it can be had at /api/models/{sha256}")


class ModelView(View):
    """A model of the catalogue."""

    name: str = Field(examples=["yolox-nano"])
    title: str
    task: str = Field(examples=["detect_objects"])
    engines: tuple[str, ...]
    devices: tuple[str, ...] = Field(description="what it can run on")
    licence: str
    default: bool
    files: list[ModelFileView]


router = APIRouter(tags=["hub"])


@router.get("/api/models", summary="List models")
def models() -> list[ModelView]:
    """The catalogue, the preferred first, and which of its files this machine can hand out."""
    return [
        ModelView(
            name=entry.name,
            title=entry.title,
            task=entry.task,
            engines=entry.engines,
            devices=entry.devices,
            licence=entry.licence,
            default=entry.default,
            files=[
                ModelFileView(
                    name=file.name,
                    role=file.role,
                    bytes=file.bytes,
                    sha256=file.sha256,
                    here=file.pinned and store.locate_file(file) is not None,
                )
                for file in entry.files
            ],
        )
        for entry in catalogue.entries()
    ]


@router.get(
    "/api/models/{sha256}",
    summary="Get a model's file",
    response_class=FileResponse,
    responses={**NOT_FOUND, 200: {"content": {"application/octet-stream": {}}}},
)
def file(sha256: ShaPath, request: Request) -> Response:
    """A file of the catalogue by its content, whole or the range that is asked for.

    What is sent has this hash: a worker that is told to load a model fetches it here.
    """
    known = _known(sha256)
    path = None if known is None else store.locate_file(known)
    if known is None or path is None:
        raise ApiError(
            404,
            "no model's file with this SHA-256 is on the hub's machine"
            if known
            else "no model of the catalogue has a file with this SHA-256",
            where=request.url.path,
            remedy="GET /api/models lists what there is; `meerkat models pull` fetches more",
        )
    return send_file(request, path, media_type="application/octet-stream", name=known.name, tag=known.sha256)


def _known(sha256: str) -> ModelFile | None:
    return next(
        (file for entry in catalogue.entries() for file in entry.files if file.sha256 == sha256), None
    )
