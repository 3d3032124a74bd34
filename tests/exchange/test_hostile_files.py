"""Files that were made to harm: one message, exit code 2, nothing executed, nothing written."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from foreign_files import LAYOUTS, digits_sample

from bench.cli import main

WITNESS = "BENCH_TEST_WITNESS"


class Bomb:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, (f"touch ${WITNESS}",)


def reduce_bomb(folder: Path) -> Path:
    torch.save({"images": Bomb(), "labels": torch.ones(2)}, folder / "set.pt")
    return folder / "set.pt"


def plain_pickle(folder: Path) -> Path:
    (folder / "set.pt").write_bytes(pickle.dumps(Bomb()))
    return folder / "set.pt"


def bomb_among_labels(folder: Path) -> Path:
    torch.save(torch.zeros(10, 1, 16, 16), folder / "images.pt")
    torch.save([Bomb()], folder / "labels.pt")
    return folder


def bomb_among_experiments(folder: Path) -> Path:
    """VICO's layout: images and labels are sound, the accuracies beside them are not."""
    path = LAYOUTS["vico"](digits_sample(1), folder)
    value = torch.load(path, weights_only=False)
    torch.save({**value, "accs_all_exps": Bomb()}, path)
    return path


def bomb_for_a_rate(folder: Path) -> Path:
    LAYOUTS["dd_ranking"](digits_sample(1), folder)
    torch.save(Bomb(), folder / "lr.pt")
    return folder


def bomb_in_a_list(folder: Path) -> Path:
    """IDC's layout."""
    sample = digits_sample(1)
    torch.save([sample.pixels, sample.labels, Bomb()], folder / "data.pt")
    return folder / "data.pt"


def bomb_in_a_step(folder: Path) -> Path:
    """DD's layout."""
    sample = digits_sample(1)
    step = (sample.normalised, sample.labels, Bomb())
    torch.save([step, step], folder / "results.pth")
    return folder / "results.pth"


def bomb_in_a_part(folder: Path) -> Path:
    LAYOUTS["in_parts"](digits_sample(10), folder)
    torch.save(Bomb(), folder / "labels_best_3.pt")
    return folder


def parts_of_other_sizes(folder: Path) -> Path:
    LAYOUTS["in_parts"](digits_sample(10), folder)
    torch.save(torch.zeros(20, 1, 8, 8), folder / "images_best_3.pt")
    return folder


def bomb_in_kip(folder: Path) -> Path:
    path = LAYOUTS["kip"](digits_sample(1), folder)
    with np.load(path) as arrays:
        images = arrays["images"]
    np.savez(path, images=images, labels=np.array([Bomb()] * len(images), dtype=object))
    return path


def bomb_in_a_generator(folder: Path) -> Path:
    torch.save({"bench": "{}", "weights": {"weight": Bomb()}}, folder / "set.pt")
    return folder / "set.pt"


def objects_in_npz(folder: Path) -> Path:
    np.savez(folder / "set.npz", images=np.array([Bomb()], dtype=object), labels=np.ones(1))
    return folder / "set.npz"


