"""Each trouble that a person can have with AWS, in AWS's own words, and what Meerkat makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud_support.aws_actions import Action, find, look, put, put_elsewhere, scale, send, told
from cloud_support.emulator import REGION
from cloud_support.refusing_server import Refusal, RefusingServer, ec2, query, s3, sqs
from meerkat_cloud_burst.errors import Cause

USER = "User: arn:aws:iam::123456789012:user/home is not authorized to perform: "

REFUSALS: list[tuple[str, Action, Refusal, Cause, list[str]]] = [
    (
        "expired-token-s3",
        put,
        s3(400, "ExpiredToken", "The provided token has expired."),
        "credentials",
        ["have expired", "aws sso login"],
    ),
    (
        "expired-token-sqs",
        send,
        sqs(403, "com.amazon.coral.service#ExpiredTokenException", "The security token has expired"),
        "credentials",
        ["have expired"],
    ),
    (
        "unknown-key-s3",
        put,
        s3(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
        "credentials",
        ["does not know this access key", "aws configure"],
    ),
    (
        "unknown-key-cloudformation",
        find,
        query(403, "InvalidClientTokenId", "The security token included in the request is invalid."),
        "credentials",
        ["does not know this access key", "opted into", REGION],
    ),
    (
        "unknown-key-ec2",
        look,
        ec2(401, "AuthFailure", "AWS was not able to validate the provided access credentials"),
        "credentials",
        ["does not know this access key"],
    ),
    (
        "wrong-secret",
        put,
        s3(403, "SignatureDoesNotMatch", "The request signature we calculated does not match."),
        "credentials",
        ["does not belong"],
    ),
    (
        "no-permission-s3",
        put,
        s3(
            403,
            "AccessDenied",
            USER + "s3:PutObject on resource: &quot;arn:aws:s3:::clips/clips/a-1&quot; because no "
            "identity-based policy allows the s3:PutObject action",
        ),
        "permission",
        ["may not s3:PutObject on clips/clips/a-1", "allow s3:PutObject"],
    ),
    (
        "no-permission-s3-short",
        put,
        s3(403, "AccessDenied", "Access Denied"),
        "permission",
        ["may not s3:PutObject on s3://clips/clips/a-1"],
    ),
    (
        "no-permission-sqs",
        send,
        sqs(
            403,
            "com.amazon.coral.service#AccessDeniedException",
            USER + "sqs:sendmessage on resource: arn:aws:sqs:eu-central-1:123456789012:jobs because no "
            "identity-based policy allows the sqs:sendmessage action",
            query="AccessDenied",
        ),
        "permission",
        ["sqs:sendmessage on jobs"],
    ),
    (
        "no-permission-ec2",
        look,
        ec2(
            403,
            "UnauthorizedOperation",
            "You are not authorized to perform this operation. " + USER + "ec2:DescribeInstances because no "
            "identity-based policy allows the ec2:DescribeInstances action",
        ),
        "permission",
        ["ec2:DescribeInstances", "stack meerkat-burst"],
    ),
    (
        "bucket-elsewhere",
        put_elsewhere,
        s3(
            400,
            "AuthorizationHeaderMalformed",
            "The authorization header is malformed; the region 'eu-central-1' is wrong; "
            "expecting 'us-west-2'",
            "<Region>us-west-2</Region>",
        ),
        "region",
        ["in the region us-west-2", "burst.region to us-west-2"],
    ),
    (
        "no-bucket",
        put,
        s3(404, "NoSuchBucket", "The specified bucket does not exist", "<BucketName>clips</BucketName>"),
        "missing",
        ["bucket is not there", "meerkat burst deploy"],
    ),
    (
        "no-queue",
        send,
        sqs(
            400,
            "com.amazonaws.sqs#QueueDoesNotExist",
            "The specified queue does not exist.",
            query="AWS.SimpleQueueService.NonExistentQueue",
        ),
        "missing",
        ["queue is not there", "queue jobs", "burst.region"],
    ),
    (
        "no-stack",
        find,
        query(400, "ValidationError", "Stack with id meerkat-burst does not exist"),
        "missing",
        ["stack meerkat-burst", "meerkat burst deploy", REGION],
    ),
    (
        "instances",
        scale,
        query(400, "VcpuLimitExceeded", "You have requested more vCPU capacity than your limit of 0 allows"),
        "quota",
        ["Service Quotas", "burst.max_instances"],
    ),
    (
        "limit",
        scale,
        query(400, "LimitExceeded", "You have already reached a limit for your resources"),
        "quota",
        ["a limit of the AWS account"],
    ),
    (
        "in-flight",
        send,
        sqs(403, "com.amazonaws.sqs#OverLimit", "Too many messages in flight", query="OverLimit"),
        "quota",
        ["a limit of the AWS account"],
    ),
    (
        "capacity",
        scale,
        query(500, "InsufficientInstanceCapacity", "Insufficient capacity."),
        "capacity",
        ["no machine of this kind"],
    ),
    (
        "clock-s3",
        put,
        s3(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            "<MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>",
            ahead=1500,
        ),
        "clock",
        ["25 minutes ahead of Amazon's", "timedatectl"],
    ),
    (
        "clock-sqs",
        send,
        sqs(
            403,
            "com.amazon.coral.service#InvalidSignatureException",
            "Signature expired: 20261120T101500Z is now earlier than 20261120T101600Z (… - 5 min.)",
            ahead=-7500,
        ),
        "clock",
        ["2 hours behind Amazon's"],
    ),
    (
        "clock-signature",
        put,
        s3(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match.",
            ahead=-400_000,
        ),
        "clock",
        ["5 days behind"],
    ),
    (
        "sign-up",
        send,
        sqs(403, "com.amazonaws.sqs#OptInRequired", "The AWS Access Key Id needs a subscription"),
        "credentials",
        ["sign-up"],
    ),
    (
        "throttled",
        scale,
        query(400, "Throttling", "Rate exceeded"),
        "throttled",
        ["less often", "tries again by itself"],
    ),
    ("broken", send, Refusal(503, "busy", {}), "network", ["trouble of its own"]),
    (
        "a-log-in-page",
        look,
        Refusal(200, "<html><p>Welcome to the hotel", {"Content-Type": "text/html"}),
        "network",
        ["not AWS", "log-in page"],
    ),
    (
        "something-else",
        find,
        query(400, "ValidationError", "1 validation error detected: too long"),
        "other",
        ["1 validation error detected"],
    ),
]


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, *case in REFUSALS])
def test_a_refusal_names_its_cause_and_what_to_do(
    server: RefusingServer, tmp_path: Path, case: tuple[Action, Refusal, Cause, list[str]]
) -> None:
    action, refusal, cause, words = case
    error = told(server, action, refusal, tmp_path)
    assert error.cause == cause, str(error)
    assert error.remedy
    for word in words:
        assert word in str(error)
