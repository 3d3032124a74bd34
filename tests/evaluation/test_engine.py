"""The engine against a plain training loop, and what a network's numbers may depend on."""

from __future__ import annotations

import dataclasses
import math
import threading

import pytest
import torch
import torch.nn.functional as F
from fake_recorder import ChannelsLast
from hypothesis import given
from hypothesis import strategies as st

from bench.augment.dsa import DSA
from bench.datasets.real_set import RealSet
from bench.datasets.spec import DatasetSpec
from bench.distilled.image_set import FixedSource
from bench.evaluation import engine
from bench.evaluation.cores import crew
from bench.evaluation.engine import Job, train_and_test
from bench.evaluation.gradients import SLICE, SlicedGradient, WholeGradient, number_of_slices
from bench.evaluation.protocols import get_protocol
from bench.evaluation.recipe import Recipe
from bench.evaluation.score import score
from bench.evaluation.snapshots import Snapshots
from bench.evaluation.training import OneNetwork, Training
from bench.networks.step_reasons import take_reasons
from bench.support.errors import BenchError
from bench.support.seeds import derive_seed, make_generator
from bench.support.stopping import Stop

SPEC = DatasetSpec("blobs", 4, 3, 16, 16, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3), flip=True)
ARCH = "convnet3(width=8)"
CPU = torch.device("cpu")
PROTOCOL = dataclasses.replace(get_protocol("default"), epochs=8, nets=2, batch_size=40)


def real_set(n: int, seed: int) -> RealSet:
    """Colour-coded noise that a tiny network can learn in a few steps."""
    g = make_generator(seed)
    labels = torch.arange(n) % SPEC.num_classes
    base = torch.tensor([[200, 60, 60], [60, 200, 60], [60, 60, 200], [150, 150, 40]])
    noise = torch.randint(-50, 50, (n, 3, 16, 16), generator=g)
    images = (base[labels][:, :, None, None] + noise).clamp(0, 255).to(torch.uint8)
    return RealSet(SPEC, images, labels, "0" * 64)


@pytest.fixture(autouse=True)
def _two_workers():
    """Two networks at a time, whatever the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def source() -> FixedSource:
    real = real_set(100, 1)
    return FixedSource(real.gather(torch.arange(100)), real.labels, 0)


@pytest.fixture(scope="module")
def test_set() -> RealSet:
    return real_set(70, 2)


def run(source, test_set, seeds=(1, 2), protocol=PROTOCOL, arch=ARCH, on_epoch=None, **options):
    recipe = Recipe.of(SPEC, arch, protocol, **options)
    more = {} if on_epoch is None else {"on_epoch": on_epoch}
    return train_and_test(source, recipe, seeds, test_set, **more)


def plain_loop(source, protocol, seed, arch=ARCH, lr=0.01, epochs=8):
    """The recipe, written out: losses of every step and the final network."""
    torch.set_num_threads(1)
    net = Recipe.of(SPEC, arch, protocol).initial_network(seed, CPU)
    order = make_generator(derive_seed(seed, "order"))
    noise = make_generator(derive_seed(seed, "augment"))
    dsa = DSA.for_dataset(SPEC, protocol.augment, protocol.augment_mode)
    optimiser = torch.optim.SGD(net.parameters(), lr, momentum=0.9, weight_decay=5e-4)
    losses = []
    for epoch in range(epochs):
        if epoch == epochs // 2:
            optimiser.param_groups[0]["lr"] *= 0.1
        index = torch.randperm(len(source.labels), generator=order)
        for part in index.split(protocol.batch_size):
            loss = F.cross_entropy(net(dsa(source.images[part], noise)), source.labels[part])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    torch.set_num_threads(2)
    return losses, net


def engine_loop(source, protocol, seed, cores=2):
    """The engine's own training, with every loss recorded."""
    recipe = Recipe.of(SPEC, ARCH, protocol)
    net = recipe.initial_network(seed, CPU)
    losses = []
    with crew(cores) as workers:
        sliced = SlicedGradient(net, "fp32", workers)

        def gradient(images, labels):
            losses.append(sliced(images, labels))
            return losses[-1]

        training = Training(OneNetwork(net, gradient), source, recipe, [seed])
        workers.map([lambda: training.run(lambda epochs: None)])
    return [float(loss) for loss in losses], net