def zip_bomb(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "set.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        header = b"\x93NUMPY\x01\x00v\x00"
        header += b"{'descr': '|u1', 'fortran_order': False, 'shape': (300000000,), }"
        archive.writestr("images.npy", header.ljust(128) + bytes(300_000_000))
        archive.writestr("labels.npy", b"")
    return folder / "set.npz"


def huge_header(folder: Path) -> Path:
    """Claims 50 GB of floats and holds none."""
    text = b'{"images":{"dtype":"F32","shape":[12500000000],"data_offsets":[0,50000000000]}}'
    (folder / "set.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    return folder / "set.safetensors"


def claimed_shape(folder: Path) -> Path:
    """An array whose header claims 50 GB."""
    with zipfile.ZipFile(folder / "set.npz", "w") as archive:
        for name in ("images", "labels"):
            text = "{'descr': '<f4', 'fortran_order': False, 'shape': (12500000000,), }".ljust(117)
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00v\x00" + text.encode() + b"\n")
    return folder / "set.npz"


def many_views(folder: Path) -> Path:
    """A thousand bytes that unfold to a terabyte."""
    torch.save(
        {"images": torch.zeros(1).expand(2**30, 1, 16, 16), "labels": torch.zeros(2)},
        folder / "set.pt",
    )
    return folder / "set.pt"


def link_out(folder: Path) -> Path:
    LAYOUTS["images"](digits_sample(1), folder)
    (folder / "0" / "secret.png").symlink_to("/etc/passwd")
    return folder


def linked_class(folder: Path) -> Path:
    LAYOUTS["images"](digits_sample(1), folder)
    elsewhere = folder.with_name("elsewhere")
    (folder / "0").rename(elsewhere)
    (folder / "0").symlink_to(elsewhere)
    return folder


def endless_picture(folder: Path) -> Path:
    """A PNG whose header claims 10 GB of pixels."""
    LAYOUTS["images"](digits_sample(1), folder)
    path = folder / "0" / "000.png"
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    path.write_bytes(data)
    return folder


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "set.pt")
    return folder / "set.pt"


def truncated(folder: Path) -> Path:
    path = LAYOUTS["vico"](digits_sample(1), folder)
    path.write_bytes(path.read_bytes()[:-700])
    return path


def wrong_labels(folder: Path) -> Path:
    sample = digits_sample(1)
    torch.save({"images": sample.normalised, "labels": sample.labels + 5}, folder / "set.pt")
    return folder / "set.pt"


def wrong_shape(folder: Path) -> Path:
    torch.save({"images": torch.zeros(4, 7, 5), "labels": torch.zeros(4)}, folder / "set.pt")
    return folder / "set.pt"


def no_images(folder: Path) -> Path:
    torch.save({"images": torch.zeros(0, 1, 16, 16), "labels": torch.zeros(0)}, folder / "set.pt")
    return folder / "set.pt"


def sparse_tensor(folder: Path) -> Path:
    torch.save(
        {"images": torch.zeros(2, 1, 16, 16).to_sparse(), "labels": torch.zeros(2)},
        folder / "set.pt",
    )
    return folder / "set.pt"


def tensor_without_values(folder: Path) -> Path:
    images = torch.zeros(2, 1, 16, 16, device="meta")
    torch.save({"data": [[images, torch.zeros(2)]]}, folder / "set.pt")
    return folder / "set.pt"


def nested_tensor(folder: Path) -> Path:
    images = torch.nested.nested_tensor([torch.zeros(1, 16, 16), torch.zeros(1, 8, 8)])
    torch.save([images, torch.zeros(2)], folder / "set.pt")
    return folder / "set.pt"


def complex_images(folder: Path) -> Path:
    images = torch.zeros(2, 1, 16, 16, dtype=torch.complex64)
    torch.save([images, torch.zeros(2)], folder / "set.pt")
    return folder / "set.pt"


def list_within_itself(folder: Path) -> Path:
    values: list[object] = [torch.zeros(2)]
    values.append(values)
    torch.save(values, folder / "set.pt")
    return folder / "set.pt"


def endless_epochs(folder: Path) -> Path:
    sample = digits_sample(1)
    values = {"images": sample.normalised, "labels": sample.labels, "epochs": float("inf")}
    torch.save(values, folder / "set.pt")
    return folder / "set.pt"


def saved_pictures(folder: Path, pictures: list[dict[str, Any]]) -> Path:
    """Write a Hugging Face dataset whose images are these bytes, or files of these names."""
    datasets = pytest.importorskip("datasets")
    rows = {"image": pictures, "label": list(range(len(pictures)))}
    made = datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image(decode=False))
    made.save_to_disk(str(folder / "set"))
    return folder / "set"


def picture_that_runs_a_program(folder: Path) -> Path:
    """PostScript: Pillow starts Ghostscript on it, whatever it is called."""
    text = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\nshowpage\n%%EOF\n"
    return saved_pictures(folder, [{"bytes": text, "path": "0.png"}])


