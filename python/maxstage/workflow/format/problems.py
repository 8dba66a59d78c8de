"""The problems of a workflow file, which are all reported at once, with file, line and column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maxstage.humanize import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from maxstage.workflow.format.yaml_source import Path, Source

LONGEST_TEXT = 500
"""The most characters of the text of one problem."""
_MOST_TOLD = 100
"""The most problems that are reported for one file."""
_LONGEST_NAME = 64
"""The most characters of a name to look for similar ones."""
_MOST_EXACT = 1000
"""The most problems whose place within a text is looked for: ten times those that are reported."""
_MOST_COMPARISONS = 50_000
"""The most comparisons of names to find what may have been meant: about a second's work."""


class Problem:
    """A problem of a workflow file, and where it is.

    Attributes:
        line: The line, from 1.
        column: The column, from 1.
        text: What is wrong.
        warning: Whether it is only a warning.
        of_limits: Whether it is about a limit.
    """

    def __init__(
        self,
        file: str,
        position: tuple[int, int],
        text: str,
        *,
        warning: bool = False,
        of_limits: bool = False,
    ) -> None:
        self.file = file
        self.line, self.column = position
        self.text = printable(text, LONGEST_TEXT)
        self.warning = warning
        self.of_limits = of_limits

    def __str__(self) -> str:
        kind = "warning: " if self.warning else ""
        return f"{printable(self.file, LONGEST_TEXT)}:{self.line}:{self.column}: {kind}{self.text}"

    def to_dict(self) -> dict[str, Any]:
        """Return it for editors."""
        kind = "warning" if self.warning else "error"
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "severity": kind,
            "message": self.text,
        }


class Problems:
    """The problems of a workflow file.

    Attributes:
        file: The file's name.
        problems: Errors and warnings, in file order once `sort` has been called.
        left_out: The number of problems beyond those that are reported.
    """

    def __init__(self, file: str, source: Source) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.left_out = 0
        self._source = source
        self._comparisons = _MOST_COMPARISONS
        self._exact = _MOST_EXACT

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.problems)

    @property
    def errors(self) -> list[Problem]:
        """The problems that are not warnings."""
        return [problem for problem in self.problems if not problem.warning]

    def nearest(self, name: str, known: Iterable[str]) -> str | None:
        """Return the known name that may have been meant; None if there is none, or after too many comparisons."""
        if self._comparisons < 0 or len(name) > _LONGEST_NAME:
            return None
        others = [one for one in known if one != name]
        self._comparisons -= len(others) + 1
        import difflib  # only where something is wrong

        return next(iter(difflib.get_close_matches(name, others, 1)), None)

    def told(self, problems: Iterable[Problem] | None = None) -> list[str]:
        """Return the problems, or some of them, as lines, the last of which may count further ones."""
        more = [f"{printable(self.file, LONGEST_TEXT)}: and {self.left_out:,} more"] if self.left_out else []
        return [*map(str, self.problems if problems is None else problems), *more]

    def add(self, path: Path, text: str) -> None:
        """Add an error in the field at a path."""
        self.add_at(self._source.position(path), text)

    def add_in(self, path: Path, piece: str, number: int, text: str) -> None:
        """Add an error in a piece of the text at a path; `number`, from 0, selects one of several equal pieces."""
        self._exact -= 1
        exact = self._exact >= 0 and number < _MOST_EXACT
        position = self._source.position_of(path, piece, number) if exact else self._source.position(path)
        self.add_at(position, text)

    def add_at(self, position: tuple[int, int], text: str) -> None:
        """Add an error at a line and column."""
        self.problems.append(Problem(self.file, position, text))

    def warn(self, path: Path, text: str) -> None:
        """Add a warning about the field at a path."""
        self.problems.append(Problem(self.file, self._source.position(path), text, warning=True))

    def warn_in(self, path: Path, piece: str, number: int, text: str) -> None:
        """Add a warning about a piece of the text at a path, as `add_in` adds an error."""
        position = self._source.position_of(path, piece, number)
        self.problems.append(Problem(self.file, position, text, warning=True))

    def warn_of_limit(self, path: Path, text: str) -> None:
        """Add a warning about a questionable limit."""
        position = self._source.position(path)
        self.problems.append(Problem(self.file, position, text, warning=True, of_limits=True))

    def sort(self) -> None:
        """Sort the problems in file order, and remove duplicates."""
        found = {(one.line, one.column, one.text): one for one in self.problems}
        ordered = [found[key] for key in sorted(found)]
        self.problems, self.left_out = ordered[:_MOST_TOLD], max(0, len(ordered) - _MOST_TOLD)
