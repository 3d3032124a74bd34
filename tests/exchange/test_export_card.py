"""The card of ``bench export``: what the files hold, code that loads them, and their cell."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from exports import call, exported, learned, read_back
from foreign_files import Sample

import bench
from bench.datasets.zca import ZCA
from bench.distilled.factored_set import FactoredSet
from bench.distilled.image_set import ImageSet
from bench.distilled.io import save
from bench.exchange.given import FORMAT_NAMES
from bench.support.seeds import make_generator


def usage(folder: Path) -> str:
    """Return the Python code in a card."""
    return (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]


CODE = {
    "safetensors": "images, labels = zip(*dataset)",
    "pt": "",
    "npz": "",
    "imagefolder": "images, labels = zip(*dataset)",
    "hf": "images, labels = dataset['image'], dataset['label']",
}


@pytest.mark.parametrize("kind", ["learned", "real", "factored"])
@pytest.mark.parametrize("form", FORMAT_NAMES)
def test_the_code_in_the_card_loads_it(
    form: str, kind: str, sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In five lines, in the folder of the export."""
    pytest.importorskip({"hf": "datasets", "imagefolder": "torchvision"}.get(form, "torch"))
    spec = sample.real.spec
    made = {
        "learned": learned(sample),
        "real": ImageSet(spec, sample.bytes, sample.labels, {}),
        "factored": FactoredSet(spec, sample.pixels, sample.labels, 2, {}),
    }[kind]
    if kind == "factored" and form not in ("safetensors", "pt"):
        pytest.skip("factored sets are exported as safetensors and pt")
    folder = exported(made, tmp_path, "--format", form)
    code = usage(folder)
    assert 0 < len([line for line in code.splitlines() if line]) <= 5
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(f"{code}\n{CODE[form]}", names)
    expected = 30 * (4 if kind == "factored" and form == "safetensors" else 1)
    assert len(names["images"]) == len(names["labels"]) == expected
    order = sorted(int(label) for label in names["labels"])
    assert order == sorted(sample.labels.tolist() * (expected // 30))
    card = (folder / "README.md").read_text()
    command = card.split("```bash\n")[1].split("```")[0].split()
    assert command[:3] == ["bench", "evaluate", "."]
    call(*command[1:], "--dry-run", "--store", tmp_path / "store")


@pytest.mark.parametrize(
    ("form", "kind", "words", "size"),
    [
        ("safetensors", "learned", "float32, in normalised units: (pixel - mean) / std", 4),
        ("pt", "learned", "float32, in normalised units: (pixel - mean) / std", 4),
        ("npz", "learned", "float32, in normalised units", 4),
        ("imagefolder", "learned", "pixels of 8 bits, 0..255", 1),
        ("safetensors", "real", "pixels of 8 bits, 0..255", 1),
        ("pt", "real", "float32, in normalised units", 4),
        ("pt", "white", "float32, ZCA-whitened with the statistics in the file", 4),
        ("pt", "factored", "Each image holds 2x2 smaller ones, as pixels in [0, 1]", 4),
    ],
)
def test_the_card_says_what_the_values_are(
    form: str, kind: str, words: str, size: int, sample: Sample, tmp_path: Path
) -> None:
    """Units, which are what readers of a set forget, and bytes as the files hold them."""
    spec, labels = sample.real.spec, sample.labels
    zca = ZCA.fit(sample.real.images, 0.1)
    made = {
        "learned": learned(sample),
        "real": ImageSet(spec, sample.bytes, labels, {}),
        "white": ImageSet(spec, sample.white, labels, {}, zca=zca),
        "factored": FactoredSet(spec, sample.pixels, labels, 2, {}),
    }[kind]
    text = (exported(made, tmp_path, "--format", form) / "README.md").read_text()
    assert words in text
    layout = "snu-mllab/Efficient-Dataset-Condensation" if kind == "factored" else "VICO-UoE"
    assert (layout in text) == (form == "pt")
    more = zca.storage_bytes if kind == "white" else 0
    assert f"stored_bytes: {sample.bytes.numel() * size + more}\n" in text


def test_a_cell_with_its_card(sample: Sample, tmp_path: Path, data_dir: Path) -> None:
    store = tmp_path / "store"
    call(
        "run", "--method", "random", "--dataset", "digits", "--ipc", 2, "--profile", "smoke",
        "--eval-arch", "mlp", "--store", store, "--data-dir", data_dir, "--json",
    )  # fmt: skip
    (row,) = json.loads(call("table", "--store", store, "--format", "json").stdout)["results"]
    for cell in (row["distil_ids"][0], row["cell_ids"][0]):
        folder = tmp_path / cell
        call("export", cell, "-o", folder, "--store", store, "--licence", "CC-BY-4.0")
        text = (folder / "README.md").read_text()
        header = text.split("---")[1]
        path = folder / "random-digits-ipc2-seed0.safetensors"
        assert f"| {path.name} | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |" in text
        assert f'"torch": "{torch.__version__.split("+")[0]}"' in header
        assert f'dataset_sha256: "{row["dataset_sha256"]}"' in header
        assert "Of the data: scikit-learn's 8x8 digits" in text
        assert "| mlp | smoke-v1 | stored | 2 | fp32 | made | " in text
        assert f"| {row['training_steps']:,} | {row['distinct_images']:,} |" in text
        for line in (
            'license: "CC-BY-4.0"', f"stored_bytes: {row['stored_bytes']}",
                'method: "random"', 'dataset: "digits"', "seed: 0", "ipc: 2",
            'labels: "hard"',
        ):  # fmt: skip
            assert line in header
        assert f"{row['accuracies'][0]:.2f}, {row['accuracies'][1]:.2f}" in text
        assert 'bench.load("random-digits-ipc2-seed0.safetensors")' in text
    for source in ("random", "Random"):  # the name of a method: its cells are listed
        result = call("export", source, "-o", tmp_path / "x", "--store", store, code=2)
        assert f"{row['distil_ids'][0]}  random on digits ipc 2 seed 0" in result.stderr
        assert not (tmp_path / "x").exists()
    beginning = row["cell_ids"][0][:10]
    call("export", beginning, "-o", tmp_path / "cut", "--store", store)
    assert (tmp_path / "cut" / path.name).read_bytes() == path.read_bytes()
    call("export", "0" * 10, "-o", tmp_path / "x", "--store", store, code=2)
    loaded = bench.load(beginning, store)
    assert torch.equal(
        loaded.tensors()["images"],
        bench.load(folder / "random-digits-ipc2-seed0.safetensors").tensors()["images"],
    )


def test_a_factored_set_says_that_its_factor_is_lost(sample: Sample, tmp_path: Path) -> None:
    made = FactoredSet(sample.real.spec, sample.pixels, sample.labels, 2, {})
    folder = exported(made, tmp_path, "--format", "pt")
    assert "the factor: evaluate with --factor 2" in (folder / "README.md").read_text()


@pytest.mark.parametrize("form", ["imagefolder", "hf"])
def test_what_pictures_do_not_hold_is_said(form: str, sample: Sample, tmp_path: Path) -> None:
    if form == "hf":
        pytest.importorskip("datasets")
    rows = torch.softmax(torch.randn(30, 10, generator=make_generator(1)), 1)
    plain = learned(sample)
    made = replace(plain, learning_rate=0.03, epochs=7, labels=rows, label_kind="probabilities")
    save(made, tmp_path / "set.safetensors")
    out = tmp_path / "out"
    result = call("export", tmp_path / "set.safetensors", "-o", out, "--format", form)
    card = (out / "README.md").read_text()
    lost = ["evaluate with --lr 0.03", "evaluate with --epochs 7"]
    for words in [*lost, *(["the soft labels"] if form == "imagefolder" else [])]:
        assert words in card
        assert words in result.stderr
    if form == "hf":
        back = read_back(out / "set", sample)
        assert back.label_kind == "probabilities"
        torch.testing.assert_close(back.labels, rows)
    save(plain, tmp_path / "plain.safetensors")
    again = call(
        "export", tmp_path / "plain.safetensors", "-o", tmp_path / "again", "--format", form
    )
    assert "does not hold" not in again.stderr
