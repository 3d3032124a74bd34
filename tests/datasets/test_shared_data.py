"""Real MNIST, where the project's shared data lie beside the repository."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from bench.datasets import library

SHARED = Path(__file__).parents[3] / "shared" / "data" / "mnist.npz.xz"


@pytest.mark.skipif(not SHARED.exists(), reason=f"needs {SHARED}")
def test_mnist_imports_whole(tmp_path: Path) -> None:
    (tmp_path / "mnist.npz").write_bytes(lzma.decompress(SHARED.read_bytes()))
    info = library.import_file("mnist", tmp_path / "mnist.npz", tmp_path)
    assert (info.n_train, info.n_test) == (60_000, 10_000)
    assert info.class_counts == (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    assert info.spec.note == "imported from a file"
