"""What the GAN is reduced to where the paper's size takes too long."""

from __future__ import annotations

from bench.plugin import Profile, by_dataset

# Digits and clothes are alike within a class: their generators get most of their accuracy sooner.
_SIMPLE = ("digits", "fashionmnist", "mnist", "svhn")

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
            "max_steps": by_dataset(
                lambda name: 3000 if name in _SIMPLE else 5000,
                "3,000 for digits and FashionMNIST, 5,000 for others",
            ),
            "lr": 3e-4,
            "memory": 0.998,
        },
        "a third of the width; 3,000 or 5,000 steps of 64 images, not 150 epochs of 128, at "
        f"three times the learning rate (the discriminator at six times it); {_OTHERWISE}",
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
