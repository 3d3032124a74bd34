"""The slurm executor: cells as jobs of SLURM arrays, with SLURM's own dependencies and requeue."""

from bench.executors.slurm.executor import slurm_execution

__all__ = ["slurm_execution"]
