"""Augmentation of normalised images: differentiable, seeded by generators, shared at will."""
