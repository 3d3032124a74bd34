"""The slurm executor: cells as jobs of SLURM arrays, with its own dependencies and requeue."""
