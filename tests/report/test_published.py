"""Published numbers: reading them, what they are compared with, and what the comparison hides."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest
from report_rows import evaluation, example_evaluations

from bench.report.aggregate import collect
from bench.report.published import read as published
from bench.report.published.compare import Comparison, compare, comparison_sections, standard_error
from bench.report.published.match import differs
from bench.report.published.read import Published, find_published, load_published
from bench.support.errors import BenchError

HEADER = "method,dataset,ipc,train_arch,eval_arch,accuracy,std,protocol_note,reported_in,source"


def compared(**changes: object) -> list[Comparison]:
    return compare(collect([evaluation(**changes)]), load_published())


def test_every_row_of_the_file_is_read() -> None:
    numbers = load_published()
    assert len(numbers) == 916
    assert Counter(n.ipc for n in numbers)[None] == 16
    assert all(n.source and n.reported_in for n in numbers)
    dim = [n for n in numbers if n.method == "DiM"]
    assert [(n.eval_arch, n.accuracy, n.std) for n in dim] == [
        ("ConvNet-3", 72.6, None), ("ResNet-18", 75.1, None),
    ]  # fmt: skip


def test_sources_that_disagree_each_keep_their_row() -> None:
    pairs = compared(method="random", ipc=10)
    assert {p.paper.accuracy for p in pairs} >= {26.0, 31.0, 28.03}
    assert len(pairs) == len({(p.paper.reported_in, p.paper.protocol_note) for p in pairs}) == 7
    assert all(p.difference == pytest.approx(26.5 - p.paper.accuracy) for p in pairs)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"method": "herding"}, {31.6, 38.48}),
        ({"method": "k-center", "ipc": 1}, {21.5, 22.89, 23.3, 25.16}),
        ({"method": "whole", "ipc": None}, {84.8}),
        ({"method": "dim", "mode": "stream"}, {72.6}),
        ({"method": "dim", "mode": "stream", "eval_arch": "resnet18"}, {75.1}),
        ({"method": "dm", "dataset": "cifar10", "ipc": 3}, set()),
        ({"method": "gan", "mode": "stream"}, set()),
        ({"method": "random", "eval_arch": "convnet3(width=64)"}, set()),
        ({"method": "random", "dataset": "digits"}, set()),
    ],
)
def test_names_are_matched(changes: dict[str, object], expected: set[float]) -> None:
    assert {p.paper.accuracy for p in compared(**changes)} == expected


def test_kernel_regression_and_wider_nets_match_nothing() -> None:
    architectures = {p.paper.eval_arch for m in ("kip", "random", "dm") for p in compared(method=m)}
    assert architectures <= {"ConvNet-3", "ConvNet", "ConvNet-D3", "ConvNet-W128"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"protocol": "default-v1"}, ()),
        ({"protocol": "default-v2", "profile": "paper"}, ()),
        ({"protocol": "quick-v1"}, ("protocol quick-v1",)),
        ({"protocol": "default-v1", "profile": "lite"}, ("profile lite",)),
        ({"protocol": "default-v1", "profile": "custom", "changed": "iterations=200"},
         ("profile custom", "iterations=200")),
        ({"protocol": "default-v1", "precision": "bf16"}, ("bf16",)),
        ({"protocol": "default-v1", "selection": "test-oracle"}, ("selection test-oracle",)),
        ({"protocol": "default-v1", "arch": "resnet18"}, ("distilled with resnet18",)),
        ({"protocol": "default-v1", "dataset_note": "JPEG"}, ("data (JPEG)",)),
    ],
)  # fmt: skip
def test_what_differs_from_the_paper_is_said(
    changes: dict[str, object], expected: tuple[str, ...]
) -> None:
    pairs = compared(method="dm", **changes)
    readme = [p for p in pairs if p.paper.train_arch.startswith("ConvNet")]
    assert readme
    assert all(p.differs == expected for p in readme)


BEST = "selection last, where theirs may be the best on test"


def test_dim_is_compared_under_its_own_protocol_and_mode() -> None:
    assert [p.differs for p in compared(method="dim", mode="stream", protocol="dim-v1")] == [
        (BEST,)
    ]
    (pair,) = compared(method="dim", mode="frozen", protocol="default-v1")
    assert pair.differs == ("protocol default-v1", "images frozen", BEST)


@pytest.mark.parametrize("eval_arch", ["resnet18", "resnet18(width=32)", "resnet18(norm=instance)"])
def test_of_architectures_but_convnets_sources_leave_norm_and_width_open(eval_arch: str) -> None:
    (pair,) = compared(method="dim", mode="stream", protocol="dim-v1", eval_arch=eval_arch)
    assert pair.paper.accuracy == 75.1
    assert pair.differs == (
        BEST,
        f"evaluated with {eval_arch}, where theirs may have another norm or width",
    )
    assert not compared(method="dim", eval_arch="convnet3(width=64)")


@pytest.mark.parametrize(
    ("method", "protocol", "expected"),
    [("dc", "plain-v1", ()), ("dc", "default-v1", ("protocol default-v1",)),
     ("cafe", "plain-v1", ("protocol plain-v1",)), ("cafe-dsa", "default-v1", ()),
     ("idc", "default-v1", ("protocol default-v1",))],
)  # fmt: skip
def test_a_method_is_compared_under_the_protocol_that_its_authors_used(
    method: str, protocol: str, expected: tuple[str, ...]
) -> None:
    number = Published(
        {"cafe-dsa": "CAFE+DSA"}.get(method, method), "cifar10", 10, "-", "ConvNet-3", 50.0, None,
        "", "Table 1", "here",
    )  # fmt: skip
    row = collect([evaluation(method=method, protocol=protocol)])[0]
    assert differs(row, number) == expected


@pytest.mark.parametrize("protocol", ["plain-v1", "default-v1"])
def test_dc_on_mnist_was_evaluated_by_none_of_our_protocols(protocol: str) -> None:
    pairs = compared(method="dc", dataset="mnist", ipc=1, protocol=protocol)
    assert pairs
    assert all(f"protocol {protocol}" in p.differs for p in pairs)


def test_coresets_of_dcs_table_are_compared_under_plain() -> None:
    pairs = compared(method="random", ipc=10, protocol="plain-v1")
    told = {p.paper.reported_in: p.differs for p in pairs}
    assert told["NCFM Table 1"] == ()
    assert told["PAD Table 1"] == ("protocol plain-v1",)


def test_a_standard_error_counts_the_seeds_where_they_vary_more() -> None:
    (one,) = collect([evaluation(accuracies=[50.0, 52.0, 54.0, 52.0])])
    assert standard_error(one) == pytest.approx(one.std / 2)
    two = collect([
        evaluation(accuracies=[50.0, 50.2], seed=0, cell_id="a", distil_id="x"),
        evaluation(accuracies=[54.0, 54.2], seed=1, cell_id="b", distil_id="y"),
    ])[0]  # fmt: skip
    assert standard_error(two) == pytest.approx(2.0)  # means 50.1 and 54.1
    assert standard_error(collect([evaluation(accuracies=[50.0])])[0]) is None


def test_far_differences_are_marked_and_explained_or_called_a_defect() -> None:
    def against(accuracy: float, std: float | None, **changes: object) -> Comparison:
        paper = Published("DM", "CIFAR10", 10, "-", "ConvNet-3", accuracy, std, "", "T", "s")
        (row,) = collect(
            [evaluation(method="dm", protocol="default-v1", accuracies=[50.0, 51.0], **changes)]
        )
        (pair,) = compare([row], [paper])
        return pair

    near, far = against(51.9, 0.5), against(53.0, 0.5)
    assert (near.is_far, far.is_far) == (False, True)
    assert far.standard_errors == pytest.approx(2.5 / math.hypot(0.5, 0.5))
    assert against(52.1, None).is_far  # ours alone: 0.5
    alone = comparison_sections([near])[0]
    assert not any("‡" in note for note in alone.notes)
    (bare,) = comparison_sections([far])
    assert "a defect" in bare.notes[-1]
    assert "‡" in bare.sheets[0].rows[0][bare.sheets[0].headers.index("Ours − paper")]
    (explained,) = comparison_sections([against(53.0, 0.5, precision="bf16")])
    assert any("‡" in note for note in explained.notes)
    assert not any("defect" in note for note in explained.notes)


def test_section_numbers_its_sources_and_quotes_them() -> None:
    section, _svhn = comparison_sections(compare(collect(example_evaluations()), load_published()))
    assert section.title == "Beside published numbers: cifar10, evaluated with convnet3"
    sheet = section.sheets[0]
    quoted = {row[sheet.headers.index("Source")] for row in sheet.rows}
    assert len([note for note in section.notes if note.startswith("(")]) == len(quoted)
    assert any("PAD Table 1" in note for note in section.notes)
    lite = [row for row in sheet.rows if row[sheet.headers.index("Profile")] == "lite"]
    assert lite
    assert all("profile lite" in row[-1] for row in lite)


def test_nothing_to_compare_is_said() -> None:
    assert "No published number" in comparison_sections([])[0].lead


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"{HEADER}\nDM,CIFAR10,10,-,ConvNet-3,50,,note,Table 1,here\n")
    assert load_published(path) == [
        Published("DM", "CIFAR10", 10, "-", "ConvNet-3", 50.0, None, "note", "Table 1", "here")
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("method,dataset\n", "lack the columns ipc"),
        (f"{HEADER}\nDM,CIFAR10,ten,-,c,50,,n,t,s\n", "line 2"),
        (f"{HEADER}\nDM,CIFAR10,10,-,c,fifty,,n,t,s\n", "fifty"),
        (f"{HEADER}\nDM,CIFAR10,10,-,c,500,,n,t,s\n", "no percentage"),
        (f"{HEADER}\nDM,CIFAR10,10\n", "expected 10 columns"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with pytest.raises(BenchError, match=words) as caught:
        load_published(path)
    assert "wrong.csv" in str(caught.value)


def test_an_absent_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BenchError, match=r"none\.csv"):
        load_published(tmp_path / "none.csv")
    (tmp_path / "b" / "report" / "published").mkdir(parents=True)
    monkeypatch.setattr(
        published, "__file__", str(tmp_path / "b" / "report" / "published" / "read.py")
    )
    monkeypatch.setattr(published, "files", lambda name: [])
    with pytest.raises(BenchError, match="--published-file"):
        find_published()


def test_an_installed_file_is_found_where_the_package_is_no_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Installed:
        def locate(self) -> Path:
            return tmp_path / "site" / ".." / "paper_numbers.csv"

    (tmp_path / "site").mkdir()
    (tmp_path / "paper_numbers.csv").write_text(HEADER + "\n")
    monkeypatch.setattr(published, "__file__", str(tmp_path / "a" / "b" / "c" / "read.py"))
    monkeypatch.setattr(published, "files", lambda name: [Installed()])
    assert find_published() == tmp_path / "paper_numbers.csv"
    assert load_published() == []
