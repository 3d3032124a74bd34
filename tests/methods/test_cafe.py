from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from builders import begin, tiny_context, tiny_real_set, tiny_task
from torch import Tensor, nn

from bench.distillation.context import Context
from bench.distillation.profiles import resolve_profile
from bench.distilled.image_set import ImageSet
from methods.cafe import method as cafe
from methods.cafe.method import CAFE, CAFEDSA
from methods.shared import network_training

ARCH = "convnet2(width=4)"
BATCH_NORM = "convnet2(width=4,norm=batch)"
DSA_ALL = "color_crop_cutout_scale_rotate"
# Two layers and the embedding; what is far from the released values shows in every number.
WEIGHTS = (0.5, 2.0, 3.0)
SMALL = {
    "iterations": 10, "lr_img": 0.01, "batch_real": 6, "layer_weights": WEIGHTS,
    "discrimination_weight": 0.7, "lr_net": 0.1, "query": 4, "window": 2, "max_rounds": 2,
    "max_epochs": 2,
}  # fmt: skip


def start(ctx: Context, ipc: int = 2, arch: str = ARCH, **params: object) -> CAFE:
    method = begin(CAFE, ctx, ipc, arch, **{**SMALL, **params})
    assert isinstance(method, CAFE)
    return method


def images_of(method: CAFE) -> Tensor:
    made = method.result()
    assert isinstance(made, ImageSet)
    return made.images


