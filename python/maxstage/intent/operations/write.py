"""``write``: a file with the text of a record, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maxstage.intent.operations.copy import COPY
from maxstage.intent.operations.operation import Filled, Operation, template_of
from maxstage.intent.paths import relative
from maxstage.intent.templates import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping


def _fill(templates: Mapping[str, Any], record: Any, number: int) -> Filled:
    target = relative(template_of(templates, "to").fill_path(record, number), "the target")
    content = template_of(templates, "content").fill(record, number)
    try:
        return Filled(None, target, content.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise Fault("the content has half of a character") from None


WRITE = Operation("write", "written", "writes a file", ("to", "content"), _fill, COPY.back)
