"""The sources of published numbers: entries of BibTeX, each with the key that a paper cites."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.report.published.read import Published, find_published
from bench.support.errors import BenchError
from bench.support.untrusted import Limit, read_named

_FILE = "sources.bib"
_ENTRY = re.compile(r"^@\w+\{([^,\s]+),\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^  (\w+) = \{(.*)\},?$", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """An entry of ``sources.bib``.

    Attributes:
        key: what a paper cites.
        title: in plain text.
        venue: where and when it appeared, in plain text; may be empty.
        prefix: how the texts in :attr:`Published.source` begin that this entry is the source of.
        bibtex: the whole entry.
    """

    key: str
    title: str
    venue: str
    prefix: str
    bibtex: str

    @property
    def reference(self) -> str:
        """The title and the venue, as a list of references shows them."""
        return f"{self.title}. {self.venue}." if self.venue else f"{self.title}."


@cache
def load_sources() -> tuple[Source, ...]:
    """Read the sources of the published numbers that come with bench.

    Raises:
        BenchError: the file is absent or cannot be read.
    """
    path = find_sources()
    try:
        text = read_named(path, Limit.PUBLISHED_BYTES).decode("utf-8")
    except (OSError, ValueError) as error:
        raise BenchError(f"sources '{path}' cannot be read: {error}") from error
    return tuple(_source(match) for match in _ENTRY.finditer(text))


def find_sources() -> Path:
    """Return the file of sources, which lies beside that of the numbers."""
    return find_published().with_name(_FILE)


def cite_key(number: Published) -> str:
    """Return the key of a number's source; empty if ``sources.bib`` has none for it."""
    fitting = [one for one in load_sources() if number.source.startswith(one.prefix)]
    return max(fitting, key=lambda one: len(one.prefix)).key if fitting else ""


def cited(keys: Iterable[str]) -> list[Source]:
    """Return the sources with these keys, each once, in the order of the file."""
    names = set(keys)
    return [one for one in load_sources() if one.key in names]


def bibliography(sources: Iterable[Source]) -> str:
    """Return sources as a BibTeX file."""
    return "\n\n".join(one.bibtex for one in sources) + "\n"


def _source(match: re.Match[str]) -> Source:
    fields = {name: _plain(value) for name, value in _FIELD.findall(match[2])}
    where = next((fields[n] for n in ("journal", "booktitle", "howpublished", "note")
                  if n in fields), "")  # fmt: skip
    venue = ", ".join(filter(None, (where, fields.get("year", ""))))
    return Source(match[1], fields["title"], venue, fields["source"], match[0])


def _plain(value: str) -> str:
    return re.sub(r"\\url|[{}]", "", value).replace(r"\_", "_")
