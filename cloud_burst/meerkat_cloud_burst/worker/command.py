"""`meerkat cloud-worker`: take clips from the cloud's queue, look at them, answer."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from meerkat_contract.errors import MeerkatError

from .plan import Plan, any_name

ENGINES = ("opencv", "darknet", "libdarknet")


@click.command("cloud-worker")
@click.option(
    "--stay",
    is_flag=True,
    envvar="MEERKAT_BURST_STAY",
    help="Do not end when the queue is empty: for a PC of yours.",
)
@click.option(
    "--idle-grace",
    type=click.FloatRange(0, 86_400),
    default=60.0,
    envvar="MEERKAT_BURST_IDLE_GRACE",
    help="Seconds without a clip after which it ends, and on EC2 its machine.",
)
@click.option("--region", default="", envvar="MEERKAT_BURST_REGION", help="AWS region.")
@click.option(
    "--stack",
    default="meerkat-burst",
    envvar="MEERKAT_BURST_STACK",
    help="CloudFormation stack that is asked for bucket and queues when they are not given.",
)
@click.option("--bucket", default="", envvar="MEERKAT_BURST_BUCKET", help="Where clips and models lie.")
@click.option("--jobs", metavar="URL", default="", envvar="MEERKAT_BURST_JOBS", help="Queue of clips.")
@click.option(
    "--results", metavar="URL", default="", envvar="MEERKAT_BURST_RESULTS", help="Queue of answers."
)
@click.option(
    "--group",
    default="",
    envvar="MEERKAT_BURST_GROUP",
    help="Auto Scaling group of this instance: it takes itself out of it at the end.",
)
@click.option(
    "--endpoint", metavar="URL", default="", envvar="MEERKAT_BURST_ENDPOINT", help="Of an emulator of AWS."
)
@click.option(
    "--model",
    metavar="NAME",
    default="",
    envvar="MEERKAT_BURST_MODEL",
    help="One of `meerkat models list`, for clips that name none; fetched from the bucket if it is not here.",
)
@click.option(
    "--models-folder", type=click.Path(path_type=Path, file_okay=False), help="Searched for models too."
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default=ENGINES[0],
    envvar="MEERKAT_BURST_ENGINE",
    help="What Darknet models run on.",
)
@click.option(
    "--name",
    default="",
    envvar="MEERKAT_BURST_NAME",
    help="How it calls itself where it is no instance of EC2; chosen at each start when not given.",
)
@click.option(
    "--log",
    type=click.Choice(("text", "json")),
    default="text",
    envvar="MEERKAT_BURST_LOG",
    help="Lines for people, or JSON objects for CloudWatch.",
)
@click.option(
    "--visibility",
    type=click.FloatRange(1, 43_200),
    default=60.0,
    envvar="MEERKAT_BURST_VISIBILITY",
    hidden=True,
    help="Seconds for which a clip in hand is kept from other workers; prolonged all the time.",
)
def cloud_worker(
    *,
    stay: bool,
    idle_grace: float,
    region: str,
    stack: str,
    bucket: str,
    jobs: str,
    results: str,
    group: str,
    endpoint: str,
    model: str,
    models_folder: Path | None,
    engine: str,
    name: str,
    log: str,
    visibility: float,
) -> None:
    """Look at clips that a hub has sent to the cloud.

    Takes one after the other from the stack's queue, answers each, and ends when the queue stays empty;
    an instance of EC2 ends itself. AWS credentials come from where every AWS program finds them: the
    instance's role, ~/.aws, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.

    Each option can be given as a variable, as the service does: MEERKAT_BURST_REGION, _BUCKET, _JOBS,
    _RESULTS, _GROUP, _STACK, _MODEL, _ENGINE, _IDLE_GRACE, _ENDPOINT, _NAME, _LOG, _STAY.
    """
    plan = Plan(
        region=region,
        stack=stack,
        bucket=bucket,
        jobs=jobs,
        results=results,
        group=group,
        endpoint=endpoint,
        model=model,
        engine=engine,
        folders=() if models_folder is None else (models_folder,),
        idle_grace=None if stay else idle_grace,
        visibility=visibility,
        name=name or any_name(),
    )
    if log == "json":
        from .logs import use_json

        use_json()
    from .starting import serve

    try:
        status = serve(plan)
    except MeerkatError as error:
        if log != "json":
            raise
        logging.getLogger(__name__).error("%s", error)
        status = error.exit_status
    sys.exit(status)
