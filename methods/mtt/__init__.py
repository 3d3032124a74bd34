"""MTT: distillation by matching training trajectories."""

from methods.mtt.method import MTT

__all__ = ["MTT"]
