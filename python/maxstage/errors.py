"""The exceptions of maxstage. Errors of the operating system stay `OSError`, with errno and filename."""

import os


class Error(Exception):
    """The base class of maxstage's own exceptions."""


class NoProject(Error):
    """There is no ``.max`` directory here or above."""


class Untrusted(Error):
    """The project, or a part of it, belongs to another user and is not listed as safe."""


class ConfigError(Error):
    """A setting is unknown or has an invalid value."""


class InvalidToken(Error, ValueError):
    """The text is not a token: see `maxstage.store.tokens`."""


class InvalidMetadata(Error, ValueError):
    """Metadata given for an item is invalid: its source, its labels, or the caller's own keys."""


class InvalidQuery(Error, ValueError):
    """A filter, a field or another part of a query can't be understood."""


class NotFound(Error, LookupError):
    """No item has this token."""


class Expired(NotFound):
    """The item has expired and can't be read any more."""


class Corrupt(Error):
    """The data or the metadata of an item is damaged."""


class QuotaExceeded(Error):
    """An item, or the store with it, would be larger than the settings allow."""


class Unreachable(Error, OSError):
    """The server that keeps the items can't be reached, or refuses.

    Attributes:
        may_pass: Whether the same request may work a moment later.
    """

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class MissingDependency(Error, ImportError):
    """A required package is not installed."""


class WorkflowError(Error):
    """There is a problem with a workflow file, or with a run of it."""


def wrong_type(name: str, value: object, wanted: str) -> TypeError:
    """Return the error for an argument of the wrong type.

    >>> wrong_type("source", 5, "text or None")
    TypeError('source must be text or None, not int')
    """
    return TypeError(f"{name} must be {wanted}, not {type(value).__name__}")


def describe(error: Exception) -> str:
    """Return an error as one line for stderr: an operating system's error with the file that it is about."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    # The name may be the number of a descriptor, which means nothing to users.
    is_named = error.filename is not None and not isinstance(error.filename, int)
    return f"{error.strerror}: {os.fsdecode(error.filename)}" if is_named else error.strerror
