from __future__ import annotations

import pytest
import torch
from torch import nn

from audiocx.errors import ShapeError
from audiocx.layers.convolution import ComplexConv2d
from audiocx.layers.planar import (
    concatenate,
    is_phase_equivariant,
    planes,
    to_complex,
    to_planar,
)
from audiocx.layers.unitary_recurrence import UnitaryRecurrence


def test_there_and_back(noise):
    z = torch.complex(noise(2, 3, 4, 5), noise(2, 3, 4, 5))
    planar = to_planar(z)
    assert planar.shape == (2, 6, 4, 5)
    assert torch.equal(planar[:, :3], z.real)
    assert torch.equal(to_complex(planar), z)


def test_concatenation_keeps_pairs(noise):
    first = torch.complex(noise(1, 2, 3, 3), noise(1, 2, 3, 3))
    second = torch.complex(noise(1, 4, 3, 3), noise(1, 4, 3, 3))
    joined = concatenate((to_planar(first), to_planar(second)))
    assert torch.equal(to_complex(joined), torch.cat((first, second), 1))


def test_odd_planes_are_refused():
    with pytest.raises(ShapeError, match="odd number of planes"):
        planes(torch.zeros(1, 3, 2))


def test_half_precision_becomes_complex64():
    assert to_complex(torch.zeros(1, 2, 3, dtype=torch.bfloat16)).dtype == torch.complex64


def test_equivariance_of_a_whole_is_that_of_its_leaves():
    with_bias = ComplexConv2d(1, 2, (3, 3))
    without = ComplexConv2d(2, 2, (3, 3), bias=False)
    assert is_phase_equivariant(nn.Sequential(without, nn.Identity()))
    assert not is_phase_equivariant(nn.Sequential(without, with_bias))
    assert not is_phase_equivariant(nn.Sequential(without, nn.ReLU()))


def test_a_layer_answers_for_its_parts():
    whole = nn.ModuleList([UnitaryRecurrence(4, 4), ComplexConv2d(2, 2, (3, 3), bias=False)])
    assert is_phase_equivariant(whole)


def test_parameters_beside_children_are_not_trusted():
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.child = nn.Identity()
            self.weight = nn.Parameter(torch.ones(1))

    assert not is_phase_equivariant(Hidden())
