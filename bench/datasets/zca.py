"""ZCA whitening of images, and its inverse.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, appendix A. Computed as
in Kornia's ``ZCAWhitening``, which published code of distillation uses: unbiased covariance, and
a small number added to every eigenvalue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

# Images per pass over a dataset, so that the covariance does not need the whole set as floats.
IMAGES_PER_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class ZCA:
    r"""The statistics of one dataset: :math:`x \mapsto (x - \mu) U (S + \epsilon)^{-1/2} U^T`.

    :math:`U S U^T` is the covariance of the flattened images in [0, 1].

    Attributes:
        mean: float32 ``(D,)``, ``D = C * H * W``.
        matrix: float32 ``(D, D)``, symmetric.

    Raises:
        ValueError: shapes or types do not fit each other, or a value is NaN or infinite.
    """

    mean: Tensor
    matrix: Tensor

    def __post_init__(self) -> None:
        size = self.mean.numel()
        if self.mean.shape != (size,) or self.matrix.shape != (size, size):
            raise ValueError(
                f"ZCA statistics {tuple(self.mean.shape)} and {tuple(self.matrix.shape)} do not "
                "fit: expected (D,) and (D, D)"
            )
        for value in (self.mean, self.matrix):
            if value.dtype != torch.float32 or not bool(value.isfinite().all()):
                raise ValueError("ZCA statistics must be finite float32 numbers")

    @classmethod
    def fit(cls, images: Tensor, epsilon: float) -> Self:
        """Compute the statistics of a dataset.

        Args:
            images: uint8 ``(N, C, H, W)``, ``N`` at least 2.
            epsilon: added to every eigenvalue of the covariance, above 0. Kornia's default is
                1e-6; dataset distillation uses 0.1.
        """
        chunks = torch.split(images.flatten(1), IMAGES_PER_CHUNK)
        total = sum(chunk.sum(0, dtype=torch.int64) for chunk in chunks)
        assert isinstance(total, Tensor)
        mean = (total.cpu().double() / (255 * len(images))).float().to(images.device)
        centred = (chunk / 255 - mean for chunk in chunks)
        # Summed in float64 on the CPU, because not every device has float64.
        scatter = sum((x.T @ x).cpu().double() for x in centred)
        values, vectors = torch.linalg.eigh(scatter / (len(images) - 1))
        matrix = (vectors * (values.clamp(min=0) + epsilon).rsqrt()) @ vectors.T
        return cls(mean, matrix.float().to(images.device))

    def whiten(self, images: Tensor) -> Tensor:
        """Whiten images ``(N, C, H, W)``, uint8 or float in [0, 1]; return float32 images."""
        pixels = images.flatten(1) / 255 if images.dtype == torch.uint8 else images.flatten(1)
        with torch.autocast(images.device.type, enabled=False):  # bfloat16 has three digits only
            white: Tensor = (pixels - self.mean) @ self.matrix
        return white.view(images.shape)

    def unwhiten(self, images: Tensor) -> Tensor:
        """Invert :meth:`whiten`: float32 ``(N, C, H, W)``, not clamped to [0, 1]."""
        pixels: Tensor = torch.linalg.solve(self.matrix, images.flatten(1), left=False)
        return (pixels + self.mean).view(images.shape)

    def reversed(self, channels: int) -> Self:
        """Return the statistics of the same images with their channels in the opposite order."""
        order = torch.arange(self.mean.numel()).view(channels, -1).flip(0).flatten()
        return type(self)(self.mean[order], self.matrix[order][:, order])

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors to save, by name; the inverse of :meth:`from_tensors`."""
        return {"zca_mean": self.mean, "zca_matrix": self.matrix}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self | None:
        """Return the statistics among a file's tensors; ``None`` if it holds none.

        Raises:
            ValueError: only one of the two tensors is present, or they do not fit.
        """
        mean, matrix = tensors.get("zca_mean"), tensors.get("zca_matrix")
        if mean is None and matrix is None:
            return None
        if mean is None or matrix is None:
            raise ValueError("ZCA statistics need both zca_mean and zca_matrix")
        return cls(mean, matrix)

    @property
    def storage_bytes(self) -> int:
        """Return the bytes of both tensors."""
        return self.mean.nbytes + self.matrix.nbytes
