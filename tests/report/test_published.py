"""Published numbers: reading them, what they are compared with, and what the comparison hides."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from report_rows import evaluation, example_evaluations

from bench.registry.presentation import NO_DIFFERENCES, declared_by
from bench.registry.registry import METHODS
from bench.report.aggregate import collect
from bench.report.published import read as published
from bench.report.published.compare import Comparison, compare, comparison_sections
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
    assert all(p.differs == expected for p in readme if not p.paper.differs)


BEST = "selection last, where theirs may be the best on test"
DIM = declared_by("dim").published_differences


def test_dim_is_compared_under_its_own_protocol_and_mode() -> None:
    assert [p.differs for p in compared(method="dim", mode="stream", protocol="dim-v1")] == [
        (BEST, DIM)
    ]
    oracle = {"protocol": "dim-oracle-v1", "selection": "test-oracle"}
    (pair,) = compared(method="dim", mode="stream", **oracle)
    assert pair.differs == (DIM,)
    (pair,) = compared(method="dim", mode="frozen", protocol="default-v1")
    assert pair.differs == ("protocol default-v1", "images frozen", BEST, DIM)


@pytest.mark.parametrize("eval_arch", ["resnet18", "resnet18(width=32)", "resnet18(norm=instance)"])
def test_of_architectures_but_convnets_sources_leave_norm_and_width_open(eval_arch: str) -> None:
    (pair,) = compared(method="dim", mode="stream", protocol="dim-v1", eval_arch=eval_arch)
    assert pair.paper.accuracy == 75.1
    assert pair.differs == (
        BEST,
        f"evaluated with {eval_arch}, where theirs may have another norm or width",
        DIM,
        "tested in train() mode: normalised by the statistics of test batches",
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
    declared = declared_by(method).published_differences
    assert differs(row, number) == (*expected, *[declared] * (declared != NO_DIFFERENCES))


@pytest.mark.parametrize("protocol", ["plain-v1", "default-v1"])
def test_dc_on_mnist_was_evaluated_by_none_of_our_protocols(protocol: str) -> None:
    pairs = compared(method="dc", dataset="mnist", ipc=1, protocol=protocol)
    assert pairs
    assert all(f"protocol {protocol}" in p.differs for p in pairs)


def test_coresets_of_dcs_table_are_compared_under_plain() -> None:
    pairs = compared(method="random", ipc=10, protocol="plain-v1")
    told = {p.paper.reported_in: p.differs for p in pairs}
    assert told["NCFM Table 1"] == ()
    assert told["PAD Table 1"] == (
        "protocol plain-v1", "where theirs comes from, and its protocol, are not known",
    )  # fmt: skip


def test_dc_bench_prints_the_best_or_the_average_over_augmentations() -> None:
    pairs = compared(method="dm", ipc=10, protocol="default-v1")
    rows = [p for p in pairs if p.paper.reported_in == "DC-BENCH leaderboard"]
    assert {p.differs for p in rows} == {
        ("theirs is the best over DC-BENCH's augmentations",),
        ("theirs is the average over DC-BENCH's augmentations",),
    }  # fmt: skip
    assert all(p.verdict.reason.startswith("we differ") for p in rows)


@pytest.mark.parametrize(
    ("method", "words"),
    [("cafe-dsa", "a tenth of each accuracy"), ("whole", "epochs"), ("herding", "embeds"),
     ("forgetting", "never-learned"), ("dim", "normalises"), ("k-center", "embeds")],
)  # fmt: skip
def test_what_a_method_declares_to_differ_is_said(method: str, words: str) -> None:
    ipc = None if method == "whole" else 10
    pairs = compared(method=method, ipc=ipc, mode="stream" if method == "dim" else "stored")
    assert pairs
    assert all(any(words in text for text in p.differs) for p in pairs)


def test_every_built_in_method_declares_whether_it_differs() -> None:
    """Without a declaration there is no verdict, so that none is made of what was forgotten."""
    built_in = [name for name, entry in METHODS.entries().items() if entry.declared("label")]
    assert len(built_in) >= 15
    assert [name for name in built_in if not declared_by(name).published_differences] == []
    row = collect([evaluation(method="a-plugin", protocol="default-v1")])[0]
    number = Published("a-plugin", "cifar10", 10, "-", "ConvNet-3", 50.0, 0.5, "", "T", "here")
    assert differs(row, number) == ("the method does not declare its differences",)


def against(accuracy: float, std: float | None, *, seeds: int = 3, **changes: object) -> Comparison:
    """Compare a mean of 50 with a published number over five sets."""
    paper = Published("DM", "CIFAR10", 10, "-", "ConvNet-3", accuracy, std, "", "T", "s", sets=5)
    rows = collect([
        evaluation(
            method="dm", protocol="default-v1", seed=i, accuracies=[49.0 + i, 51.0 - i],
            cell_id=f"e{i}", distil_id=f"d{i}", **changes,
        )
        for i in range(seeds)
    ])  # fmt: skip
    (pair,) = compare(rows, [paper])
    return pair


def test_a_difference_is_named_with_its_p_and_called_a_defect() -> None:
    far = against(70.0, 0.5)
    assert far.verdict.outcome == "differs"
    assert far.difference == -20
    (section,) = comparison_sections([far])
    verdict = section.sheets[0].headers.index("Verdict")
    assert section.sheets[0].rows[0][verdict] == "differs (p < 0.001)"
    assert section.notes[-1] == "Nothing known explains DM at IPC 10: look for a defect."


@pytest.mark.parametrize(
    ("pair", "text"),
    [
        (against(50.5, 0.5), "no difference shown (p = 0.184)"),
        (against(70.0, None), "none: no ± in print"),
        (against(70.0, 0.5, seeds=1), "none: one seed"),
        (against(70.0, 0.5, precision="bf16"), "none: we differ"),
        (against(70.0, None, seeds=1), "none: one seed; no ± in print"),
    ],
)
def test_no_difference_and_no_verdict_are_said(pair: Comparison, text: str) -> None:
    (section,) = comparison_sections([pair])
    verdict = section.sheets[0].headers.index("Verdict")
    assert section.sheets[0].rows[0][verdict] == text
    assert not any("defect" in note for note in section.notes)


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
        (f"{HEADER},sets\nDM,CIFAR10,10,-,c,50,,n,t,s,-1\n", "sets -1 is no number"),
        (f"{HEADER},sets\nDM,CIFAR10,10,-,c,50,,n,t,s,five\n", "five"),
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
    monkeypatch.setattr(published, "distributions", lambda name: [])
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
    # The first is an editable install, which lists no such file.
    found = [SimpleNamespace(files=None), SimpleNamespace(files=[Installed()])]
    monkeypatch.setattr(published, "distributions", lambda name: found)
    assert find_published() == tmp_path / "paper_numbers.csv"
    assert load_published() == []


@pytest.mark.parametrize(("arch", "found"), [("convnet4", [3.9]), ("convnet3", [])])
def test_a_convnet_without_a_depth_has_four_blocks_on_tiny_imagenet(
    arch: str, found: list[float]
) -> None:
    """At 64x64 pixels papers add a block; a source that says only ConvNet means that network."""
    one = evaluation(dataset="tinyimagenet", method="dm", ipc=1, eval_arch=arch, arch=arch)
    number = Published(
        method="DM", dataset="TinyImageNet", ipc=1, train_arch="ConvNet", eval_arch="ConvNet",
        accuracy=3.9, std=0.2, protocol_note="", reported_in="", source="",
    )  # fmt: skip
    compared = compare(collect([one]), [number])
    assert [each.paper.accuracy for each in compared] == found
    assert all("distilled with" not in text for each in compared for text in each.differs)
