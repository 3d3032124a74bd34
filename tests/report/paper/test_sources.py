"""Sources of published numbers: each number has one, and each has what a paper cites."""

from __future__ import annotations

from bench.report.published.read import load_published
from bench.report.published.sources import bibliography, cite_key, cited, load_sources


def test_every_published_number_has_a_source_to_cite() -> None:
    assert {n.source for n in load_published() if not cite_key(n)} == set()


def test_every_source_is_that_of_a_number() -> None:
    used = {cite_key(number) for number in load_published()}
    assert [one.key for one in load_sources() if one.key not in used] == []


def test_keys_are_unique_and_entries_are_whole() -> None:
    sources = load_sources()
    assert len({one.key for one in sources}) == len(sources) > 20
    for one in sources:
        assert one.bibtex.startswith("@")
        assert one.bibtex.count("{") == one.bibtex.count("}")
        assert not set("{}\\") & set(one.reference)


def test_a_longer_beginning_wins() -> None:
    numbers = [n for n in load_published() if "DatasetCondensation" in n.source]
    assert {cite_key(n) for n in numbers} == {"zhao2021code", "zhao2021issue34"}


def test_a_bibliography_of_some() -> None:
    text = bibliography(cited(["li2024pad", "kim2022idc", "unknown"]))
    assert text.index("kim2022idc") < text.index("li2024pad")
    assert text.count("@") == 2
