"""``bench export``: every format is read back to the same numbers, and the card says what it is."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from foreign_files import Sample, digits_sample
from small_disk import fill, small_disk

import bench
from bench.cli import main
from bench.datasets.real_set import normalise
from bench.datasets.spec import DatasetSpec
from bench.datasets.zca import ZCA
from bench.distilled.factored_set import FactoredSet
from bench.distilled.image_set import ImageSet
from bench.distilled.io import save
from bench.distilled.real_stream_set import RealStreamSet
from bench.distilled.storage_type import stored_as
from bench.exchange.export_formats import FORMATS
from bench.exchange.given import FORMAT_NAMES, Given
from bench.exchange.opened import open_sets
from bench.support.seeds import make_generator


@pytest.fixture(scope="module")
def sample() -> Sample:
    return digits_sample(3)


def learned(sample: Sample, **more: Any) -> ImageSet:
    """Return images that differ from real ones in every digit."""
    noise = 0.1 * torch.randn(sample.normalised.shape, generator=make_generator(0))
    return ImageSet(sample.real.spec, sample.normalised + noise, sample.labels, {}, **more)


def call(*arguments: Any, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


def exported(made: Any, tmp_path: Path, *options: Any) -> Path:
    save(made, tmp_path / "set.safetensors")
    call("export", tmp_path / "set.safetensors", "-o", tmp_path / "out", *options)
    return tmp_path / "out"


def read_back(source: Path, sample: Sample) -> ImageSet:
    (reading,) = open_sets(str(source), sample.real)
    assert isinstance(reading.distilled, ImageSet)
    return reading.distilled


SETS = {
    "plain": {},
    "with-rate": {"learning_rate": 0.03, "epochs": 7},
    "soft": {"label_kind": "logits", "temperature": 4.0},
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("form", ["safetensors", "pt", "npz"])
def test_tensors_come_back_bit_for_bit(
    form: str, name: str, sample: Sample, tmp_path: Path
) -> None:
    made = learned(sample)
    if name == "soft":
        made = replace(made, labels=torch.randn(30, 10), **SETS[name])
    else:
        made = replace(made, **SETS[name])
    folder = exported(made, tmp_path, "--format", form)
    back = read_back(folder / f"set.{form}", sample)
    assert torch.equal(back.images, made.images)
    assert torch.equal(back.labels, made.labels)
    assert back.config() == made.config()


@pytest.mark.parametrize("form", ["safetensors", "pt", "npz"])
def test_whitened_sets_keep_their_statistics(form: str, sample: Sample, tmp_path: Path) -> None:
    zca = ZCA.fit(sample.real.images[:500], 0.05)
    made = learned(sample, zca=zca)
    made = replace(made, images=zca.whiten(sample.bytes))
    folder = exported(made, tmp_path, "--format", form)
    (reading,) = open_sets(str(folder / f"set.{form}"), sample.real)
    back = reading.distilled
    assert isinstance(back, ImageSet)
    assert back.zca is not None
    assert torch.equal(back.zca.matrix, zca.matrix)
    assert torch.equal(back.images, made.images)
    assert not any("no ZCA statistics" in text for text in reading.warnings)


@pytest.mark.parametrize("form", ["imagefolder", "hf"])
def test_pictures_come_back_within_a_byte(form: str, sample: Sample, tmp_path: Path) -> None:
    if form == "hf":
        pytest.importorskip("datasets")
    made = learned(sample)
    folder = exported(made, tmp_path, "--format", form)
    back = read_back(folder / "set" if form == "hf" else folder, sample)
    assert back.images.dtype == torch.uint8
    assert torch.equal(back.labels, made.labels)
    spec = sample.real.spec
    pixels = (made.images * spec.std[0] + spec.mean[0]).clamp(0, 1)
    assert float((back.images.float() / 255 - pixels).abs().max()) <= 0.5 / 255 + 1e-6


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


@pytest.mark.parametrize("form", FORMAT_NAMES)
def test_the_folder_of_an_export_is_a_source(form: str, sample: Sample, tmp_path: Path) -> None:
    """The folder that ``-o`` named, with the card in it, says as much as the file inside."""
    if form == "hf":
        pytest.importorskip("datasets")
    made = learned(sample)
    folder = exported(made, tmp_path, "--format", form)
    back = read_back(folder, sample)
    assert torch.equal(back.labels, made.labels)
    if form == "safetensors":
        assert torch.equal(bench.load(folder).tensors()["images"], made.images)
        call("export", folder, "-o", tmp_path / "again", "--format", "pt")
        assert (tmp_path / "again" / "set.pt").is_file()


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


def test_folders_of_many_classes_are_in_the_order_of_the_classes(tmp_path: Path) -> None:
    """Programs that read folders number them in the order of their names."""
    spec = DatasetSpec("many", 12, 1, 4, 4, (0.5,), (0.25,), flip=False)
    images = torch.arange(12, dtype=torch.uint8).view(12, 1, 1, 1).expand(12, 1, 4, 4)
    made = ImageSet(spec, images.contiguous(), torch.arange(12), {})
    folder = exported(made, tmp_path, "--format", "imagefolder")
    names = sorted(each.name for each in folder.iterdir() if each.is_dir())
    assert names == [f"{label:02}" for label in range(12)]


def test_a_factored_set_says_that_its_factor_is_lost(sample: Sample, tmp_path: Path) -> None:
    made = FactoredSet(sample.real.spec, sample.pixels, sample.labels, 2, {})
    folder = exported(made, tmp_path, "--format", "pt")
    assert "the factor: evaluate with --factor 2" in (folder / "README.md").read_text()


def test_the_layout_of_the_field(sample: Sample, tmp_path: Path) -> None:
    """VICO's scripts read ``torch.load(path)["data"][experiment]`` as images and labels."""
    made = learned(sample)
    folder = exported(made, tmp_path, "--format", "pt")
    images, labels = torch.load(folder / "set.pt", weights_only=True)["data"][-1]
    assert torch.equal(images, made.images)
    assert (labels.dtype, images.dtype) == (torch.int64, torch.float32)
    real = ImageSet(sample.real.spec, sample.bytes, sample.labels, {})
    save(real, tmp_path / "real.safetensors")
    call("export", tmp_path / "real.safetensors", "-o", tmp_path / "real", "--format", "pt")
    images, _ = torch.load(tmp_path / "real" / "real.pt", weights_only=True)["data"][0]
    assert torch.equal(images, normalise(sample.bytes, sample.real.spec))


