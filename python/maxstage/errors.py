"""What maxstage raises. An operating system's error stays an `OSError`, with errno and filename."""

import os


class Error(Exception):
    """The base of all the errors that are maxstage's own."""


class NoProject(Error):
    """There is no ``.max`` directory here or above."""


class Untrusted(Error):
    """The project, or a part of it, belongs to another user and is not listed as safe."""


class ConfigError(Error):
    """A setting is unknown or has a value that is no good."""


class InvalidToken(Error, ValueError):
    """The text is no token: see `maxstage.store.tokens`."""


class InvalidMetadata(Error, ValueError):
    """What is said of an item can't be kept: its source, its labels, or keys of the caller's own."""


class InvalidQuery(Error, ValueError):
    """A filter, a field or another part of a query can't be understood."""


class NotFound(Error, LookupError):
    """No item has this token."""


class Expired(NotFound):
    """The item's time has passed; it is not served any more."""


class Corrupt(Error):
    """The data or the metadata of an item is not what was staged."""


class QuotaExceeded(Error):
    """An item, or the store with it, would be larger than the settings allow."""


class MissingDependency(Error, ImportError):
    """A package is needed that is not installed."""


class WorkflowError(Error):
    """A workflow file, or a run of it, is at fault."""


def wrong_type(name: str, value: object, wanted: str) -> TypeError:
    """Return the error for an argument of a wrong type.

    >>> wrong_type("source", 5, "text or None")
    TypeError('source must be text or None, not int')
    """
    return TypeError(f"{name} must be {wanted}, not {type(value).__name__}")


def describe(error: Exception) -> str:
    """Return an error as the line that stderr shows: a system's error with the file it is about."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    # The name may be the number of a descriptor, which says nothing to anybody.
    is_named = error.filename is not None and not isinstance(error.filename, int)
    return f"{error.strerror}: {os.fsdecode(error.filename)}" if is_named else error.strerror
