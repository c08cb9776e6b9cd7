from __future__ import annotations

import pytest
import torch
from torch import nn

from audiocx.training.muon import Muon, is_matrix, orthogonalise


@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (16, 16)])
def test_singular_values_become_about_one(shape, noise):
    values = torch.linalg.svdvals(orthogonalise(noise(*shape), n_steps=8))
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3


def test_keeps_the_singular_vectors(noise):
    matrix = noise(6, 20, dtype=torch.float64)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    result = u.T @ orthogonalise(matrix) @ v.T
    off = result - torch.diag(result.diagonal())
    assert float(off.abs().max()) < 1e-6


def test_who_is_a_matrix():
    assert is_matrix(torch.zeros(5, 8, 3, 3))
    assert is_matrix(torch.zeros(5, 8))
    assert not is_matrix(torch.zeros(34, 3, 9, 1))
    assert not is_matrix(torch.zeros(12, 1, 5, 3))
    assert not is_matrix(torch.zeros(48, 2, 5, 3))
    assert not is_matrix(torch.zeros(4, 48))
    assert not is_matrix(torch.zeros(7))


def test_complex_parameters_are_refused():
    with pytest.raises(ValueError, match="must be real"):
        Muon([("weight", nn.Parameter(torch.zeros(8, 8, dtype=torch.complex64)))])


def test_the_rest_is_adamw(noise):
    ours, theirs = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))
    first = Muon([("bias", ours)], adamw_lr=0.1, betas=(0.9, 0.99))
    second = torch.optim.AdamW([theirs], lr=0.1, betas=(0.9, 0.99), weight_decay=0.0)
    for _ in range(5):
        gradient = noise(5)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        first.step()
        second.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_trains_a_linear_map(noise):
    torch.manual_seed(0)
    layer = nn.Linear(8, 6)
    wanted, inputs = noise(6, 8), noise(256, 8)
    optimizer = Muon(layer.named_parameters(), lr=0.05, adamw_lr=0.05)
    losses = []
    for _ in range(150):
        loss = (layer(inputs) - inputs @ wanted.T).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.02 * losses[0]


def test_state_goes_on_where_it_was(noise):
    def run(n_before: int) -> torch.Tensor:
        torch.manual_seed(1)
        layer = nn.Linear(7, 6)
        optimizer = Muon(layer.named_parameters())
        gradients = [torch.randn(6, 7, generator=torch.Generator().manual_seed(i)) for i in range(4)]
        for step, gradient in enumerate(gradients):
            if step == n_before:
                state = optimizer.state_dict()
                optimizer = Muon(layer.named_parameters())
                optimizer.load_state_dict(state)
            layer.weight.grad, layer.bias.grad = gradient, gradient.sum(1)
            optimizer.step()
        return layer.weight.detach()

    assert torch.equal(run(99), run(2))
