"""For methods whose distilled sets are no plain images, or that start from another's set."""

from bench.distillation.context import Start
from bench.distilled.base import TrainingSource
from bench.distilled.factored_set import FactoredSet, decode_parts, part_size
from bench.distilled.generator_set import GeneratorSet

__all__ = ["FactoredSet", "GeneratorSet", "Start", "TrainingSource", "decode_parts", "part_size"]
