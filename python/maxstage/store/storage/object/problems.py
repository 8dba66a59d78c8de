"""What went wrong with a request, as one line that says what to do."""

import re

from maxstage.errors import Unreachable

_SIGNS = {
    "SignatureDoesNotMatch": "the secret key is wrong: check AWS_SECRET_ACCESS_KEY, or the profile in use",
    "InvalidAccessKeyId": "the access key is unknown there: check AWS_ACCESS_KEY_ID, or the profile in use",
    "AuthFailure": "the credentials are refused",
    "ExpiredToken": "the credentials have expired; get new ones",
    "RequestTimeTooSkewed": "this machine's clock is off by more than 15 minutes: set it",
    "RequestExpired": "this machine's clock is off by more than 15 minutes: set it",
    "AccessDenied": "these credentials may not do that there",
    "NoSuchBucket": "there is no such bucket; make it first",
    "ContainerNotFound": "there is no such container; make it first",
    "PermanentRedirect": "the bucket is in another region: set AWS_REGION",
    "AuthorizationHeaderMalformed": "the bucket is in another region: set AWS_REGION",
    "QuotaExceeded": "the server's own quota is used up",
    "InvalidBucketName": "that is no name of a bucket",
}
"""What a server's code of an error means for the user."""

_PASSING = (
    "InternalError",
    "ServiceUnavailable",
    "SlowDown",
    "RequestTimeout",
    "OperationAborted",
    "ConditionalRequestConflict",
)
"""Codes of what may work a moment later."""

_PASSING_STATUS = re.compile(r"\b(429|5\d\d)\b")
_METADATA_SERVICE = "169.254.169.254"
"""What a machine of a cloud asks for credentials: so there were no others."""

_LOST = (
    "error sending request",
    "Connect",
    "connection",
    "timed out",
    "TimedOut",
    "operation timed out",
    "IncompleteMessage",
    "body error",
    "error decoding response body",
    "IncompleteBody",
    "end of file",
    "dns error",
    "Unexpected content range",
)


def told(error: Exception, url: str, key: str) -> Unreachable:
    """Return the error of a request as one that says what to do.

    Args:
        error: What obstore raised.
        url: The store.
        key: What was asked for.
    """
    if isinstance(error, Unreachable):
        return error
    text = str(error)
    code = _between(text, "<Code>", "</Code>")
    request = _between(text, "<RequestId>", "</RequestId>")
    named = f" (request {request})" if request else ""
    known = next((sign for sign in _SIGNS if sign == code or sign in text), None)
    if known is not None:
        return Unreachable(f"{url}: {_SIGNS[known]}{named}")
    if _METADATA_SERVICE in text:
        return Unreachable(
            f"{url}: there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use a profile"
        )
    status = re.search(r"status code: (\d{3})", text)
    passing = code in _PASSING or (status is not None and _PASSING_STATUS.match(status[1]) is not None)
    if code or status is not None:
        said = " ".join(
            filter(None, [status[1] if status else "", code, _between(text, "<Message>", "</Message>")])
        )
        return Unreachable(f"{url}: the server answered {said} for {key}{named}", may_pass=passing)
    lost = any(sign in text for sign in _LOST)
    return Unreachable(f"{url} can't be reached: {_reason(text)}", may_pass=lost)


def _between(text: str, begin: str, end: str) -> str:
    _, found, rest = text.partition(begin)
    value, ended, _ = rest.partition(end)
    return value if found and ended and len(value) < 200 and value.isprintable() else ""  # noqa: PLR2004


def _reason(text: str) -> str:
    """Return the innermost reason of an error of obstore: its first line, without the structure that follows."""
    line = text.strip().split("\n", maxsplit=1)[0]
    for sign, reason in (
        ("ConnectionRefused", "connection refused"),
        ("Connection refused", "connection refused"),
        ("dns error", "there is no such host"),
        ("timed out", "no answer in time"),
        ("TimedOut", "no answer in time"),
        ("IncompleteMessage", "the connection was lost"),
        ("Connection reset", "the connection was lost"),
    ):
        if sign in text:
            return reason
    return line[:200]
