"""The page and its files, which come with the package."""

from __future__ import annotations

import hashlib
from pathlib import Path

from fastapi import APIRouter, Request, Response

from .files import ASK_AGAIN

FOLDER = Path(__file__).parent / "static"

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def routes() -> APIRouter:
    """`/` and `/static/<file>`, read once: they are small, and no path is made of what a client says."""
    router = APIRouter(include_in_schema=False)
    for path in sorted(FOLDER.iterdir()):
        if path.suffix in TYPES:
            _serve(router, "/" if path.name == "index.html" else f"/static/{path.name}", path)
    return router


def _serve(router: APIRouter, url: str, path: Path) -> None:
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"Content-Type": TYPES[path.suffix], "ETag": tag, "Cache-Control": ASK_AGAIN}

    async def file(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers)

    router.add_api_route(url, file, methods=["GET", "HEAD"], name=path.name)
