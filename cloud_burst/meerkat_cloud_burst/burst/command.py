"""`meerkat burst`: make the cloud, look at it, and end it."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from meerkat_cloud_burst.settings import BurstSettings
from meerkat_contract.configfile import section
from meerkat_contract.errors import UsageError

if TYPE_CHECKING:
    from meerkat_cloud_burst.aws.clients import Clients

    from .deploying import Deployment
    from .stacks import Found, Stacks

Command = TypeVar("Command", bound=Callable[..., Any])


def of_settings(command: Command) -> Command:
    """--config, --region, --stack."""
    options: tuple[Callable[[Command], Command], ...] = (
        click.option("--stack", metavar="NAME", help="burst.stack of meerkat.yaml  [default: meerkat-burst]"),
        click.option("--region", metavar="NAME", help="burst.region; else that of the AWS profile."),
        click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="meerkat.yaml"),
    )
    for option in options:
        command = option(command)
    return command


def of_hub(command: Command) -> Command:
    """--hub."""
    help_text = "The hub's page, if it is not on this machine."
    return click.option("--hub", "hub_at", metavar="URL", default="", help=help_text)(command)


as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def settings_of(config: Path | None, region: str | None, stack: str | None) -> BurstSettings:
    """Section `burst`, with what the options say instead. Raises UsageError."""
    from pydantic import ValidationError

    settings = section(config, "burst", BurstSettings)
    given = {name: value for name, value in (("region", region), ("stack", stack)) if value}
    try:
        return BurstSettings.model_validate({**settings.model_dump(), **given})
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"{first['input']!r} is no good name: {first['msg']}",
            where="--" + str(first["loc"][0]),
            remedy="A region is like eu-central-1, a stack like meerkat-burst",
        ) from None


@click.group()
def burst() -> None:
    """Rent machines of AWS when the house is behind: make it, look at it, end it."""


@burst.command()
@of_settings
@click.option(
    "--set",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another parameter of the template. Repeatable.",
)
@click.option(
    "--wheel", type=click.Path(path_type=Path, dir_okay=False), help="Meerkat's wheel, already built."
)
@click.option(
    "--models-folder", type=click.Path(path_type=Path, file_okay=False), help="Searched for the model too."
)
@yes_option
@as_json_option
def deploy(
    *,
    config: Path | None,
    region: str | None,
    stack: str | None,
    given: tuple[str, ...],
    wheel: Path | None,
    models_folder: Path | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Create the cloud, or bring it up to date. Asks before it makes anything that can cost.

    Builds Meerkat's wheel, makes the stack, and uploads wheel and model. Type it again after each update of
    Meerkat and each change of the section burst: what is right already stays.

    Parameters for --set: ImageId (an image of your own), Purchase (spot or on-demand), Darknet (yes or no),
    RootDevice, RootSize, DailyZero, BudgetEmail, BudgetDollars.
    """
    from . import release, wanted

    settings = settings_of(config, region, stack)
    if settings.fleet == "external":
        click.echo("burst.fleet is external: the group of machines is made too, and stays empty.", err=True)
    chosen = wanted.choose(given)
    model = wanted.find_model(settings.model, [models_folder] if models_folder else [])
    with tempfile.TemporaryDirectory(prefix="meerkat-burst-") as folder:
        made = release.prepare(Path(folder), wheel=wheel)
        deployment = _deployment(settings, made, model, wanted.parameters(settings, made, model.name, chosen))
        found = deployment.look()
        _ask_for_deploy(deployment, found, yes=yes)
        done = deployment.apply(found, lambda line: click.echo(line, err=True))
    if as_json:
        click.echo(
            json.dumps({"stack": settings.stack, "status": done.status, "outputs": dict(done.outputs)})
        )
        return
    click.echo(
        f"\n{settings.stack} is ready, and costs nothing until it is needed. In the hub's meerkat.yaml:\n"
    )
    click.echo(wanted.settings_text(settings, deployment.clients.region))
    click.echo(
        f"\nThe user whose AWS key the hub has needs one policy:\n{done.outputs['HubPolicy']}\n"
        "(IAM, Users, Add permissions, Attach policies directly.) Then restart the hub, and ask "
        "`meerkat burst status`."
    )


def _deployment(settings: BurstSettings, made: Any, model: Any, parameters: dict[str, str]) -> Deployment:
    from .deploying import Deployment

    clients = _clients(settings)
    return Deployment(clients, settings, _stacks(clients, settings), made, model, parameters)


