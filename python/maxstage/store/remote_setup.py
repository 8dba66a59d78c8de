"""Creating a project whose items lie in object storage."""

from maxstage.errors import ConfigError
from maxstage.settings import load_settings
from maxstage.store.project import Layout, absolute
from maxstage.store.project_setup import init_project
from maxstage.store_urls import parse_store_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

_HINT = """Uploads that a killed process leaves unfinished take space until a rule of the bucket deletes them. Set one:
  aws s3api put-bucket-lifecycle-configuration --bucket {bucket} --lifecycle-configuration \\
    '{{"Rules": [{{"ID": "maxstage", "Status": "Enabled", "Filter": {{"Prefix": "{prefix}"}},
      "AbortIncompleteMultipartUpload": {{"DaysAfterInitiation": 2}}}}]}}'"""


class Made:
    """What `init_remote` made.

    Attributes:
        url: The store.
        project: Whether the project was made.
        store: Whether the store was made; it may have been there.
        hint: What is left to do, for the user.
    """

    __slots__ = ("hint", "project", "store", "url")

    def __init__(self, url: str, *, project: bool, store: bool, hint: str | None) -> None:
        self.url = url
        self.project = project
        self.store = store
        self.hint = hint


def init_remote(folder: "str | os.PathLike[str]", url: str) -> Made:
    """Make a store, unless there is one, and a project that uses it.

    Args:
        folder: The project.
        url: The store: ``s3://bucket/prefix``, for instance.

    Raises:
        ValueError: That is no URL of a store.
        ConfigError: The project exists and keeps its items elsewhere.
        Error: The server can't keep a store.
        MissingDependency: What reaches it is not installed.
    """
    url = parse_store_url(url)
    layout = Layout(absolute(folder))
    settings = load_settings(layout.config, layout.project, environ={})
    if settings.store_url not in {None, url}:
        raise ConfigError(f"{layout.config} already names another store: {settings.store_url}")
    from maxstage.store.storage.object.client import Client
    from maxstage.store.storage.object.setup import prepare

    client = Client(url, patience=settings.store_timeout_seconds, kms_key=settings.store_kms_key)
    made_store = prepare(client)
    made = init_project(folder, url=url)
    if load_settings(layout.config, layout.project, environ={}).store_url != url:
        raise ConfigError(f'{layout.config} was there before; add this line at its top: store.url = "{url}"')
    bucket, _, prefix = url.partition("://")[2].partition("/")
    hint = None
    if made_store and url.startswith("s3://"):
        hint = _HINT.format(bucket=bucket, prefix=f"{prefix}/data/" if prefix else "data/")
    return Made(url, project=made, store=made_store, hint=hint)
