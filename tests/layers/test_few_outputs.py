"""Transposed convolutions with few output planes: torch's results, gradients and second gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from audiocx.layers import few_outputs
from audiocx.layers.convolution import RealConvTranspose2d
from audiocx.layers.few_outputs import conv_transpose2d

SIZES = [
    # stride, padding, output padding, dilation
    ((1, 1), (0, 0), (0, 0), (1, 1)),
    ((2, 2), (2, 1), (0, 0), (1, 1)),
    ((2, 1), (2, 1), (1, 0), (1, 1)),
    ((3, 2), (1, 0), (2, 1), (1, 2)),
]


@pytest.fixture
def taken(monkeypatch):
    """Counts how often the matrix product is taken."""
    calls = []
    pays = few_outputs._pays
    monkeypatch.setattr(few_outputs, "_pays", lambda *a: (calls.append(pays(*a)), calls[-1])[1])
    return calls


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("sizes", SIZES)
def test_is_torchs(sizes, bias, channels_last, taken):
    stride, padding, more, dilation = sizes
    layout = torch.channels_last if channels_last else torch.contiguous_format
    inputs = torch.randn(2, 48, 6, 5).contiguous(memory_format=layout).requires_grad_()
    weight, shift = torch.randn(48, 2, 5, 3, requires_grad=True), torch.randn(2, requires_grad=True)
    leaves = [inputs, weight, shift][: 3 if bias else 2]
    values = [
        function(inputs, weight, shift if bias else None, stride, padding, more, 1, dilation)
        for function in (conv_transpose2d, functional.conv_transpose2d)
    ]
    torch.testing.assert_close(*values, rtol=1e-5, atol=1e-4)
    gradient = torch.randn_like(values[1])
    for ours, theirs in zip(*(torch.autograd.grad(value, leaves, gradient) for value in values), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-3)
    assert taken == [True]


@pytest.mark.parametrize(
    "change",
    [
        lambda i, w: (i.double(), w.double(), 1),
        lambda i, w: (i, w.repeat(1, 4, 1, 1), 1),
        lambda i, w: (i[:, :24], w[:24], 1),
        lambda i, w: (i, w[:, :1], 2),
    ],
    ids=["double", "eight planes out", "few planes in", "groups"],
)
def test_leaves_the_rest_to_torch(change, taken):
    inputs, weight, groups = change(torch.randn(1, 48, 4, 4), torch.randn(48, 2, 3, 3))
    ours = conv_transpose2d(inputs, weight, None, (1, 1), (1, 1), (0, 0), groups, (1, 1))
    theirs = functional.conv_transpose2d(inputs, weight, None, 1, 1, 0, groups)
    assert torch.equal(ours, theirs)
    assert taken == [False]


def test_autocast_is_torchs(taken):
    inputs, weight = torch.randn(1, 48, 4, 4), torch.randn(48, 2, 3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = conv_transpose2d(inputs, weight, None, (1, 1), (1, 1), (0, 0), 1, (1, 1))
    assert outputs.dtype == torch.bfloat16
    assert taken == [False]


def test_gradient_of_gradient():
    """In float64, which the layer itself leaves to torch."""
    inputs = torch.randn(1, 3, 3, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 2, 3, 2, dtype=torch.float64, requires_grad=True)

    def apply(planes, kernel):
        return few_outputs._FewOutputs.apply(planes, kernel, (2, 1), (1, 0), (1, 0), (1, 1))

    assert torch.autograd.gradcheck(apply, (inputs, weight))
    assert torch.autograd.gradgradcheck(apply, (inputs, weight))


def test_functional_gradient():
    """`torch.func` goes through it, and over a batch of weights."""
    inputs, weights = torch.randn(1, 48, 3, 3), torch.randn(2, 48, 2, 3, 3)

    def loss(weight, function):
        return function(inputs, weight, None, (1, 1), (1, 1), (0, 0), 1, (1, 1)).square().sum()

    ours = torch.func.vmap(torch.func.grad(lambda weight: loss(weight, conv_transpose2d)))(weights)
    theirs = torch.stack(
        [torch.func.grad(lambda w: loss(w, functional.conv_transpose2d))(weight) for weight in weights]
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("output_size", [None, (11, 6), (12, 6)])
def test_real_layer_is_torchs(output_size, taken):
    ours, theirs = (make(48, 2, (5, 3), (2, 1), (1, 1)) for make in (RealConvTranspose2d, nn.ConvTranspose2d))
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(2, 48, 5, 6)
    torch.testing.assert_close(ours(inputs, output_size), theirs(inputs, output_size), rtol=1e-5, atol=1e-5)
    assert taken == [True]
