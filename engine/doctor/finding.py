"""What a check says."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["ok", "warning", "fault", "not applicable"]


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        verdict: whether all is well there.
        found: what was found, in one sentence.
        mend: what a person can do about it, in one sentence; empty where there is nothing to do.
        facts: the same as plain data.
        repair: mends it safely and returns a sentence for each thing that it did; None where only
            a person can.
    """

    verdict: Verdict
    found: str
    mend: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    repair: Callable[[], list[str]] | None = None


@dataclass(frozen=True)
class Named:
    """A finding with the name of its check."""

    name: str
    finding: Finding

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        one = self.finding
        return {
            "name": self.name,
            "verdict": one.verdict,
            "found": one.found,
            "mend": one.mend,
            "facts": one.facts,
            "can_be_mended": one.repair is not None,
        }


def ok(found: str, **facts: Any) -> Finding:
    """Returns that all is well."""
    return Finding("ok", found, facts=facts)


def warning(found: str, mend: str, **facts: Any) -> Finding:
    """Returns that something may go wrong."""
    return Finding("warning", found, mend, facts)


def fault(found: str, mend: str, **facts: Any) -> Finding:
    """Returns that something does not work."""
    return Finding("fault", found, mend, facts)


def not_applicable(found: str) -> Finding:
    """Returns that there is nothing to be looked at here."""
    return Finding("not applicable", found)


def gib(num_bytes: float) -> str:
    """Returns a size for people."""
    return (
        f"{num_bytes / 2**30:,.1f} GiB" if num_bytes >= 2**30 else f"{num_bytes / 2**20:,.0f} MiB"
    )


def few(names: list[str], most: int = 3) -> str:
    """Returns the first of some names, and how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown
