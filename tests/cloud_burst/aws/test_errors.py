"""What is never repeated, what never reached AWS, and what the emulator refuses by itself."""

from __future__ import annotations

import inspect
import string
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore import exceptions as boto

from cloud_support.aws_actions import QUEUE, find, put, scale, told
from cloud_support.emulator import REGION, Emulator
from cloud_support.orders import clip
from cloud_support.refusing_server import Refusal, RefusingServer, query, s3, sqs
from meerkat_cloud_burst.aws.clients import Clients
from meerkat_cloud_burst.aws.errors import explain, scrubbed
from meerkat_cloud_burst.aws.group import leave
from meerkat_cloud_burst.aws.queues import SqsOrderQueue
from meerkat_cloud_burst.aws.store import S3Store
from meerkat_cloud_burst.errors import Cause, CloudError, Gone


def test_what_aws_says_of_a_signature_is_never_repeated(server: RefusingServer, tmp_path: Path) -> None:
    """It quotes the signed headers, with the session's token."""
    token = "FwoGZXIvYXdzEKj0123456789012345678901234567890123456789012345678901234567890"
    text = f"The Canonical String for this request should have been 'POST x-amz-security-token:{token}'"
    for refusal in (
        s3(403, "SignatureDoesNotMatch", text, f"<StringToSign>{token}</StringToSign>"),
        s3(400, "Unheard", text),
    ):
        error = told(server, put, refusal, tmp_path)
        said = str(error) + "".join(traceback.format_exception(error))
        assert token not in said


def test_keys_tokens_and_length_are_scrubbed() -> None:
    text = scrubbed("of AKIAIOSFODNN7EXAMPLE and\n" + "A1b2" * 30 + " " + "word " * 100)
    assert "AKIA" not in text
    assert "A1b2" not in text
    assert len(text) <= 200
    assert "\n" not in text


# --- what never reached AWS -----------------------------------------------------------------------


def instance_of(kind: type[boto.BotoCoreError]) -> boto.BotoCoreError:
    fields = [name for _, name, _, _ in string.Formatter().parse(kind.fmt) if name]
    if kind is boto.WaiterError:
        return kind(name="something", reason="something", last_response={})
    return kind(**dict.fromkeys(fields, "something"))


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for _, kind in inspect.getmembers(boto, inspect.isclass)
        if issubclass(kind, boto.BotoCoreError) and "Stub" not in kind.__name__
    ],
    ids=lambda kind: kind.__name__,
)
def test_every_exception_of_botocore_is_said_in_words(kind: type[boto.BotoCoreError]) -> None:
    error = explain(instance_of(kind), service="s3", doing="testing", where="bucket", region=REGION)
    assert error.what
    assert error.remedy


