"""Results of code that was edited since: said, and computed again; never passed off as new."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from edited_plugins import ARCHITECTURE, DATASET, METHOD, STARTS, Plugins

from bench.datasets.library import ensure
from bench.evaluation.protocols import PROTOCOLS
from bench.registry.registry import METHODS


def test_an_edited_method_is_said_and_computed_again(plugins: Plugins) -> None:
    plugins.write("mine", METHOD)
    plugins.run("mine")
    before = plugins.accuracy
    assert plugins.run("mine").notes == []
    plugins.write("mine", METHOD, "5")
    edited = plugins.run("mine")
    assert edited.count("ok") == 2
    (note,) = edited.notes
    assert "the method 'mine' has other code than when 2 of these cells were computed" in note
    assert "--keep-cached keeps them" in note
    assert plugins.accuracy != before
    again = plugins.run("mine")
    assert (again.count("cached"), again.notes) == (2, [])


def test_kept_results_are_said(plugins: Plugins) -> None:
    plugins.write("mine", METHOD)
    plugins.run("mine")
    before = plugins.accuracy
    plugins.write("mine", METHOD, "5")
    kept = plugins.run("mine", keep_cached=True)
    assert (kept.count("cached"), plugins.accuracy) == (2, before)
    assert "they are kept, as --keep-cached says" in kept.notes[0]
    # What is missing is computed from what is kept.
    more = plugins.run("mine", eval_arch=["convnet1(width=4)", "mlp"], keep_cached=True)
    assert (more.count("cached"), more.count("ok")) == (2, 1)
    assert plugins.run("mine").count("ok") == 2


def test_an_evaluation_follows_the_set_that_it_evaluated(plugins: Plugins) -> None:
    """Also where another run has computed the distilled set again in the meantime."""
    plugins.write("mine", METHOD)
    plugins.run("mine", eval_arch=["convnet1(width=4)", "mlp"])
    plugins.write("mine", METHOD, "5")
    assert plugins.run("mine", eval_arch="mlp").count("ok") == 2
    later = plugins.run("mine")
    assert later.count("ok") == 1
    assert "has other code than when 1 of these cells" in later.notes[0]


def test_what_starts_from_an_edited_method_is_computed_again(plugins: Plugins) -> None:
    plugins.write("mine", METHOD)
    plugins.write("after", STARTS)
    assert plugins.run("after").count("ok") == 3
    plugins.write("mine", METHOD, "5")
    assert plugins.run("after").count("ok") == 3
    plugins.write("after", STARTS, "1")
    edited = plugins.run("after")
    assert (edited.count("cached"), edited.count("ok")) == (1, 2)


def test_an_edited_architecture_computes_again_what_uses_it(plugins: Plugins) -> None:
    plugins.write("net", ARCHITECTURE)
    grid = {"arch": ["mine-net", "convnet1(width=4)"], "overrides": {"dm": {"iterations": 2}}}
    first = plugins.run(["dm", "random"], **grid)
    assert first.count("ok") == 3 + 4
    plugins.write("net", ARCHITECTURE, "1")
    edited = plugins.run(["dm", "random"], **grid)
    assert set(edited.started) == {
        "dm on digits ipc 1 seed 0", "dm on digits ipc 1 stored, mine-net, smoke-v1, seed 0",
        "random on digits ipc 1 stored, mine-net, smoke-v1, seed 0",
    }  # fmt: skip
    assert any("architecture 'mine-net'" in note for note in edited.notes)


def test_an_architecture_that_a_parameter_names_counts(
    plugins: Plugins, no_diagnostics: None
) -> None:
    plugins.write("net", ARCHITECTURE)
    small = {"gan_width": 4, "gan_max_steps": 2, "gan_batch": 8, "max_steps": 1, "net_steps": 1}
    grid = {"overrides": {"dim": {**small, "batch": 8, "pool": "mine-net"}}, "mode": "frozen"}
    assert plugins.run("dim", **grid).count("ok") == 3
    plugins.write("net", ARCHITECTURE, "1")
    edited = plugins.run("dim", **grid)
    assert (edited.count("cached"), edited.count("ok")) == (1, 2)


def test_an_edited_dataset_is_fetched_again(plugins: Plugins, tmp_path: Path) -> None:
    plugins.data_dir = tmp_path / "data"
    plugins.write("data", DATASET)
    plugins.run("random", "mine-data")
    content = ensure("mine-data", plugins.data_dir).content
    plugins.write("data", DATASET + "# nothing that changes a pixel\n")
    same = plugins.run("random", "mine-data")
    assert same.count("cached") == 2
    assert "the dataset 'mine-data' was packed by other code" in same.notes[0]
    plugins.write("data", DATASET, "7")
    kept = plugins.run("random", "mine-data", keep_cached=True)
    assert (kept.count("cached"), len(kept.notes)) == (2, 1)
    assert plugins.run("random", "mine-data").count("ok") == 2
    assert ensure("mine-data", plugins.data_dir).content != content
    assert plugins.run("random", "mine-data").notes == []


def test_an_edited_protocol_computes_its_evaluations_again(
    plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    monkeypatch.setitem(PROTOCOLS, "mine", replace(PROTOCOLS["smoke"], name="mine"))
    assert plugins.run("random", protocol="mine").count("ok") == 2
    assert plugins.run("random", protocol="mine").count("cached") == 2
    monkeypatch.setitem(PROTOCOLS, "mine", replace(PROTOCOLS["smoke"], name="mine", lr=0.5))
    edited = plugins.run("random", protocol="mine")
    assert (edited.count("cached"), edited.count("ok")) == (1, 1)


def test_results_of_unknown_source_are_kept_and_said_once(plugins: Plugins) -> None:
    plugins.write("mine", METHOD)
    plugins.run("mine", seeds=2)
    for path in plugins.store.glob("cells/*/record.json"):
        record = json.loads(path.read_text())
        del record["labels"]["sources"], record["checksum"]  # as earlier versions wrote it
        path.write_text(json.dumps(record))
    plugins.write("mine", METHOD, "5")
    kept = plugins.run("mine", seeds=2)
    assert kept.count("cached") == 4
    (note,) = kept.notes
    assert "method 'mine': 4 of these cells were computed before" in note
    assert "their source is unknown" in note


def test_a_class_of_a_notebook_that_was_edited_is_computed_again(plugins: Plugins) -> None:
    def define(which: str) -> None:
        METHODS.unregister("mine")
        exec(METHOD.replace("WHICH = 0", f"WHICH = {which}"), {"__name__": "a_notebook"})

    define("0")
    plugins.run("mine")
    before = plugins.accuracy
    define("0")
    assert plugins.run("mine").count("cached") == 2
    define("5")
    edited = plugins.run("mine")
    assert edited.count("ok") == 2
    assert "the method 'mine' has other code" in edited.notes[0]
    assert plugins.accuracy != before
