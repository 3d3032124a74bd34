"""ZCA whitening of images, with its inverse.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, appendix A; as Kornia's
``ZCAWhitening`` computes it, which the field's code uses: unbiased covariance, and a small number
added to every eigenvalue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

# Images per pass over a dataset: their covariance must not need the whole set as floats at once.
_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class ZCA:
    r"""The statistics of one dataset: :math:`x \mapsto (x - \mu) U (S + \epsilon)^{-1/2} U^T`.

    :math:`U S U^T` is the covariance of the flattened images in [0, 1].

    Attributes:
        mean: float32 ``(D,)``, ``D = C * H * W``.
        matrix: float32 ``(D, D)``, symmetric.

    Raises:
        ValueError: if shapes, types or values do not fit.
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
        """Return the statistics of a dataset.

        Args:
            images: uint8 ``(N, C, H, W)``, ``N`` at least 2.
            epsilon: added to every eigenvalue of the covariance, above 0. Kornia's default is
                1e-6; dataset distillation uses 0.1.
        """
        chunks = torch.split(images.flatten(1), _CHUNK)
        total = sum(chunk.sum(0, dtype=torch.int64) for chunk in chunks)
        assert isinstance(total, Tensor)
        mean = (total.cpu().double() / (255 * len(images))).float().to(images.device)
        centred = (chunk / 255 - mean for chunk in chunks)
        # Summed over chunks in float64 on the CPU: not every device has float64.
        scatter = sum((x.T @ x).cpu().double() for x in centred)
        values, vectors = torch.linalg.eigh(scatter / (len(images) - 1))
        matrix = (vectors * (values.clamp(min=0) + epsilon).rsqrt()) @ vectors.T
        return cls(mean, matrix.float().to(images.device))

    def whiten(self, images: Tensor) -> Tensor:
        """Whiten images ``(N, C, H, W)``, uint8 or float in [0, 1]: float32 of the same shape."""
        pixels = images.flatten(1) / 255 if images.dtype == torch.uint8 else images.flatten(1)
        with torch.autocast(images.device.type, enabled=False):  # 3 digits would not do
            white: Tensor = (pixels - self.mean) @ self.matrix
        return white.view(images.shape)

    def unwhiten(self, images: Tensor) -> Tensor:
        """Undo :meth:`whiten`: float32 ``(N, C, H, W)``, not clamped to [0, 1]."""
        pixels: Tensor = torch.linalg.solve(self.matrix, images.flatten(1), left=False)
        return (pixels + self.mean).view(images.shape)

    def tensors(self) -> dict[str, Tensor]:
        """Return what a file keeps; the inverse of :meth:`from_tensors`."""
        return {"zca_mean": self.mean, "zca_matrix": self.matrix}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self | None:
        """Rebuild the statistics from a file's tensors; ``None`` if it holds none.

        Raises:
            ValueError: if only one of the two is there, or they do not fit.
        """
        found = [tensors.get(name) for name in ("zca_mean", "zca_matrix")]
        if found == [None, None]:
            return None
        mean, matrix = found
        if mean is None or matrix is None:
            raise ValueError("ZCA statistics need both zca_mean and zca_matrix")
        return cls(mean, matrix)

    @property
    def storage_bytes(self) -> int:
        """Bytes of both tensors."""
        return self.mean.nbytes + self.matrix.nbytes
