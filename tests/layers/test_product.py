"""Forms of complex products, and what layers keep of their weights in inference."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from audiocx.layers import product
from audiocx.layers.convolution import ComplexConv2d, ComplexConvTranspose1d
from audiocx.layers.linear import ComplexLinear
from audiocx.layers.product import FORMS, group_planes, product_form, ungroup_planes

CPU = torch.device("cpu")
LAYERS = {
    "convolution": lambda: ComplexConv2d(4, 4, 3, padding=1, form="block"),
    "gauss": lambda: ComplexConv2d(4, 4, 3, padding=1, form="gauss"),
    "groups": lambda: ComplexConv2d(4, 4, 3, padding=1, groups=2, form="block"),
    "transposed": lambda: ComplexConvTranspose1d(4, 4, 3, form="block"),
    "linear": lambda: ComplexLinear(4, 4),
}
every_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())


def planar_for(layer):
    return torch.randn(2, 8, *(6, 5)[: getattr(layer, "n_axes", 2)])


@pytest.fixture
def derived(monkeypatch):
    """Counts how often weights are derived."""
    calls = []
    derive = product.ComplexProduct._derive
    monkeypatch.setattr(
        product.ComplexProduct, "_derive", lambda self, form: (calls.append(form), derive(self, form))[1]
    )
    return calls


@every_layer
def test_inference_derives_once(make, derived):
    layer = make().eval()
    planar = planar_for(layer)
    with torch.no_grad():
        first = layer(planar)
        assert torch.equal(layer(planar), first)
    assert len(derived) == 1
    torch.testing.assert_close(layer(planar), first)  # with gradients, nothing kept is used
    assert len(derived) == 2


@every_layer
def test_training_keeps_nothing(make, derived):
    layer = make().train()
    with torch.no_grad():
        layer(planar_for(layer))
        layer(planar_for(layer))
    assert len(derived) == 2


def step(layer):
    with torch.no_grad():
        layer.weight_imag.mul_(3)


def optimizer_step(layer):
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    layer.weight_real.grad = torch.ones_like(layer.weight_real)
    optimizer.step()


def fused_step(layer):
    """Which leaves the version counters as they are."""
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1.0, fused=True)
    layer.weight_real.grad = torch.ones_like(layer.weight_real)
    optimizer.step()


def load(layer):
    layer.load_state_dict({name: 2 * weight for name, weight in layer.state_dict().items()})


def replace_data(layer):
    layer.weight_real.data = 2 * layer.weight_real.data


def replace_parameter(layer):
    layer.weight_imag = torch.nn.Parameter(2 * layer.weight_imag.detach())


def write_past_the_counter(layer):
    layer.weight_real.data.mul_(2)
    layer.eval()


def other_form(layer):
    if hasattr(layer, "form"):
        layer.form = "gauss" if layer.form == "block" else "block"


@every_layer
@pytest.mark.parametrize(
    "change",
    [
        step,
        optimizer_step,
        fused_step,
        load,
        replace_data,
        replace_parameter,
        write_past_the_counter,
        other_form,
        lambda layer: layer.double(),
    ],
)
def test_whatever_changes_the_weights_is_seen(make, change):
    layer = make().eval()
    planar = planar_for(layer)
    with torch.no_grad():
        layer(planar)
        change(layer)
        planar = planar.to(layer.weight_real.dtype)
        kept = layer(planar)
    torch.testing.assert_close(kept, layer(planar))


def test_other_weights_at_the_same_place_are_seen():
    """Memory that is given back is taken again; the version counter of a replaced tensor does not tell."""
    layer = LAYERS["convolution"]().eval()
    planar = planar_for(layer)
    for _ in range(20):
        with torch.no_grad():
            kept = layer(planar)
        torch.testing.assert_close(kept, layer(planar))
        layer.weight_real.data = torch.randn(layer.weight_real.shape)
        layer.weight_real.data = torch.randn(layer.weight_real.shape)


@every_layer
@pytest.mark.parametrize("make_copy", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_are_of_their_own(make, make_copy):
    layer = make().eval()
    planar = planar_for(layer)
    with torch.no_grad():
        before = layer(planar)
        other = make_copy(layer)
        assert other._kept is None
        other.weight_real.zero_()
        assert not torch.allclose(other(planar), before)
        assert torch.equal(layer(planar), before)
    assert not [key for key in layer.state_dict() if "kept" in key]


def test_weights_of_another_call_are_not_kept():
    layer = LAYERS["convolution"]().eval()
    planar = planar_for(layer)
    other = {name: 2 * weight.detach() for name, weight in layer.named_parameters()}
    with torch.no_grad():
        before = layer(planar)
        called = torch.func.functional_call(layer, other, (planar,))
        torch.testing.assert_close(called, 2 * before)
        assert torch.equal(layer(planar), before)


def test_inference_mode_and_no_grad_share_what_is_kept(derived):
    layer = LAYERS["gauss"]().eval()
    planar = planar_for(layer)
    with torch.inference_mode():
        first = layer(planar)
    with torch.no_grad():
        assert torch.equal(layer(planar), first)
    assert len(derived) == 1
    layer(planar).sum().backward()
    assert layer.weight_real.grad is not None


def test_weights_made_in_inference_mode_work():
    with torch.inference_mode():
        layer = LAYERS["convolution"]().eval()
        planar = planar_for(layer)
        assert torch.equal(layer(planar), layer(planar))
        assert layer._kept is None  # such weights have no version counter


def test_planes_by_group_and_back(noise):
    planar = noise(2, 12, 3)
    grouped = group_planes(planar, 3)
    # Features 0 and 1 make the first group: their real parts, then their imaginary parts.
    assert torch.equal(grouped[:, :4], planar[:, [0, 1, 6, 7]])
    assert torch.equal(ungroup_planes(grouped, 3), planar)


def test_more_work_a_number_takes_three_products(monkeypatch):
    """Taps and features speak for Gauss' form, a rest of a register against it."""
    monkeypatch.setattr(product, "LANES", 16)
    assert [product_form(32, 32, CPU, taps=taps) for taps in (1, 3, 7, 15)] == [
        "block",
        "block",
        "gauss",
        "gauss",
    ]
    assert [product_form(n, n, CPU, taps=1) for n in (64, 256)] == ["block", "gauss"]
    assert [product_form(n, n, CPU, taps=15) for n in (16, 24, 32)] == ["gauss", "block", "gauss"]
    assert product_form(1, 32, CPU, taps=35) == product_form(64, 1, CPU, taps=35) == "block"
    monkeypatch.setattr(product, "LANES", 8)
    assert product_form(24, 24, CPU, taps=15) == "gauss"


def test_the_form_is_a_form():
    for sizes in ((1, 1, 1), (16, 16, 16), (64, 64, 1), (32, 32, 8)):
        assert product_form(sizes[0], sizes[1], CPU, sizes[2]) in FORMS
    # Multiply-adds are counted on four products, whatever runs.
    assert product_form(64, 64, torch.device("meta")) == "block"
    assert product_form(64, 64, torch.device("meta"), 64) == "block"
