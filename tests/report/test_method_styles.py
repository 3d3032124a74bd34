"""Styles of methods: declared by the method, else chosen by its name and distinct."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace

from report_rows import evaluation

from bench.registry.presentation import Presentation
from bench.registry.registry import METHODS
from bench.report.aggregate import collect
from bench.report.method_styles import method_styles

BUILT_IN = ("random", "herding", "k-center", "dm", "gan", "dim", "whole", "dc", "dsa", "mtt")


def test_a_built_in_method_is_shown_as_it_declares() -> None:
    styles = method_styles([evaluation(method=name) for name in BUILT_IN])
    assert (styles["dim"].label, styles["dim"].colour, styles["dim"].marker) == (
        "DiM", "#E56605", "*",
    )  # fmt: skip
    assert len({style.colour for style in styles.values()}) == len(BUILT_IN)
    assert styles["dc"].published_protocol == "plain"
    assert styles["dm"].published_protocol == "default"
    assert method_styles([evaluation(method="dim")])["dim"] == styles["dim"]


def test_every_installed_method_has_a_label_and_a_place() -> None:
    names = [n for n, e in METHODS.entries().items() if e.origin.startswith("distillation-bench")]
    styles = method_styles([evaluation(method=name) for name in names])
    assert len({style.label for style in styles.values()}) == len(names)
    assert len({style.rank for style in styles.values()}) == len(names)
    assert len({(style.colour, style.marker) for style in styles.values()}) == len(names)


def test_methods_without_a_declared_style_have_distinct_ones() -> None:
    names = [f"my-method-{i}" for i in range(100)]
    styles = method_styles([evaluation(method=name) for name in names])
    first_five = method_styles([evaluation(method=name) for name in names[:5]])
    assert len({style.colour for style in first_five.values()}) == 5
    assert [styles[name].label for name in names] == names
    assert len({(style.colour, style.marker) for style in styles.values()}) == len(names)
    assert all(re.fullmatch("#[0-9A-F]{6}", style.colour) for style in styles.values())


def test_a_chosen_style_is_the_same_in_every_process_and_company() -> None:
    alone = method_styles([evaluation(method="my-method")])["my-method"]
    beside = method_styles([evaluation(method=n) for n in (*BUILT_IN, "my-method")])["my-method"]
    assert alone == beside
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from report_rows import evaluation; from bench.report.method_styles import method_styles\n"
        "style = method_styles([evaluation(method='my-method')])['my-method']\n"
        "print(style.colour, style.marker, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [alone.colour, alone.marker, "False"]


def test_a_method_that_is_not_installed_is_shown_as_it_declared_when_it_ran() -> None:
    declared = Presentation("My Method", "#123456", "P", "plain", 5)
    rows = collect([
        evaluation(),
        evaluation(method="absent", cell_id="e1"),  # a record from before it declared anything
        evaluation(method="absent", cell_id="e2", seed=1, presentation=declared),
    ])  # fmt: skip
    assert [row.style.label for row in rows] == ["My Method", "Random"]
    style = rows[0].style
    assert (style.colour, style.marker, style.published_protocol) == ("#123456", "P", "plain")


def test_what_an_installed_method_declares_comes_before_its_records() -> None:
    old = Presentation("Old label", "#123456", "P")
    (row,) = collect([replace(evaluation(method="dm"), presentation=old)])
    assert row.style.label == "DM"


def test_a_chosen_style_is_apart_from_a_declared_one() -> None:
    chosen = method_styles([evaluation(method="my-method")])["my-method"]
    twin = evaluation(method="twin", presentation=Presentation("", chosen.colour, chosen.marker))
    styles = method_styles([evaluation(method="my-method"), twin])
    assert (styles["twin"].colour, styles["twin"].marker) == (chosen.colour, chosen.marker)
    mine = styles["my-method"]
    assert (mine.colour, mine.marker) != (chosen.colour, chosen.marker)


def test_methods_that_declare_the_same_look_have_different_ones() -> None:
    same = Presentation("", "#aabbcc", "*")
    rows = [evaluation(method=f"twin-{i}", presentation=same) for i in range(3)]
    looks = {m: (s.colour, s.marker) for m, s in method_styles(rows).items()}
    assert looks["twin-0"] == ("#AABBCC", "*")
    assert len(set(looks.values())) == 3
    assert looks == {
        m: (s.colour, s.marker) for m, s in method_styles(list(reversed(rows))).items()
    }
