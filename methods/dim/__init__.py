"""DiM: distilling a dataset into a generative model."""

from methods.dim.method import DiM

__all__ = ["DiM"]
