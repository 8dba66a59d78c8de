"""The secrets of a workflow: environment variables whose values are masked wherever anything is stored or shown.

Programs get them in their environment. Their output is masked while it is captured; what we write ourselves (state,
events, errors, prompts) is masked here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from maxstage.errors import WorkflowError
from maxstage.redaction import Redaction, TooShort, mask_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


class Secrets:
    """The secrets of a run.

    Args:
        names: The variables.
        environ: The environment.

    Raises:
        WorkflowError: One is not set, or too short to be masked.
    """

    def __init__(self, names: Iterable[str] = (), environ: Mapping[str, str] = os.environ) -> None:
        self.names = tuple(names)
        missing = [name for name in self.names if not environ.get(name)]
        if missing:
            raise WorkflowError(f"the workflow's secrets are not in the environment: {', '.join(missing)}")
        self._redactions: dict[str, Redaction] = {}
        for name in self.names:
            try:
                self._redactions[name] = Redaction(None, [environ[name]])
            except TooShort as error:
                raise WorkflowError(f"the secret {name} can't be masked: {error}") from None
        self._all = Redaction(None, [environ[name] for name in self.names])

    def mask(self, text: str) -> str:
        """Return a text with the secrets masked."""
        return mask_text(self._all, text)

    def mask_all(self, value: Any) -> Any:
        """Return plain data with the secrets in its texts masked."""
        if not self.names:
            return value
        if isinstance(value, str):
            return self.mask(value)
        if isinstance(value, dict):
            return {self.mask_all(key): self.mask_all(one) for key, one in value.items()}
        if isinstance(value, list | tuple) and type(value) in {list, tuple}:
            return type(value)(map(self.mask_all, value))
        return value

    def find_in(self, text: str) -> str | None:
        """Return the name of a secret that a text contains; None if there is none."""
        return next(
            (name for name, one in self._redactions.items() if mask_text(one, text) != text),
            None,
        )
