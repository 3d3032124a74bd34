"""The events that toys log, as a test reads them, and the holds by which it makes toys wait."""

from __future__ import annotations

import re
from pathlib import Path

from processes.wait_until import wait_until


def is_running(process: str) -> bool:
    """Return whether a process, named by its number, has not ended."""
    try:
        return Path(f"/proc/{process}/environ").read_bytes() != b""  # that of a zombie is empty
    except OSError:
        return False


class EventLog:
    """The events of all processes whose ``TOY_FOLDER`` is the folder (see ``toy_plugin.py``).

    Args:
        folder: for the log; made if it is not there, and emptied if it is.
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.unlink()

    def env(self) -> dict[str, str]:
        """Return the environment variables of a process that logs here."""
        return {"TOY_FOLDER": str(self._log)}

    def events(self) -> list[str]:
        """Return what happened, in order: ``toy-drift 1 step 3``."""
        return [event for _, event in self._lines()]

    def steps(self) -> list[tuple[str, int]]:
        """Return the steps of methods that began, as ``method-ipc`` and number, sorted."""
        return sorted(self.steps_in_order())

    def steps_in_order(self) -> list[tuple[str, int]]:
        """Return :meth:`steps` in the order in which they began."""
        matches = (re.fullmatch(r"(.+) (\d+) step (\d+)", event) for event in self.events())
        return [(f"{m[1]}-{m[2]}", int(m[3])) for m in matches if m]

    def workers(self) -> set[str]:
        """Return the processes that have logged an event."""
        return {process for process, _ in self._lines()}

    def stopping(self) -> set[str]:
        """Return the processes that were asked to stop while they were held."""
        path = self._log / "stopping"
        return set(path.read_text().split()) if path.exists() else set()

    def hold(self, event: str) -> None:
        """Make toys wait after an event, or after ``step 3`` of all cells, until it is released."""
        (self._log / f"hold {event}").touch()

    def release(self, event: str = "*") -> None:
        """Release an event; without an argument all."""
        for held in self._log.glob(f"hold {event}"):
            held.unlink()

    def release_after_stop(self) -> None:
        """Release all events after a held process was asked to stop."""
        wait_until("a process is asked to stop", self.stopping)
        self.release()

    def pause(self, seconds: float) -> None:
        """Make every step take so much longer from now on."""
        new = self._log / "pause.new"
        new.write_text(str(seconds))
        new.replace(self._log / "pause")

    def fork_children(self) -> None:
        """Make every step fork a child that sleeps, with all open files of its parent."""
        (self._log / "fork").touch()

    def stop_forking(self) -> None:
        """Undo :meth:`fork_children` for the steps from now on."""
        (self._log / "fork").unlink(missing_ok=True)

    def children(self) -> dict[str, str]:
        """Return the forked children that have not ended, each with its parent."""
        path = self._log / "children"
        lines = path.read_text().splitlines() if path.exists() else []
        pairs = (line.split() for line in lines)
        return {child: parent for child, parent in pairs if is_running(child)}

    def orphans(self) -> list[str]:
        """Return the forked children that have not ended although their parents have."""
        return [child for child, parent in self.children().items() if not is_running(parent)]

    def _lines(self) -> list[tuple[str, str]]:
        path = self._log / "events"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]
