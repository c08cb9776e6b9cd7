from __future__ import annotations

import numpy as np
import pytest
import torch

from audiocx.errors import ConfigError
from audiocx.layers.norm import (
    ComplexGroupNorm,
    ComplexInstanceNorm,
    ComplexLayerNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
)
from audiocx.layers.planar import to_complex, to_planar

COMPLEX = [
    lambda **options: ComplexGroupNorm(6, 2, **options),
    lambda **options: ComplexLayerNorm(6, **options),
    lambda **options: ComplexInstanceNorm(6, **options),
]
REAL = [
    lambda **options: GroupNorm(12, 2, **options),
    lambda **options: LayerNorm(12, **options),
    lambda **options: InstanceNorm(12, **options),
]
GROUPS = [2, 1, 6]


def random_affine(layer: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return layer.double()


def reference(
    values: np.ndarray, groups: int, by_frame: bool, scale: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    """The norm of real or complex numbers in NumPy, one set after another."""
    outputs = np.empty_like(values)
    members = values.shape[1] // groups
    for item in range(values.shape[0]):
        for group in range(groups):
            features = slice(group * members, (group + 1) * members)
            frames = range(values.shape[3]) if by_frame else [slice(None)]
            for frame in frames:
                x = values[item, features, :, frame]
                centred = x - x.mean()
                outputs[item, features, :, frame] = centred / np.sqrt((np.abs(centred) ** 2).mean() + 1e-5)
    return outputs * scale[:, None, None] + shift[:, None, None]


@pytest.mark.parametrize("by_frame", [True, False])
@pytest.mark.parametrize(("make", "groups"), list(zip(COMPLEX, GROUPS, strict=True)))
def test_complex_equals_numpy(make, groups, by_frame, noise):
    layer = random_affine(make(by_frame=by_frame))
    z = torch.complex(noise(2, 6, 5, 4, dtype=torch.float64), noise(2, 6, 5, 4, dtype=torch.float64)) + (
        1 - 2j
    )
    shift = torch.complex(*layer.bias.detach().chunk(2)).numpy()
    expected = reference(z.numpy(), groups, by_frame, layer.scale.detach().numpy(), shift)
    torch.testing.assert_close(layer(z).detach(), torch.from_numpy(expected), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(to_complex(layer(to_planar(z))), layer(z))


@pytest.mark.parametrize("by_frame", [True, False])
@pytest.mark.parametrize(("make", "groups"), list(zip(REAL, [2, 1, 12], strict=True)))
def test_real_equals_numpy(make, groups, by_frame, noise):
    layer = random_affine(make(by_frame=by_frame))
    x = noise(2, 12, 5, 4, dtype=torch.float64) + 1
    expected = reference(
        x.numpy(), groups, by_frame, layer.scale.detach().numpy(), layer.bias.detach().numpy()
    )
    torch.testing.assert_close(layer(x).detach(), torch.from_numpy(expected), rtol=1e-10, atol=1e-10)


def test_real_over_frames_equals_torch(noise):
    x = noise(2, 12, 5, 4)
    torch.testing.assert_close(GroupNorm(12, 3, by_frame=False)(x), torch.nn.GroupNorm(3, 12)(x))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("by_frame", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("make", [*COMPLEX, *REAL])
def test_gradients(make, by_frame, bias, layout, noise):
    layer = random_affine(make(by_frame=by_frame, bias=bias))
    planes = noise(2, 12, 3, 2, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()

    def normalise(planes: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        names = [name for name, _ in layer.named_parameters()]
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (planes,))

    assert torch.autograd.gradcheck(normalise, (planes, *layer.parameters()), fast_mode=True)


@pytest.mark.parametrize("make", COMPLEX)
def test_phase_passes_through_as_declared(make, noise):
    z = torch.complex(noise(2, 6, 8, 3), noise(2, 6, 8, 3)) + 1
    turn = torch.polar(torch.tensor(1.0), torch.tensor(2.0))
    for bias in (True, False):
        layer = random_affine(make(bias=bias)).float()
        assert layer.phase_equivariant == (not bias)
        assert torch.allclose(layer(z * turn), layer(z) * turn, rtol=1e-4, atol=1e-5) == (not bias)


@pytest.mark.parametrize("make", [*COMPLEX, *REAL])
def test_frames_see_each_other_only_where_asked(make, noise):
    planes = noise(1, 12, 6, 5)
    changed = planes.clone()
    changed[..., 3:] *= 100
    assert torch.equal(make()(planes)[..., :3], make()(changed)[..., :3])
    over_frames = make(by_frame=False)
    assert not torch.allclose(over_frames(planes)[..., :3], over_frames(changed)[..., :3])


@pytest.mark.parametrize("make", [*COMPLEX, *REAL])
@pytest.mark.parametrize("value", [0.0, 1e-23, 1e-40, 5.0])
def test_constants_are_finite(make, value):
    planes = torch.full((1, 12, 3, 2), value, requires_grad=True)
    layer = make()
    layer(planes).pow(3).sum().backward()
    assert torch.isfinite(planes.grad).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in layer.parameters())


@pytest.mark.parametrize("make", [*COMPLEX, *REAL])
def test_statistics_stay_in_float32_under_autocast(make, noise):
    planes = (noise(1, 12, 128, 3) * 0.1 + 3.0).bfloat16()
    layer = make()
    with torch.autocast("cpu", torch.bfloat16):
        rough = layer(planes)
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.float(), layer(planes.float()), rtol=0.01, atol=0.01)


@pytest.mark.parametrize("make", [COMPLEX[0], REAL[0]])
def test_compiles_without_a_break(make, noise):
    torch._dynamo.reset()
    layer, planes = make(), noise(2, 12, 5, 4)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    inputs = [planes.clone().requires_grad_() for _ in range(2)]
    outputs = [compiled(inputs[0]), layer(inputs[1])]
    torch.testing.assert_close(*outputs)
    gradients = [torch.autograd.grad(y.pow(3).sum(), x)[0] for y, x in zip(outputs, inputs, strict=True)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("make", COMPLEX)
def test_exports_and_loads_its_own_state(make, noise):
    layer, other, planes = random_affine(make()).float(), make(), noise(2, 12, 5, 4)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(planes), layer(planes))
    torch.testing.assert_close(torch.export.export(layer, (planes,)).module()(planes), layer(planes))


def test_groups_must_divide():
    with pytest.raises(ConfigError, match="divisor of 6"):
        ComplexGroupNorm(6, 4)
