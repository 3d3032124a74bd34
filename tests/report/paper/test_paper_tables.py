"""What stands in a paper's table: lines, columns, states, places, notes and published numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report.paper_rows import NUMBERS, entry, evaluations, failures, tables
from report_rows import evaluation, failure

from bench.report.aggregate import collect
from bench.report.paper.build import paper_tables
from bench.report.paper.layout import Layout
from bench.report.paper.model import Axis, Heading, Kind, PaperTable, State, span
from bench.report.paper.names import arch_label, dataset_facts
from bench.report.paper.notes import Marks
from bench.report.paper.published import PublishedNumbers


def lines(table: PaperTable) -> list[str]:
    return [heading.levels[0] for heading in table.rows.headings]


def columns(table: PaperTable) -> list[tuple[str, ...]]:
    return [heading.levels for heading in table.columns.headings]


def note_of(table: PaperTable, mark: str) -> str:
    return next(note.text for note in table.notes if note.mark == mark)


def test_methods_are_lines_and_datasets_by_ipc_are_columns() -> None:
    (table,) = tables(numbers=None)
    assert lines(table) == [
        "Ratio (%)", "Random", "DM", "DiM (stream)", "DiM (frozen)", "Whole dataset",
    ]  # fmt: skip
    assert columns(table) == [(d, i) for d in ("CIFAR-10", "SVHN") for i in ("1", "10", "50")]
    assert table.caption == (
        "Test accuracy (%) on CIFAR-10 and SVHN, evaluated with ConvNet-3 under protocol quick-v1"
    )
    assert entry(table, "Random", "CIFAR-10", "10").text == "27.5 ± 0.4"


def test_the_order_that_is_asked_for() -> None:
    layout = Layout(
        datasets=("svhn",), ipcs=(50, 1), methods=("dim", "dm"), columns=("ipc", "dataset")
    )
    (table,) = tables(layout, None)
    assert columns(table)[:4] == [
        ("50", "SVHN"), ("50", "CIFAR-10"), ("1", "SVHN"), ("1", "CIFAR-10"),
    ]  # fmt: skip
    assert lines(table)[1:4] == ["DiM (stream)", "DiM (frozen)", "DM"]


def test_transposing_twice_changes_nothing() -> None:
    (table,) = tables()
    (other,) = tables(Layout(transposed=True))
    assert other.rows == table.columns
    assert other.transpose() == table


def test_states_are_told_apart() -> None:
    (table,) = tables(numbers=None)
    failed = entry(table, "DM", "SVHN", "50")
    assert (failed.state, failed.text) == (State.FAILED, "×")
    assert note_of(table, failed.marks[0]) == "Failed: loss is NaN at step 412."
    skipped = entry(table, "DiM (frozen)", "SVHN", "50")
    assert (skipped.state, skipped.text) == (State.SKIPPED, "⊘")
    partly = entry(table, "Random", "CIFAR-10", "1")
    assert partly.state is State.OK
    assert note_of(table, partly.marks[0]) == (
        "Without a part of the seeds: failed: out of memory."
    )
    legend = next(note.text for note in table.notes if "failed" in note.text and not note.mark)
    assert legend == "– not computed yet; × failed; ⊘ skipped: the method does not apply."


def test_what_is_missing_is_not_what_does_not_exist() -> None:
    some = [e for e in evaluations() if (e.dataset, e.method) != ("svhn", "random")]
    rows = collect(some)
    asked = failure(method="random", profile="any", ipc=10, status="missing", reason="")
    unknown = paper_tables(rows)[0]
    complete = paper_tables(rows, [asked], Layout(complete=True))[0]
    assert entry(unknown, "Random", "SVHN", "10").state is State.MISSING
    assert entry(complete, "Random", "SVHN", "10").state is State.MISSING
    assert entry(complete, "Random", "SVHN", "1").state is State.NOT_APPLICABLE


def test_a_method_without_any_result_has_a_line() -> None:
    asked = [failure(method="mtt", ipc=ipc, status="busy", reason="") for ipc in (1, 10)]
    (table,) = paper_tables(collect(evaluations()), asked)
    assert entry(table, "MTT", "SVHN", "10").state is State.BUSY


def test_a_table_of_failures_only() -> None:
    (table,) = paper_tables([], failures()[:1])
    assert entry(table, "DM", "SVHN", "50").state is State.FAILED
    assert paper_tables([]) == []


def test_the_best_and_the_second_are_marked_as_they_are_printed() -> None:
    rows = collect(
        [
            evaluation(method=name, accuracies=(value,), cell_id=name, distil_id=name)
            for name, value in (("a", 41.04), ("b", 40.96), ("c", 39.0), ("d", 12.0))
        ]
    )
    (table,) = paper_tables(rows)
    places = {line: row[0].place for line, row in zip(lines(table), table.entries, strict=True)}
    assert places == {"Ratio (%)": 0, "a": 1, "b": 1, "c": 2, "d": 0}


def test_published_numbers_and_whole_sets_have_no_place() -> None:
    (table,) = tables()
    for heading, line in zip(table.rows.headings, table.entries, strict=True):
        if heading.kind is not Kind.METHOD:
            assert {each.place for each in line} == {0}, heading


def test_a_whole_set_covers_its_dataset() -> None:
    (table,) = tables(numbers=None)
    whole = table.entries[lines(table).index("Whole dataset")]
    assert [each.state for each in whole[:3]] == [State.OK, State.COVERED, State.COVERED]
    assert span(whole, 0) == 3
    assert whole[3].state is State.MISSING


def test_the_ratio_is_of_the_training_images() -> None:
    (table,) = tables(numbers=None)
    assert [each.text for each in table.entries[0]][:3] == ["0.02", "0.2", "1"]
    assert not any(line == "Ratio (%)" for line in lines(tables(Layout(ratio=False), None)[0]))
    (unknown,) = paper_tables(collect([evaluation(dataset="mine")]))
    assert lines(unknown) == ["Random"]


def test_lines_that_would_share_a_name_say_what_differs() -> None:
    one = evaluation(method="dm", profile="lite", arch="convnet3")
    rows = [
        one,
        replace(one, arch="resnet18", cell_id="b", distil_id="b"),
        replace(one, profile="paper", arch="convnet3", cell_id="c", distil_id="c"),
        replace(one, changed="lite: iterations=3", cell_id="d", distil_id="d"),
    ]
    (table,) = paper_tables(collect(rows), layout=Layout(ratio=False))
    assert lines(table) == [
        "DM (paper, with ConvNet-3)",
        "DM (lite, with ConvNet-3)",
        "DM (lite, with ConvNet-3, lite: iterations=3)",
        "DM (lite, with ResNet-18)",
    ]


def test_changed_parameters_are_a_note() -> None:
    (table,) = tables(numbers=None)
    marks = entry(table, "DM", "CIFAR-10", "10").marks
    assert note_of(table, marks[0]) == "Lite: iterations=9."
    assert entry(table, "DM", "CIFAR-10", "1").marks == ()


def test_protocols_and_architectures_stand_apart_unless_they_are_joined() -> None:
    one = evaluation()
    rows = collect(
        [
            one,
            replace(one, protocol="plain-v1", cell_id="b"),
            replace(one, eval_arch="resnet18", cell_id="c"),
        ]
    )
    assert len(paper_tables(rows)) == 3
    layout = Layout(columns=("dataset", "ipc", "eval_arch"), join_protocols=True)
    (table,) = paper_tables(rows, layout=layout)
    assert columns(table) == [("CIFAR-10", "10", "ConvNet-3"), ("CIFAR-10", "10", "ResNet-18")]
    assert lines(table) == ["Ratio (%)", "Random (plain-v1)", "Random (quick-v1)"]
    assert len({t.name for t in paper_tables(rows)}) == 3


def test_precisions_never_share_a_table() -> None:
    rows = collect([evaluation(), evaluation(precision="bf16", cell_id="b")])
    layout = Layout(columns=("dataset", "ipc", "eval_arch"), join_protocols=True)
    assert len(paper_tables(rows, layout=layout)) == 2


def test_two_contents_of_one_dataset_are_two_columns() -> None:
    rows = collect([evaluation(), evaluation(dataset_sha256="f" * 64, cell_id="b")])
    (table,) = paper_tables(rows)
    assert columns(table) == [("CIFAR-10 [cccccccc]", "10"), ("CIFAR-10 [ffffffff]", "10")]


def test_one_primary_source_and_the_others_in_a_note() -> None:
    (table,) = tables()
    name = "Random, published"
    heading = next(h for h in table.rows.headings if h.levels == (name,))
    # The protocol of neither is ours: the first one counts.
    assert entry(table, name, "CIFAR-10", "1").text == "14.4 ± 2.0"
    assert heading.cite == "wang2025ncfm"
    assert note_of(table, heading.marks[0]) == (
        "Random, published, other sources: CIFAR-10 IPC 1: 15.15 (Table 2, my own.pdf)."
    )


def test_the_source_with_our_protocol_is_the_primary_one() -> None:
    rows = collect([evaluation(ipc=1, protocol="default-v1")])
    (table,) = paper_tables(rows, published=PublishedNumbers(NUMBERS))
    own = entry(table, "Random, published", "CIFAR-10", "1")
    assert own.text == "15.15"
    assert note_of(table, own.marks[0]) == "Published in Table 2, my own.pdf."


def test_a_source_that_repeats_a_mean_is_not_noted() -> None:
    same = replace(NUMBERS[1], accuracy=14.41, std=0.3)
    (table,) = tables(numbers=[NUMBERS[0], same])
    heading = next(h for h in table.rows.headings if h.kind is Kind.PUBLISHED)
    assert heading.marks == ()


def test_a_preferred_source_comes_first() -> None:
    published = PublishedNumbers(NUMBERS, ["wang2025ncfm"])
    (table,) = paper_tables(collect(evaluations()), published=published)
    assert entry(table, "Random, published", "CIFAR-10", "1").text == "14.4 ± 2.0"


def test_a_source_of_a_whole_line_is_cited_once() -> None:
    (table,) = tables(numbers=NUMBERS[3:4])
    heading = next(h for h in table.rows.headings if h.kind is Kind.PUBLISHED)
    assert heading.cite == "li2024pad"
    assert {each.cite for line in table.entries for each in line} == {""}


def test_published_numbers_beside_ours() -> None:
    (table,) = tables(Layout(placement="beside"))
    assert Kind.PUBLISHED not in {heading.kind for heading in table.rows.headings}
    own = entry(table, "DM", "CIFAR-10", "10").published
    assert own is not None
    assert (own.text, own.cite) == ("48.9 ± 0.6", "li2024pad")
    beside_nothing = entry(table, "DM", "SVHN", "50")
    assert beside_nothing.state is State.FAILED
    assert beside_nothing.published is not None


def test_a_published_number_that_was_chosen_on_the_test_set_says_so() -> None:
    (table,) = tables()
    heading = next(h for h in table.rows.headings if h.levels == ("Whole dataset, published",))
    assert "best of several evaluations" in note_of(table, heading.marks[0])


def test_without_a_published_number_no_note_speaks_of_them() -> None:
    (table,) = tables(numbers=[replace(NUMBERS[0], dataset="elsewhere")])
    assert not any("Published" in note.text for note in table.notes)


def test_marks_go_on_after_the_alphabet() -> None:
    marks = Marks()
    letters = [marks.mark(str(i)) for i in range(27)]
    assert letters[:2] == ["a", "b"]
    assert letters[24:] == ["z", "aa", "ab"]
    assert "q" not in "".join(letters)
    assert marks.mark("1") == "b"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("convnet3", "ConvNet-3"),
        ("resnet10_ap", "ResNet-10-AP"),
        ("vgg11", "VGG-11"),
        ("wrn16-2", "WRN-16-2"),
        ("alexnet", "AlexNet"),
        ("convnet3(width=64)", "ConvNet-3 (width=64)"),
        ("my_net3", "my_net3"),
        ("timm:resnet50", "timm:resnet50"),
    ],
)
def test_names_of_architectures(name: str, label: str) -> None:
    assert arch_label(name) == label


def test_names_of_datasets() -> None:
    assert dataset_facts("fashionmnist").label == "FashionMNIST"
    assert dataset_facts("cifar100").per_class == 500
    assert dataset_facts("mine").label == "mine"
    assert dataset_facts("mine").per_class is None


def test_spans_end_where_an_outer_level_does() -> None:
    axis = Axis(("A", "B"), tuple(Heading(levels) for levels in ["xp", "xp", "yp", "yq"]))
    assert axis.spans(0) == [("x", 2), ("y", 2)]
    assert axis.spans(1) == [("p", 2), ("p", 1), ("q", 1)]
