"""The test of a network: how many images it sees at once."""

from __future__ import annotations

import pytest
import torch

from bench.evaluation.score import images_per_pass

CUDA, CPU = torch.device("cuda"), torch.device("cpu")


def test_small_images_fill_a_gpu() -> None:
    assert images_per_pass(CUDA, 128 * 32 * 32) == 2048


def test_large_images_are_cut_by_bytes() -> None:
    output = 128 * 224 * 224  # of ConvNet-6, in numbers: 25.7 MB an image
    at_once = images_per_pass(CUDA, output)
    assert at_once * output * 4 <= 2 << 30
    assert (at_once + 1) * output * 4 > 2 << 30


@pytest.mark.parametrize("device", [CUDA, CPU, torch.device("mps")])
def test_there_is_always_at_least_one(device: torch.device) -> None:
    assert images_per_pass(device, 10**12) >= 1


def test_a_cpus_slices_do_not_depend_on_the_network() -> None:
    assert images_per_pass(CPU, 0) == images_per_pass(CPU, 10**12)


def test_an_unknown_output_changes_nothing() -> None:
    assert images_per_pass(CUDA, 0) == 2048
