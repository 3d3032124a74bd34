"""Real data, where the project's shared data lie beside the repository."""

from __future__ import annotations

import lzma
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import main
from bench.datasets import library

SHARED = Path(__file__).parents[3] / "shared" / "data"


def needs(name: str) -> pytest.MarkDecorator:
    """Skip a test where a file of the shared data is absent."""
    return pytest.mark.skipif(not (SHARED / name).exists(), reason=f"needs {SHARED / name}")


@needs("mnist.npz.xz")
def test_mnist_imports_whole(tmp_path: Path) -> None:
    (tmp_path / "mnist.npz").write_bytes(lzma.decompress((SHARED / "mnist.npz.xz").read_bytes()))
    info = library.import_file("mnist", tmp_path / "mnist.npz", tmp_path)
    assert (info.n_train, info.n_test) == (60_000, 10_000)
    assert info.class_counts == (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    assert info.spec.note == "imported from a file"


SMALL = [
    "--ipc", "1", "--profile", "smoke", "--arch", "convnet1(width=4)", "--eval-nets", "1",
    "--set", "gan.max_steps=1", "--set", "gan.width=8",
    "--set", "dim.gan_max_steps=1", "--set", "dim.gan_width=8", "--set", "dim.max_steps=1",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "packed", "shown"),
    [
        pytest.param(
            "tinyimagenet32", "tinyimagenet32_jpeg.npz",
            "100,000 train, 10,000 test, 200 classes, 3x32x32",
            marks=needs("tinyimagenet32_jpeg.npz"),
        ),
        pytest.param(
            "imagenette128", "imagenette128_webp.npz",
            "9,469 train, 3,925 test, 10 classes, 3x128x128",
            marks=needs("imagenette128_webp.npz"),
        ),
    ],
)  # fmt: skip
def test_larger_data_from_import_to_gallery(
    name: str, packed: str, shown: str, tmp_path: Path
) -> None:
    """Small networks and single steps; docs/larger-data.md has the measurements at full width."""
    assert (SHARED / packed).exists()
    arrays, store = tmp_path / f"{name}.npz", str(tmp_path / "store")
    subprocess.run([sys.executable, SHARED / "unpack.py", name, arrays], check=True)

    def bench(*arguments: str | Path) -> str:
        environment = {"BENCH_DATA": str(tmp_path / "data"), "COLUMNS": "200"}
        result = CliRunner().invoke(
            main, [*map(str, arguments)], env=environment, catch_exceptions=False
        )
        assert result.exit_code == 0, result.output
        return result.stdout

    assert shown in bench("data", "import", name, arrays)
    methods = ("random", "dm", "gan", "dim")
    bench("run", "--store", store, "--dataset", name, "--method", ",".join(methods), *SMALL)
    table = bench("table", "--store", store)
    assert all(f"| {label} " in table for label in ("Random", "DM", "GAN", "DiM"))
    assert "Not in the tables" not in table
    bench("plot", "gallery", "--store", store, "-o", tmp_path / "plots")
    assert (tmp_path / "plots" / f"gallery-{name}-ipc1.png").stat().st_size > 10_000
