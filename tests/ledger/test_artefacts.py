"""The files of a distilled set are those that its record names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from builders import tiny_real_set
from record_builders import distil_json, record

from bench.distilled.image_set import ImageSet
from bench.ledger.artefacts import load_artefact, write_artefact
from bench.ledger.store import Store

CPU = torch.device("cpu")
REAL = tiny_real_set(per_class=1)
WEIGHTS = {"w": torch.ones(2)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path)
    made.prepare()
    made.write_request("d0", {})
    return made


def image_set() -> ImageSet:
    return ImageSet(REAL.spec, REAL.images, REAL.labels, {})


def written(store: Store, byproducts: dict[str, torch.Tensor]) -> None:
    artefact, beside = write_artefact(store, "d0", image_set(), byproducts)
    made = distil_json("d0")
    result = {**made["result"], "artefact_sha256": artefact, "byproducts_sha256": beside}
    store.write(record({**made, "result": result}))


def test_byproducts_come_with_their_set(store: Store) -> None:
    written(store, WEIGHTS)
    distilled, byproducts = load_artefact(store, "d0", CPU)
    assert torch.equal(distilled.images, image_set().images)
    assert torch.equal(byproducts["w"], WEIGHTS["w"])


def test_a_result_without_byproducts_has_none_of_an_earlier_one(store: Store) -> None:
    written(store, WEIGHTS)
    written(store, {})
    assert not store.byproducts("d0").exists()
    assert load_artefact(store, "d0", CPU)[1] == {}


def test_a_file_that_the_record_does_not_name_is_not_read(store: Store) -> None:
    written(store, {})
    store.byproducts("d0").write_bytes(b"left by another program")
    assert load_artefact(store, "d0", CPU)[1] == {}
