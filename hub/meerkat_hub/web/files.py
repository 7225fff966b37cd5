"""Sending stored media: ranges, validators, and words when a file has gone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from fastapi import Request
from fastapi.responses import FileResponse, Response

from .problems import ApiError

FOREVER = "private, max-age=31536000, immutable"
"""For what never changes under its address."""

ASK_AGAIN = "private, no-cache"
"""For what may change: keep it, but ask with its ETag."""


def send_file(
    request: Request, path: Path, *, media_type: str, name: str, tag: str, cache: str = FOREVER
) -> Response:
    """The file, whole or the range that was asked for (RFC 9110: 206, 416, If-Range).

    304 for a known ETag; 410 when the file has gone.
    """
    headers = {"ETag": f'"{tag}"', "Cache-Control": cache}
    if _knows(request, tag):
        return Response(status_code=304, headers=headers)
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise gone(request) from None
    except OSError as error:
        remedy = "Check the disk and the folder's permissions"
        raise ApiError(503, f"cannot be read ({error.strerror})", where=str(path), remedy=remedy) from error
    return FileResponse(
        path,
        headers=headers,
        media_type=media_type,
        filename=name,
        stat_result=stat,
        content_disposition_type="inline",
    )


def gone(request: Request) -> ApiError:
    return ApiError(
        410,
        "the file has been removed, as too old or beyond the disk space it may take",
        where=request.url.path,
        remedy="hub.retention says how much is kept; the events that you keep stay",
    )


def file_name(thing: str, at: datetime, suffix: str) -> str:
    """A name for a download that sorts by time: front-2026-11-20T08-15-00Z.mp4"""
    return f"{thing}-{at:%Y-%m-%dT%H-%M-%SZ}{suffix}"


def _knows(request: Request, tag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    return known.strip() == "*" or f'"{tag}"' in [
        part.strip().removeprefix("W/") for part in known.split(",")
    ]
