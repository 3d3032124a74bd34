"""The local executor: worker processes on this machine, each with a GPU or a share of the cores."""

from bench.executors.local.executor import local_execution

__all__ = ["local_execution"]
