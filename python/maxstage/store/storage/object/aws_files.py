"""The credentials and the region in ``~/.aws``, where AWS's own tools keep them: obstore reads the environment."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_CREDENTIALS = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}
_OTHERS = {"region": "region", "endpoint_url": "endpoint"}
"""The names in the files, and those of obstore."""


def options_from_files(environ: "Mapping[str, str]") -> "dict[str, Any]":
    """Return what the files say of the profile in use, as options of obstore; the environment comes first.

    Profiles that ask a program, or sign on by a browser, are left to boto3, if that is installed.

    Args:
        environ: The environment.
    """
    home = environ.get("HOME") or os.path.expanduser("~")
    paths = [
        (environ.get("AWS_SHARED_CREDENTIALS_FILE") or f"{home}/.aws/credentials", ""),
        (environ.get("AWS_CONFIG_FILE") or f"{home}/.aws/config", "profile "),
    ]
    if not any(os.path.exists(path) for path, _ in paths):
        return {}
    profile = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE") or "default"
    said: dict[str, str] = {}
    for path, prefix in paths:
        said = _section(path, profile if profile == "default" else prefix + profile) | said
    options: dict[str, Any] = {}
    if not environ.get("AWS_ACCESS_KEY_ID"):
        options = {ours: said[theirs] for theirs, ours in _CREDENTIALS.items() if said.get(theirs)}
        if not options and said:
            options = _by_boto3()
    if not (environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")) and said.get("region"):
        options["region"] = said["region"]
    if said.get("endpoint_url"):
        options["endpoint"] = said["endpoint_url"]
    return options


def _section(path: str, name: str) -> "dict[str, str]":
    import configparser

    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}  # AWS's own tools will say what is wrong with it; the server refuses us without credentials
    return dict(parser[name]) if parser.has_section(name) else {}


def _by_boto3() -> "dict[str, Any]":
    try:
        import boto3
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        return {}
    session = boto3.session.Session()
    return (
        {} if session.get_credentials() is None else {"credential_provider": Boto3CredentialProvider(session)}
    )
