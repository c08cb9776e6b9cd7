from __future__ import annotations

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


def random_affine(layer: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return layer.double()


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


@pytest.mark.parametrize("make", [*COMPLEX, *REAL])
def test_frames_see_each_other_only_where_asked(make, noise):
    planes = noise(1, 12, 6, 5)
    changed = planes.clone()
    changed[..., 3:] *= 100
    assert torch.equal(make()(planes)[..., :3], make()(changed)[..., :3])
    over_frames = make(by_frame=False)
    assert not torch.allclose(over_frames(planes)[..., :3], over_frames(changed)[..., :3])


def test_groups_must_divide():
    with pytest.raises(ConfigError, match="divisor of 6"):
        ComplexGroupNorm(6, 4)
