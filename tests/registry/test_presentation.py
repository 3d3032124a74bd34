"""What methods declare for reports: read from source or labels, and ignored where unusable."""

from __future__ import annotations

from typing import Any

import pytest

from bench.registry.presentation import Presentation, declared_by, installed_version
from bench.registry.registry import METHODS


def test_labels_carry_what_is_declared_and_nothing_else() -> None:
    full = Presentation("My Method", "#12ab9F", "P", "plain", -3, "other pixels", "coreset")
    assert Presentation.from_labels(full.to_labels()) == full
    assert Presentation().to_labels() == {}
    assert Presentation.from_labels({"method": "dm", "method_version": 1}) == Presentation()
    assert Presentation(colour="#000000").to_labels() == {"method_colour": "#000000"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("label", 3), ("label", "x" * 81), ("colour", "red"), ("colour", "#12345"), ("colour", 5),
        ("marker", "$x$"), ("marker", "oo"), ("marker", ""), ("marker", ["o"]),
        ("published_protocol", None), ("table_order", True), ("table_order", 1.5),
        ("table_order", 10**9), ("table_order", "1"), ("published_differences", "x" * 301),
        ("published_differences", 5),
    ],
)  # fmt: skip
def test_what_a_report_cannot_use_counts_as_not_declared(name: str, value: Any) -> None:
    assert Presentation.from_values({name: value}) == Presentation()


def test_control_characters_of_a_label_are_written_out() -> None:
    assert Presentation.from_values({"label": "a\x1b[31m"}).label == "a\\x1b[31m"


def test_a_method_that_is_not_installed_declares_nothing() -> None:
    assert declared_by("no-such-method") == Presentation()


def test_the_version_of_an_installed_method_is_known() -> None:
    assert installed_version("gan") == METHODS.get("gan").version > 1
    assert installed_version("no-such-method") == 0


def test_a_built_in_method_declares_its_label() -> None:
    assert declared_by("dim").label == "DiM"
