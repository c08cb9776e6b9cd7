from __future__ import annotations

import pytest
import torch
from torch import nn

from audiocx.errors import ConfigError
from audiocx.layers.activation import CReLU, ModReLU
from audiocx.layers.product import block_kernel
from audiocx.models.arithmetic import ARITHMETICS, Arithmetic, arithmetic_of
from audiocx.models.build import build, check_trusted
from audiocx.models.unet import UNet
from audiocx.models.words import look_up


def test_builds_nested_targets():
    built = build({"_target_": "torch.nn.Sequential"})
    assert isinstance(built, nn.Sequential)
    partial = build({"_target_": "torch.nn.Linear", "_partial_": True, "in_features": 3})
    assert partial(out_features=2).weight.shape == (2, 3)


def test_unknown_key_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean `in_features`"):
        build({"_target_": "torch.nn.Linear", "in_feature": 3, "out_features": 2})


@pytest.mark.parametrize("path", ["audiocx.models.nothing.Net", "audiocx.models.unet.Net", "nowhere.Net"])
def test_what_cannot_be_imported_says_so(path):
    with pytest.raises(ConfigError, match="cannot import"):
        build({"_target_": path})


@pytest.mark.parametrize("path", ["os.system", "audiocx.apps.main.main", "torch.nn.functional.relu"])
def test_nothing_but_modules_is_ever_called(path, tmp_path):
    with pytest.raises(ConfigError, match="no class of torch modules"):
        build({"_target_": path, "arguments": ["--version"]})
    for kind in ("norm", "activation"):
        with pytest.raises(ConfigError, match="no class of torch modules"):
            look_up(kind, path)


def test_of_audiocx_only_models_and_layers_are_trusted():
    with pytest.raises(ConfigError, match=r"audiocx\.apps"):
        check_trusted({"_target_": "audiocx.apps.main.main"}, ["audiocx"])


def test_values_that_do_not_fit_are_one_line():
    with pytest.raises(ConfigError, match="does not fit"):
        build({"_target_": "torch.nn.Linear", "in_features": "three", "out_features": 2})


def test_trust_is_by_package():
    config = {"_target_": "audiocx.models.unet.UNet", "activation": "mypackage.layers.Act", "x": [1.5, "rms"]}
    check_trusted(config, ["audiocx", "mypackage"])
    with pytest.raises(ConfigError, match="mypackage"):
        check_trusted(config, ["audiocx"])
    with pytest.raises(ConfigError, match=r"os\.system"):
        check_trusted([{"a": {"b": "os.system"}}], ["audiocx"])
    # A prefix is not a package.
    with pytest.raises(ConfigError):
        check_trusted("audiocxevil.Net", ["audiocx"])


def test_words_and_import_paths():
    assert look_up("activation", "relu")[0](3).__class__ is CReLU
    assert look_up("activation", "audiocx.layers.activation.ModReLU")[1] is ModReLU
    with pytest.raises(ConfigError, match="did you mean `leaky_relu`"):
        look_up("activation", "leaky_rel")


def test_arithmetic_by_import_path():
    assert arithmetic_of("audiocx.models.arithmetic.DualArithmetic").name == "dual"
    with pytest.raises(ConfigError, match="did you mean `complex`"):
        arithmetic_of("compelx")
    with pytest.raises(ConfigError, match="is not an Arithmetic"):
        arithmetic_of("torch.nn.Identity")


@pytest.mark.parametrize("name", ARITHMETICS)
def test_dual_never_mixes_the_halves_and_the_others_do(name, noise):
    arithmetic: Arithmetic = arithmetic_of(name)
    layer = arithmetic.convolution(4, 6, (3, 3), (1, 1), (1, 1), bias=False)
    planes = noise(1, 4, 5, 5)
    changed = planes.clone()
    changed[:, 2:] += 1
    real_half_changes = not torch.equal(layer(planes)[:, :3], layer(changed)[:, :3])
    assert real_half_changes is (name != "dual")


@pytest.mark.parametrize("name", ARITHMETICS)
@pytest.mark.parametrize("transposed", [False, True])
def test_depthwise_keeps_features_apart(name, transposed, noise):
    """A plane reaches the planes of its own feature: both of a pair in complex numbers, else itself."""
    arithmetic = arithmetic_of(name)
    layer = arithmetic.depthwise(
        6, (3, 2), (2, 1), (1, 0), bias=True, activation="relu", dilation=(1, 2), transposed=transposed
    )
    planes = noise(1, 6, 9, 8)
    changed = planes.clone()
    changed[:, 1] += 1
    moved = (layer(planes) != layer(changed)).flatten(2).any(2)[0].nonzero().flatten().tolist()
    assert moved == ([1, 4] if name in ("complex", "widely_linear") else [1])
    assert layer(planes).shape[-1] == (10 if transposed else 6)


def test_widely_linear_contains_complex(noise):
    """The real kernel [[A, -B], [B, A]] makes a widely linear layer a complex one."""
    wide, narrow = (
        arithmetic_of(name).convolution(4, 6, (3, 3), (1, 1), (1, 1), bias=False, dilation=(1, 1))
        for name in ("widely_linear", "complex")
    )
    planes = noise(1, 4, 5, 5)
    assert not torch.allclose(wide(planes), narrow(planes), atol=1e-3)
    with torch.no_grad():
        wide.weight.copy_(block_kernel(narrow.weight_real, narrow.weight_imag))
    torch.testing.assert_close(wide(planes), narrow(planes))
    norm = arithmetic_of("widely_linear").norm("rms", 4)
    assert type(norm) is type(arithmetic_of("complex").norm("rms", 4))


def unet(**keys):
    settings = {"widths": [2, 3], "kernel_sizes": [[3, 3]] * 2, "strides": [[2, 2], [2, 1]], **keys}
    return UNet("complex", 2, 2, **settings)


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ({"widths": [2]}, "differ in length"),
        ({"kernel_sizes": [[4, 3], [3, 3]]}, "even"),
        ({"norm": "rmsn"}, "did you mean `rms`"),
    ],
)
def test_unet_refuses_what_does_not_fit(keys, word):
    with pytest.raises(ConfigError, match=word):
        unet(**keys)


@pytest.mark.parametrize(("frequency", "frame"), [(257, 1), (256, 7), (9, 30), (1, 1)])
def test_unet_takes_any_size(frequency, frame, noise):
    assert unet()(noise(1, 2, frequency, frame)).shape == (1, 2, frequency, frame)


def test_unet_sees_as_far_as_its_kernels(noise):
    """A change of one frame reaches no further than kernels and strides allow."""
    network = unet(norm="none").double().eval()
    planes = noise(1, 2, 17, 64, dtype=torch.float64)
    changed = planes.clone()
    changed[..., 32] += 1
    moved = (network(planes) != network(changed)).flatten(0, 2).any(0).nonzero().flatten()
    assert moved.min() >= 32 - 12
    assert moved.max() <= 32 + 12
