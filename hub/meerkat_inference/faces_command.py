"""`meerkat faces`: whose faces the house knows, and how well it tells them apart."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from meerkat_contract.errors import MediaError

if TYPE_CHECKING:
    from .detector import Detector
    from .faces.embedder import Embedder
    from .faces.hub_people import HubPeople
    from .faces.process import Sampled

_hub = click.option(
    "--hub", metavar="URL", help="The hub's page, http://host:8480  [default: this machine's]"
)
_data = click.option(
    "--data", type=click.Path(path_type=Path), metavar="DIR", help="The folder of `meerkat up`."
)
_model = click.option("--model", metavar="NAME", help="The embedder  [default: the best that is there]")
_detector = click.option("--detector", metavar="NAME", help="What finds the faces  [default: the best there]")
_folder = click.option(
    "--folder",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Look there for models too.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def faces() -> None:
    """Whom the house knows by face: enrol, who, list, forget, evaluate."""


@faces.command()
@click.argument("name")
@click.argument("pictures", nargs=-1, required=True, type=click.Path(path_type=Path))
@_hub
@_data
@_model
@_detector
@_folder
@_json
def enrol(
    *,
    name: str,
    pictures: tuple[Path, ...],
    hub: str | None,
    data: Path | None,
    model: str | None,
    detector: str | None,
    folders: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Let the hub know NAME by PICTURES, or by the pictures in a folder.

    The pictures stay here: the hub gets the numbers that describe each face, and a small picture of it.
    Exit status: 0 all were taken, 1 some or all were refused (each with its reason), 2 wrong usage.
    """
    from .faces.hub_people import check_name
    from .faces.pictures import files_of

    check_name(name)
    files = files_of(pictures)
    refused: list[str] = []
    with _hub_people(hub, data) as people, _tools(model, detector, folders) as (embedder, finder):
        people.listed()  # a hub that is not there is told before minutes of work
        taken: list[tuple[Path, Sampled]] = []
        with _progress(len(files), "looking at faces") as (tell, advance):
            for path in files:
                try:
                    taken.append((path, _one_face(path, embedder, finder, tell)))
                except MediaError as error:
                    refused.append(str(error))
                    tell(f"left out: {error}")
                advance()
        if not taken:
            raise MediaError(
                "none of the pictures can be used",
                where=name,
                remedy="Take some in good light, one face in each, looking at the camera",
            )
        warnings = _strangers_among(taken, embedder)
        answer = people.enrol(name, embedder.info, [sample for _, sample in taken])
        for warning in answer["warnings"]:  # the hub counts the samples, people know their files
            place, _, words = warning.partition(" ")
            at = place.removeprefix("samples.")
            file = taken[int(at)][0] if at.isdigit() and int(at) < len(taken) else place
            warnings.append(f"{file}: {words}")
    already = [str(taken[at][0]) for at in answer["already"]]
    for known in already:
        click.echo(f"{known}: is enrolled already", err=True)
    for warning in warnings:
        click.echo(f"look at it: {warning}", err=True)
    name, total = answer["person"]["name"], len(answer["person"]["samples"])
    added = [str(path) for path, _ in taken if str(path) not in already]
    if as_json:
        told = {
            "name": name,
            "added": added,
            "already": already,
            "samples": total,
            "refused": refused,
            "warnings": warnings,
        }
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        click.echo(f"{name}: {len(added)} of {len(files)} pictures taken, {total} in all")
    if refused:
        sys.exit(1)


