"""Activations, gates, dropouts and pools, beside the proofs over all layers: half precision, layouts, lengths."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from audiocx.checks.catalogue import ENTRIES
from audiocx.checks.entry import Entry
from audiocx.layers import activation, dropout, pooling

CASES = [
    entry
    for entry in ENTRIES
    if entry.family in ("activation", "gate", "dropout", "pool")
    and entry.is_complex
    and "evaluation" not in entry.name
]
every_layer = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def drawn(layer: torch.nn.Module, inputs: Tensor) -> Tensor:
    """Apply a layer; one that draws draws the same every time."""
    torch.manual_seed(5)
    return layer(inputs)


@every_layer
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_gradients_of_half_precision_are_finite_at_zero_and_near_it(case: Entry, dtype):
    layer = case.layer()
    if isinstance(layer, activation.ModReLU):
        # Of positive b it jumps at zero: the slope b / ε there is beyond float16.
        torch.nn.init.constant_(layer.bias, 0.05)
    frames = torch.tensor([0.0, -0.0, 1e-23, 1e-40, 3e3], dtype=dtype)
    planar = frames.repeat(1, 2 * case.shape[1], case.shape[2], 1).requires_grad_()
    outputs = drawn(layer, planar)
    assert outputs.dtype == dtype
    assert torch.isfinite(outputs).all()
    outputs.float().sum().backward()
    for gradient in (planar.grad, *(parameter.grad for parameter in layer.parameters())):
        assert torch.isfinite(gradient).all()
    steepest = 0.0501 / 1e-6 if isinstance(layer, activation.ModReLU) else 3.0
    assert float(planar.grad[..., :4].abs().max()) <= steepest


@pytest.mark.parametrize(
    ("layer", "slope"),
    [(activation.Cardioid(), 0.5), (activation.PolarTanh(), 1.0), (activation.Siglog(0.5), 2.0)],
    ids=lambda value: type(value).__name__,
)
def test_slope_at_zero(layer, slope):
    planar = torch.zeros(1, 4, 3, dtype=torch.float64, requires_grad=True)
    layer(planar).sum().backward()
    torch.testing.assert_close(planar.grad, torch.full_like(planar, slope), rtol=1e-9, atol=0)


class AllLayers(torch.nn.Module):
    """Every case in one module, so that one export holds all."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(case.layer() for case in CASES)

    def forward(self, planar: Tensor) -> tuple[Tensor, ...]:
        return tuple(layer(planar) for layer in self.layers)


def test_all_export_with_any_number_of_frames():
    model, free = AllLayers().eval(), {3: torch.export.Dim.AUTO}
    exported = torch.export.export(model, (CASES[0].planes(torch.float32),), dynamic_shapes=(free,)).module()
    planar = torch.randn(2, 8, 6, 9)
    for case, output, wanted in zip(CASES, exported(planar), model(planar), strict=True):
        torch.testing.assert_close(output, wanted, msg=lambda text, case=case: case.name + text)


@every_layer
def test_channels_last_stays(case):
    layer = case.layer()
    planar = case.planes(torch.float32)
    outputs = drawn(layer, planar.contiguous(memory_format=torch.channels_last))
    if not case.real_output:
        assert outputs.is_contiguous(memory_format=torch.channels_last)
    if not isinstance(layer, dropout.ComplexDropout):
        torch.testing.assert_close(outputs, layer(planar))


@every_layer
def test_any_number_of_axes(case):
    layer = case.layer()
    if not isinstance(layer, pooling.MagnitudeMaxPool2d | pooling.ComplexAveragePool2d):
        planar = torch.randn(2, 2 * case.shape[1], 7)
        torch.testing.assert_close(drawn(layer, planar), drawn(layer, planar[..., None])[..., 0])