def test_slices_follow_the_plain_loop(source):
    expected, plain = plain_loop(source, PROTOCOL, seed=5)
    losses, net = engine_loop(source, PROTOCOL, seed=5)
    assert len(losses) == 24  # 3 batches of an epoch: 40, 40 and 20
    torch.testing.assert_close(torch.tensor(losses), torch.tensor(expected), rtol=1e-4, atol=1e-5)
    for mine, theirs in zip(net.parameters(), plain.parameters(), strict=True):
        # a weight or two lie where a ReLU switched on the other side of zero
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=5e-4)


@given(st.integers(1, 3000))
def test_slices_are_even_in_number_and_no_larger_than_allowed(images):
    count = number_of_slices(images)
    assert math.ceil(images / count) <= SLICE
    assert count % 2 == 0 or (count == 1 and images <= SLICE // 2)


def test_slices_are_the_same_bits_on_any_number_of_cores(source):
    one, net_one = engine_loop(source, PROTOCOL, seed=5, cores=1)
    three, net_three = engine_loop(source, PROTOCOL, seed=5, cores=3)
    assert one == three
    pairs = zip(net_one.parameters(), net_three.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_result_is_that_of_the_plain_loop(source, test_set):
    expected, net = plain_loop(source, PROTOCOL, seed=2)
    found = run(source, test_set)
    assert found.final_losses[1] == pytest.approx(expected[-1], rel=1e-3)
    assert found.accuracies[1] == pytest.approx(score(net, test_set, "fp32").accuracy, abs=1.5)
    assert found.accuracies[1] > 60  # chance is 25
    assert (found.training_steps, found.images_seen) == (24, 800)
    assert found.train_seconds > 0
    assert found.test_seconds > 0


@pytest.mark.parametrize("arch", [ARCH, "convnet3(width=8,norm=batch)"])
def test_a_network_does_not_depend_on_the_others(source, test_set, arch):
    together = run(source, test_set, (1, 2, 3), arch=arch)
    again = run(source, test_set, (1, 2, 3), arch=arch)
    alone = run(source, test_set, (3,), arch=arch)
    assert together.accuracies == again.accuracies
    assert together.final_losses == again.final_losses
    assert alone.accuracies[0] == together.accuracies[2]
    assert alone.final_losses[0] == together.final_losses[2]
    assert len(set(together.final_losses)) == 3


def test_progress_is_told_in_the_calling_thread_and_changes_nothing(source, test_set):
    seen = []

    def on_epoch(done, total):
        torch.randn(3)
        seen.append((done, total, threading.current_thread() is threading.main_thread()))

    told = run(source, test_set, on_epoch=on_epoch)
    assert told.final_losses == run(source, test_set).final_losses
    assert seen[-1] == (16, 16, True)
    assert seen == sorted(seen)


def test_global_random_state_and_thread_count_are_left_alone(source, test_set):
    torch.manual_seed(7)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    run(source, test_set)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_learning_rate_and_epochs_of_the_set_win(source, test_set):
    expected, _ = plain_loop(source, PROTOCOL, seed=1, lr=0.003, epochs=4)
    found = run(source, test_set, (1,), learning_rate=0.003, epochs=4)
    assert found.final_losses[0] == pytest.approx(expected[-1], rel=1e-3)
    assert found.training_steps == 12


def test_one_hot_soft_labels_are_hard_labels(source, test_set):
    soft = FixedSource(source.images, F.one_hot(source.labels, 4).float(), 0)
    hard, same = run(source, test_set), run(soft, test_set)
    assert same.final_losses == pytest.approx(hard.final_losses, rel=1e-4)
    flat = FixedSource(source.images, torch.full((100, 4), 0.25), 0)
    assert run(flat, test_set).final_losses[0] > hard.final_losses[0] + 0.3


@pytest.mark.parametrize(("norm", "kind"), [("instance", "Sliced"), ("batch", "Whole")])
def test_only_per_sample_networks_are_sliced(source, test_set, monkeypatch, norm, kind):
    used = []
    for cls in (SlicedGradient, WholeGradient):

        def spy(self, images, labels, cls=cls, call=cls.__call__):
            used.append(cls.__name__)
            return call(self, images, labels)

        monkeypatch.setattr(cls, "__call__", spy)
    run(source, test_set, epochs=1, arch=f"convnet3(width=8,norm={norm})")
    assert set(used) == {f"{kind}Gradient"}


def test_batch_norm_follows_the_plain_loop(source, test_set):
    arch = "convnet3(width=8,norm=batch)"
    expected, net = plain_loop(source, PROTOCOL, seed=4, arch=arch)
    found = run(source, test_set, (4,), arch=arch)
    assert found.final_losses[0] == pytest.approx(expected[-1], rel=1e-3)
    assert found.accuracies[0] == pytest.approx(score(net, test_set, "fp32").accuracy, abs=1.5)


def test_bf16_trains_and_keeps_float32_weights(source, test_set):
    full, half = run(source, test_set), run(source, test_set, precision="bf16")
    assert half.final_losses == pytest.approx(full.final_losses, rel=0.1)
    assert half.final_losses != full.final_losses
    assert half.accuracies == run(source, test_set, precision="bf16").accuracies


class DrawnSource(FixedSource):
    """Adds fresh noise every epoch, as a generator would."""

    def epoch(self, generator, number=0):
        noise = torch.randn(self.images.shape, generator=generator)
        return self.images + noise, self.labels


def test_sources_draw_from_the_networks_own_generator(source, test_set):
    drawn = DrawnSource(source.images, source.labels, 0)
    both = run(drawn, test_set, (1, 2))
    assert run(drawn, test_set, (2,)).final_losses[0] == both.final_losses[1]


def test_an_error_inside_a_network_ends_the_evaluation(test_set):
    class Broken(FixedSource):
        def epoch(self, generator, number=0):
            raise ValueError("the source broke")

    broken = Broken(torch.zeros(4, 3, 16, 16), torch.arange(4), 0)
    with pytest.raises(ValueError, match="the source broke"):
        run(broken, test_set, (1, 2, 3, 4))


def test_an_interrupt_while_looking_stops_all_networks(source, test_set):
    def on_epoch(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, test_set, (1, 2, 3), epochs=100_000, on_epoch=on_epoch)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp8"}, "unknown precision 'fp8'"),
        ({"seeds": ()}, "at least 1 network"),
        ({"epochs": 0}, "at least 1 epoch"),
    ],
)
def test_wrong_requests_are_named(source, test_set, options, message):
    with pytest.raises(BenchError, match=message):
        run(source, test_set, **options)


