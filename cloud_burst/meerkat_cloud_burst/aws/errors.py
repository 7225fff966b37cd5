"""What AWS and boto3 say when something is wrong, as a CloudError that tells a person what to do.

Codes come from the services' API references ("Common errors", "Error responses" of S3, "Error codes" of
EC2); those of scaling activities from their StatusMessage, which holds EC2's code or only its sentence.
Words of AWS are repeated only where no secret can be in them: what it says of a wrong signature quotes the
signed headers, a session's token among them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from botocore import exceptions as boto

from meerkat_cloud_burst.errors import Cause, CloudError, Gone

from .meanings import (
    BROKEN,
    CLOCK,
    CODES,
    DENIED,
    DEPLOY,
    ELSEWHERE,
    GONE,
    LOCAL,
    NO_ANSWER,
    PATIENCE,
    RECEIPTS,
    SENTENCES,
    Meaning,
)

SKEW = 300.0
"""Seconds that AWS lets a clock be wrong (15 minutes for S3, 5 for the others)."""

_PERFORM = re.compile(
    r"not authorized to perform: ([a-zA-Z0-9-]+:[A-Za-z*]+)(?: on resource: \"?([^\s\",]+))?"
)
_EXPECTING = re.compile(r"expecting '?([a-z]{2}(?:-[a-z]+)+-\d)'?")
_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b|[A-Za-z0-9+/=_-]{60,}")
"""Ids of keys, and what is long and without a space: tokens, encoded messages."""


def explain(
    error: Exception,
    *,
    service: str = "",
    doing: str = "",
    where: str = "",
    region: str = "",
    endpoint: str = "",
    now: datetime | None = None,
) -> CloudError:
    """The CloudError of an exception of boto3, botocore or s3transfer.

    `service` is boto3's name for it («sqs»), `doing` what was wanted («sending an order»), `where` the
    thing. `now` is this machine's clock, for the tests.
    """
    if isinstance(error, boto.ClientError):
        asked = _Asked(service, doing, where, region)
        return _refused(error, asked, now or datetime.now(UTC))
    return _not_reached(error, _Asked(service, doing, where, region), endpoint)


@dataclass(frozen=True, slots=True)
class _Asked:
    service: str
    doing: str
    where: str
    region: str

    def error(self, cause: Cause, what: str, remedy: str) -> CloudError:
        while_ = f" ({self.doing})" if self.doing else ""
        region = self.region or "that of the AWS profile"
        return CloudError(
            what.replace("{region}", region) + while_,
            cause=cause,
            where=self.where or self.service,
            remedy=remedy.replace("{region}", region),
        )

    def means(self, meaning: Meaning) -> CloudError:
        return self.error(meaning.cause, meaning.what, meaning.remedy)


def _refused(error: Any, asked: _Asked, now: datetime) -> CloudError:
    """AWS answered, with an error."""
    response: dict[str, Any] = error.response
    told = response.get("Error", {})
    code, message = str(told.get("Code", "")), str(told.get("Message", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    off = _clock_is_off(response, now)
    if code in CLOCK or _signed_at_another_time(code, message, off):
        return _clock(asked, off)
    if code in DENIED:
        return _denied(asked, message, str(error.operation_name))
    if code in GONE or _says_gone(code, message):
        return Gone(f"it is not there ({asked.doing})", where=asked.where or asked.service)
    if code in ELSEWHERE:
        return _elsewhere(asked, told, message)
    if code in ("ValidationError", "ValidationException") and _says_missing(message):
        thing = "stack" if asked.service == "cloudformation" else "Auto Scaling group"
        return asked.error("missing", f"this {thing} is not there", DEPLOY)
    if code in CODES:
        return asked.means(CODES[code])
    if (code.isdigit() and int(code) >= 500) or status >= 500:
        return asked.means(BROKEN)
    said = f"{code}: {scrubbed(message)}" if message else code
    return asked.error("other", f"AWS refuses: {said}", "The AWS API reference of this service explains it")


def _says_gone(code: str, message: str) -> bool:
    """A receipt that holds no longer, or an instance that no group counts."""
    return (code in RECEIPTS and "receipt" in message.lower()) or "Instance Id not found" in message


def _says_missing(message: str) -> bool:
    return "does not exist" in message or "not found" in message


def _clock_is_off(response: dict[str, Any], now: datetime) -> float:
    """Seconds by which this machine is ahead of AWS; 0 when AWS did not say the time."""
    told = response.get("Error", {}).get("ServerTime")
    try:
        theirs = datetime.fromisoformat(str(told)) if told else answered_at(response)
    except ValueError:
        theirs = answered_at(response)
    return (now - theirs).total_seconds() if theirs else 0.0


def answered_at(response: dict[str, Any]) -> datetime | None:
    """AWS's own clock when it answered (the Date header)."""
    date = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        moment = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _signed_at_another_time(code: str, message: str, off: float) -> bool:
    if code not in ("SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure"):
        return False
    return abs(off) > SKEW or "Signature expired" in message or "not yet current" in message


