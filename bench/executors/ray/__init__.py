"""The ray executor: cells as tasks of a Ray cluster, with Ray's own dependencies and retries."""

from bench.executors.ray.executor import ray_execution

__all__ = ["ray_execution"]
