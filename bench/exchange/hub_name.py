"""Names of datasets on the Hugging Face hub: ``OWNER/NAME@REVISION:CONFIGURATION``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bench.exchange.given import HUB
from bench.support.errors import BenchError

LAYOUT = "Hugging Face dataset"
_PART = r"[A-Za-z0-9][\w.-]*"
_FORM = re.compile(
    rf"(?P<repository>{_PART}(/{_PART})?)(@(?P<revision>\w[\w./-]*))?(:(?P<configuration>[^:@/\\]+))?"
)


@dataclass(frozen=True)
class HubName:
    """One dataset on the hub.

    Attributes:
        repository: ``OWNER/NAME``, or a name without an owner.
        revision: a branch, tag or commit; ``None`` for the newest.
        configuration: called so in the dataset's card; ``None`` for its default.
    """

    repository: str
    revision: str | None = None
    configuration: str | None = None

    @classmethod
    def parse(cls, text: str) -> HubName:
        """Return the parts of a name.

        Raises:
            BenchError: it is none.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise BenchError(
                f"'{HUB}{text}' names no dataset: expected {HUB}OWNER/NAME, with @REVISION and "
                ":CONFIGURATION behind it where they are not the default"
            )
        return cls(match["repository"], match["revision"], match["configuration"])

    @property
    def parts(self) -> list[str]:
        """Return the name without its owner, the configuration and the revision, if given."""
        name = self.repository.rpartition("/")[2]
        return [part for part in (name, self.configuration, self.revision) if part]

    @property
    def layout(self) -> str:
        """Return in words what is read."""
        text = LAYOUT
        if self.configuration is not None:
            text += f", configuration {self.configuration}"
        return text if self.revision is None else f"{text}, revision {self.revision}"
