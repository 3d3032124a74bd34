"""The packed file: what goes in comes out, equal pixels give equal bytes, damage is named."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from tiny_datasets import make_arrays, make_spec

from bench.datasets.packed import map_part, read_header, write_packed
from bench.support.errors import BenchError
from bench.support.untrusted import file_sha256

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6)) | st.tuples(
    st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 3])
)


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(1, 4), st.integers(1, 7), st.integers(1, 7))
def test_every_small_dataset_comes_back(
    shape: tuple[int, ...], classes: int, n_train: int, n_test: int
) -> None:
    arrays, spec = make_arrays(shape, classes, n_train, n_test), make_spec(shape, classes)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.safetensors"
        write_packed(path, spec, arrays)
        header = read_header(path)
        assert header.spec == spec
        assert (header.n_train, header.n_test) == (n_train, n_test)
        for part in ("train", "test"):
            images, labels = map_part(path, header, part)
            assert images.shape[1:] == spec.shape
            assert np.array_equal(np.moveaxis(images, 1, 3).ravel(), arrays.images(part).ravel())
            assert np.array_equal(labels, arrays.labels(part))


def test_what_a_killed_import_left_goes_with_the_next_one(tmp_path: Path) -> None:
    left = tmp_path / ".tiny.safetensors.0123abcd.tmp"
    left.write_bytes(b"half of it")
    other = tmp_path / "notes.tmp"  # a user's own
    other.write_text("mine")
    write_packed(tmp_path / "tiny.safetensors", make_spec((4, 5), 2), make_arrays((4, 5), 2))
    assert not left.exists()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["notes.tmp", "tiny.safetensors"]


def test_the_safetensors_library_reads_it(packed: Path) -> None:
    tensors = load_file(packed)
    arrays = make_arrays()
    assert tensors["train_images"].dtype == np.uint8
    assert np.array_equal(tensors["test_images"], arrays.x_test.transpose(0, 3, 1, 2))
    assert np.array_equal(tensors["train_labels"], arrays.y_train)


def test_the_same_pixels_give_the_same_bytes(tmp_path: Path) -> None:
    spec, arrays = make_spec(), make_arrays()
    first = write_packed(tmp_path / "a", spec, arrays)
    fortran = type(arrays)(
        np.asfortranarray(arrays.x_train), arrays.y_train.astype(np.uint8),
        arrays.x_test, arrays.y_test.astype(np.int32),
    )  # fmt: skip
    assert write_packed(tmp_path / "b", spec, fortran) == first
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert file_sha256(tmp_path / "a") == first


def test_the_bytes_do_not_change_between_versions(packed: Path) -> None:
    # Results are identified by this hash: a change of the format needs a new FORMAT number.
    assert file_sha256(packed) == "51476d3f21b5d4061f6819db13857689cf0b2740083310160f94227ec5beec91"


def test_another_pixel_or_label_or_note_gives_another_hash(tmp_path: Path) -> None:
    spec = make_spec()
    hashes = {write_packed(tmp_path / "a", spec, make_arrays())}
    brighter, relabelled = make_arrays(), make_arrays()
    brighter.x_test[0, 0, 0, 0] ^= 1
    relabelled.y_train[0] = 1
    hashes.add(write_packed(tmp_path / "a", spec, brighter))
    hashes.add(write_packed(tmp_path / "a", spec, relabelled))
    hashes.add(write_packed(tmp_path / "a", make_spec(note="went through JPEG"), make_arrays()))
    assert len(hashes) == 4


def test_writing_to_the_map_leaves_the_file_alone(packed: Path) -> None:
    before = packed.read_bytes()
    images, _ = map_part(packed, read_header(packed), "train")
    images[:] = 0
    assert packed.read_bytes() == before


def test_a_failed_write_leaves_the_old_file_and_nothing_else(packed: Path) -> None:
    before = packed.read_bytes()
    broken = type(make_arrays())(make_arrays().x_train, make_arrays().y_train, None, None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        write_packed(packed, make_spec(), broken)
    assert packed.read_bytes() == before
    assert list(packed.parent.iterdir()) == [packed]


@pytest.mark.parametrize("kept", [0, 7, 8, 100, -1])
def test_a_cut_file_is_refused(packed: Path, kept: int) -> None:
    packed.write_bytes(packed.read_bytes()[:kept])
    with pytest.raises(BenchError, match=r"is damaged.*imports it again"):
        read_header(packed)


def test_a_cut_file_says_how_much_is_missing(packed: Path) -> None:
    whole = packed.stat().st_size
    packed.write_bytes(packed.read_bytes()[:-10])
    with pytest.raises(BenchError, match=f"it has {whole - 10:,} bytes, its header announces"):
        read_header(packed)


def test_bytes_that_are_no_header_are_refused(packed: Path) -> None:
    packed.write_bytes(b"\xff" * 500)
    with pytest.raises(BenchError, match="its header claims 18,446,744"):
        read_header(packed)


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"none.safetensors' cannot be read: No such file"):
        read_header(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_classes": -1}, r"Expected `int` >= 1 - at `\$.num_classes`"),
        ({"height": True}, r"got `bool` - at `\$.height`"),
        ({"channels": 2}, "channels is 2"),
        ({"mean": [0.5]}, "mean does not have one number per channel"),
        ({"std": [0.0, 0.5, 0.5]}, r"> 0.0 - at `\$.std"),
        ({"std": [float("nan"), 0.5, 0.5]}, "it holds NaN"),
        ({"std": [1.5, 0.5, 0.5]}, r"<= 1.0 - at `\$.std"),
        ({"flip": 1}, r"got `int` - at `\$.flip`"),
        ({"note": 3}, r"got `int` - at `\$.note`"),
        ({"class_names": ["a"]}, "not one text for each of 3 classes"),
        ({"class_names": "abc"}, r"got `str` - at `\$.class_names`"),
        ({"width": 4}, "the tensors are not those"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(
    packed: Path, change: dict[str, Any], message: str
) -> None:
    _edit_meta(packed, lambda meta: meta["spec"].update(change))
    with pytest.raises(BenchError, match=message):
        read_header(packed)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2000), st.binary(min_size=1, max_size=6))
def test_no_damage_to_the_header_is_anything_but_a_clear_error(at: int, junk: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.safetensors"
        write_packed(path, make_spec(), make_arrays())
        raw = bytearray(path.read_bytes())
        end = 8 + int.from_bytes(raw[:8], "little")
        at %= end
        raw[at : at + len(junk)] = junk[: end - at]
        path.write_bytes(raw)
        with suppress(BenchError):
            assert read_header(path).size == len(raw)


@pytest.mark.parametrize("count", ["1e999", "[]", "{}", "null", "-9", '"x"'])
def test_counts_that_are_none_are_refused(packed: Path, count: str) -> None:
    raw = packed.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    new = raw[8 : 8 + length].replace(b'"shape":[9]', b'"shape":[' + count.encode() + b"]")
    packed.write_bytes(len(new).to_bytes(8, "little") + new + raw[8 + length :])
    with pytest.raises(BenchError, match="is damaged"):
        read_header(packed)


def test_another_format_is_refused(packed: Path) -> None:
    _edit_meta(packed, lambda meta: meta.update(format=2))
    with pytest.raises(BenchError, match="format 2 is not 1"):
        read_header(packed)


def _edit_meta(path: Path, edit: Any) -> None:
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    meta = json.loads(header["__metadata__"]["bench"])
    edit(meta)
    header["__metadata__"]["bench"] = json.dumps(meta)
    new = json.dumps(header).encode()
    path.write_bytes(len(new).to_bytes(8, "little") + new + raw[8 + length :])


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    write_packed(path, make_spec(), make_arrays())
    return path
