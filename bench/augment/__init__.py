"""Augmentation of normalised images, differentiable and seeded by the caller's generators."""
