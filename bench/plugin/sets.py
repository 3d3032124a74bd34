"""For methods whose distilled sets are no plain images, or that start from another's set."""

from bench.distillation.context import Start
from bench.distilled.base import TrainingSource
from bench.distilled.factored_set import FactoredSet, decode_parts, part_size
from bench.distilled.generator_set import GeneratorSet
from bench.distilled.real_stream_set import RealStreamSet

__all__ = [
    "FactoredSet",
    "GeneratorSet",
    "RealStreamSet",
    "Start",
    "TrainingSource",
    "decode_parts",
    "part_size",
]