def _ask_for_deploy(deployment: Deployment, found: Found | None, *, yes: bool) -> None:
    """Whose account, what is made, what it costs; then yes or no. Raises click.Abort."""
    settings, clients = deployment.settings, deployment.clients
    change = "is changed where it differs" if found and not found.dead else "is made"
    click.echo(
        f"AWS {deployment.account()}, region {clients.region}: stack {settings.stack} {change}.", err=True
    )
    for line in deployment.prices():
        click.echo(line, err=True)
    model = deployment.model
    click.echo(
        f"The machines get Meerkat {deployment.release.wheel.name.split('-')[1]} and the model {model.name} "
        f"({model.size / 1e6:.1f} MB).",
        err=True,
    )
    _confirm("Go on?", yes=yes)


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to answer", where="meerkat burst", remedy="Add --yes")
    click.confirm(question, abort=True, err=True)


@burst.command()
@of_settings
@of_hub
@as_json_option
def plan(*, config: Path | None, region: str | None, stack: str | None, hub_at: str, as_json: bool) -> None:
    """What would be sent out now, and why; with seconds and cents. Changes nothing."""
    from . import telling
    from .hub import Hub

    settings = settings_of(config, region, stack)
    view = Hub(hub_at).burst()
    click.echo(json.dumps(view) if as_json else "\n".join(telling.plan(view, settings)))


@burst.command()
@of_settings
@of_hub
@as_json_option
@click.pass_context
def status(
    context: click.Context,
    *,
    config: Path | None,
    region: str | None,
    stack: str | None,
    hub_at: str,
    as_json: bool,
) -> None:
    """How it stands: the hub, the machines, the queues, the money. Exit status 1 when something is wrong."""
    from . import looking, telling
    from .hub import Hub

    settings = settings_of(config, region, stack)
    seen = looking.look(_clients(settings), settings, Hub(hub_at))
    click.echo(
        json.dumps(telling.status_object(seen)) if as_json else "\n".join(telling.status(seen, settings))
    )
    if seen.trouble:
        context.exit(1)


@burst.command()
@of_settings
@of_hub
@as_json_option
def stop(*, config: Path | None, region: str | None, stack: str | None, hub_at: str, as_json: bool) -> None:
    """End every machine now, and let the hub send nothing more. Works without the hub too.

    What the machines had in hand is done at home.
    """
    from . import ending
    from .hub import Hub, HubSilent

    settings = settings_of(config, region, stack)
    hub = Hub(hub_at)
    try:
        hub.say("stop")
        told = ""
        click.echo("the hub is told: it ends its machines and sends nothing more", err=True)
    except HubSilent as silent:
        told = str(silent)
        click.echo(f"{told}. A hub elsewhere would start new ones: set burst.enabled: false", err=True)
    clients = _clients(settings)
    found = _stacks(clients, settings).find()
    group = found.outputs.get("Group", "") if found else ""
    stopped = ending.stop(clients, settings, group or f"{settings.stack}-workers")
    if as_json:
        answer = {"instances": stopped.instances, "orphans": stopped.orphans, "hub": told or "told"}
        click.echo(json.dumps(answer))
        return
    ended = [*stopped.instances, *stopped.orphans]
    click.echo(f"ended: {', '.join(ended)}" if ended else "no machine runs")


@burst.command()
@of_settings
@yes_option
def teardown(*, config: Path | None, region: str | None, stack: str | None, yes: bool) -> None:
    """End the machines, empty the bucket, delete everything that deploy has made. Asks first."""
    from . import ending

    settings = settings_of(config, region, stack)
    clients = _clients(settings)
    stacks = _stacks(clients, settings)
    found = stacks.find()
    if found is None:
        click.echo(f"there is no stack {settings.stack} in {clients.region}")
        return
    click.echo(
        f"Stack {settings.stack} in {clients.region} goes, with all clips and results in its bucket "
        f"{found.outputs.get('Bucket', '')}. What the hub has not heard of yet is looked at again at home.",
        err=True,
    )
    _confirm("Delete it?", yes=yes)
    ending.teardown(clients, settings, stacks, found, lambda line: click.echo(line, err=True))
    click.echo(f"{settings.stack} is gone. Set burst.enabled: false in the hub's meerkat.yaml")


@burst.command()
@of_settings
@of_hub
@as_json_option
def cost(*, config: Path | None, region: str | None, stack: str | None, hub_at: str, as_json: bool) -> None:
    """What was spent by day and month, against the ceilings; what is assumed of prices; where it leads."""
    from . import telling
    from .costs import Costs
    from .hub import Hub

    settings = settings_of(config, region, stack)
    hub = Hub(hub_at)
    costs = Costs.of(hub.ledger(), hub.burst())
    click.echo(json.dumps(costs.as_object()) if as_json else "\n".join(telling.cost(costs, settings)))


def _clients(settings: BurstSettings) -> Clients:
    from meerkat_cloud_burst.aws.clients import Clients

    return Clients.of(settings)


def _stacks(clients: Clients, settings: BurstSettings) -> Stacks:
    from .stacks import Stacks

    return Stacks(clients, settings.stack, say=lambda line: click.echo(line, err=True))