@faces.command()
@click.argument("pictures", nargs=-1, required=True, type=click.Path(path_type=Path))
@_hub
@_data
@_model
@_detector
@_folder
@_json
def who(
    *,
    pictures: tuple[Path, ...],
    hub: str | None,
    data: Path | None,
    model: str | None,
    detector: str | None,
    folders: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Ask the hub who is in PICTURES, to see whether it knows those whom you enrolled.

    Nothing of it is kept. Every face of a picture is asked about, from left to right. Exit status 1 when
    one of the pictures cannot be read.
    """
    from .faces.pictures import faces_in, files_of, read_picture
    from .faces.process import sampled

    unread = False
    with _hub_people(hub, data) as people, _tools(model, detector, folders) as (embedder, finder):
        for path in files_of(pictures):
            try:
                picture = read_picture(path)
            except MediaError as error:
                _say(f"left out: {error}")
                unread = True
                continue
            found = sorted(faces_in(picture, finder), key=lambda face: face.box[0])
            if not found and not as_json:
                click.echo(f"{path}: no face is to be seen")
            answers = [people.who(embedder.info, sampled(picture, face.box, embedder)) for face in found]
            if as_json:
                click.echo(json.dumps({"picture": str(path), "faces": answers}, ensure_ascii=False))
                continue
            for answer in answers:
                click.echo(f"{path}: {answer['person'] or answer['verdict']} ({answer['reason']})")
    if unread:
        sys.exit(1)


@faces.command("list")
@_hub
@_data
@_json
def list_command(*, hub: str | None, data: Path | None, as_json: bool) -> None:
    """List who is enrolled."""
    with _hub_people(hub, data) as people:
        listed = people.listed()
    if as_json:
        click.echo(json.dumps(listed, ensure_ascii=False))
        return
    if not listed:
        click.echo("Nobody is enrolled. `meerkat faces enrol NAME PICTURES…` does it")
        return
    counts = [len(person["samples"]) for person in listed]
    words = [f"{count} picture" if count == 1 else f"{count} pictures" for count in counts]
    wide, wider = max(len(person["name"]) for person in listed), max(map(len, words))
    for person, pictures in zip(listed, words, strict=True):
        models = ", ".join(sorted({sample["model"] for sample in person["samples"]}))
        since = person["added_at"][:10]
        click.echo(f"{person['name']:{wide}}  {pictures:{wider}}  {models}  since {since}")


@faces.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_hub
@_data
def forget(*, name: str, yes: bool, hub: str | None, data: Path | None) -> None:
    """Forget NAME: numbers and pictures are removed from the hub for good."""
    if not yes:
        click.confirm(f"Remove all that the hub keeps of {name}'s face?", abort=True)
    with _hub_people(hub, data) as people:
        people.forget(name)
    click.echo(f"{name} is forgotten")


@faces.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--vary/--plain", default=True, help="Turned, darker, blurred and smaller too  [default: vary]")
@click.option("--figure", type=click.Path(path_type=Path), metavar="PNG", help="Draw the curve there.")
@_model
@_detector
@_folder
@_json
def evaluate(
    *,
    folder: Path,
    vary: bool,
    figure: Path | None,
    model: str | None,
    detector: str | None,
    folders: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Measure how well people are told apart, on a FOLDER with one folder of pictures per person.

    Nothing leaves this machine. Each picture is asked as one of the house and as a stranger; the
    threshold that is proposed named no stranger of yours, with room.
    """
    from .faces.evaluate import describe_people
    from .faces.measuring import measure
    from .faces.pictures import people_of
    from .faces.telling import as_object, in_words

    if figure is not None:
        from .faces.figure import check

        check(figure)
    people = list(people_of(folder))
    count = sum(len(files) for _, files in people)
    with _tools(model, detector, folders) as (embedder, finder):
        with _progress(count, "looking at faces") as (tell, advance):
            probes = describe_people(
                people,
                embedder,
                finder,
                vary=vary,
                tell=lambda words: tell(f"left out: {words}"),
                advance=advance,
            )
        meaning, name = embedder.embedding, embedder.info.name
    report = measure(probes, margin=meaning.margin)
    if figure is not None:
        from .faces.figure import draw

        title = f"{name}: {report.people} people, {report.pictures} pictures, {report.probes} probes"
        draw(report, figure, title=title, threshold=meaning.threshold)
    if as_json:
        click.echo(json.dumps({"model": name, **as_object(report, meaning.threshold)}))
    else:
        click.echo(in_words(report, name, meaning.threshold))
        if figure is not None:
            click.echo(f"The curve is in {figure}")


def _one_face(path: Path, embedder: Embedder, finder: Detector, tell: Callable[[str], None]) -> Sampled:
    """The described face. Raises MediaError when there is none that could be recognised by."""
    from .faces.embedder import GOOD, USABLE
    from .faces.pictures import portrait
    from .faces.process import sampled

    whole = portrait(path, finder)
    sample = sampled(whole.picture, whole.found.box, embedder)
    if sample.quality < USABLE:
        raise MediaError(
            f"the face can hardly be made out ({sample.reason})",
            where=str(path),
            remedy="Take a larger, sharper, brighter picture that looks at the camera",
        )
    if sample.quality < GOOD:
        tell(f"{path}: poor, but taken ({sample.reason})")
    return sample


def _strangers_among(taken: list[tuple[Path, Sampled]], embedder: Embedder) -> list[str]:
    """Pictures that resemble none of the others: of somebody else, perhaps."""
    import numpy as np

    vectors = [np.frombuffer(sample.embedding, "<f4") for _, sample in taken]
    found = []
    for at, vector in enumerate(vectors):
        others = [float(np.linalg.norm(vector - other)) for i, other in enumerate(vectors) if i != at]
        if others and min(others) > embedder.embedding.threshold:
            found.append(f"{taken[at][0]}: resembles none of the others: the same person?")
    return found


@contextmanager
def _hub_people(hub: str | None, data: Path | None) -> Iterator[HubPeople]:
    from .faces.hub_people import HubPeople, find_hub

    people = HubPeople(find_hub(hub, data))
    try:
        yield people
    finally:
        people.close()


@contextmanager
def _tools(
    model: str | None, detector: str | None, folders: tuple[Path, ...]
) -> Iterator[tuple[Embedder, Detector]]:
    """An embedder and what finds the faces for it."""
    from .faces.loading import load_embedder
    from .loading import load_detector

    embedder = load_embedder(model, folders=folders, log=_say)
    try:
        finder = load_detector(detector, folders=folders, task="detect_faces")
        try:
            yield embedder, finder
        finally:
            finder.close()
    finally:
        embedder.close()


@contextmanager
def _progress(total: int, words: str) -> Iterator[tuple[Callable[[str], None], Callable[[], None]]]:
    """(say a line above the bar, one step further); without a terminal the lines alone."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(words, total=total)
        yield (
            lambda line: progress.console.print(line, markup=False, highlight=False, soft_wrap=True),
            lambda: progress.advance(task),
        )


def _say(words: str) -> None:
    click.echo(words, err=True)
