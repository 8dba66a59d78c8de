"""The URLs of stores whose items lie in object storage."""

SCHEMES = ("s3", "gs", "az")
"""How they begin: S3 and what speaks its protocol, Google Cloud Storage, Azure."""

_SHOWN = 100
"""Characters of a wrong one that an error quotes."""


def parse_store_url(url: str) -> str:
    """Return a store's URL without a slash at its end.

    Raises:
        ValueError: It is none.

    >>> parse_store_url("s3://bucket/prefix/")
    's3://bucket/prefix'
    """
    scheme, colon, rest = url.partition("://")
    bucket, _, prefix = rest.rstrip("/").partition("/")
    plain = url.isprintable() and not any(sign in url for sign in "?#%\\ ") and "//" not in rest.rstrip("/")
    if not colon or scheme not in SCHEMES or not bucket or not plain or {".", ".."} & set(prefix.split("/")):
        raise ValueError("must be a URL like s3://bucket/prefix (or gs://, az://)")
    return url.rstrip("/")


def split_reference(text: str) -> tuple[str, str] | None:
    """Return the store's URL and the token in ``URL#TOKEN``; None if it is no such text.

    >>> split_reference("s3://bucket/prefix#max:a1b2c3d4")
    ('s3://bucket/prefix', 'max:a1b2c3d4')
    """
    url, sharp, token = text.strip().partition("#")
    return (url, token) if sharp and url.partition("://")[0] in SCHEMES else None
