"""What is found out about a foreign set while it is read: facts, and what looks wrong."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Fact:
    """One property of a foreign set: its name, its value, and whether it was detected or given."""

    name: str
    value: str
    how: str


@dataclass
class Findings:
    """Facts and warnings, in the order in which they are found.

    Attributes:
        facts: what was detected or given.
        warnings: what looks wrong, with its likely cause.
    """

    facts: list[Fact] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def state(self, name: str, value: str, given: bool = False) -> None:
        """Add a property, which was detected unless the user gave it."""
        self.facts.append(Fact(name, value, "given" if given else "detected"))

    def warn(self, text: str) -> None:
        """Add a warning."""
        self.warnings.append(text)