def picture_elsewhere(folder: Path) -> Path:
    from PIL import Image

    Image.new("L", (16, 16)).save(folder / "secret.png")
    datasets = pytest.importorskip("datasets")
    # As a plain record: the library itself would store the picture, not its path.
    columns = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    features = datasets.Features({"image": columns, "label": datasets.Value("int64")})
    row = {"bytes": None, "path": str(folder / "secret.png")}
    made = datasets.Dataset.from_dict({"image": [row], "label": [0]}, features=features)
    made.save_to_disk(str(folder / "set"))
    info = folder / "set" / "dataset_info.json"
    facts = json.loads(info.read_text())
    facts["features"]["image"] = {"_type": "Image"}
    info.write_text(json.dumps(facts))
    return folder / "set"


def picture_of_another_size(folder: Path) -> Path:
    from PIL import Image

    pictures = []
    for side in (16, 20):
        buffer = io.BytesIO()
        Image.new("L", (side, side)).save(buffer, format="png")
        pictures.append({"bytes": buffer.getvalue(), "path": None})
    return saved_pictures(folder, pictures)


def damaged_dataset(folder: Path) -> Path:
    pytest.importorskip("datasets")
    path = LAYOUTS["saved_dataset"](digits_sample(1), folder)
    for arrow in path.glob("*.arrow"):
        arrow.write_bytes(arrow.read_bytes()[:100])
    return path


HOSTILE: dict[str, Callable[[Path], Path]] = {
    each.__name__: each
    for each in (
        reduce_bomb, plain_pickle, bomb_among_labels, bomb_among_experiments, bomb_for_a_rate,
        bomb_in_a_list, bomb_in_a_step, bomb_in_a_part, parts_of_other_sizes, bomb_in_kip,
        bomb_in_a_generator, linked_class, endless_picture, objects_in_npz, zip_bomb, huge_header,
        claimed_shape, many_views, link_out, pipe, truncated, wrong_labels, wrong_shape, no_images,
        sparse_tensor, tensor_without_values, nested_tensor, complex_images, list_within_itself,
        endless_epochs, damaged_dataset, picture_that_runs_a_program, picture_elsewhere,
        picture_of_another_size,
    )
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_source(name: str, tmp_path: Path, data_dir: Path, monkeypatch) -> None:
    witness, store = tmp_path / "witness", tmp_path / "store"
    monkeypatch.setenv(WITNESS, str(witness))
    (tmp_path / "source").mkdir()
    source = HOSTILE[name](tmp_path / "source")
    result = CliRunner().invoke(
        main,
        ["evaluate", str(source), "--dataset", "digits", "--store", str(store),
         "--data-dir", str(data_dir), "--protocol", "smoke"],
    )  # fmt: skip
    assert result.exit_code == 2, result.output
    assert result.stderr.count("error:") == 1
    assert "Traceback" not in result.output
    assert "Re-running" not in result.output  # torch's advice to load the file all the same
    assert not witness.exists()
    assert not store.exists()


def test_the_bomb_would_go_off(tmp_path: Path, monkeypatch) -> None:
    witness = tmp_path / "witness"
    monkeypatch.setenv(WITNESS, str(witness))
    torch.load(reduce_bomb(tmp_path), weights_only=False)
    assert witness.exists()


class Settings:
    """What a script may save beside its images; harmless, but an object."""

    ipc = 1


def test_the_refusal_says_how_to_convert(tmp_path: Path, data_dir: Path) -> None:
    sample = digits_sample(1)
    torch.save([sample.pixels, sample.labels, Settings()], tmp_path / "data.pt")
    words = ["--dataset", "digits", "--data-dir", str(data_dir), "--dry-run"]
    refused = CliRunner().invoke(main, ["evaluate", str(tmp_path / "data.pt"), *words])
    assert refused.exit_code == 2
    assert "it names test_hostile_files.Settings" in refused.stderr
    recipe = "torch.save({'images': images, 'labels': labels}, 'set.pt')"
    assert recipe in refused.stderr
    images, labels, _ = torch.load(tmp_path / "data.pt", weights_only=False)
    torch.save({"images": images, "labels": labels}, tmp_path / "set.pt")
    read = CliRunner().invoke(main, ["evaluate", str(tmp_path / "set.pt"), *words])
    assert read.exit_code == 0, read.output