@pytest.mark.parametrize(
    ("error", "cause", "words"),
    [
        (boto.NoCredentialsError(), "credentials", "aws configure"),
        (boto.PartialCredentialsError(provider="env", cred_var="x"), "credentials", "half"),
        (boto.UnauthorizedSSOTokenError(), "credentials", "aws sso login"),
        (boto.ProfileNotFound(profile="home"), "credentials", "AWS_PROFILE"),
        (boto.NoRegionError(), "region", "burst.region"),
        (boto.EndpointConnectionError(endpoint_url="https://x"), "network", "internet"),
        (boto.ConnectTimeoutError(endpoint_url="https://x"), "network", "does not answer"),
        (boto.ReadTimeoutError(endpoint_url="https://x"), "network", "does not answer"),
        (boto.ConnectionClosedError(endpoint_url="https://x"), "network", "does not answer"),
        (boto.ResponseStreamingError(error="x"), "network", "does not answer"),
        (boto.ProxyConnectionError(proxy_url="http://me:secret@proxy"), "network", "HTTPS_PROXY"),
        (boto.SSLError(endpoint_url="x", error="self-signed certificate"), "network", "AWS_CA_BUNDLE"),
        (boto.SSLError(endpoint_url="x", error="certificate is not yet valid"), "clock", "timedatectl"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_no_answer_names_its_cause(error: Exception, cause: Cause, words: str) -> None:
    told = explain(error, service="sqs", doing="sending", where="queue jobs", region=REGION)
    assert told.cause == cause
    assert words in str(told)
    assert "secret" not in str(told)


def test_a_region_that_nobody_knows_is_named() -> None:
    error = boto.EndpointConnectionError(endpoint_url="https://sqs.eu-nowhere-1.amazonaws.com/")
    told = explain(error, service="sqs", region="eu-nowhere-1")
    assert told.cause == "region"
    assert "eu-nowhere-1" in str(told)


def test_the_clock_may_be_told_by_amazon_s_own_time() -> None:
    skewed = boto.ClientError(
        {
            "Error": {"Code": "RequestTimeTooSkewed", "Message": "x", "ServerTime": "2026-05-01T12:00:00Z"},
            "ResponseMetadata": {"HTTPHeaders": {}},
        },
        "PutObject",
    )
    now = datetime(2026, 5, 1, 12, 20, tzinfo=UTC)
    assert "20 minutes ahead" in str(explain(skewed, service="s3", now=now))
    del skewed.response["Error"]["ServerTime"]
    assert "too far from Amazon's" in str(explain(skewed, service="s3", now=now))


@pytest.mark.parametrize(
    "refusal",
    [
        sqs(
            400,
            "com.amazon.coral.service#InvalidParameterValueException",
            "Value x for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.",
            query="InvalidParameterValue",
        ),
        sqs(
            400,
            "com.amazon.coral.service#InvalidParameterValueException",
            "Value x for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not "
            "available for visibility timeout change.",
            query="InvalidParameterValue",
        ),
        sqs(404, "com.amazonaws.sqs#ReceiptHandleIsInvalid", "The input receipt handle is invalid."),
    ],
    ids=["expired", "taken by another", "unknown"],
)
def test_a_message_that_is_no_longer_ours_is_gone(server: RefusingServer, refusal: Refusal) -> None:
    server.refusal = refusal
    with pytest.raises(Gone):
        SqsOrderQueue(server.clients, QUEUE, QUEUE).prolong("x", 30)


def test_an_instance_that_no_group_counts_is_gone(server: RefusingServer) -> None:
    message = "Instance Id not found - No managed instance found for instance ID: i-0123"
    server.refusal = query(400, "ValidationError", message)
    with pytest.raises(Gone, match="i-0123"):
        leave(server.clients, "i-0123")


# --- against the emulator -------------------------------------------------------------------------


def test_no_credentials_at_all(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(CloudError, match="no AWS credentials were found") as caught:
        find(Clients(region=REGION, endpoint=aws.url), Path())
    assert caught.value.cause == "credentials"


def test_no_region_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(CloudError, match=r"burst\.region") as caught:
        find(Clients(), Path())
    assert caught.value.cause == "region"


def test_a_profile_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(CloudError, match="AWS_PROFILE"):
        find(Clients(region=REGION), Path())


def test_an_endpoint_that_is_none(aws: Emulator) -> None:
    with pytest.raises(CloudError, match=r"burst\.endpoint"):
        find(Clients(region=REGION, endpoint="localhost:5000"), Path())


def test_the_stack_of_another_region(aws: Emulator, stack: Mapping[str, str]) -> None:
    with pytest.raises(CloudError, match="now us-east-1") as caught:
        find(Clients(region="us-east-1", endpoint=aws.url), Path())
    assert caught.value.cause == "missing"


def test_a_group_that_was_deleted(aws: Emulator) -> None:
    with pytest.raises(CloudError, match="meerkat-workers") as caught:
        scale(aws.clients, Path())
    assert caught.value.cause == "missing"


def test_a_user_that_may_not(
    aws: Emulator, stack: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = aws.client("iam")
    iam.create_user(UserName="home")
    allowed = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}'
    iam.put_user_policy(UserName="home", PolicyName="p", PolicyDocument=allowed)
    key = iam.create_access_key(UserName="home")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    clients = Clients(region=REGION, endpoint=aws.url)
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)  # it looks at policies now
    with pytest.raises(CloudError, match="s3:PutObject") as caught:
        S3Store(clients, stack["Bucket"]).put_clip("clips/a", clip(tmp_path), "video/mp4")
    assert caught.value.cause == "permission"
    assert key["SecretAccessKey"] not in str(caught.value)
