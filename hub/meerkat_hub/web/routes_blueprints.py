"""Blueprints for Home Assistant, which imports them from here: it needs no other server."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from meerkat_contract.errors import MeerkatError

from .files import ASK_AGAIN
from .guard import names_this_machine

IMPORT = "https://my.home-assistant.io/redirect/blueprint_import/?blueprint_url="
"""Leads to the owner's own Home Assistant, which it learns from the owner's browser."""

_PACKAGE = Path(__file__).resolve().parents[1]
_FOLDERS = (
    _PACKAGE / "blueprints",
    _PACKAGE.parents[1] / "homeassistant/blueprints/automation/meerkat",
)


@dataclass(frozen=True)
class Blueprint:
    name: str
    """Of its file, without the ending."""
    title: str
    words: str


BLUEPRINTS = (
    Blueprint(
        "notify",
        "Tell my phone what a camera saw",
        "With the picture of that very event; filtered by label, zone, person, time and who is at home.",
    ),
    Blueprint(
        "meter",
        "A leak, or no reading of a meter",
        "Water that flows for too long or at night, and a button that shuts the valve.",
    ),
    Blueprint(
        "pool",
        "The pool of workers is in trouble",
        "A worker that is lost, clips that wait, and the cloud's money coming to its end.",
    ),
)


def text_of(name: str) -> bytes:
    """A blueprint's file: in the package where it is installed, in a checkout elsewhere."""
    for folder in _FOLDERS:
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path.read_bytes()
    raise MeerkatError(
        f"the blueprint {name}.yaml is not part of this installation",
        where=str(_PACKAGE),
        remedy="Install Meerkat again: pip install --force-reinstall 'meerkat-home[hub]'",
    )


def routes() -> APIRouter:
    """`/blueprints/` to choose from, and `/blueprints/<name>.yaml`, read when they are asked for."""
    router = APIRouter(include_in_schema=False)

    @router.get("/blueprints", name="blueprints")
    @router.get("/blueprints/", name="blueprints/")
    def choose(request: Request) -> Response:
        return Response(_page(request), headers={"Content-Type": "text/html; charset=utf-8"})

    for blueprint in BLUEPRINTS:
        _serve(router, blueprint.name)
    return router


def _serve(router: APIRouter, name: str) -> None:
    def file() -> Response:
        headers = {"Content-Type": "text/yaml; charset=utf-8", "Cache-Control": ASK_AGAIN}
        return Response(text_of(name), headers=headers)

    router.add_api_route(f"/blueprints/{name}.yaml", file, methods=["GET", "HEAD"], name=f"{name}.yaml")


_SHELL = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Meerkat · Home Assistant</title>
<link rel="icon" href="{up}static/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="{up}static/style.css">
</head>
<body>
<header><div class="bar">
<h1><img src="{up}static/icon.svg" alt="" width="32" height="32">Meerkat</h1>
</div></header>
<main>
<section aria-labelledby="blueprints">
<h2 id="blueprints">Blueprints for Home Assistant</h2>
<p>{how}</p>
</section>
{items}
<section><p><a href="{up}.">Back to the cameras</a></p></section>
</main>
</body>
</html>
"""

_ITEM = """<section>
<h2>{title}</h2>
<p>{words}</p>
<p class="actions">{button}<a class="button" href="{here}{name}.yaml" download>Download</a></p>
</section>
"""

_BUTTON = (
    '<a class="button main" href="{link}" target="_blank" rel="noreferrer">Import into Home Assistant</a> '
)

_HOW = "Each becomes an automation of yours, with your cameras and phones. A file that you download goes to "
_HOW += "<code>config/blueprints/automation/meerkat/</code> of Home Assistant."

_ALONE = (
    "This page is open to this machine alone, so a Home Assistant on another one cannot import from here: "
    "start Meerkat with <code>--open-lan</code>, or download. "
)


def _page(request: Request) -> str:
    # Relative links: behind a proxy, or Home Assistant's ingress, the page has another path.
    bare = not request.url.path.endswith("/")
    up, here = ("", "blueprints/") if bare else ("../", "")
    proxied = "x-ingress-path" in request.headers
    alone = names_this_machine(request.headers.get("host", ""))
    how = (_ALONE if alone and not proxied else "") + _HOW
    items = []
    for one in BLUEPRINTS:
        link = f"{IMPORT}{quote(f'{request.base_url}blueprints/{one.name}.yaml', safe='')}"
        # Through ingress the address is Home Assistant's own, which asks itself for a password.
        button = "" if proxied else _BUTTON.format(link=escape(link))
        items.append(
            _ITEM.format(
                title=escape(one.title), words=escape(one.words), button=button, here=here, name=one.name
            )
        )
    return _SHELL.format(up=up, how=how, items="".join(items))
