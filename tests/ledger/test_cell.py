"""Identities change with what determines a result, and with nothing else."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.ledger.cell import Cell, DistilCell, EvaluateCell, hash_identity
from bench.ledger.cell_json import cell_from_json, cell_to_json
from bench.support.seeds import network_seeds

GAN = DistilCell(
    method="gan", method_version=1, params={"steps": 10}, dataset="digits", sha256="ab" * 32,
    ipc=None, arch=None, seed=0, precision="fp32", profile="paper",
)  # fmt: skip
DM = DistilCell(
    method="dm", method_version=1, params={"lr": 1.0, "iterations": 20000, "words": ["a", "b"]},
    dataset="cifar10", sha256="cd" * 32, ipc=10, arch="convnet3", seed=0, precision="fp32",
    profile="paper",
)  # fmt: skip
EVALUATION = EvaluateCell(
    distil=DM, ipc=10, mode="stored", arch="convnet3", protocol="default", protocol_version=1,
    nets=5, precision="fp32",
)  # fmt: skip

DISTIL_CHANGES: dict[str, Any] = {
    "method": "dim", "method_version": 2, "params": {"lr": 0.1, "iterations": 20000},
    "dataset": "svhn", "sha256": "ef" * 32, "ipc": 1, "arch": "resnet18", "seed": 1,
    "precision": "bf16", "prerequisite": GAN, "percent": 25,
}  # fmt: skip
EVALUATE_CHANGES: dict[str, Any] = {
    "distil": replace(DM, seed=1), "ipc": 50, "mode": "frozen", "arch": "resnet18",
    "protocol": "quick", "protocol_version": 2, "nets": 2, "precision": "bf16",
    "stored_as": "uint8",
}  # fmt: skip
LABELS = {"content", "sources", "profile", "changed", "earlier"}


def net_seeds(cell: EvaluateCell) -> list[int]:
    """Return the seeds that ``bench.evaluate`` gives the networks of a cell."""
    return network_seeds(cell.distil.dataset, cell.arch, cell.distil.seed, cell.nets)


def test_ids_never_change() -> None:
    """A change here orphans every store: raise the schema version if it is meant."""
    assert GAN.id == "088bc658ef7693e5a06f"
    assert DM.id == "905aeb03a018e306a4f5"
    assert replace(DM, prerequisite=GAN).id == "7b8e5801ec57b3ab398c"
    assert EVALUATION.id == "37517d3f83060ccb8de8"


def test_seeds_never_change() -> None:
    assert DM.random_seed == 1765036779935661673
    assert net_seeds(EVALUATION)[:2] == [3228066561231838884, 8099624389919308316]


def test_every_field_is_accounted_for() -> None:
    assert {f.name for f in fields(DistilCell)} == DISTIL_CHANGES.keys() | LABELS
    assert {f.name for f in fields(EvaluateCell)} == EVALUATE_CHANGES.keys() | {"sources"}


@pytest.mark.parametrize("field", DISTIL_CHANGES)
def test_each_determining_field_changes_a_distil_id(field: str) -> None:
    other = replace(DM, **{field: DISTIL_CHANGES[field]})
    assert other.id != DM.id
    assert replace(EVALUATION, distil=other).id != EVALUATION.id


@pytest.mark.parametrize("field", EVALUATE_CHANGES)
def test_each_determining_field_changes_an_evaluate_id(field: str) -> None:
    assert replace(EVALUATION, **{field: EVALUATE_CHANGES[field]}).id != EVALUATION.id


@pytest.mark.parametrize("label", sorted(LABELS))
def test_labels_do_not(label: str) -> None:
    other = replace(DM, **{label: "something else"})
    assert other.id == DM.id
    assert other.random_seed == DM.random_seed
    assert replace(EVALUATION, distil=other).id == EVALUATION.id
    assert replace(EVALUATION, sources={"architecture 'mine'": "ab"}).id == EVALUATION.id
    starts = replace(DM, prerequisite=GAN), replace(DM, prerequisite=replace(GAN, profile="x"))
    assert starts[0].id == starts[1].id


def test_the_order_of_parameters_does_not_matter() -> None:
    turned = dict(reversed(DM.params.items()))
    assert list(turned) != list(DM.params)
    assert replace(DM, params=turned).id == DM.id


def test_tuples_and_lists_are_one_value() -> None:
    assert replace(DM, params={**DM.params, "words": ("a", "b")}).id == DM.id


def test_whole_and_real_numbers_are_told_apart_by_params_not_by_ids() -> None:
    """Identities hash what they get; resolve() gives every field one type."""
    assert hash_identity({"x": 1}) != hash_identity({"x": 1.0})


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_has_no_canonical_form_has_no_id(bad: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        hash_identity({"x": bad})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(-1e9, 1e9)
    | st.text("ab\u00e9", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xy", max_size=2), inner),
    max_leaves=6,
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.text("abc", max_size=3), JSON, max_size=4), st.randoms())
def test_ids_depend_on_content_not_on_order(identity: dict[str, Any], random: Any) -> None:
    shuffled = list(identity.items())
    random.shuffle(shuffled)
    assert hash_identity(dict(shuffled)) == hash_identity(identity)
    assert hash_identity({**identity, "zzz": 0}) != hash_identity(identity)
    assert len(hash_identity(identity)) == 20
    assert int(hash_identity(identity), 16) >= 0


def test_a_distil_seed_follows_what_should_vary() -> None:
    """Two settings of one method start from the same draw; so do two machines."""
    for field in ("method", "dataset", "ipc", "arch", "seed"):
        assert replace(DM, **{field: DISTIL_CHANGES[field]}).random_seed != DM.random_seed
    for field in ("params", "method_version", "sha256", "precision", "prerequisite"):
        assert replace(DM, **{field: DISTIL_CHANGES[field]}).random_seed == DM.random_seed


@pytest.mark.parametrize("field", ["method", "params", "ipc", "arch", "prerequisite", "precision"])
def test_networks_are_paired_across_methods(field: str) -> None:
    other = replace(EVALUATION, distil=replace(DM, **{field: DISTIL_CHANGES[field]}))
    assert net_seeds(other) == net_seeds(EVALUATION)


@pytest.mark.parametrize("field", ["ipc", "mode", "protocol", "protocol_version", "precision"])
def test_networks_are_paired_across_ipcs_modes_and_protocols(field: str) -> None:
    assert net_seeds(replace(EVALUATION, **{field: EVALUATE_CHANGES[field]})) == net_seeds(
        EVALUATION
    )


def test_networks_differ_where_they_should() -> None:
    cells = [
        EVALUATION,
        replace(EVALUATION, arch="resnet18"),
        replace(EVALUATION, distil=replace(DM, dataset="svhn")),
        *(replace(EVALUATION, distil=replace(DM, seed=s)) for s in (1, 2)),
    ]
    seeds = [seed for cell in cells for seed in net_seeds(cell)]
    assert len(set(seeds)) == len(seeds) == 25


def test_more_networks_keep_the_first_ones() -> None:
    assert net_seeds(replace(EVALUATION, nets=2)) == net_seeds(EVALUATION)[:2]


def test_titles_say_what_a_cell_is() -> None:
    assert DM.title == "dm on cifar10 ipc 10 seed 0"
    assert GAN.title == "gan on digits seed 0"
    assert EVALUATION.title == "dm on cifar10 ipc 10 stored, convnet3, default-v1, seed 0"
    assert replace(EVALUATION, ipc=None).title.startswith("dm on cifar10 stored,")


def test_identities_are_plain_json() -> None:
    for cell in (replace(DM, prerequisite=GAN), EVALUATION):
        assert json.loads(json.dumps(cell.identity)) == cell.identity
    assert replace(DM, prerequisite=GAN).identity["prerequisite"] == GAN.id
    assert EVALUATION.identity["distil"] == DM.id
    assert EVALUATION.identity["seed"] == DM.seed


def test_dependencies() -> None:
    assert GAN.dependency is None
    assert replace(DM, prerequisite=GAN).dependency == GAN
    assert EVALUATION.dependency == DM


WORDS, COUNTS, PRECISION = (
    st.text(max_size=4),
    st.integers(0, 99),
    st.sampled_from(["fp32", "bf16"]),
)
DISTILLED: st.SearchStrategy[DistilCell] = st.recursive(
    st.builds(
        DistilCell, method=WORDS, method_version=COUNTS, dataset=WORDS, sha256=WORDS, seed=COUNTS,
        params=st.dictionaries(st.text("abc", max_size=3), JSON, max_size=4),
        ipc=st.none() | COUNTS, arch=st.none() | WORDS, precision=PRECISION, profile=WORDS,
        changed=WORDS, prerequisite=st.none(),
    ),
    lambda earlier: st.builds(replace, earlier, prerequisite=earlier),
    max_leaves=4,
)  # fmt: skip
CELLS = DISTILLED | st.builds(
    EvaluateCell, distil=DISTILLED, ipc=st.none() | COUNTS, mode=WORDS, arch=WORDS, protocol=WORDS,
    protocol_version=COUNTS, nets=COUNTS, precision=PRECISION,
)  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(CELLS)
def test_a_cell_travels_as_json_without_loss(cell: Cell) -> None:
    arrived = cell_from_json(json.loads(json.dumps(cell_to_json(cell))))
    assert arrived == cell
    assert (arrived.id, arrived.title) == (cell.id, cell.title)


def chain(length: int) -> DistilCell:
    cell = GAN
    for _ in range(length - 1):
        cell = replace(GAN, prerequisite=cell)
    return cell


def test_chains_have_an_end() -> None:
    assert cell_from_json(cell_to_json(chain(32))) == chain(32)
    with pytest.raises(ValueError, match="chain of more than 32"):
        cell_from_json(cell_to_json(chain(33)))


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: [],
        lambda d: {**d, "kind": "bake"},
        lambda d: {**d, "kind": "distil"},
        lambda d: {**d, "nets": True},
        lambda d: {**d, "nets": 5.0},
        lambda d: {**d, "nets": None},
        lambda d: {**d, "extra": 1},
        lambda d: {**d, "distil": "905aeb03a018e306a4f5"},
        lambda d: {**d, "distil": {**d["distil"], "extra": 1}},
        lambda d: {**d, "distil": {**d["distil"], "params": []}},
        lambda d: {**d, "distil": {**d["distil"], "prerequisite": 3}},
        lambda d: {name: value for name, value in d.items() if name != "mode"},
        lambda d: {**d, "distil": {k: v for k, v in d["distil"].items() if k != "changed"}},
    ],
)
def test_what_is_no_cell_is_refused(damage: Any) -> None:
    with pytest.raises(ValueError, match=r"cell|Expected|Object"):
        cell_from_json(damage(cell_to_json(EVALUATION)))
