"""The precisions that networks are computed in, and what each means on a device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.support.errors import BenchError, UnknownNameError

if TYPE_CHECKING:
    import torch

# fp32: IEEE float32 everywhere, also where a GPU would round the factors of a product by itself.
# tf32: float32, but the factors of convolutions and matrix products have 10 bits of mantissa.
# bf16: autocast to bfloat16 with float32 weights.
PRECISIONS = ("fp32", "tf32", "bf16")


def check_precision(precision: str, device_type: str) -> None:
    """Check that a device can compute in a precision.

    Args:
        precision: one of :data:`PRECISIONS`.
        device_type: as ``torch.device.type`` has it.

    Raises:
        BenchError: for an unknown precision, or one that this kind of device does not have.
    """
    if precision not in PRECISIONS:
        raise UnknownNameError("precision", precision, PRECISIONS)
    if precision == "tf32" and device_type != "cuda":
        raise BenchError(
            f"precision 'tf32' is a format of NVIDIA's GPUs: device '{device_type}' computes in "
            "fp32 or bf16"
        )


@contextmanager
def float32_mode(device: torch.device, precision: str) -> Iterator[None]:
    """Decide within the block how float32 products are computed on a GPU.

    PyTorch lets cuDNN round the factors of convolutions to TF32 unless it is told otherwise, so
    that ``fp32`` would mean one thing on a CPU and another on a GPU, and no record would say it.
    Backward passes must be within the block too. Settings of the process, not of a thread; they
    are restored at the end.

    Args:
        device: of networks and images; on others than CUDA nothing changes.
        precision: one of :data:`PRECISIONS`.

    Raises:
        BenchError: as :func:`check_precision`.
    """
    check_precision(precision, device.type)
    if device.type != "cuda":
        yield
        return
    import torch

    cudnn, cublas = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, cublas.allow_tf32
    cudnn.allow_tf32 = cublas.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        cudnn.allow_tf32, cublas.allow_tf32 = before
