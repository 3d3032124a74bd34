"""The published sets are those of the records, small, and enough to draw their galleries again."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest
import torch
from click.testing import CliRunner

import bench
from bench.cli import main
from bench.ledger.record import ARTEFACT
from bench.ledger.store import Store
from bench.ledger.verifying import verify_store

REPRODUCED = Path(__file__).parents[1] / "results/reproduced"
SCRIPT = REPRODUCED / "checks/sets.py"


@pytest.fixture(scope="module")
def sets() -> ModuleType:
    spec = importlib.util.spec_from_file_location("published_sets", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def restored(sets: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the records with the published sets in their places."""
    store = tmp_path_factory.mktemp("reproduced")
    shutil.copytree(REPRODUCED / "store/cells", store / "cells")
    sets.restore(store)
    return store


def test_each_is_the_set_of_its_record_and_has_a_card(sets: ModuleType) -> None:
    there = list(sets.published())
    assert len(there) >= 20
    assert len({record.id for _, record in there}) == len(there)
    for path, record in there:
        card = (path.parent / "README.md").read_text()
        assert f'cell: "{record.id}"' in card
        assert record.files[ARTEFACT] in card
        assert "## Measured with bench" in card


def test_they_are_small(sets: ModuleType) -> None:
    sizes = [path.stat().st_size for path in (REPRODUCED / "sets").rglob("*.safetensors")]
    assert max(sizes) <= sets.LARGEST
    assert sum(sizes) <= sets.ALL


def test_a_store_takes_them_back(sets: ModuleType, restored: Path) -> None:
    verdict = verify_store(restored)
    assert verdict.problems == []
    assert verdict.artefacts == len(list(sets.published()))


def test_a_gallery_can_be_drawn_again(restored: Path, tmp_path: Path) -> None:
    words = ["plot", "gallery", "--store", str(restored), "--dataset", "fashionmnist", "--ipc", "1"]
    result = CliRunner().invoke(main, [*words, "--method", "random", "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "gallery-fashionmnist-ipc1.png").is_file()


def test_a_file_of_no_record_is_refused(
    sets: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sets" / "other"
    folder.mkdir(parents=True)
    (folder / "other.safetensors").write_bytes(b"x")
    monkeypatch.setattr(sets, "SETS", tmp_path / "sets")
    with pytest.raises(SystemExit, match="is not the set of a record"):
        list(sets.published())


def test_publishing_takes_what_the_records_name(
    sets: ModuleType, restored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a store with one right artefact and a wrong one."""
    records = [record for _, record in sets.published()]
    right, wrong = records[0], records[1]
    store = tmp_path / "store"
    for record in (right, wrong):
        shutil.copytree(restored / "cells" / record.id, store / "cells" / record.id)
    Store(store).artefact(wrong.id).write_bytes(b"something else")
    monkeypatch.setattr(sets, "SETS", tmp_path / "sets")
    sets.publish(store)
    ((path, record),) = sets.published()
    assert record.id == right.id
    original = bench.load(right.id, restored).tensors()["images"]
    assert torch.equal(bench.load(path).tensors()["images"], original)
