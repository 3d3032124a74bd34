"""What a source tells of the network that made a set, and the warning where another is used."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from foreign_files import LAYOUTS, Sample, digits_sample

import bench
from bench.cli import main
from bench.distilled.io import save
from bench.exchange.made_with import MadeWith, compare_networks
from bench.exchange.opened import open_sets

WARNING = "with another norm layer it can reach far lower accuracies than its authors report"


@pytest.fixture(scope="module")
def sample() -> Sample:
    return digits_sample()


def written(value: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(value, path)
    return path


def experiments(sample: Sample, path: Path) -> Path:
    pair = [sample.normalised, sample.labels]
    return written({"data": [pair], "accs_all_exps": {}}, path)


def beside(sample: Sample, **more: Any) -> Callable[[Path], Path]:
    values = {"images": sample.normalised, "labels": sample.labels, **more}
    return lambda folder: written(values, folder / "set.pt")


def made_with(source: Path, sample: Sample) -> MadeWith | None:
    return open_sets(str(source), sample.real)[0].made_with


@pytest.mark.parametrize(
    ("network", "norm"),
    [
        ("ConvNet", "instance"),
        ("ConvNetBN", "batch"),
        ("ConvNetASwishBN", "batch"),
        ("ConvNetNN", "no"),
        ("ConvNetLN", "layer"),
        ("ConvNetGN", "group"),
        ("ConvNetD4", "instance"),
        ("VGG11", "instance"),
        ("ResNet18", "instance"),
        ("ResNet18BN_AP", "batch"),
        ("AlexNet", "no"),
        ("OtherNet", None),
    ],
)
def test_the_name_of_vicos_file_tells_it(
    network: str, norm: str | None, sample: Sample, tmp_path: Path
) -> None:
    source = experiments(sample, tmp_path / f"res_DM_digits_{network}_10ipc.pt")
    assert made_with(source, sample) == MadeWith(network, norm, "the file's name")
    assert made_with(experiments(sample, tmp_path / "renamed.pt"), sample) is None


@pytest.mark.parametrize(
    ("folder", "network"),
    [
        ("conv3in_grad_mse_nd2000_cut_niter2000_factor2_lr0.005_mix_ipc10", "conv3"),
        ("resnet10apin_grad_l1_ely10_nd500_cut_factor3_mix_ipc10", "resnet10ap"),
        ("conv3in", "conv3"),
        ("conv3_grad_mse", None),
        ("digits", None),
    ],
)
def test_the_folder_of_idc_tells_it(
    folder: str, network: str | None, sample: Sample, tmp_path: Path
) -> None:
    source = written([sample.pixels, sample.labels], tmp_path / folder / "data.pt")
    expected = network and MadeWith(network, "instance", "the folder's name")
    assert made_with(source, sample) == expected


@pytest.mark.parametrize("name", ["mtt", "datm", "in_parts"])
def test_the_layout_of_mtt_and_datm_tells_the_default(
    name: str, sample: Sample, tmp_path: Path
) -> None:
    expected = MadeWith("ConvNet", "instance", "the default of MTT and DATM")
    assert made_with(LAYOUTS[name](sample, tmp_path), sample) == expected


@pytest.mark.parametrize("name", ["dd_ranking", "dd", "kip", "k_means", "npz", "images"])
def test_other_layouts_tell_nothing(name: str, sample: Sample, tmp_path: Path) -> None:
    assert made_with(LAYOUTS[name](sample, tmp_path), sample) is None


@pytest.mark.parametrize(
    ("more", "network", "norm"),
    [
        ({"model": "ConvNetBN"}, "ConvNetBN", "batch"),
        ({"args": {"model": "ConvNet", "lr_net": 0.01}}, "ConvNet", "instance"),
        ({"args": {"net_type": "convnet", "norm_type": "batch"}}, "convnet", "batch"),
        ({"net_norm": "instancenorm"}, "a network", "instance"),
        ({"model": "ConvNet", "norm": "none"}, "ConvNet", "no"),
        ({"model": "something", "norm": "of its own"}, "something", None),
        ({"model": "x" * 10_000, "norm": "batch"}, "x" * 80, "batch"),
    ],
)
def test_arguments_in_a_file_tell_it(
    more: dict[str, Any], network: str, norm: str | None, sample: Sample, tmp_path: Path
) -> None:
    found = made_with(beside(sample, **more)(tmp_path), sample)
    assert found == MadeWith(network, norm, "said in the file")


@pytest.mark.parametrize("more", [{"model": 3}, {"args": [1, 2]}, {"norm": torch.ones(1)}])
def test_what_is_no_name_tells_nothing(
    more: dict[str, Any], sample: Sample, tmp_path: Path
) -> None:
    assert made_with(beside(sample, **more)(tmp_path), sample) is None


def our_set(sample: Sample, folder: Path) -> Path:
    """A file of a cell that was distilled with batch norm."""
    made = bench.distil("random", sample.real, ipc=1).distilled
    made.provenance = {"cell": {"arch": "convnet2(norm=batch,width=8)"}}
    path = folder / "ours.safetensors"
    save(made, path)
    return path


def test_our_own_file_and_its_export_tell_it(sample: Sample, tmp_path: Path) -> None:
    expected = MadeWith("convnet2(norm=batch,width=8)", "batch", "said in the file")
    source = our_set(sample, tmp_path)
    assert made_with(source, sample) == expected
    call("export", source, "-o", tmp_path / "out", "--format", "pt")
    assert made_with(tmp_path / "out" / "ours.pt", sample) == expected


def test_the_card_of_an_export_tells_it(sample: Sample, tmp_path: Path) -> None:
    """Of formats that hold arrays and pictures alone."""
    store = tmp_path / "store"
    what = ("-m", "herding", "-d", "digits", "--ipc", 1, "--arch", "convnet1(norm=batch,width=4)")
    how = ("--profile", "smoke", "--protocol", "smoke", "--eval-arch", "mlp", "--eval-nets", 1)
    call("run", *what, *how, "--store", store)
    records = [json.loads(path.read_text()) for path in store.glob("cells/*/record.json")]
    (cell,) = (record["id"] for record in records if record["kind"] == "distil")
    expected = MadeWith("convnet1(norm=batch,width=4)", "batch", "said in its card")
    forms = ["npz", "imagefolder", *(["hf"] if importlib.util.find_spec("datasets") else [])]
    for form in forms:
        folder = tmp_path / form
        call("export", cell, "-o", folder, "--format", form, "--store", store)
        assert made_with(folder, sample) == expected
    file = tmp_path / "npz" / "herding-digits-ipc1-seed0.npz"
    assert made_with(file, sample) == expected
    assert made_with(file.rename(file.with_name("other.npz")), sample) is None


@pytest.mark.parametrize(
    "card",
    [
        "",
        'distilled_with: "convnet1"\n',
        '---\ndistilled_with: "convnet1"\n',
        '---\ndistilled_with: 3\npretty_name: "set"\n---\n',
        '---\ndistilled_with: convnet1\npretty_name: "set"\n---\n',
        '---\ntitle: x\n---\ndistilled_with: "convnet1"\n',
        "---\ndistilled_with: " + "[" * 9_000 + '\npretty_name: "set"\n---\n',
    ],
)
def test_another_card_tells_nothing(card: str, sample: Sample, tmp_path: Path) -> None:
    source = LAYOUTS["npz"](sample, tmp_path)
    (tmp_path / "README.md").write_text(card)
    assert made_with(source, sample) is None


def test_a_network_of_a_plugin_that_is_not_here(sample: Sample, tmp_path: Path) -> None:
    made = bench.distil("random", sample.real, ipc=1).distilled
    made.provenance = {"cell": {"arch": "net-of-someone"}}
    save(made, tmp_path / "ours.safetensors")
    expected = MadeWith("net-of-someone", None, "said in the file")
    assert made_with(tmp_path / "ours.safetensors", sample) == expected


def test_the_same_norm_is_no_warning(sample: Sample) -> None:
    own = MadeWith("ConvNet", "instance", "said in the file")
    findings = compare_networks(own, ["convnet3", "vgg11(width=8)"], sample.real.spec)
    assert findings.warnings == []
    (fact,) = findings.facts
    assert fact.value == "convnet3: instance norm, vgg11(width=8): instance norm"


def test_another_norm_is_a_warning_that_names_the_way_out(sample: Sample) -> None:
    own = MadeWith("ConvNet", "instance", "said in the file")
    archs = ["convnet3", "resnet10(width=8)", "mlp"]
    (warning,) = compare_networks(own, archs, sample.real.spec).warnings
    assert WARNING in warning
    assert "made with ConvNet, instance norm (said in the file)" in warning
    assert "evaluated with resnet10(width=8) (batch norm), mlp (no norm)" in warning
    assert "`--eval-arch 'resnet10(norm=instance,width=8)'` has that norm" in warning
    for unknown in (None, MadeWith("ConvNet", None, "said in the file")):
        assert compare_networks(unknown, archs, sample.real.spec).warnings == []
    (only_mlp,) = compare_networks(own, ["mlp"], sample.real.spec).warnings
    assert "--eval-arch" not in only_mlp


def test_networks_that_cannot_take_the_images_are_left_to_their_cells(sample: Sample) -> None:
    findings = compare_networks(None, ["convnet6", "mlp"], sample.real.spec)
    assert [fact.value for fact in findings.facts] == ["mlp: no norm"]


def call(*words: Any) -> Result:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result


def test_the_command_says_it_and_the_record_keeps_what_is_the_sets(
    sample: Sample, tmp_path: Path
) -> None:
    """How a set was made is kept with it; with what it is evaluated differs from call to call."""
    source, store = LAYOUTS["vico"](sample, tmp_path), tmp_path / "store"
    archs = "convnet1(norm=batch,width=4),mlp"
    what = (source, "--dataset", "digits", "--protocol", "smoke", "--eval-arch", archs)
    result = call("evaluate", *what, "--seeds", 1, "--name", "theirs", "--store", store)
    text = " ".join(result.stderr.split())
    assert "made with ConvNet, instance norm (the file's name)" in text
    assert "evaluated with convnet1(norm=batch,width=4): batch norm, mlp: no norm" in text
    assert WARNING in text
    records = [json.loads(path.read_text()) for path in store.glob("cells/*/record.json")]
    (distil,) = (record for record in records if record["kind"] == "distil")
    read_as = distil["labels"]["read_as"]
    facts = {fact["name"]: fact["value"] for fact in read_as["facts"]}
    assert facts["made with"] == "ConvNet, instance norm (the file's name)"
    assert "evaluated with" not in facts
    assert read_as["warnings"] == []
