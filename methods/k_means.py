"""K-means: the real images that lie nearest to the k-means centres of their class.

S. Lloyd, "Least squares quantization in PCM", 1982, with the seeding of D. Arthur and
S. Vassilvitskii, "k-means++", 2007; as a baseline of this field (``kmeans-emb``): Cui et al.,
"DC-BENCH", 2022. The centres themselves, in pixels: Wang et al., "Dataset Distillation", 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.plugin import ImageSet, Paper, SelectionMethod, param
from methods.shared.embedding import (
    EmbeddingParams,
    EmbeddingSelection,
    class_features,
    shared_embedding,
)

_SEEDS = 2**31  # scikit-learn takes no larger ones


def k_means_centres(points: Tensor, k: int, seed: int, *, restarts: int, iterations: int) -> Tensor:
    """Return the centres that Lloyd's algorithm finds from k-means++ seeds.

    It stops when no point changes its cluster. One thread computes it, so that the number of cores
    changes nothing.

    Args:
        points: float32 ``(N, D)``.
        k: at most ``N``.
        seed: of all restarts, in [0, 2^31).
        restarts: how many seedings; the one with the smallest sum of squared distances counts.
        iterations: at most so many per restart.

    Returns:
        float32 ``(k, D)``.
    """
    from sklearn.cluster import KMeans as Lloyd
    from threadpoolctl import threadpool_limits

    lloyd = Lloyd(k, n_init=restarts, max_iter=iterations, tol=0.0, random_state=seed)
    with threadpool_limits(1):
        centres = lloyd.fit(points.cpu().numpy()).cluster_centers_
    return torch.from_numpy(centres).to(points)


def nearest_distinct(points: Tensor, centres: Tensor) -> Tensor:
    """Give every centre the nearest point; where several want one, the nearest centre has it.

    Pairs are made in ascending order of distance, among points and centres that have none yet: the
    nearest points themselves wherever those are distinct.

    Args:
        points: float ``(N, D)``.
        centres: float ``(k, D)``, at most ``N``.

    Returns:
        int64 ``(k,)``, distinct, in the order of the centres.
    """
    apart = torch.cdist(centres.double(), points.double())
    chosen = torch.empty(len(centres), dtype=torch.int64, device=points.device)
    for _ in range(len(centres)):
        pair = apart.argmin()
        centre, point = pair // len(points), pair % len(points)
        chosen[centre] = point
        apart[centre], apart[:, point] = torch.inf, torch.inf
    return chosen


class KMeans(SelectionMethod["KMeans.Params"]):
    """Clusters each class into IPC groups and keeps the image nearest to each centre.

    At IPC 1 the centre is the mean, and the image that of :class:`methods.herding.Herding`. A
    larger choice does not contain a smaller one.
    """

    @dataclass(frozen=True)
    class Params(EmbeddingParams):
        """One seeding, run until it ends, as in the released code of Wang et al. 2018."""

        keep: str = param(
            "nearest",
            help="nearest: real images, clustered in the embedding; nearest-pixels: real images, "
            "clustered in pixels; centres: the centres in pixels, which are no real images",
            choices=("nearest", "nearest-pixels", "centres"),
        )
        restarts: int = param(1, help="k-means++ seedings, of which the best counts", min=1)
        iterations: int = param(300, help="most iterations per seeding", min=1)

    name = "k-means"
    label = "K-means"
    colour = "#62A04F"
    marker = "d"
    table_order = 40
    family = "coreset"
    published_differences = (
        "the network that embeds images in the papers, and its training, are not known"
    )
    paper = Paper(
        "DC-BENCH: Dataset Condensation Benchmark",
        2022,
        "arXiv:2207.09639",
        "J. Cui, R. Wang, S. Si, C.-J. Hsieh",
    )
    profiles = EmbeddingSelection.profiles
    state = ("indices", "centres")
    centres: Tensor | None = None

    def select(self) -> Tensor:
        """Choose class by class; the centres are kept too if the set shall consist of them."""
        chosen, centres = [], []
        for points, pool in zip(self._points(), self.ctx.real.class_indices, strict=True):
            seed = self.ctx.draw_int(_SEEDS, "k-means")
            own = k_means_centres(
                points,
                self.ipc,
                seed,
                restarts=self.params.restarts,
                iterations=self.params.iterations,
            )
            centres.append(own)
            chosen.append(pool[nearest_distinct(points, own)])
        if self.params.keep == "centres":
            self.centres = torch.cat(centres).view(-1, *self.spec.shape)
        return torch.cat(chosen)

    def result(self) -> ImageSet:
        """Return the chosen images as uint8 pixels, or the centres in normalised units."""
        chosen = super().result()
        if self.centres is None:
            return chosen
        return replace(chosen, images=self.centres.to(chosen.images.device))

    def _points(self) -> Iterator[Tensor]:
        """Yield what each class is clustered in: float32 ``(N, D)``."""
        ctx = self.ctx
        if self.params.keep != "nearest":
            yield from (ctx.real.gather(pool).flatten(1) for pool in ctx.real.class_indices)
            return
        network = shared_embedding(self.arch, self.params.embedding_epochs, ctx)
        yield from (class_features(network, c, ctx) for c in range(self.spec.num_classes))
