"""What was found: every check on every processor, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from osnet_edge.bench.report.render import TextTable, aligned
from osnet_edge.cli.progress import step

#: `not had` is what cannot be checked here, for a reason that says nothing of the project.
State = Literal["holds", "wrong", "not had"]


@dataclass(frozen=True)
class Finding:
    """One check.

    Attributes:
        processor: that was emulated; empty for what the host did.
        check: what was checked.
        subject: of what, such as a package.
        state: how it came out.
        words: the figure in a few words, or the reason.
        figures: numbers behind them, by name.
    """

    processor: str
    check: str
    subject: str
    state: State
    words: str
    figures: dict[str, float] = field(default_factory=dict)


@dataclass
class Findings:
    """All of them, in the order they were found, and facts that are no checks.

    Attributes:
        found: the checks.
        processors: what each emulated processor says of itself.
        versions: of the libraries in the camera's root, by name.
    """

    found: list[Finding] = field(default_factory=list)
    processors: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def add(self, found: Iterable[Finding]) -> None:
        """Add checks as they come; what is wrong is said at once, since the next may take long."""
        for each in found:
            self.found.append(each)
            if each.state == "wrong":
                step(f"WRONG: {_line(each).strip()}")

    @property
    def exit_code(self) -> int:
        """1 where something is wrong."""
        return int(any(each.state == "wrong" for each in self.found))

    def document(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return {
            "processors": self.processors,
            "versions": self.versions,
            "checks": [asdict(each) for each in self.found],
        }

    def text(self) -> str:
        """Return all of it for a terminal."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        parts = [f"in the camera's root: {versions or 'nothing could be installed'}\n", self._processors()]
        for check in dict.fromkeys(each.check for each in self.found):
            parts.append(_table(check, [each for each in self.found if each.check == check]))
        for state, title in (("wrong", "wrong"), ("not had", "could not be checked here")):
            lines = [_line(each) for each in self.found if each.state == state]
            parts.append("\n".join([f"{title}: {len(lines)}", *lines]) + "\n")
        return "\n".join(parts)

    def _processors(self) -> str:
        rows = [
            [
                name,
                f"{facts['hwcap']:#x}",
                f"{facts['hwcap2']:#x}",
                " ".join(
                    each
                    for each in ("asimdhp", "asimddp", "sve", "i8mm", "bf16")
                    if each in facts["features"]
                )
                or "none",
                facts.get("kind") or "not asked",
            ]
            for name, facts in self.processors.items()
        ]
        headers = ("processor", "HWCAP", "HWCAP2", "of what INT8 and bf16 use", "kind by the runtime")
        return aligned(TextTable(headers, rows, words=len(headers))) if rows else ""


def _table(check: str, found: list[Finding]) -> str:
    """Return subjects by processors."""
    processors = list(dict.fromkeys(each.processor for each in found))
    cells = {(each.subject, each.processor): _cell(each) for each in found}
    subjects = dict.fromkeys(each.subject for each in found)
    rows = [[subject, *(cells.get((subject, each), "") for each in processors)] for subject in subjects]
    headers = (check, *(each or "this machine" for each in processors))
    return aligned(TextTable(headers, rows, words=len(headers)))


def _cell(found: Finding) -> str:
    return found.words if found.state == "holds" else found.state.upper()


def _line(found: Finding) -> str:
    return f"  {found.processor or 'this machine'}, {found.check}, {found.subject}: {found.words}"