def _clock(asked: _Asked, off: float) -> CloudError:
    if abs(off) < 1:
        how = "too far from Amazon's"
    else:
        how = f"{_span(abs(off))} {'ahead of' if off > 0 else 'behind'} Amazon's"
    return asked.error(
        "clock",
        f"this machine's clock is {how}, and AWS takes no request signed at a wrong time",
        "Set it: timedatectl set-ntp true, and look with timedatectl whether it is synchronised",
    )


def _span(seconds: float) -> str:
    for name, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}"
    return f"{seconds:.0f} seconds"


def _denied(asked: _Asked, message: str, operation: str) -> CloudError:
    found = _PERFORM.search(message)
    action = found[1] if found else f"{asked.service}:{operation}"
    resource = found[2].rsplit(":", 1)[-1] if found and found[2] else asked.where
    return asked.error(
        "permission",
        f"the AWS user or role of this machine may not {action} on {scrubbed(resource) or 'this'}",
        f"Let its policy allow {action}: docs/how-to/cloud-burst.md lists what the hub and its workers need",
    )


def _elsewhere(asked: _Asked, told: dict[str, Any], message: str) -> CloudError:
    expecting = _EXPECTING.search(message)
    there = str(told.get("Region", "")) or (expecting[1] if expecting else "")
    return asked.error(
        "region",
        "this bucket is in " + (f"the region {there}" if there else "another region") + ", not in {region}",
        f"Set burst.region to {there or 'the region of the stack'}",
    )


def launch_trouble(message: str, *, where: str, region: str) -> CloudError:
    """Why a group could not launch an instance: the StatusMessage of its scaling activity."""
    asked = _Asked("autoscaling", "launching an instance", where, region)
    if "ServiceLinkedRole" in message:
        return asked.error(
            "permission",
            "the account has no service-linked role for spot instances",
            "Make it once: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com",
        )
    for code in sorted(CODES, key=len, reverse=True):
        if re.search(rf"\b{re.escape(code)}\b", message):
            return asked.means(CODES[code])
    for sentence, code in SENTENCES:
        if sentence.search(message):
            return asked.means(CODES[code])
    said = scrubbed(message) or "without a word"
    return asked.error(
        "other", f"AWS launches nothing: {said}", "The group's Activity page in the AWS console shows more"
    )


def scrubbed(text: str) -> str:
    """At most 200 characters on one line, without what looks like a key or a token."""
    line = " ".join(_KEY.sub("…", text).split()).rstrip(".")
    return line if len(line) <= 200 else line[:199] + "…"


# --- no answer ------------------------------------------------------------------------------------


def _not_reached(error: Exception, asked: _Asked, endpoint: str) -> CloudError:
    """Nothing was asked, or nothing understandable came back."""
    names = {kind.__name__ for kind in type(error).__mro__}
    for kinds, meaning in LOCAL:
        if names.intersection(kinds):
            return asked.means(meaning)
    if isinstance(error, boto.SSLError):
        return _certificate(asked, str(error))
    if names.intersection(NO_ANSWER):
        return _silent(error, asked, endpoint)
    return asked.error("other", f"boto3 gives up: {scrubbed(str(error))}", "Look at the AWS settings")


def _certificate(asked: _Asked, message: str) -> CloudError:
    if "not yet valid" in message or "expired" in message:
        return _clock(asked, 0)
    return asked.error(
        "network",
        "the certificate of AWS cannot be verified",
        "Look whether a proxy opens encrypted connections (AWS_CA_BUNDLE names its certificate)",
    )


def _silent(error: Exception, asked: _Asked, endpoint: str) -> CloudError:
    if endpoint:
        return asked.error(
            "network",
            f"the emulator of AWS does not answer at {endpoint}",
            "Start it, or leave burst.endpoint empty for AWS itself",
        )
    if isinstance(error, boto.EndpointConnectionError) and not _is_region(asked.region):
        return asked.error(
            "region",
            "there is no AWS region {region}, as far as this boto3 knows",
            "Set burst.region to that of your stack, for example eu-central-1",
        )
    return asked.error(
        "network",
        "AWS does not answer from region {region}",
        "Look whether the internet can be reached from here. " + PATIENCE,
    )


def _is_region(region: str) -> bool:
    import boto3

    session = boto3.Session()
    return not region or any(
        region in session.get_available_regions("sqs", partition_name=partition)
        for partition in session.get_available_partitions()
    )
