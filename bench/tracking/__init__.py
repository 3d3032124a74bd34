"""Experiment trackers beside the live view: TensorBoard, trackio, wandb, and those of packages."""

from bench.tracking.reporter import Tracking, tracked

__all__ = ["Tracking", "tracked"]