def test_networks_are_tested_in_eval_mode(test_set):
    class Moody(torch.nn.Module):
        def forward(self, x):
            said = torch.full((len(x),), 1 if self.training else 2)
            return F.one_hot(said, 4).float()

    net = Moody().train()
    share = 100 * int((test_set.labels == 2).sum()) / len(test_set)
    assert share != 100 * int((test_set.labels == 1).sum()) / len(test_set)
    assert score(net, test_set, "fp32").accuracy == pytest.approx(share)
    assert not net.training


def test_accuracy_counts_every_image_once(test_set):
    class Constant(torch.nn.Module):
        def forward(self, x):
            return F.one_hot(torch.ones(len(x), dtype=torch.int64), 4).float()

    few = dataclasses.replace(test_set, images=test_set.images[:69], labels=test_set.labels[:69])
    expected = 100 * int((few.labels == 1).sum()) / 69
    assert score(Constant(), few, "fp32").accuracy == pytest.approx(expected)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_networks_in_turn_train_in_the_order_that_is_faster(
    source, test_set, own_cache, monkeypatch, share
):
    """As on a GPU; the numbers are those of channels first, but for rounding."""
    width = 8 + 2 * (share < 1)  # another network, as this process remembers what it measured
    recipe = Recipe.of(SPEC, f"convnet2(width={width})", PROTOCOL)

    def outcomes():
        snapshots = Snapshots(None, Stop(), CPU)
        job = Job(source, recipe, (1, 2), test_set, snapshots, lambda *_: None)
        return job.in_turn(), job.nets

    plain, _ = outcomes()
    monkeypatch.setattr(engine, "recorder_for", lambda _: ChannelsLast(share))
    found, nets = outcomes()
    assert take_reasons()["memory order of the evaluation network"].startswith(
        "channels last" if share < 1 else "channels first"
    )
    for net in nets:
        weight = max(net.parameters(), key=torch.Tensor.dim)
        assert weight.is_contiguous(memory_format=torch.channels_last) == (share < 1)
    for one, other in zip(found, plain, strict=True):
        assert one.final_loss == pytest.approx(other.final_loss, rel=1e-3)
        assert one.accuracy == pytest.approx(other.accuracy, abs=3)


@pytest.mark.gpu
def test_a_gpu_agrees_with_the_cpu(source, test_set):
    gpu = torch.device("cuda")
    there = FixedSource(source.images.to(gpu), source.labels.to(gpu), 0)
    test_there = dataclasses.replace(
        test_set, images=test_set.images.to(gpu), labels=test_set.labels.to(gpu)
    )
    plain = dataclasses.replace(PROTOCOL, augment="")
    found = train_and_test(there, Recipe.of(SPEC, ARCH, plain), (1, 2), test_there)
    assert all(60 < a <= 100 for a in found.accuracies)
