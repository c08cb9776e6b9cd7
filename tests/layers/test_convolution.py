"""Complex convolutions against torch's native complex ones, in complex128, and by their properties."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from audiocx.errors import ShapeError
from audiocx.layers.convolution import ComplexConv2d, ComplexConvTranspose2d
from audiocx.layers.planar import to_complex, to_planar
from audiocx.layers.product import FORMS

GRID = [
    ((3, 3), (1, 1), (1, 1)),
    ((5, 3), (2, 2), (2, 1)),
    ((5, 3), (2, 1), (2, 1)),
    ((1, 1), (1, 1), (0, 0)),
    ((7, 5), (2, 2), (3, 2)),
]


def complex_weight(layer):
    return torch.complex(layer.weight_real, layer.weight_imag)


def complex_bias(layer):
    return None if layer.bias is None else torch.complex(*layer.bias.chunk(2))


def randomise_bias(layer):
    with torch.no_grad():
        layer.bias.normal_()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("kernel", "stride", "padding"), GRID)
def test_convolution_equals_torch(form, kernel, stride, padding, noise):
    layer = ComplexConv2d(3, 4, kernel, stride, padding, form=form).double()
    randomise_bias(layer)
    z = torch.complex(noise(2, 3, 12, 9, dtype=torch.float64), noise(2, 3, 12, 9, dtype=torch.float64))
    reference = functional.conv2d(z, complex_weight(layer), complex_bias(layer), stride, padding)
    torch.testing.assert_close(to_complex(layer(to_planar(z))), reference, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(layer(z), reference, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("kernel", "stride", "padding"), GRID)
@pytest.mark.parametrize("extra", [0, 1])
def test_transposed_convolution_equals_torch(form, kernel, stride, padding, extra, noise):
    if any(extra >= s for s in stride):
        pytest.skip("no choice of size without a stride")
    layer = ComplexConvTranspose2d(3, 2, kernel, stride, padding, form=form).double()
    randomise_bias(layer)
    z = torch.complex(noise(2, 3, 6, 5, dtype=torch.float64), noise(2, 3, 6, 5, dtype=torch.float64))
    reference = functional.conv_transpose2d(
        z, complex_weight(layer), complex_bias(layer), stride, padding, extra
    )
    outputs = layer(to_planar(z), reference.shape[2:])
    torch.testing.assert_close(to_complex(outputs), reference, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_equal_torch(form, noise):
    layer = ComplexConv2d(2, 3, (3, 3), (2, 1), (1, 1), form=form).double()
    z = torch.complex(noise(1, 2, 7, 6, dtype=torch.float64), noise(1, 2, 7, 6, dtype=torch.float64))
    native = complex_weight(layer).detach().requires_grad_()
    weights = torch.complex(noise(1, 3, 4, 6, dtype=torch.float64), noise(1, 3, 4, 6, dtype=torch.float64))
    (functional.conv2d(z, native, None, (2, 1), (1, 1)) * weights).abs().square().sum().backward()
    layer.bias = None
    (layer(z) * weights).abs().square().sum().backward()
    ours = torch.complex(layer.weight_real.grad, layer.weight_imag.grad)
    torch.testing.assert_close(ours, native.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("make", [ComplexConv2d, ComplexConvTranspose2d])
@pytest.mark.parametrize("form", FORMS)
def test_gradcheck(make, form, noise):
    layer = make(1, 2, (3, 1), (2, 1), (1, 0), form=form).double()
    planar = noise(1, 2, 5, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(layer, (planar,))


@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
def test_transposed_is_the_adjoint_for_conjugate_weights(stride, noise):
    forward = ComplexConv2d(2, 3, (3, 3), stride, (1, 1), bias=False).double()
    backward = ComplexConvTranspose2d(3, 2, (3, 3), stride, (1, 1), bias=False).double()
    x = torch.complex(noise(1, 2, 8, 8, dtype=torch.float64), noise(1, 2, 8, 8, dtype=torch.float64))
    image = forward(x)
    y = torch.complex(torch.randn_like(image.real), torch.randn_like(image.real))

    def gap(sign):
        with torch.no_grad():
            backward.weight_real.copy_(forward.weight_real)
            backward.weight_imag.copy_(sign * forward.weight_imag)
        back = backward(y, x.shape[2:])
        return float(((image * y.conj()).sum() - (x * back.conj()).sum()).abs())

    assert gap(-1) < 1e-10
    assert gap(1) > 0.1


@pytest.mark.parametrize("make", [ComplexConv2d, ComplexConvTranspose2d])
def test_phase_equivariance_is_as_declared(make, noise):
    z = torch.complex(noise(1, 2, 6, 6, dtype=torch.float64), noise(1, 2, 6, 6, dtype=torch.float64))
    turn = torch.polar(torch.tensor(1.0, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64))
    for bias in (False, True):
        layer = make(2, 2, (3, 3), bias=bias).double()
        if bias:
            randomise_bias(layer)
        error = float((layer(z * turn) - layer(z) * turn).abs().max())
        assert layer.phase_equivariant is not bias
        assert (error < 1e-12) is layer.phase_equivariant


def test_complex_linearity(noise):
    layer = ComplexConv2d(2, 3, (3, 3), bias=False).double()
    z = torch.complex(noise(1, 2, 6, 6, dtype=torch.float64), noise(1, 2, 6, 6, dtype=torch.float64))
    torch.testing.assert_close(layer((2 - 3j) * z), (2 - 3j) * layer(z), rtol=1e-10, atol=1e-10)


def test_unreachable_size_is_refused(noise):
    layer = ComplexConvTranspose2d(1, 1, (3, 3), (2, 2), (1, 1))
    with pytest.raises(ShapeError, match="cannot be reached"):
        layer(noise(1, 2, 4, 4), (12, 8))


@pytest.mark.parametrize("form", FORMS)
def test_bfloat16_autocast(form, noise):
    layer = ComplexConv2d(4, 4, (3, 3), padding=(1, 1), form=form)
    planar = noise(1, 8, 16, 16)
    exact = layer(planar)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = layer(planar).float()
    # bfloat16 has 8 bits: a relative error of some thousandths, more where terms cancel.
    assert float((rough - exact).norm() / exact.norm()) < 0.02
