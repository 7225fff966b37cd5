"""The tables of `errors`: what AWS's codes and botocore's exceptions mean, and what a person does then."""

from __future__ import annotations

import re
from dataclasses import dataclass

from meerkat_cloud_burst.errors import Cause

_NEW_KEY = (
    "Give this machine valid ones: aws configure, aws sso login, or AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY in the hub's environment"
)
DEPLOY = "meerkat burst deploy makes it; if it is there, look at burst.stack and burst.region (now {region})"
_QUOTA = (
    "Ask for more in the Service Quotas console (EC2, «All Standard Spot Instance Requests», region "
    "{region}), or lower burst.max_instances"
)
PATIENCE = "The hub goes on at home and tries again by itself"


@dataclass(frozen=True, slots=True)
class Meaning:
    """`{region}` in the words is replaced by the region that was asked."""

    cause: Cause
    what: str
    remedy: str


_NO_CREDENTIALS = Meaning("credentials", "no AWS credentials were found", _NEW_KEY)
_EXPIRED = Meaning("credentials", "the AWS credentials have expired", _NEW_KEY)
_UNKNOWN_KEY = Meaning(
    "credentials",
    "AWS does not know this access key, or it is switched off",
    _NEW_KEY + ". A region that your account has not opted into says the same (now {region})",
)
_WRONG_SECRET = Meaning(
    "credentials", "the secret access key does not belong to the access key's id", _NEW_KEY
)
_NO_SIGN_UP = Meaning(
    "credentials",
    "this AWS account cannot use the service yet",
    "Finish its sign-up in the AWS console (payment, telephone), which can take a day",
)
_THROTTLED = Meaning("throttled", "AWS asks to be asked less often", PATIENCE)
BROKEN = Meaning("network", "AWS has trouble of its own", PATIENCE + "; health.aws.amazon.com tells more")
_NO_BUCKET = Meaning("missing", "this bucket is not there", DEPLOY)
_NO_QUEUE = Meaning("missing", "this queue is not there", DEPLOY)
_MANY_INSTANCES = Meaning("quota", "the account may not run more instances", _QUOTA)
_LIMIT = Meaning(
    "quota",
    "a limit of the AWS account is reached",
    "Ask for more in the Service Quotas console (region {region})",
)
_NO_MACHINES = Meaning(
    "capacity",
    "Amazon has no machine of this kind to rent just now",
    "It is tried again by itself; `meerkat burst deploy --set Purchase=on-demand` takes dearer ones instead",
)
_PRICE = Meaning(
    "capacity",
    "the price of spot machines is above what the stack would pay",
    "It is tried again by itself; or raise burst.money.instance_hour and type `meerkat burst deploy`",
)
_NO_IMAGE = Meaning(
    "missing",
    "the machine image of the stack is not there in region {region}",
    "Name one of this region, `meerkat burst deploy --set ImageId=ami-…`, or none: ImageId= takes Debian's",
)