def test_a_factored_set_in_the_layout_of_idc(sample: Sample, tmp_path: Path) -> None:
    made = FactoredSet(sample.real.spec, sample.pixels, sample.labels, 2, {})
    folder = exported(made, tmp_path, "--format", "pt")
    from bench.exchange.given import Given

    (reading,) = open_sets(str(folder / "set.pt"), sample.real, Given(factor=2))
    back = reading.distilled
    assert isinstance(back, FactoredSet)
    assert torch.equal(back.images, made.images)


@pytest.mark.parametrize(
    ("dtype", "bytes_per_value", "largest"), [("float16", 2, 2e-3), ("uint8", 1, 2e-2)]
)
def test_bytes_are_counted_as_stored(
    dtype: str, bytes_per_value: int, largest: float, sample: Sample, tmp_path: Path
) -> None:
    """Normalised values have a spread of 1, so half a byte is 0.5 / 255 / std."""
    made = learned(sample)
    inside = made.images.clamp(*((torch.tensor([0.0, 1.0]) - 0.304667) / 0.3759).tolist())
    made = replace(made, images=inside)
    folder = exported(made, tmp_path, "--dtype", dtype)
    back = read_back(folder / "set.safetensors", sample)
    assert back.storage_bytes == made.images.numel() * bytes_per_value
    images = back.source("stored", 3, make_generator(0)).images
    assert images.dtype == torch.float32
    assert float((images - made.images).abs().max()) <= largest


def test_a_cell_with_its_card(sample: Sample, tmp_path: Path, data_dir: Path) -> None:
    store = tmp_path / "store"
    call(
        "run", "--method", "random", "--dataset", "digits", "--ipc", 2, "--profile", "smoke",
        "--eval-arch", "mlp", "--store", store, "--data-dir", data_dir,
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


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    """A store with a learned set and one of real images, evaluated."""
    store = tmp_path_factory.mktemp("cells") / "store"
    call(
        "run", "--method", "random,dm", "--dataset", "digits", "--ipc", 2, "--profile", "smoke",
        "--eval-arch", "mlp", "--store", store, "--data-dir", data_dir,
    )  # fmt: skip
    return store


@pytest.mark.parametrize("form", FORMAT_NAMES)
@pytest.mark.parametrize("method", ["random", "dm"])
def test_the_number_of_the_cell_comes_back(
    method: str, form: str, cells: Path, tmp_path: Path
) -> None:
    """Bit for bit; of a learned set, pictures are what `--stored-as uint8` evaluates."""
    if form == "hf":
        pytest.importorskip("datasets")
    table = json.loads(call("table", "--store", cells, "--format", "json").stdout)["results"]
    (row,) = (each for each in table if each["method"] == method)
    call("export", row["distil_ids"][0], "-o", tmp_path / "x", "--store", cells, "--format", form)
    options = ("--dataset", "digits", "--protocol", "smoke", "--eval-arch", "mlp", "--json")
    result = call("evaluate", tmp_path / "x", *options, "--store", tmp_path / "store")
    (back,) = json.loads(result.stdout)["results"]
    if method == "dm" and form in ("imagefolder", "hf"):
        made = bench.load(row["distil_ids"][0], cells)
        test = bench.load_dataset("digits").test
        expected = bench.evaluate(stored_as(made, "uint8"), test, arch="mlp", protocol="smoke")
        assert back["accuracies"] == list(expected.accuracies)
    else:
        assert back["accuracies"] == row["accuracies"]


def test_what_cannot_be_written(sample: Sample, tmp_path: Path) -> None:
    zca = ZCA.fit(sample.real.images, 0.1)
    sets = {
        "factored": FactoredSet(sample.real.spec, sample.pixels, sample.labels, 2, {}),
        "white": ImageSet(sample.real.spec, sample.white, sample.labels, {}, zca=zca),
    }
    for name, options, words in (
        ("factored", ("--format", "npz"), "a factored set cannot be exported as npz"),
        ("white", ("--dtype", "uint8"), "whitened images cannot be stored as uint8"),
    ):
        path = tmp_path / f"{name}.safetensors"
        save(sets[name], path)
        result = call("export", path, "-o", tmp_path / "out", *options, code=2)
        assert words in result.stderr
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.glob(".export-*"))


