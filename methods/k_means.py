"""K-means: the real images that lie nearest to the k-means centres of their class.

S. Lloyd, "Least squares quantization in PCM", 1982, with the seeding of D. Arthur and
S. Vassilvitskii, "k-means++", 2007; as a baseline of this field (``kmeans-emb``): Cui et al.,
"DC-BENCH", 2022. The centres themselves, in pixels: Wang et al., "Dataset Distillation", 2018.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from bench.plugin import Context, DistilledSet, ImageSet, Reference, SelectionMethod, Task, param
from methods.embedding import EmbeddingParams, EmbeddingSelection, class_features, shared_embedding

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
        found = lloyd.fit(points.cpu().numpy()).cluster_centers_
    return torch.from_numpy(found).to(points)


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


class KMeans(SelectionMethod):
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

    name: ClassVar[str] = "k-means"
    reference: ClassVar[Reference | None] = Reference(
        "DC-BENCH: Dataset Condensation Benchmark",
        2022,
        "arXiv:2207.09639",
        "J. Cui, R. Wang, S. Si, C.-J. Hsieh",
    )
    profiles: ClassVar[Mapping[str, Mapping[str, Any]]] = EmbeddingSelection.profiles
    gives_up: ClassVar[Mapping[str, str]] = EmbeddingSelection.gives_up

    def setup(self, task: Task, ctx: Context) -> None:
        """Remember the task; there are no centres yet."""
        super().setup(task, ctx)
        self._centres: Tensor | None = None

    def select(self, task: Task, ctx: Context) -> Tensor:
        """Choose class by class; if the centres are asked for, they are kept too."""
        assert task.ipc is not None
        params, chosen, centres = task.params, [], []
        for points, pool in zip(self._points(task, ctx), ctx.real.class_indices, strict=True):
            seed = ctx.draw_int(_SEEDS, "k-means")
            found = k_means_centres(
                points, task.ipc, seed, restarts=params.restarts, iterations=params.iterations
            )
            centres.append(found)
            chosen.append(pool[nearest_distinct(points, found)])
        if params.keep == "centres":
            self._centres = torch.cat(centres).view(-1, *task.spec.shape)
        return torch.cat(chosen)

    def state_dict(self) -> dict[str, Any]:
        """Return the chosen indices and the centres that are kept."""
        return {**super().state_dict(), "centres": self._centres}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what was chosen."""
        super().load_state_dict(state)
        self._centres = state["centres"]

    def result(self) -> DistilledSet:
        """Return the chosen images as uint8 pixels, or the centres in normalised units."""
        chosen = super().result()
        if self._centres is None:
            return chosen
        assert isinstance(chosen, ImageSet)
        return replace(chosen, images=self._centres.to(chosen.images.device))

    @staticmethod
    def _points(task: Task, ctx: Context) -> Iterator[Tensor]:
        """Yield what each class is clustered in: float32 ``(N, D)``."""
        if task.params.keep != "nearest":
            yield from (ctx.real.gather(pool).flatten(1) for pool in ctx.real.class_indices)
            return
        assert task.arch is not None
        network = shared_embedding(task.arch, task.params.embedding_epochs, ctx)
        yield from (class_features(network, c, ctx) for c in range(task.spec.num_classes))