CODES: dict[str, Meaning] = {
    **dict.fromkeys(
        ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpiredToken"), _EXPIRED
    ),
    **dict.fromkeys(
        (
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "InvalidAccessKeyId",
            "AuthFailure",
            "InvalidToken",
            "InvalidSecurity",
            "AccountProblem",
        ),
        _UNKNOWN_KEY,
    ),
    **dict.fromkeys(("MissingAuthenticationToken", "MissingAuthenticationTokenException"), _NO_CREDENTIALS),
    **dict.fromkeys(
        ("SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"), _WRONG_SECRET
    ),
    **dict.fromkeys(
        ("OptInRequired", "SubscriptionRequiredException", "NotSignedUp", "PendingVerification"), _NO_SIGN_UP
    ),
    **dict.fromkeys(
        (
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "TooManyRequestsException",
            "SlowDown",
            "BandwidthLimitExceeded",
            "PriorRequestNotComplete",
            "ScalingActivityInProgress",
            "ResourceContention",
        ),
        _THROTTLED,
    ),
    **dict.fromkeys(
        (
            "InternalError",
            "InternalFailure",
            "InternalServerError",
            "ServiceUnavailable",
            "ServiceFailure",
            "Unavailable",
            "RequestTimeout",
        ),
        BROKEN,
    ),
    **dict.fromkeys(("NoSuchBucket",), _NO_BUCKET),
    **dict.fromkeys(
        ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NonExistentQueue"), _NO_QUEUE
    ),
    **dict.fromkeys(
        ("MaxSpotInstanceCountExceeded", "VcpuLimitExceeded", "InstanceLimitExceeded"), _MANY_INSTANCES
    ),
    **dict.fromkeys(
        (
            "LimitExceeded",
            "LimitExceededException",
            "ServiceQuotaExceededException",
            "TooManyBuckets",
            "OverLimit",
            "AddressLimitExceeded",
            "VpcLimitExceeded",
        ),
        _LIMIT,
    ),
    **dict.fromkeys(
        ("InsufficientInstanceCapacity", "UnfulfillableCapacity", "InsufficientCapacity"), _NO_MACHINES
    ),
    **dict.fromkeys(("SpotMaxPriceTooLow",), _PRICE),
    **dict.fromkeys(("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"), _NO_IMAGE),
}

GONE = {"NoSuchKey", "NoSuchUpload", "InvalidInstanceID.NotFound", "MessageNotInflight", "404"}
RECEIPTS = {"ReceiptHandleIsInvalid", "InvalidParameterValue", "InvalidParameterValueException"}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Forbidden", "403"}
CLOCK = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"}
ELSEWHERE = {
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "301",
    "TemporaryRedirect",
}

SENTENCES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), code)
    for pattern, code in (
        ("max spot instance count exceeded", "MaxSpotInstanceCountExceeded"),
        ("vcpu (limit|capacity)", "VcpuLimitExceeded"),
        ("instance limit", "InstanceLimitExceeded"),
        ("no spot capacity|sufficient .*capacity", "InsufficientInstanceCapacity"),
        ("unable to fulfill capacity", "UnfulfillableCapacity"),
        ("spot (request )?price", "SpotMaxPriceTooLow"),
        ("image id .*does not exist", "InvalidAMIID.NotFound"),
    )
)
"""What a scaling activity says without a code; the first that fits."""

_PROFILE = Meaning("credentials", "the AWS profile cannot be used", "Look at AWS_PROFILE and ~/.aws/config")

LOCAL: tuple[tuple[tuple[str, ...], Meaning], ...] = (
    (("NoCredentialsError", "NoAuthTokenError"), _NO_CREDENTIALS),
    (
        ("PartialCredentialsError",),
        Meaning("credentials", "only half of the AWS credentials is there", _NEW_KEY),
    ),
    (
        ("UnauthorizedSSOTokenError", "SSOTokenLoadError", "SSOError", "TokenRetrievalError", "LoginError"),
        _EXPIRED,
    ),
    (
        ("CredentialRetrievalError", "MetadataRetrievalError", "RefreshWithMFAUnsupportedError"),
        Meaning("credentials", "the AWS credentials cannot be fetched", _NEW_KEY),
    ),
    (("ProfileNotFound", "ConfigParseError", "ConfigNotFound", "InvalidConfigError"), _PROFILE),
    (
        ("NoRegionError", "InvalidRegionError", "UnknownRegionError", "UnknownEndpointError"),
        Meaning("region", "there is no AWS region {region}", "Set burst.region, for example to eu-central-1"),
    ),
    (
        ("ProxyConnectionError",),
        Meaning("network", "the proxy cannot be reached", "Look at HTTPS_PROXY and NO_PROXY"),
    ),
    (
        ("ResponseParserError",),
        Meaning(
            "network",
            "what answers is not AWS",
            "Look whether a proxy or a log-in page stands between this machine and the internet",
        ),
    ),
)
"""Classes of botocore, by name along their MRO, and what they mean."""

NO_ANSWER = (
    "ConnectionError",
    "HTTPClientError",
    "IncompleteReadError",
    "ChecksumError",
    "FlexibleChecksumError",
    "CapacityNotAvailableError",
)