class Reference:
    """CAFE's rounds in float64, straight from the equations; no slices, no runs of classes."""

    def __init__(self, ctx: Context, arch: str, dsa: object, images: Tensor) -> None:
        self.ctx, self.dsa = ctx, dsa
        self.network = ctx.network(arch).train().double()
        self.images = images.double()
        self.labels = torch.arange(3).repeat_interleave(len(images) // 3)

    def layers(self, images: Tensor) -> list[Tensor]:
        """Every activation's output before pooling, then the classifier's input."""
        found, x = [], images
        for module in self.network.features:
            x = nn.functional.relu(x) if isinstance(module, nn.ReLU) else module(x)
            if isinstance(module, nn.ReLU):
                found.append(x)
        return [*found, x.flatten(1)]

    def round(self) -> tuple[float, float, Tensor]:
        """Return alignment, discrimination and the gradient by the distilled images."""
        real, ctx = self.ctx.real, self.ctx
        draws = [self.dsa.draw(1, real.spec.shape, ctx.generator("augmentation"), shared=True)
                 for _ in range(3)]  # fmt: skip
        picks = [real.sample_class(c, SMALL["batch_real"], ctx.generator("real")) for c in range(3)]
        images = self.images.clone().requires_grad_()
        truths = torch.cat(
            [self.dsa.apply(real.gather(p).double(), d) for p, d in zip(picks, draws, strict=True)]
        )
        copies = torch.cat([self.dsa.apply(images[self.labels == c], draws[c]) for c in range(3)])
        owners = torch.arange(3).repeat_interleave(SMALL["batch_real"])
        real_layers = [layer.detach() for layer in self.layers(truths)]
        own_layers = self.layers(copies)
        alignment = torch.zeros(())
        for weight, theirs, mine in zip(WEIGHTS, real_layers, own_layers, strict=True):
            for c in range(3):
                gap = mine[self.labels == c].mean(0) - theirs[owners == c].mean(0)
                alignment = alignment + weight * (gap**2).sum()
        centres = [own_layers[-1][self.labels == c].mean(0) for c in range(3)]
        discrimination = torch.zeros(())
        for feature, label in zip(real_layers[-1], owners.tolist(), strict=True):
            products = torch.stack([(feature * centre).sum() for centre in centres])
            discrimination = discrimination - torch.log_softmax(products, 0)[label]
        (gradient,) = torch.autograd.grad(alignment + 0.7 * discrimination, images)
        return alignment.item(), discrimination.item(), gradient

    def train(self, epochs: int) -> None:
        """Plain gradient descent on the distilled images, all in one batch."""
        for _ in range(epochs):
            loss = nn.functional.cross_entropy(self.network(self.images), self.labels)
            weights = list(self.network.parameters())
            gradients = torch.autograd.grad(loss, weights)
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.data.sub_(SMALL["lr_net"] * gradient)


@pytest.mark.parametrize("dsa", ["none", DSA_ALL])
@pytest.mark.parametrize("arch", [ARCH, BATCH_NORM])
def test_a_round_follows_the_gradient_computed_in_float64(arch: str, dsa: str) -> None:
    method = start(tiny_context(), arch=arch, dsa=dsa, max_rounds=1, init="real")
    before = images_of(method)
    alignment, discrimination, gradient = Reference(
        tiny_context(), arch, method.dsa, before
    ).round()
    shown = method.step(0)
    assert shown["alignment_loss"].item() == pytest.approx(alignment, rel=1e-4)
    assert shown["discrimination_loss"].item() == pytest.approx(discrimination, rel=1e-4)
    moved = (before - images_of(method)) / SMALL["lr_img"]
    torch.testing.assert_close(
        moved.double(), gradient, rtol=1e-3, atol=1e-4 * gradient.abs().max()
    )


def test_further_rounds_follow_a_network_trained_on_the_images() -> None:
    """Three rounds with momentum 0.5, two epochs of training after the first and the second."""
    method = start(tiny_context(), max_rounds=3, window=9)
    reference = Reference(tiny_context(), ARCH, method.dsa, images_of(method))
    velocity = torch.zeros_like(reference.images)
    for rounds in range(3):
        if rounds:
            reference.train(epochs=2)
        alignment, discrimination, gradient = reference.round()
        velocity = 0.5 * velocity + gradient
        reference.images = reference.images - SMALL["lr_img"] * velocity
    shown = method.step(0)
    assert shown["alignment_loss"].item() == pytest.approx(alignment, rel=1e-3)
    assert shown["discrimination_loss"].item() == pytest.approx(discrimination, rel=1e-3)
    torch.testing.assert_close(images_of(method).double(), reference.images, rtol=1e-3, atol=1e-4)


def scripted(method: CAFE, monkeypatch: pytest.MonkeyPatch, hits: list[int]) -> tuple[str, int]:
    """Take a step with made-up accuracies, in 64ths; return what was done and what was left.

    What was done is spelt with ``r`` for a round and ``e`` for an epoch of training.
    """
    left: Iterator[float] = iter([count / 64 for count in hits])
    done: list[str] = []
    losses, train_epoch = method.round, cafe.train_epoch

    def counted_round(layers: object) -> object:
        done.append("r")
        return losses(layers)

    def counted_epoch(*given: object, **rest: object) -> None:
        done.append("e")
        train_epoch(*given, **rest)

    monkeypatch.setattr(method, "round", counted_round)
    monkeypatch.setattr(cafe, "train_epoch", counted_epoch)
    monkeypatch.setattr(cafe, "query_accuracy", lambda *_: next(left))
    method.step(0)
    return "".join(done), len(list(left))


@pytest.mark.parametrize(
    ("hits", "expected"),
    [
        # The accuracies of rounds are 10, 30, 31: the last two span less than 4. Trainings end
        # when two span more than 2, or after three epochs.
        ([10, 10, 13, 30, 20, 21, 22, 31], "reereeer"),
        ([10, 20, 30, 11], "reer"),
        # Never settled: four rounds are the most, and no training follows the last.
        ([10, 1, 1, 1, 30, 1, 5, 10, 5, 1, 30], "reeereereer"),
    ],
)
def test_accuracies_decide_how_long_to_go_on(
    hits: list[int], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = start(
        tiny_context(), window=2, settled=4 / 64, moved=2 / 64, max_rounds=4, max_epochs=3
    )
    assert scripted(method, monkeypatch, hits) == (expected, 0)


def test_an_epoch_passes_all_images_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    method = start(tiny_context(), ipc=3, batch_train=4, max_rounds=2, max_epochs=1)
    monkeypatch.setattr(
        network_training, "descend", lambda _, images, labels, **rest: seen.append(labels)
    )
    method.step(0)
    assert [len(labels) for labels in seen] == [4, 4, 1]
    assert sorted(torch.cat(seen).tolist()) == [0] * 3 + [1] * 3 + [2] * 3


def test_the_learning_rate_halves_at_the_released_codes_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    method = start(tiny_context(), iterations=10, momentum=0.0, max_rounds=1)
    one = torch.ones_like(method.images)

    class Flat:
        def losses(self, *_: object) -> tuple[Tensor, Tensor, Tensor]:
            return torch.zeros(()), torch.zeros(()), one

    monkeypatch.setattr(method, "round", lambda _: Flat())
    moves = []
    for i in range(10):
        before = images_of(method)
        method.step(i)
        moves.append((before - images_of(method)).mean().item() / SMALL["lr_img"])
    assert moves == pytest.approx([1] * 6 + [0.5] * 2 + [0.25, 0.125], rel=1e-3)


@pytest.mark.parametrize("size", [1, 5, 7, 100])
def test_slices_change_nothing(size: int) -> None:
    whole, cut = start(tiny_context()), start(tiny_context())
    whole.slice_size, cut.slice_size = None, size
    shown = [method.step(0) for method in (whole, cut)]
    torch.testing.assert_close(*shown)
    torch.testing.assert_close(images_of(whole), images_of(cut))


@pytest.mark.parametrize("arch", [ARCH, "convnet2(width=4,pooling=none)", "resnet10(width=4)"])
def test_matching_lowers_the_loss(arch: str) -> None:
    rates = {"lr_img": 0.02, "discrimination_weight": 0.01}
    method = start(tiny_context(), arch=arch, iterations=30, max_rounds=1, **rates)
    losses = [method.step(i)["alignment_loss"].item() for i in range(30)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


@pytest.mark.parametrize("stop", [0, 1, 3])
def test_resume_is_bit_identical(stop: int) -> None:
    ctx = tiny_context()
    method = start(ctx, dsa=DSA_ALL)
    for i in range(stop):
        method.step(i)
    state, draws = copy.deepcopy(method.state_dict()), copy.deepcopy(ctx.state_dict())
    for i in range(stop, 4):
        method.step(i)
    fresh = tiny_context()
    again = start(fresh, dsa=DSA_ALL)
    again.load_state_dict(state)
    fresh.load_state_dict(draws)
    for i in range(stop, 4):
        again.step(i)
    assert torch.equal(images_of(method), images_of(again))


def test_a_small_class_gives_all_it_has() -> None:
    """With every real image in the batch and as start, nothing is left to align."""
    ctx = tiny_context(tiny_real_set(per_class=3))
    method = start(ctx, ipc=3, init="real", dsa=DSA_ALL, max_rounds=1)
    assert method.step(0)["alignment_loss"].item() == pytest.approx(0, abs=1e-6)


def test_seeds_decide() -> None:
    made = []
    for seed in (0, 0, 1):
        method = start(tiny_context(seed=seed))
        method.step(0)
        made.append(images_of(method))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_starts_from_noise() -> None:
    noise = images_of(start(tiny_context(), ipc=40))
    assert noise.shape == (120, 1, 8, 8)
    assert noise.std().item() == pytest.approx(1, abs=0.05)


def test_bf16_stays_near_fp32() -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        method = start(tiny_context(precision=precision), max_rounds=1)
        losses.append(method.step(0)["alignment_loss"].item())
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


def test_skips_what_it_cannot_do() -> None:
    real = tiny_real_set()
    assert CAFE.skip(tiny_task(CAFE, real, 13, ARCH)) is None
    few = CAFE.skip(tiny_task(CAFE, real, 13, ARCH, init="real"))
    small = CAFE.skip(tiny_task(CAFE, real, 1, "convnet6"))
    assert few is not None
    assert "fewer than IPC 13" in few
    assert small is not None
    assert "cannot take" in small


def test_paper_values() -> None:
    params = resolve_profile(CAFE, "paper", {}, 10)
    assert (params.iterations, params.lr_img, params.momentum) == (2000, 0.1, 0.5)
    assert (params.batch_real, params.lr_net, params.batch_train) == (256, 0.01, 256)
    assert (params.layer_weights, params.discrimination_weight) == ((0.1, 0.1, 1.0, 2.0), 0.01)
    assert (params.query, params.window, params.settled, params.moved) == (128, 10, 0.04, 0.03)
    assert (params.init, params.dsa) == ("noise", "none")


def test_the_variant_differs_by_its_augmentation_alone() -> None:
    ours, theirs = (resolve_profile(m, "paper", {}, 10) for m in (CAFE, CAFEDSA))
    changed = {k: v for k, v in vars(theirs).items() if vars(ours)[k] != v}
    assert changed == {"dsa": "color_crop_cutout_flip_scale_rotate"}
    same = resolve_profile(CAFE, "lite", {"dsa": theirs.dsa}, 10)
    assert vars(resolve_profile(CAFEDSA, "lite", {}, 10)) == vars(same)


@pytest.mark.parametrize(("ipc", "networks", "rate"), [(1, 41, 0.1), (10, 23, 0.5), (50, 8, 2.5)])
def test_lite_is_what_it_says(ipc: int, networks: int, rate: float) -> None:
    params = resolve_profile(CAFE, "lite", {}, ipc)
    assert (params.iterations, params.lr_img, params.batch_real) == (networks, rate, 64)
    assert str(networks) in CAFE.profiles["lite"].gives_up
