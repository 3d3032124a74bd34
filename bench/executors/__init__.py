"""Where the cells of a grid are computed: in local processes, as Ray tasks, as SLURM jobs.

Executors start computations and watch them. Results are in the store only, so an executor can lose
any process at any time. ``LocalExecutor`` is in :mod:`bench.executors.local.executor`, and
``RayExecutor`` and ``SlurmExecutor`` are in the packages beside it.
"""
