"""The diary of the faulty methods as a test reads it, and the gates at which they wait for it."""

from __future__ import annotations

from pathlib import Path


class Diary:
    """What was begun, a line each, by all processes that were started with :meth:`env`.

    Args:
        folder: for the diary and its gates.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "diary"

    def env(self, *gates: str) -> dict[str, str]:
        """Return the variables of a process that keeps the diary.

        Args:
            gates: lines after which it waits until the test calls :meth:`open`.
        """
        return {"FAULT_DIARY": str(self._path), "FAULT_HANG": ",".join(gates)}

    def lines(self) -> list[str]:
        return self._path.read_text().splitlines() if self._path.exists() else []

    def open(self, gate: str) -> None:
        """Let go on who waits there, or comes there later."""
        Path(f"{self._path} {gate}").touch()
