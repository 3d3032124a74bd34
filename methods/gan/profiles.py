"""What the GAN is reduced to where the paper's size takes too long."""

from __future__ import annotations

from bench.plugin import Profile, by_dataset

# Digits and clothes: images of a class are alike, and a generator has most of its accuracy soon.
_SIMPLE = ("digits", "fashionmnist", "mnist", "svhn")


def _by_kind(simple: float, other: float) -> object:
    """Return a value for digits and clothes, and another for all other datasets."""
    return by_dataset(
        lambda name: simple if name in _SIMPLE else other,
        f"{simple:,} for digits and FashionMNIST, {other:,} for others",
    )


# A critic that sees the class, which keeps a small GAN from drawing a few templates of each class.
_SMALL = {
    "width": 64,
    "batch": 64,
    "objective": "projection",
    "own_vectors": True,
    "penalty_weight": 0.1,
    "penalty_batch": 32,
    "penalty_every": 16,
    "discriminator_rate": 2.0,
}
_OTHERWISE = (
    "other losses, a critic that sees the class, a penalty every 16th step, averaged weights"
)
PROFILES = {
    "day": Profile(
        {**_SMALL, "epochs": 400, "max_steps": 20000, "lr": 2e-4, "memory": 0.999},
        "a third of the width; 20,000 steps of 64 images, not 150 epochs of batches of 128, at "
        f"twice the learning rate (the discriminator at four times it); {_OTHERWISE}",
    ),
    "lite": Profile(
        {
            **_SMALL,
            "epochs": 40,
            "max_steps": _by_kind(3000, 5000),
            "lr": _by_kind(3e-4, 2e-4),
            "memory": _by_kind(0.998, 0.999),
        },
        "a third of the width; 3,000 or 5,000 steps of 64 images, not 150 epochs of 128, at two "
        "or three times the learning rate (the discriminator at twice that); "
        f"{_OTHERWISE}",
    ),
    "smoke": Profile(
        {
            "width": 24,
            "epochs": 20,
            "max_steps": 300,
            "batch": 32,
            "lr": 2e-3,
            "decay_after": 0.5,
            "penalty_batch": 8,
        },
        "an eighth of the width and 300 steps of 32 images: most digits can be read",
    ),
}
