"""Methods and the engine on a GPU that is not there: the values of the CPU, and no waiting.

See ``simulated_gpu.py``: what only a real GPU can show is marked ``gpu`` elsewhere.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch.utils import backend_registration

from bench.registry.registry import METHODS

ARCHES = ("convnet2(width=8)", "convnet2(width=8,norm=batch)", "resnet10(width=4)")
# They ask for accuracies to decide when to go on: their dynamic loops.
READING = ("cafe", "cafe-dsa")
# Each step starts from a network, which is initialised on the CPU, or from an expert's.
SENDING = (*READING, "dm", "mtt")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"):
        pytest.skip("this version of torch knows no backends written in Python")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("run_on_simulated_gpu.py")), *ARCHES],
        # The kernels in C++ are for CPUs only, and round differently.
        env={
            **os.environ, "BENCH_NATIVE": "0", "OMP_NUM_THREADS": "1",
            "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_mistakes_are_seen(seen) -> None:
    found = seen["mistakes"]
    assert "tensors in main memory among those of the GPU: [(3,)]" in found["mixed"]
    assert "in main memory" in found["indexed"]
    assert "its generator is on another device" in found["drawn"]
    assert "its generator is on another device" in found["drawn_here"]
    assert found["read"] == "aten._local_scalar_dense.default aten.index.Tensor"
    assert "outside the simulated GPU" in found["outside"] or "Could not run" in found["outside"]


@pytest.mark.parametrize("name", METHODS.names())
def test_a_method_finds_what_it_finds_on_a_cpu(seen, name: str) -> None:
    # Generators are computed by other operations on a CPU, and Adam doubles every digit lost.
    assert seen["methods"][name]["off"] <= (0.02 if name in ("gan", "dim") else 1e-4)


@pytest.mark.parametrize("name", METHODS.names())
def test_a_method_conforms(seen, name: str) -> None:
    # One of the checks ends after every step and goes on from its checkpoint, bit by bit.
    assert seen["methods"][name]["failed"] == {}


@pytest.mark.parametrize("name", METHODS.names())
def test_a_step_does_not_wait(seen, name: str) -> None:
    found = seen["methods"][name]
    assert bool(found["reads"]) == (name in READING)
    assert bool(found["copies"]) == (name in SENDING)


@pytest.mark.parametrize("arch", ARCHES)
def test_the_engine_finds_what_it_finds_on_a_cpu(seen, arch: str) -> None:
    found = seen["engine"][arch]  # that no step waits was asserted on the way
    assert found["off"] < 1e-5
    assert found["stacked_off"] < 1e-5
    assert found["accuracies"] == found["accuracies_on_cpu"]


@pytest.mark.parametrize("arch", ARCHES)
def test_the_engine_goes_on_from_its_checkpoint(seen, arch: str) -> None:
    found = seen["engine"][arch]
    in_turn, stacked = found["losses_continued"]
    assert in_turn == found["losses"]
    assert stacked == pytest.approx(found["losses"], rel=1e-4)


@pytest.mark.parametrize(
    ("work", "steps"),
    [
        ("gan", {"generator", "penalised discriminator"}),
        ("dim", {"network of the pool", "generator while matching", "penalised discriminator"}),
        *(
            (f"protocol {name}{how}", {"evaluation step"})
            for name in ("default", "dim", "quick")
            for how in ("", ", stacked")
        ),
    ],
)
def test_a_step_can_be_captured_as_a_graph(seen, work: str, steps: set[str]) -> None:
    """Nothing in it waits for the host, copies from it or draws: see ``Capturing``."""
    found = {n: why for n, why in seen["replays"][work].items() if "memory order" not in n}
    assert set(found) == steps
    assert all(why.startswith("replayed") for why in found.values())


def test_a_step_that_cannot_be_captured_is_called(seen) -> None:
    what = "aten._to_copy.default (2,) to simulated, aten.index.Tensor"
    assert seen["replays"]["mistake"] == {"toy": f"called: cannot be captured: {what}"}