def test_a_factored_set_of_bytes_is_read_back(sample: Sample, tmp_path: Path) -> None:
    """As bench's own file, and as IDC's, which holds floats in [0, 1]."""
    made = FactoredSet(sample.real.spec, sample.pixels, sample.labels, 2, {})
    save(made, tmp_path / "set.safetensors")
    for form in ("safetensors", "pt"):
        out = tmp_path / form
        call(
            "export", tmp_path / "set.safetensors", "-o", out, "--format", form, "--dtype", "uint8"
        )
        given = Given(factor=2) if form == "pt" else None
        (reading,) = open_sets(str(out / f"set.{form}"), sample.real, given)
        assert isinstance(reading.distilled, FactoredSet)
        assert torch.equal(reading.distilled.pixels, made.pixels)
        assert (reading.distilled.images.dtype == torch.uint8) == (form == "safetensors")


@pytest.mark.parametrize("form", ["pt", "npz", "imagefolder", "hf"])
def test_a_stream_of_real_images_stays_with_bench(
    form: str, sample: Sample, tmp_path: Path
) -> None:
    pytest.importorskip("datasets") if form == "hf" else None
    made = RealStreamSet(sample.real.spec, sample.bytes, sample.labels, {})
    save(made, tmp_path / "set.safetensors")
    source, out = tmp_path / "set.safetensors", tmp_path / "out"
    result = call("export", source, "-o", out, "--format", form, code=2)
    words = f"is the real training set itself, and cannot be exported as {form}: use safetensors"
    assert words in result.stderr
    call("export", source, "-o", out)
    back = bench.load(out / "set.safetensors")
    assert torch.equal(back.tensors()["images"], sample.bytes)


def test_a_folder_that_exists_is_kept(sample: Sample, tmp_path: Path) -> None:
    save(learned(sample), tmp_path / "set.safetensors")
    (tmp_path / "out").mkdir()
    result = call("export", tmp_path / "set.safetensors", "-o", tmp_path / "out", code=2)
    assert "exists: name a new folder" in result.stderr


def test_without_the_extra_the_package_is_named(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasets")
    made = exported(learned(sample), tmp_path, "--format", "hf")
    monkeypatch.setitem(sys.modules, "datasets", None)
    again = ("export", tmp_path / "set.safetensors", "-o", tmp_path / "again", "--format", "hf")
    for words in (
        again,
        ("evaluate", made, "--dataset", "digits", "--dry-run"),
        ("evaluate", "hf:someone/something", "--dataset", "digits", "--dry-run"),
    ):
        result = call(*words, code=2)
        assert "needs the package datasets: pip install 'distillation-bench[hub]'" in result.stderr
    assert not (tmp_path / "again").exists()


def test_a_full_disk_leaves_nothing_behind(sample: Sample, tmp_path: Path) -> None:
    save(learned(sample), tmp_path / "set.safetensors")
    with small_disk(tmp_path / "disk", 1) as disk:
        fill(disk, leaving=16)
        for form in ("safetensors", "pt", "npz", "imagefolder"):
            result = call(
                "export", tmp_path / "set.safetensors", "-o", disk / "out", "--format", form, code=2
            )
            assert "cannot be written: No space left on device" in result.stderr
            assert "Traceback" not in result.output
            assert [path.name for path in disk.iterdir()] == ["ballast"]


def test_an_unknown_source(tmp_path: Path) -> None:
    result = call("export", "nothing.pt", "-o", tmp_path / "out", "--store", tmp_path, code=2)
    assert "nothing.pt" in result.stderr


def test_the_command_offers_every_format() -> None:
    assert tuple(FORMATS) == FORMAT_NAMES
