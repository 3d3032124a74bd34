"""What the GAN is reduced to where the paper's size takes too long."""

from __future__ import annotations

from bench.plugin import Profile

# A critic that sees the class, which keeps a small GAN from drawing a few templates of each class.
_LOSSES = {
    "objective": "projection",
    "penalty_weight": 0.1,
    "penalty_every": 16,
    "discriminator_rate": 2.0,
}
PROFILES = {
    "day": Profile(
        {
            **_LOSSES,
            "width": 64,
            "epochs": 400,
            "max_steps": 20000,
            "batch": 64,
            "lr": 2e-4,
            "penalty_batch": 32,
            "own_vectors": True,
            "memory": 0.999,
        },
        "a third of the width; 20,000 steps of 64 images, not 150 epochs of batches of 128, at "
        "twice the learning rate (the discriminator at four times it); the losses of lite, "
        "where other vectors than the classifier's score the classes; averaged weights",
    ),
    "lite": Profile(
        {
            **_LOSSES,
            "width": 32,
            "noise_dim": 64,
            "epochs": 40,
            "max_steps": 6000,
            "batch": 32,
            "lr": 5e-4,
            "penalty_batch": 16,
            "memory": 0.998,
        },
        "a sixth of the width; 6,000 steps of 32 images, not 150 epochs, at five times the "
        "learning rate (the discriminator at ten); other losses, a critic that sees the "
        "class, a penalty every 16th step, averaged weights",
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
