"""The data folder: importing, finding, verifying and opening packed datasets."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tiny_datasets import Npz, make_arrays, make_spec

from bench.cli import main
from bench.datasets import data_folder, library
from bench.datasets.source import Arrays, DatasetSource, Progress
from bench.registry.registry import DATASETS
from bench.support.errors import BenchError, UnknownNameError


def test_an_imported_dataset_is_found_and_opened(folder: Path, npz: Npz) -> None:
    made = library.import_file("mine", npz(), folder, note="by hand", flip=True)
    found = data_folder.info("mine", folder)
    assert found == made
    assert (found.n_train, found.n_test, found.class_counts) == (9, 6, (3, 3, 3))
    assert (found.spec.flip, found.spec.note, found.verified) == (True, "by hand", True)
    real = library.open_split("mine", "test", folder, torch.device("cpu"))
    assert (real.spec, real.images.dtype) == (made.spec, torch.uint8)
    assert np.array_equal(real.images.permute(0, 2, 3, 1).numpy(), make_arrays().x_test)
    assert real.labels.tolist() == make_arrays().y_test.tolist()


def test_importing_twice_gives_the_same_hash_but_must_be_asked_for(folder: Path, npz: Npz) -> None:
    first = library.import_file("mine", npz(), folder)
    with pytest.raises(BenchError, match=r"'mine' is already in .* add --replace"):
        library.import_file("mine", npz(), folder)
    assert library.import_file("mine", npz(), folder, replace=True).sha256 == first.sha256


@pytest.mark.parametrize(
    "name", ["../mine", "a/b", "", ".hidden", "Mine", "-x", "a b", "x" * 65, "é"]
)
def test_names_that_are_no_plain_file_names_are_refused(name: str, folder: Path, npz: Npz) -> None:
    with pytest.raises(BenchError, match="is not allowed: use lower-case letters"):
        library.import_file(name, npz(), folder)
    with pytest.raises(UnknownNameError):
        data_folder.info(name, folder)
    assert not folder.exists()


def test_unknown_names_list_what_is_registered_and_imported(folder: Path, npz: Npz) -> None:
    library.import_file("mine", npz(), folder)
    with pytest.raises(UnknownNameError, match=r"Did you mean 'mine'\? Known: .*digits, .*mine"):
        library.ensure("mina", folder)
    with pytest.raises(UnknownNameError, match=r"Did you mean 'cifar10'"):
        library.ensure("CIFAR10", folder)
    with pytest.raises(UnknownNameError):
        library.verify("mina", folder)


def test_what_is_registered_but_missing_is_told(folder: Path) -> None:
    with pytest.raises(BenchError, match=r"'mnist' is not in .* run `bench data fetch mnist`"):
        library.open_split("mnist", "train", folder, "cpu")
    assert data_folder.info("mnist", folder) is None


def test_digits_are_packed_on_first_use(folder: Path) -> None:
    assert library.ensure("digits", folder).n_test == 360
    before = (folder / "digits.safetensors").stat().st_mtime_ns
    library.ensure("digits", folder)
    library.fetch("digits", folder)
    assert (folder / "digits.safetensors").stat().st_mtime_ns == before


def test_a_known_name_must_keep_its_flip(folder: Path, npz: Npz) -> None:
    with pytest.raises(BenchError, match="'mnist' is not flipped in the literature"):
        library.import_file("mnist", npz(), folder, flip=True)


def test_a_flipped_byte_is_found_by_verify(folder: Path, npz: Npz) -> None:
    path = library.import_file("mine", npz(), folder).path
    assert library.verify("mine", folder).verified
    times = path.stat()
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(BenchError, match=r"mine.safetensors' is damaged: its sha256 is"):
        library.verify("mine", folder)
    os.utime(path)
    with pytest.raises(BenchError, match=r"mine.safetensors' is damaged: its sha256 is"):
        library.ensure("mine", folder)


def test_a_cut_file_is_found_at_once(folder: Path, npz: Npz) -> None:
    path = library.import_file("mine", npz(), folder).path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BenchError, match=r"is damaged: it has .* bytes, its header announces"):
        library.ensure("mine", folder)
    assert library.import_file("mine", npz(), folder, replace=True).verified


def test_labels_outside_the_classes_are_found(folder: Path, npz: Npz) -> None:
    path = library.import_file("mine", npz(), folder).path
    raw = bytearray(path.read_bytes())
    raw[8 + int.from_bytes(raw[:8], "little")] = 77  # the first training label
    path.write_bytes(raw)
    path.with_name(f"{path.name}.sha256").unlink()
    with pytest.raises(BenchError, match=r"label 77: dataset 'mine' has 3 classes, labels 0..2"):
        data_folder.info("mine", folder)


def test_a_missing_checksum_file_is_told(folder: Path, npz: Npz) -> None:
    made = library.import_file("mine", npz(), folder)
    checksum = made.path.with_name(f"{made.path.name}.sha256")
    checksum.write_text("nonsense")
    assert not data_folder.info("mine", folder).verified
    checksum.unlink()
    found = library.verify("mine", folder)
    assert (found.verified, found.sha256) == (False, made.sha256)


def test_a_copied_file_is_hashed_once_and_trusted_again(folder: Path, npz: Npz) -> None:
    path = library.import_file("mine", npz(), folder).path
    os.utime(path, ns=(1, 1))
    assert data_folder.info("mine", folder).verified
    assert "mtime_ns 1\n" in path.with_name(f"{path.name}.sha256").read_text()


def test_the_checksum_file_is_one_that_sha256sum_reads(folder: Path, npz: Npz) -> None:
    made = library.import_file("mine", npz(), folder)
    lines = made.path.with_name(f"{made.path.name}.sha256").read_text().splitlines()
    assert lines[0].startswith("# ")
    assert lines[1:] == [f"{made.sha256}  mine.safetensors"]


def test_a_renamed_file_is_refused(folder: Path, npz: Npz) -> None:
    path = library.import_file("mine", npz(), folder).path
    path.rename(path.with_name("yours.safetensors"))
    with pytest.raises(BenchError, match="holds 'mine': it was renamed"):
        data_folder.info("yours", folder)


def test_listing_tells_what_is_there_missing_and_damaged(folder: Path, npz: Npz) -> None:
    library.import_file("mine", npz(), folder)
    library.import_file("other", npz(), folder).path.write_bytes(b"short")
    listed = {one.name: one for one in data_folder.list_datasets(folder)}
    assert listed["mine"].origin == "imported"
    assert listed["mine"].info == data_folder.info("mine", folder)
    assert "damaged" in (listed["other"].problem or "")
    assert listed["mnist"].info is None
    assert listed["mnist"].spec.num_classes == 10
    assert list(listed) == sorted(listed)


def test_a_source_of_ones_own(folder: Path, registered: type[DatasetSource]) -> None:
    info = library.ensure("toy", folder)
    assert (info.n_train, info.spec) == (9, registered.spec)


def test_a_source_that_breaks_is_told(
    folder: Path, registered: type[DatasetSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registered, "load", lambda *_: 1 / 0)
    with pytest.raises(BenchError, match="'toy' could not be fetched: division by zero"):
        library.fetch("toy", folder)
    monkeypatch.setattr(registered, "load", lambda *_: make_arrays((9, 9)))
    with pytest.raises(BenchError, match="x_train holds images of 9x9 with 1 channel"):
        library.fetch("toy", folder)
    monkeypatch.setattr(registered, "spec", make_spec(name="tin"))
    with pytest.raises(BenchError, match="dataset 'toy': its spec is named 'tin'"):
        library.fetch("toy", folder)
    assert list(folder.iterdir()) == []


def test_replace_fetches_again(folder: Path, registered: type[DatasetSource]) -> None:
    first = library.fetch("toy", folder)
    first.path.write_bytes(b"damaged")
    with pytest.raises(BenchError, match="toy --replace"):
        library.fetch("toy", folder)
    assert library.fetch("toy", folder, replace=True).sha256 == first.sha256


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, npz: Npz) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BenchError, match="cannot write to the data folder"):
        library.import_file("mine", npz(), tmp_path / "file" / "data")


def test_the_data_folder_is_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    assert data_folder.data_dir() == tmp_path
    assert data_folder.data_dir(Path("elsewhere")) == Path("elsewhere")
    monkeypatch.delenv("BENCH_DATA")
    assert data_folder.data_dir().name == "bench"


@pytest.mark.parametrize("place", [None, "~/data", "~unknown-user/data"])
def test_without_a_home_the_data_folder_must_be_named(
    monkeypatch: pytest.MonkeyPatch, place: str | None
) -> None:
    def unknown(name: object) -> None:
        raise KeyError(name)

    for name in ("BENCH_DATA", "HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(pwd, "getpwnam", unknown)
    result = CliRunner().invoke(main, ["data", "list", *(["--data-dir", place] if place else [])])
    assert result.exit_code == 2
    assert "--data-dir or BENCH_DATA" in result.output
    assert place is None or place in result.output
    monkeypatch.setenv("BENCH_DATA", "/elsewhere")
    assert data_folder.data_dir() == Path("/elsewhere")


def test_finding_and_importing_need_no_torch(folder: Path, npz: Npz) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from bench.datasets import data_folder, library as b\n"
        f"b.import_file('mine', Path({str(npz())!r}), Path({str(folder)!r}))\n"
        f"data_folder.list_datasets(Path({str(folder)!r}))\n"
        f"b.verify('mine', Path({str(folder)!r}))\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def registered() -> object:
    """A dataset plugin called ``toy``."""

    class Toy(DatasetSource):
        name = "toy"
        spec = make_spec(name="toy")

        def load(self, workdir: Path, progress: Progress) -> Arrays:
            assert workdir.is_dir()
            return make_arrays()

    DATASETS.register("toy", Toy, "a test")
    yield Toy
    DATASETS.unregister("toy")
